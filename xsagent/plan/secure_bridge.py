"""Desired -> the flows that keep management reachable on a bridge that forwards nothing by itself. Pure.

A change of fail_mode or of controllers flushes all flows, so these go in right after the transaction, as one bundle
(features.md section 11). Matches are those of the peers, with IPv6's neighbour discovery added; ports go by name, since
numbers are known only to the switch; the cookie is ours, so that they can be counted and replaced without touching a
controller's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from xsagent.topology.desired import Desired
from xsagent.topology.values import Bridge, Port

SECURE = "secure"
_NEIGHBOUR_TYPES = (134, 135, 136)
"""Router advertisement, neighbour solicitation, neighbour advertisement (RFC 4861)."""
_HEAD = "priority=0,idle_timeout=0"


@dataclass(frozen=True, slots=True, kw_only=True)
class SafetyFlows:
    """Flow lines for one real bridge, as ``ovs-ofctl --names add-flows`` reads them, without cookie."""

    bridge: str
    lines: tuple[str, ...]


def secure_management_bridge(desired: Desired) -> str | None:
    """The real bridge below management, when it is to be secure; None otherwise."""
    flows = build_safety_flows(desired)
    return flows.bridge if flows is not None else None


def build_safety_flows(desired: Desired) -> SafetyFlows | None:
    """The flows that this desired state needs; None where management is on no secure bridge."""
    if desired.management is None:
        return None
    device = desired.management.device
    for bridge in desired.topology.bridges.values():
        own = bridge.ports.get(device)
        if bridge.fail_mode != SECURE or own is None:
            continue
        if device == bridge.name and isinstance(bridge.hwaddr, str):
            return SafetyFlows(bridge=bridge.name, lines=tuple(_untagged(bridge, bridge.hwaddr)))
        if isinstance(own.tag, int):
            return SafetyFlows(bridge=bridge.name, lines=tuple(_tagged(bridge, own, own.tag)))
    return None


def _untagged(bridge: Bridge, mac: str) -> Iterator[str]:
    nics = _nics(bridge)
    out = f"output:{nics[0]}" if len(nics) == 1 else "NORMAL"
    yield f"{_HEAD},arp,in_port=LOCAL,dl_src={mac},actions={out}"
    yield f"{_HEAD},in_port=LOCAL,dl_src={mac},actions={out}"
    for nic in nics:
        yield f"{_HEAD},arp,in_port={nic},arp_op=1,actions=LOCAL"
        yield f"{_HEAD},in_port={nic},dl_dst={mac},actions=LOCAL"
        for kind in _NEIGHBOUR_TYPES:
            yield f"{_HEAD},icmp6,in_port={nic},icmp_type={kind},actions=LOCAL"


def _tagged(bridge: Bridge, own: Port, tag: int) -> Iterator[str]:
    """Management on a VLAN (legacy-faults F09): NORMAL puts the tag on, the way back takes it off."""
    mac = next((item.mac for item in own.interfaces.values() if isinstance(item.mac, str)), bridge.hwaddr)
    yield f"{_HEAD},in_port={own.name},dl_src={mac},actions=NORMAL"
    back = f"actions=strip_vlan,output:{own.name}"
    for nic in _nics(bridge):
        yield f"{_HEAD},arp,in_port={nic},dl_vlan={tag},arp_op=1,{back}"
        yield f"{_HEAD},in_port={nic},dl_vlan={tag},dl_dst={mac},{back}"
        for kind in _NEIGHBOUR_TYPES:
            yield f"{_HEAD},icmp6,in_port={nic},dl_vlan={tag},icmp_type={kind},{back}"


def _nics(bridge: Bridge) -> list[str]:
    return sorted(
        name
        for port in bridge.ports.values()
        for name, interface in port.interfaces.items()
        if interface.type != "internal"
    )
