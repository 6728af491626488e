"""Words of the field for single values of a topology, on one line each. Pure.

Used by topology/render.py (the tree of `xsagent show`) and plan/render.py (the steps of `xsagent plan`), so that
one thing reads the same in both. Text from records and from OVSDB can hold anything: `printable` comes last.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from xsagent.topology.ownership import VIF_MARK
from xsagent.topology.values import KEEP, Address, Bridge, DhcpClient, Interface, Keys, Link, Port, Route

_SHORT_UUID: Final = 8


def printable(text: str) -> str:
    """The text on one line: whatever is no printable character is escaped, so it cannot move a terminal's cursor."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escape(char) for char in text)


def _escape(char: str) -> str:
    named = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
    return named.get(char, f"\\u{ord(char):04x}")


def short_uuid(uuid: str) -> str:
    """The first group of a uuid, enough for a person to find it again."""
    return uuid[:_SHORT_UUID]


def describe_networks(uuids: str | None) -> list[str]:
    """The value of xs-network-uuids: the first network, and how many ride on it."""
    first, *others = (uuids or "").split(";")
    if not first:
        return []
    return [f"network {short_uuid(first)}" + (f" and {len(others)} more" if others else "")]


def describe_keys(keys: Keys) -> str:
    """Keys of a map column as ovs-vsctl(8) takes them; a key that must be absent has a minus before it."""
    return " ".join(f"-{key}" if value is None else f"{key}={value}" for key, value in sorted(keys.items()))


def describe_bridge(bridge: Bridge) -> list[str]:
    """Facts of the Bridge row that a person looks for."""
    facts = []
    if isinstance(bridge.fail_mode, str):
        facts.append(f"fail mode {bridge.fail_mode}")
    if isinstance(bridge.hwaddr, str):
        facts.append(f"hwaddr {bridge.hwaddr}")
    if bridge.datapath_type is not KEEP and bridge.datapath_type:
        facts.append(f"datapath {bridge.datapath_type}")
    if bridge.other_config.get("disable-in-band") == "true":
        facts.append("in-band off")
    if bridge.mcast_snooping is True:
        facts.append("multicast snooping")
    if bridge.controllers:
        facts.append("controller " + " ".join(bridge.controllers))
    return facts


def describe_port(port: Port) -> list[str]:
    """Facts of the Port row; its single interface's too, where it is no bond."""
    facts = []
    if is_bond(port):
        facts.append("bond" + (f" {port.bond_mode}" if isinstance(port.bond_mode, str) else ""))
        if isinstance(port.lacp, str):
            facts.append(f"lacp {port.lacp}")
        if port.bond_active_member:
            facts.append(f"active {port.bond_active_member}")
    else:
        for interface in port.interfaces.values():
            facts += describe_interface(interface)
    if isinstance(port.trunks, tuple) and port.trunks:
        facts.append("trunks " + " ".join(str(tag) for tag in port.trunks))
    return facts


def is_bond(port: Port) -> bool:
    """Whether the port is a bond; one whose other members are gone keeps its mode."""
    return len(port.interfaces) > 1 or isinstance(port.bond_mode, str)


def describe_interface(interface: Interface) -> list[str]:
    """Facts of the Interface row: whose VIF it is, or its type and options."""
    ids = interface.external_ids
    if VIF_MARK in ids:
        vif = f"vif {short_uuid(ids[VIF_MARK] or '')}"
        machine = ids.get("xs-vm-uuid")
        facts = [vif + (f" of vm {short_uuid(machine)}" if machine else "")]
    elif interface.type not in {"", "system", KEEP}:
        facts = [f"{interface.type} {describe_keys(interface.options)}".rstrip()]
    else:
        facts = []
    return facts


def describe_switch_report(interface: Interface) -> list[str]:
    """What the switch says against an interface; nothing when it carries traffic."""
    if interface.error:
        return [f"ERROR {interface.error}"]
    if interface.ofport is None:
        return ["not in the switch yet"]
    return ["ERROR the switch did not take it (ofport -1)"] if interface.ofport < 0 else []


def describe_link(link: Link) -> list[str]:
    """Facts of a netdev."""
    facts = []
    if link.mac is not KEEP:
        facts.append(link.mac)
    if link.mtu is not KEEP:
        facts.append(f"mtu {link.mtu}")
    if link.up is not KEEP:
        facts.append("up" if link.up else "DOWN")
    if link.up is True and link.carrier is not None:
        facts.append("carrier" if link.carrier else "NO CARRIER")
    return facts


def describe_address(address: Address) -> str:
    """An address with who put it there."""
    return f"{address.interface} ({address.origin})"


def describe_route(route: Route) -> str:
    """A route; the default one by its usual name."""
    name = "default" if route.destination.prefixlen == 0 else str(route.destination)
    way = f"{name} via {route.gateway}" if route.gateway else f"{name} on the link"
    marks = (" onlink" if route.onlink else "") + (" encap" if route.encapsulates else "")
    return f"{way}{marks} from {route.source}" if route.source else f"{way}{marks}"


def describe_dhcp(client: DhcpClient) -> str:
    """A DHCP client as it was observed."""
    name = "dhcp client" if client.family == 4 else "dhcp v6 client"  # noqa: PLR2004 - IPv4
    if not client.running:
        return f"{name} NOT RUNNING"
    return f"{name} pid {client.pid}" if client.pid else name


def describe_settings(settings: Mapping[str, object]) -> str:
    """Offloads or link settings by ethtool's names, as its command line takes them."""
    words = {True: "on", False: "off"}
    return " ".join(
        f"{name} {words[value] if isinstance(value, bool) else value}" for name, value in sorted(settings.items())
    )
