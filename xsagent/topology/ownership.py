"""Whose an object is: the ecosystem's own marks and the names in XAPI's records (DESIGN.md rule 4). Pure.

Used by `plan/` before it removes anything, by `show` to mark foreign objects, by the reconciler before it prunes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xsagent.topology.values import Bridge, Port

if TYPE_CHECKING:
    from xsagent.topology.desired import Ownership

NETWORK_MARK = "xs-network-uuids"
VLAN_NETWORK_MARK = "fake-bridge-xs-network-uuids"
VIF_MARK = "xs-vif-uuid"


def owns_bridge(bridge: Bridge, ownership: Ownership) -> bool:
    """Whether a real bridge is ours: it carries xs-network-uuids, or a network record names it."""
    return NETWORK_MARK in bridge.external_ids or bridge.name in ownership.bridges


def owns_port(port: Port, ownership: Ownership) -> bool:
    """Whether a port is ours: a PIF's device, a bond, a VLAN bridge of ours, or a VIF's port."""
    if port.fake_bridge is True:
        return VLAN_NETWORK_MARK in port.external_ids or port.name in ownership.bridges
    return port.name in ownership.devices or is_vif_port(port)


def is_vif_port(port: Port) -> bool:
    """Whether this port belongs to a VIF: one of its interfaces carries xs-vif-uuid."""
    return any(VIF_MARK in interface.external_ids for interface in port.interfaces.values())


def may_have_guests(bridge: Bridge) -> bool:
    """Whether guests' ports may be on a real bridge: it bears a network's mark, or has one."""
    return NETWORK_MARK in bridge.external_ids or any(map(is_vif_port, bridge.ports.values()))


def is_vlan_bridge(port: Port) -> bool:
    """Whether this Port row is a VLAN bridge ("fake bridge" in ovs-vsctl(8))."""
    return port.fake_bridge is True and isinstance(port.tag, int)


def ports_of_vlan_bridge(parent: Bridge, vlan_bridge: Port) -> tuple[Port, ...]:
    """Ports that ovs-vsctl(8) shows as ports of a VLAN bridge: same tag on the parent, no VLAN bridge themselves."""
    return tuple(port for port in parent.ports.values() if port.tag == vlan_bridge.tag and port.fake_bridge is not True)
