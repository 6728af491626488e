"""`up`: the datapath of a PIF from its NICs to its bridge, each kind by its own builder. Pure.

Called by build.py, which adds the IP device on top; a carrier that several VLANs ride on is built once.
"""

from __future__ import annotations

from xsagent.desired.bond import bond_members, bond_record, build_bond_port
from xsagent.desired.bridge import real_bridge
from xsagent.desired.dns_gateway import Roles
from xsagent.desired.draft import Draft
from xsagent.desired.ip import build_ip_device
from xsagent.desired.kind import PifKind, kind_of, label, refusal
from xsagent.desired.mtu import carrier_mtu, rider_mtus
from xsagent.desired.nic import nic_link, nic_name, nic_port, pif_mac
from xsagent.desired.scene import Scene
from xsagent.desired.siblings import clear_members, drop_nic_address, tear_bond_down
from xsagent.desired.sriov import build_sriov, pass_over_sriov_vlan
from xsagent.desired.tunnel import check_tunnel
from xsagent.desired.vlan import build_vlan_bridge, build_vlan_netdev, vlan_carrier
from xsagent.errors import InputError
from xsagent.model.records import Pif
from xsagent.topology.values import ObjectKind


def check_managed(pif: Pif) -> None:
    """Refuse a PIF that XAPI leaves to others; InputError."""
    if not pif.managed:
        raise InputError(f"{label(pif)} is unmanaged: XAPI leaves it to others; nothing was changed")


def raise_pif(scene: Scene, draft: Draft, pif: Pif, roles: Roles) -> None:
    """Want the PIF up, with everything below it.

    Raises:
        InputError: a record that it needs is missing or unusable.
        InUseError: it would take a bond or a member away that carries management.
    """
    check_managed(pif)
    match kind_of(scene.snapshot, pif):
        case PifKind.SRIOV:
            build_sriov(scene, draft, pif)
            return
        case PifKind.SRIOV_VLAN:
            pass_over_sriov_vlan(draft, pif)
            return
        case PifKind.VLAN:
            _build_vlan(scene, draft, pif)
        case _:
            _build_datapath(scene, draft, pif)
    build_ip_device(scene, draft, pif, roles)


def _build_vlan(scene: Scene, draft: Draft, pif: Pif) -> None:
    carrier = vlan_carrier(scene, pif)
    bridge = scene.bridge_name(pif)
    tag = scene.vlan_tag(pif)
    if not bridge:
        build_vlan_netdev(scene, draft, pif, carrier)
        mtu = carrier_mtu(scene, carrier, draft.notes)
        draft.put_link(nic_link(scene, carrier, carrier, mtu, draft.notes))
        return
    parent = scene.bridge_name(carrier)
    if not parent:
        raise refusal(pif, f"it has bridge {bridge}, but {label(carrier)}, which carries VLAN {tag}, has none")
    _build_datapath(scene, draft, carrier)
    build_vlan_bridge(scene, draft, pif, parent)


def _build_datapath(scene: Scene, draft: Draft, pif: Pif) -> None:
    """A NIC, bond or tunnel with its bridge, once."""
    if pif.ref in draft.built:
        return
    draft.built.add(pif.ref)
    bridge = scene.bridge_name(pif)
    if bridge:
        draft.put_bridge(real_bridge(scene, pif, bridge, pif_mac(pif, draft.notes), draft.notes))
    match kind_of(scene.snapshot, pif):
        case PifKind.BOND:
            _build_bond(scene, draft, pif, bridge)
        case PifKind.TUNNEL:
            if not bridge:
                raise refusal(pif, "it is a tunnel's, and its network has no bridge")
            check_tunnel(scene, pif, draft.notes)
        case _:
            _build_nic(scene, draft, pif, bridge)
    draft.riders |= rider_mtus(scene, pif, draft.notes)


def _build_nic(scene: Scene, draft: Draft, pif: Pif, bridge: str) -> None:
    mtu = carrier_mtu(scene, pif, draft.notes)
    draft.put_link(nic_link(scene, pif, pif, mtu, draft.notes))
    if bridge:
        draft.put_port(bridge, nic_port(pif, mtu))
        drop_nic_address(scene, draft, pif)
    else:
        draft.drop(ObjectKind.PORT, nic_name(pif))
    bond = scene.snapshot.bond_with_member(pif)
    if bond is not None:
        tear_bond_down(scene, draft, pif, bond, bridge)


def _build_bond(scene: Scene, draft: Draft, pif: Pif, bridge: str) -> None:
    if not bridge:
        record = bond_record(scene, pif)
        raise refusal(pif, f"bond {record.uuid} needs a bridge, and its network has none")
    build_bond_port(scene, draft, pif, bridge, carrier_mtu(scene, pif, draft.notes))
    clear_members(scene, draft, pif, bond_members(scene, pif), bridge)
