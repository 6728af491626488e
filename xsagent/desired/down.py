"""`down`: what must not be there afterwards (features.md section 14). Pure.

Called by build.py. A datapath stays, with its NIC's link, as long as something else uses it.
"""

from __future__ import annotations

from xsagent.desired.bond import bond_record
from xsagent.desired.draft import Draft
from xsagent.desired.kind import PifKind, is_tagged, kind_of, label
from xsagent.desired.scene import Scene
from xsagent.desired.siblings import drop_bridge, drop_ip_device, release_nics
from xsagent.desired.sriov import pass_over_sriov_vlan, release_virtual_functions
from xsagent.errors import InUseError
from xsagent.model.records import Pif
from xsagent.topology.values import ObjectKind


def check_down(scene: Scene, pif: Pif) -> None:
    """Refuse what only XAPI, or someone who insists, may take down.

    Raises:
        InUseError: management, a PIF that must not be unplugged, or the NIC that the host runs from.
    """
    if pif.mac.lower() in scene.host.root_macs and not is_tagged(pif):
        raise InUseError(f"{label(pif)}: the root filesystem is reached through its NIC; nothing was changed")
    if scene.origin == "session" or scene.even_if_in_use:
        return
    if scene.management is not None and scene.management.ref == pif.ref:
        raise InUseError(f"{label(pif)} is the management interface; nothing was changed (--even-if-in-use insists)")
    if pif.disallow_unplug:
        raise InUseError(f"{label(pif)} must not be unplugged; nothing was changed (--even-if-in-use insists)")


def build_down(scene: Scene, draft: Draft, pif: Pif) -> None:
    """Want the PIF down; InputError and InUseError as `check_down` and the records make necessary."""
    check_down(scene, pif)
    match kind_of(scene.snapshot, pif):
        case PifKind.SRIOV:
            release_virtual_functions(scene, draft, pif)
        case PifKind.SRIOV_VLAN:
            pass_over_sriov_vlan(draft, pif)
        case PifKind.VLAN:
            _drop_vlan(scene, draft, pif)
        case PifKind.TUNNEL:
            drop_bridge(scene, draft, scene.ip_device_name(pif))
        case PifKind.NIC | PifKind.BOND:
            drop_ip_device(scene, draft, scene.ip_device_name(pif))
            _release(scene, draft, pif)


def _drop_vlan(scene: Scene, draft: Draft, pif: Pif) -> None:
    if bridge := scene.bridge_name(pif):
        drop_bridge(scene, draft, bridge)
    else:
        drop_ip_device(scene, draft, scene.device_name(pif))
        draft.drop(ObjectKind.LINK, scene.device_name(pif))
    carrier = scene.snapshot.carrier_of(pif)
    if carrier is not None and carrier.managed:
        _release(scene, draft, carrier)


def _release(scene: Scene, draft: Draft, pif: Pif) -> None:
    """Want the datapath of a NIC or bond gone, unless something else uses it."""
    bond = scene.snapshot.bond_with_member(pif)
    bridge = scene.bridge_name(pif)
    if scene.will_be_up(pif) or any(True for _ in scene.vlans_up_on(pif)):
        draft.notes.decide("keep_datapath", label(pif), "it, or a VLAN on it, is up")
    elif bond is not None and scene.is_bond_in_use(bond):
        draft.notes.decide("keep_link", label(pif), f"it is a member of bond {bond.uuid}, which is up")
        bond_pif = scene.snapshot.pifs[bond.pif]
        if bridge and bridge != scene.bridge_name(bond_pif):
            drop_bridge(scene, draft, bridge, scene.bridge_name(bond_pif))
    else:
        if bridge:
            drop_bridge(scene, draft, bridge)
        is_bond = kind_of(scene.snapshot, pif) is PifKind.BOND
        # an unusable part of the record is no reason to keep the bond up: bond.py refuses it when a bond is raised
        release_nics(scene, draft, scene.snapshot.members_of(bond_record(scene, pif)) if is_bond else (pif,))
