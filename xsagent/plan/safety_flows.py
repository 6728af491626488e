"""A secure bridge that carries management -> the few flows without which nobody reaches this host. Pure.

A bridge whose fail mode becomes secure drops its flows and then everything. These let management through until a
controller says more (features.md section 11): lowest priority, so each flow of a controller goes before them.
`apply/safety_flows.py` puts them in, with a cookie of ours, right after the switch has taken the change over.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

from xsagent.plan.steps import SafetyFlowsStep
from xsagent.topology.desired import Desired
from xsagent.topology.values import Bridge, Port

_HEAD: Final = "priority=0,idle_timeout=0"
_MULTICAST: Final = (
    "arp,arp_op=1",
    "icmp6,icmp_type=134",
    "icmp6,icmp_type=135",
    "icmp6,icmp_type=136",
    "udp,tp_dst=68",
)
"""What comes to a host under another address than its own: ARP requests, router and neighbour discovery, DHCP."""


def secure_management_bridge(desired: Desired) -> str | None:
    """The real bridge below management, if it is to be secure; management may be on a VLAN (legacy-faults F09)."""
    if desired.management is None:
        return None
    device = desired.management.device
    for bridge in desired.topology.bridges.values():
        if bridge.fail_mode == "secure" and (bridge.name == device or device in bridge.ports):
            return bridge.name
    return None


def build_safety_flows(desired: Desired) -> SafetyFlowsStep | None:
    """The flows of the management bridge that is to be secure; None without one, or without a MAC to let through."""
    name = secure_management_bridge(desired)
    if name is None or desired.management is None:
        return None
    bridge, device = desired.topology.bridges[name], desired.management.device
    port = bridge.ports.get(device)
    mac = bridge.hwaddr if device == name else port.interfaces[device].mac if port is not None else None
    if not isinstance(mac, str):
        return None
    return SafetyFlowsStep(bridge=name, lines=render_safety_flows(bridge, device, mac, desired.ownership.devices))


def render_safety_flows(bridge: Bridge, device: str, mac: str, nics: frozenset[str]) -> tuple[str, ...]:
    """Lines for ``ovs-ofctl --names add-flows``, each with a match of its own; none without a NIC on the bridge.

    Args:
        bridge: desired or observed.
        device: the management interface: the bridge itself or a VLAN bridge on it.
        mac: of that device.
        nics: names of this host's NICs and bonds.
    """
    own = bridge.ports.get(device)
    tag = own.tag if own is not None and isinstance(own.tag, int) and own.fake_bridge is True else None
    local = "LOCAL" if device == bridge.name else _quoted(device)
    lines: dict[str, str] = {}
    for port in bridge.ports.values():
        if port.name != device and port.interfaces.keys() & nics:
            lines |= _outbound(port, local, mac, tag)
            for interface in sorted(port.interfaces):
                lines |= dict(_inbound(interface, local, mac, tag))
    return tuple(f"{_HEAD},{match},actions={action}" for match, action in lines.items())


def _outbound(port: Port, local: str, mac: str, tag: int | None) -> dict[str, str]:
    """One NIC is named; among a bond's members the switch chooses."""
    nic, *others = sorted(port.interfaces)
    action = "NORMAL"
    if not others:
        action = f"output:{_quoted(nic)}" if tag is None else f"mod_vlan_vid:{tag},output:{_quoted(nic)}"
    return {f"in_port={local},arp,dl_src={mac}": action, f"in_port={local},dl_src={mac}": action}


def _inbound(nic: str, local: str, mac: str, tag: int | None) -> Iterator[tuple[str, str]]:
    where = f"in_port={_quoted(nic)}" if tag is None else f"in_port={_quoted(nic)},dl_vlan={tag}"
    action = f"output:{local}" if tag is None else f"strip_vlan,output:{local}"
    for match in (*_MULTICAST, f"dl_dst={mac}"):
        yield f"{where},{match}", action


def _quoted(name: str) -> str:
    """A port's name as ovs-ofctl reads every one."""
    return json.dumps(name)
