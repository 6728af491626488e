"""A VLAN: a VLAN bridge on its carrier's bridge, or without bridges a netdev of its own (features.md section 3). Pure.

build.py has built the carrier's datapath before.
"""

from __future__ import annotations

from xsagent.desired.draft import Draft
from xsagent.desired.external_ids import own_network_uuid
from xsagent.desired.kind import PifKind, kind_of, label, refusal
from xsagent.desired.mtu import wanted_mtu
from xsagent.desired.nic import nic_name, pif_mac
from xsagent.desired.scene import Scene
from xsagent.errors import InUseError
from xsagent.model.records import NO_MAC, Pif
from xsagent.topology.ownership import VLAN_NETWORK_MARK
from xsagent.topology.values import KEEP, Interface, Link, Port


def vlan_carrier(scene: Scene, pif: Pif) -> Pif:
    """The PIF that the VLAN rides on.

    Raises:
        InputError: it is unmanaged, in no record, or cannot carry this VLAN.
    """
    carrier = scene.snapshot.carrier_of(pif)
    if carrier is None:
        raise refusal(pif, "the PIF that the VLAN rides on is in no record")
    if not carrier.managed:
        raise refusal(pif, f"it rides on {label(carrier)}, which XAPI does not manage")
    return carrier


def build_vlan_bridge(scene: Scene, draft: Draft, pif: Pif, parent: str) -> None:
    """Want the VLAN bridge on the carrier's bridge `parent`."""
    name = scene.bridge_name(pif)
    if name == parent:
        raise refusal(pif, f"its bridge {name} is its carrier's too")
    mac = _vlan_mac(scene, draft, pif)
    interface = Interface(
        name=name,
        type="internal",
        mac=KEEP if mac is None else mac,
        mtu_request=wanted_mtu(scene, pif, draft.notes),
    )
    port = Port(
        name=name,
        interfaces={name: interface},
        tag=scene.vlan_tag(pif),
        fake_bridge=True,
        external_ids={VLAN_NETWORK_MARK: own_network_uuid(scene, pif)},
    )
    draft.put_port(parent, port)


def _vlan_mac(scene: Scene, draft: Draft, pif: Pif) -> str | None:
    """The record's MAC, or its carrier's (as nm.ml has it) where XAPI gave it none: no two hosts may have the same."""
    carrier = scene.snapshot.carrier_of(pif)
    return pif_mac(carrier if carrier is not None and pif.mac.lower() == NO_MAC else pif, draft.notes)


def build_vlan_netdev(scene: Scene, draft: Draft, pif: Pif, carrier: Pif) -> None:
    """Want the 8021q device of a bridgeless VLAN.

    Raises:
        InputError: it rides on a bond, which is no netdev that can carry one.
        InUseError: it rides on a member of a bond that is up: nothing here takes the bond down, and frames of this VLAN
            come in by any member.
    """
    if kind_of(scene.snapshot, carrier) is not PifKind.NIC:
        raise refusal(pif, "its network has no bridge, which works over a NIC only, not over a bond")
    bond = scene.snapshot.bond_with_member(carrier)
    if bond is not None and scene.is_bond_in_use(bond):
        raise InUseError(
            f"{label(pif)} has no bridge and rides on {label(carrier)}, which is a member of bond {bond.uuid} that is "
            "up; nothing was changed"
        )
    draft.put_link(
        Link(name=scene.device_name(pif), up=True, parent=nic_name(carrier), vlan=scene.vlan_tag(pif)),
    )
