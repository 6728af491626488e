"""A secure bridge that carries management -> the few flows without which nobody reaches this host. Pure.

A bridge whose fail mode becomes secure drops its flows and then everything. These let management through until a
controller says more (features.md section 11): lowest priority, so each flow of a controller goes before them; a cookie
of ours. `apply/flows.py` puts them in right after the switch has taken the change over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from xsagent.topology.values import Bridge, Port

COOKIE: Final = 0x78736167
"""Of every safety flow ("xsag"); locking flows have another one."""
_HEAD: Final = f"cookie={COOKIE:#x},priority=0,idle_timeout=0"
_MULTICAST: Final = ("arp,arp_op=1", "icmp6,icmp_type=134", "icmp6,icmp_type=135", "icmp6,icmp_type=136", "udp,tp_dst=68")
"""What comes to a host under another address than its own: ARP requests, router and neighbour discovery, DHCP."""


def find_management_bridge(bridges: Mapping[str, Bridge], device: str) -> Bridge | None:
    """The real bridge of the management interface, which is its own port or a VLAN bridge's (legacy-faults F09)."""
    return next((bridge for bridge in bridges.values() if device in bridge.ports), None)


def render_safety_flows(bridge: Bridge, device: str, mac: str, nics: frozenset[str]) -> tuple[str, ...]:
    """Lines for ``ovs-ofctl add-flows``; none when the bridge has no port of a NIC with a number yet.

    Args:
        bridge: as observed, so that its ports have their numbers.
        device: the management interface: the bridge itself or a VLAN bridge on it.
        mac: of that device.
        nics: names of this host's NICs.
    """
    own = bridge.ports.get(device)
    uplinks = [_numbers(port) for port in bridge.ports.values() if port.interfaces.keys() & nics]
    local = _local(bridge, device, own)
    if own is None or local is None:
        return ()
    tag = own.tag if isinstance(own.tag, int) else None
    lines: list[str] = []
    for numbers in uplinks:
        way_out = _way_out(numbers, tag)
        lines += [f"in_port={local},arp,dl_src={mac},actions={way_out}", f"in_port={local},dl_src={mac},actions={way_out}"]
        for number in numbers:
            lines += _inbound(number, local, mac, tag)
    return tuple(f"{_HEAD},{line}" for line in dict.fromkeys(lines))


def _local(bridge: Bridge, device: str, own: Port | None) -> str | None:
    if device == bridge.name:
        return "LOCAL"
    numbers = _numbers(own) if own is not None else ()
    return str(numbers[0]) if numbers else None


def _numbers(port: Port) -> tuple[int, ...]:
    numbers = (interface.ofport for _, interface in sorted(port.interfaces.items()))
    return tuple(number for number in numbers if number is not None and number > 0)


def _way_out(numbers: tuple[int, ...], tag: int | None) -> str:
    """One NIC is named; among a bond's members the switch chooses."""
    if len(numbers) != 1:
        return "NORMAL"
    return f"output:{numbers[0]}" if tag is None else f"mod_vlan_vid:{tag},output:{numbers[0]}"


def _inbound(number: int, local: str, mac: str, tag: int | None) -> Iterator[str]:
    where = f"in_port={number}" if tag is None else f"in_port={number},dl_vlan={tag}"
    action = f"output:{local}" if tag is None else f"strip_vlan,output:{local}"
    for match in (*_MULTICAST, f"dl_dst={mac}"):
        yield f"{where},{match},actions={action}"
