"""NIC and bond exclude each other: what the other side had goes, its VIFs' ports move along (features.md 3, 10). Pure.

Used by build.py when it raises a bond (its members' own bridges go) or a member (its bond goes), and by down.py for
everything that a bridge leaves behind.
"""

from __future__ import annotations

from collections.abc import Iterable

from xsagent.desired.draft import Draft
from xsagent.desired.kind import is_tagged, label
from xsagent.desired.nic import nic_name
from xsagent.desired.scene import Scene
from xsagent.errors import InputError, InUseError
from xsagent.model.records import Bond, Pif
from xsagent.model.values import parse_device_name
from xsagent.topology.network_scripts import ifcfg_paths
from xsagent.topology.values import ObjectKey, ObjectKind


def drop_ip_device(scene: Scene, draft: Draft, device: str) -> None:
    """Want a device without IP configuration, and without its files (legacy-faults F28)."""
    draft.drop(ObjectKind.IP_DEVICE, device)
    if scene.options.ip_backend == "ifcfg":
        draft.files.update(dict.fromkeys(ifcfg_paths(device)))


def drop_bridge(scene: Scene, draft: Draft, bridge: str, target: str = "") -> None:
    """Want a bridge and its IP configuration gone; ports of others move to bridge `target`, if there is one."""
    draft.drop(ObjectKind.BRIDGE, bridge)
    drop_ip_device(scene, draft, bridge)
    if target:
        draft.moves[bridge] = target


def drop_nic_address(scene: Scene, draft: Draft, pif: Pif) -> None:
    """Want a NIC in a bridge without addresses: those of a bridgeless time would answer beside the bridge's device.

    Its ifcfg file stays: it may be an admin's. So do the addresses of a NIC that the root filesystem comes over.
    """
    if pif.mac.lower() not in scene.host.root_macs:
        draft.drop(ObjectKind.IP_DEVICE, nic_name(pif))


def clear_members(scene: Scene, draft: Draft, pif: Pif, members: tuple[Pif, ...], bridge: str) -> None:
    """Want what the members of a bond had of their own gone; their bridges' other ports move to the bond's `bridge`.

    Raises:
        InUseError: management is on a member, and does not move to the bond with this operation.
    """
    for member in members:
        is_management = scene.management is not None and scene.management.ref == member.ref
        if is_management and not scene.even_if_in_use:
            raise InUseError(
                f"{label(member)} is the management interface, so {label(pif)} cannot take it as a member unless "
                "management moves to the bond (--management); nothing was changed"
            )
        own = _bridge_if_any(scene, member)
        if own and own != bridge:
            drop_bridge(scene, draft, own, bridge)
        elif not own:
            drop_ip_device(scene, draft, nic_name(member))
        drop_nic_address(scene, draft, member)


def tear_bond_down(scene: Scene, draft: Draft, pif: Pif, bond: Bond, bridge: str) -> None:
    """Want the bond gone of which the raised PIF is a member; its bridge's other ports move to the PIF's `bridge`.

    VLAN bridges are among them. XAPI's Bond.destroy relies on that: it moves the bond's VLANs to a member one by one,
    and management's VLAN need not be the first.

    Raises:
        InUseError: the bond carries management, and that does not move to this PIF with this operation.
    """
    bond_pif = scene.snapshot.pifs.get(bond.pif)
    if bond_pif is None:
        return
    if scene.carries_management(bond_pif) and not scene.even_if_in_use and not _follows_by_xapis_word(scene, bond_pif):
        raise InUseError(
            f"{label(pif)} is a member of bond {bond.uuid}, which carries management: bringing it up alone would cut "
            "management off, unless it moves here (--management); nothing was changed"
        )
    draft.notes.decide("tear_bond_down", label(pif), f"it is a member of bond {bond.uuid}, which goes")
    bond_bridge = _bridge_if_any(scene, bond_pif)
    if bond_bridge and bond_bridge != bridge:
        drop_bridge(scene, draft, bond_bridge, bridge)
    release_nics(scene, draft, (member for member in scene.snapshot.members_of(bond) if member.ref != pif.ref))


def release_nics(scene: Scene, draft: Draft, nics: Iterable[Pif]) -> None:
    """Want the links of NICs down, but of those that are needed for a use of their own, or that the host runs from.

    A NIC whose link is down carries nothing for its virtual functions either, and guests may have those.
    """
    for nic in nics:
        if scene.has_sriov_up(nic):
            draft.notes.decide("keep_link", label(nic), "an SR-IOV network on it is up")
        elif not is_tagged(nic) and not _is_in_use(scene, draft, nic):
            draft.drop(ObjectKind.LINK, nic_name(nic))


def _is_in_use(scene: Scene, draft: Draft, nic: Pif) -> bool:
    if nic.mac.lower() in scene.host.root_macs or scene.will_be_up(nic):
        return True
    own = ObjectKey(kind=ObjectKind.BRIDGE, name=scene.snapshot.bridge_of(nic))
    if scene.stands(nic) and own not in draft.absent:
        return True  # guests may be on it
    return any(True for _ in scene.vlans_up_on(nic))


def _follows_by_xapis_word(scene: Scene, bond_pif: Pif) -> bool:
    """Whether XAPI asks, and management's bridge is a VLAN bridge on the bond's, which moves with its other ports."""
    return scene.origin == "session" and scene.management is not None and scene.management.ref != bond_pif.ref


def _bridge_if_any(scene: Scene, pif: Pif) -> str:
    """The PIF's bridge where it can exist at all; a name that no device can have is nothing to clear away."""
    name = scene.snapshot.bridge_of(pif)
    try:
        return parse_device_name(name) if name else ""
    except InputError:
        return ""
