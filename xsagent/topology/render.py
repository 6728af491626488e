"""Topology -> the tree that `xsagent show` prints. Pure.

A line is a name and its facts; what stands below a thing rides on it: ports below their bridge, VLAN bridges below
the bridge that carries them with the ports of their tag, members below their bond, addresses below their device.
Plain ASCII, so that any terminal and any locale of a rescue console shows it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from xsagent.topology.desired import Ownership
from xsagent.topology.ownership import (
    NETWORK_MARK,
    VLAN_NETWORK_MARK,
    is_vlan_bridge,
    owns_bridge,
    owns_port,
    ports_of_vlan_bridge,
)
from xsagent.topology.text import (
    describe_address,
    describe_bridge,
    describe_dhcp,
    describe_interface,
    describe_link,
    describe_networks,
    describe_port,
    describe_route,
    describe_switch_report,
    is_bond,
    printable,
)
from xsagent.topology.values import Bridge, Interface, IpDevice, Origin, Port, Topology

_INDENT = "  "
_FOREIGN = "foreign"
_DIGITS = re.compile("([0-9]+)")
_T = TypeVar("_T")


@dataclass(slots=True)
class _Node:
    """One line of the tree with the lines below it."""

    label: str
    facts: list[str] = field(default_factory=list)
    children: list[_Node] = field(default_factory=list)


def render_topology(topology: Topology, ownership: Ownership | None = None) -> str:
    """The tree as text that ends in a newline.

    Args:
        topology: what was observed.
        ownership: names that XAPI's records claim. Without it only OVS's own marks tell whose an object is, and a
            NIC on a marked bridge counts as ours.
    """
    tree = _Tree(topology, ownership)
    nodes = [*tree.complaints(), *tree.bridges(), *tree.loose(), *tree.resolver()]
    if not nodes:
        return "no bridges and no network devices\n"
    return "".join(f"{printable(line)}\n" for line in _lines(nodes, ""))


def _lines(nodes: list[_Node], indent: str) -> Iterable[str]:
    """Siblings with their facts in one column."""
    width = max((len(node.label) for node in nodes if node.facts), default=0)
    for node in nodes:
        yield (indent + node.label.ljust(width) + _INDENT + ", ".join(node.facts)).rstrip()
        yield from _lines(node.children, indent + _INDENT)


def _natural(name: str) -> list[str]:
    """Sort key that puts eth2 before eth10."""
    return [part.zfill(20) if part.isdigit() else part for part in _DIGITS.split(name)]


def _in_order(items: Mapping[str, _T]) -> list[_T]:
    return [items[name] for name in sorted(items, key=_natural)]


@dataclass(frozen=True, slots=True)
class _Tree:
    """Makes the nodes; holds what each of them may need to look up."""

    topology: Topology
    ownership: Ownership | None

    def complaints(self) -> list[_Node]:
        nodes = []
        if not self.topology.switch_alive and self.topology.bridges:
            nodes.append(_Node("ovs-vswitchd DOES NOT ANSWER: bridges are shown as the database has them"))
        if not self.topology.complete:
            unknown = "not every part of this host could be read"
            if not self.topology.bridges:
                unknown = "ovsdb-server does not answer, so bridges and ports are not known"
            nodes.append(_Node(f"INCOMPLETE: {unknown}"))
        return nodes

    def bridges(self) -> list[_Node]:
        return [self._bridge(bridge) for bridge in _in_order(self.topology.bridges)]

    def loose(self) -> list[_Node]:
        """Devices that are on no bridge and that somebody may look for."""
        taken = set(self.topology.bridges)
        for bridge in self.topology.bridges.values():
            for port in bridge.ports.values():
                taken |= {port.name, *port.interfaces}
        names = sorted((set(self.topology.links) | set(self.topology.ip_devices)) - taken, key=_natural)
        nodes = [self._loose(name) for name in names if self._is_worth_showing(name)]
        return [_Node("on no bridge", children=nodes)] if nodes else []

    def resolver(self) -> list[_Node]:
        resolver = self.topology.resolver
        if resolver is None:
            return []
        facts = [" ".join(resolver.servers) or "no servers"]
        if resolver.search:
            facts.append("search " + " ".join(resolver.search))
        return [_Node("dns", facts)]

    def _bridge(self, bridge: Bridge) -> _Node:
        foreign = [] if owns_bridge(bridge, self.ownership or Ownership()) else [_FOREIGN]
        facts = foreign + describe_networks(bridge.external_ids.get(NETWORK_MARK)) + describe_bridge(bridge)
        vlans = [port for port in bridge.ports.values() if is_vlan_bridge(port)]
        below = {port.name for vlan in vlans for port in ports_of_vlan_bridge(bridge, vlan)}
        ports = [
            self._port(port)
            for port in _in_order(bridge.ports)
            if port.name not in below and port.name != bridge.name and not is_vlan_bridge(port)
        ]
        children = [*self._ip(bridge.name), *ports, *self._vlans(bridge, vlans)]
        return _Node(f"bridge {bridge.name}", facts + self._local_port(bridge), children)

    def _local_port(self, bridge: Bridge) -> list[str]:
        """State of the bridge's own netdev; its MAC only where no hwaddr has said it."""
        link = self.topology.links.get(bridge.name)
        own = bridge.ports.get(bridge.name)
        reports = [report for item in own.interfaces.values() for report in self._report(item)] if own else []
        facts = describe_link(link) if link else []
        return [fact for fact in facts if fact not in {bridge.hwaddr, "carrier"}] + reports

    def _vlans(self, bridge: Bridge, vlans: list[Port]) -> list[_Node]:
        seen: set[object] = set()
        nodes = []
        for vlan in sorted(vlans, key=lambda port: (port.tag if isinstance(port.tag, int) else 0, _natural(port.name))):
            ports = () if vlan.tag in seen else ports_of_vlan_bridge(bridge, vlan)
            seen.add(vlan.tag)
            nodes.append(self._vlan(vlan, sorted(ports, key=lambda port: _natural(port.name))))
        return nodes

    def _vlan(self, vlan: Port, ports: list[Port]) -> _Node:
        foreign = [] if owns_port(vlan, self.ownership or Ownership()) else [_FOREIGN]
        facts = foreign + describe_networks(vlan.external_ids.get(VLAN_NETWORK_MARK))
        link = self.topology.links.get(vlan.name)
        state = [fact for fact in describe_link(link) if fact != "carrier"] if link else []
        reports = [report for item in vlan.interfaces.values() for report in self._report(item)]
        children = [*self._ip(vlan.name), *(self._port(port, below_its_tag=True) for port in ports)]
        return _Node(f"vlan {vlan.tag} {vlan.name}", facts + state + reports, children)

    def _port(self, port: Port, *, below_its_tag: bool = False) -> _Node:
        facts = [] if self._is_ours(port) else [_FOREIGN]
        if isinstance(port.tag, int) and not below_its_tag:
            facts.append(f"tag {port.tag}")
        facts += describe_port(port)
        if is_bond(port):
            members = [self._member(interface) for interface in _in_order(port.interfaces)]
            return _Node(f"port {port.name}", facts, [*self._ip(port.name), *members])
        for interface in port.interfaces.values():
            facts += self._device(interface) + self._report(interface)
        return _Node(f"port {port.name}", facts, self._ip(port.name))

    def _member(self, interface: Interface) -> _Node:
        facts = describe_interface(interface) + self._device(interface) + self._report(interface)
        return _Node(f"member {interface.name}", facts)

    def _is_ours(self, port: Port) -> bool:
        if owns_port(port, self.ownership or Ownership()):
            return True
        links = [self.topology.links.get(name) for name in port.interfaces]
        return self.ownership is None and all(link is not None and link.physical for link in links)

    def _device(self, interface: Interface) -> list[str]:
        link = self.topology.links.get(interface.name)
        if link is not None:
            facts = describe_link(link)
            if isinstance(interface.mtu_request, int) and interface.mtu_request != link.mtu:
                facts.append(f"MTU {interface.mtu_request} ASKED FOR")
            return [f"nic {facts[0]}", *facts[1:]] if link.physical and facts else facts
        return ["NO SUCH DEVICE"] if interface.type in {"", "system"} and not interface.error else []

    def _report(self, interface: Interface) -> list[str]:
        """The switch's report; a switch that does not answer is one complaint, not one at each port."""
        return describe_switch_report(interface) if self.topology.switch_alive else []

    def _ip(self, name: str) -> list[_Node]:
        device = self.topology.ip_devices.get(name)
        return [] if device is None else [_Node(text) for text in _ip_texts(device)]

    def _loose(self, name: str) -> _Node:
        link = self.topology.links.get(name)
        if link is None:
            return _Node(name, ["NO SUCH DEVICE"], self._ip(name))
        kind = [] if link.physical or not isinstance(link.kind, str) or not link.kind else [link.kind]
        if link.parent is not None:
            kind = [f"vlan {link.vlan} on {link.parent}"]
        label = f"nic {name}" if link.physical else name
        return _Node(label, kind + describe_link(link), self._ip(name))

    def _is_worth_showing(self, name: str) -> bool:
        """NICs, VLAN netdevs, VIFs that lost their bridge, and whatever has an address; not the kernel's own."""
        link = self.topology.links.get(name)
        device = self.topology.ip_devices.get(name)
        if name == "lo":
            return False
        has_ip = device is not None and bool(_ip_texts(device))
        return has_ip or name.startswith(("vif", "tap")) or (link is not None and (link.physical or bool(link.parent)))


def _ip_texts(device: IpDevice) -> list[str]:
    """Addresses, gateways, further routes and DHCP clients; what the kernel adds by itself is left out."""
    addresses = [address for address in device.addresses if address.origin is not Origin.LINK_LOCAL]
    addresses.sort(key=lambda address: (address.interface.version, address.interface))
    texts = [f"ip {', '.join(describe_address(address) for address in addresses)}"] if addresses else []
    routed = [route for route in device.routes if route.gateway is not None]
    routed.sort(key=lambda route: (route.destination.prefixlen != 0, describe_route(route)))
    texts += [f"route {describe_route(route)}" for route in routed]
    texts += [describe_dhcp(client) for client in (device.dhcp4, device.dhcp6) if client is not None]
    return texts
