"""Observed Topology -> Picture: who rides on whom, and in which state each is. Pure.

The rules of state are here and nowhere else; the renderers only draw them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from xsagent.picture.values import BridgePicture, Kind, LooseThing, Picture, State, Thing, Vlan, Wire, worst
from xsagent.topology.desired import Ownership
from xsagent.topology.ownership import is_vif_port, is_vlan_bridge, owns_bridge, owns_port, ports_of_vlan_bridge
from xsagent.topology.text import describe_switch_report, is_bond
from xsagent.topology.values import Bridge, Interface, Link, Origin, Port, Topology

_DIGITS: Final = re.compile("([0-9]+)")
_GUEST: Final = re.compile("(?:vif|tap)[0-9]")
_TUNNELS: Final = frozenset(
    {"gre", "vxlan", "geneve", "stt", "erspan", "ip6gre", "ip6erspan", "gtpu", "lisp", "bareudp"}
)


def build_picture(topology: Topology, ownership: Ownership | None = None, management: str = "") -> Picture:
    """The picture of a host.

    Args:
        topology: what was observed.
        ownership: names that XAPI's records claim; without it marks alone tell what is foreign, and NICs are ours.
        management: the device that has management's addresses; empty when not known.
    """
    return _Builder(topology, ownership, management).picture()


def natural(name: str) -> list[str]:
    """Sort key that puts eth2 before eth10."""
    return [part.zfill(20) if part.isdigit() else part for part in _DIGITS.split(name)]


@dataclass(frozen=True, slots=True)
class _Builder:
    topology: Topology
    ownership: Ownership | None
    management: str

    def picture(self) -> Picture:
        bridges = [self._bridge(bridge) for bridge in self.topology.bridges.values()]
        return Picture(
            bridges=tuple(sorted(bridges, key=_place)),
            loose=tuple(self._loose()),
            complaints=tuple(self._complaints()),
        )

    def _complaints(self) -> Iterator[str]:
        if not self.topology.complete:
            unknown = "not every part of this host could be read"
            if not self.topology.bridges:
                unknown = "ovsdb-server does not answer, so bridges and ports are not known"
            yield f"incomplete: {unknown}"
        if not self.topology.switch_alive and self.topology.bridges:
            yield "ovs-vswitchd does not answer: bridges are drawn as the database has them"

    # -- bridges ---------------------------------------------------------------------------------------------

    def _bridge(self, bridge: Bridge) -> BridgePicture:
        vlans = [port for port in bridge.ports.values() if is_vlan_bridge(port)]
        below = {port.name for vlan in vlans for port in ports_of_vlan_bridge(bridge, vlan)}
        others = [
            port
            for port in sorted(bridge.ports.values(), key=lambda port: natural(port.name))
            if port.name not in below and port.name != bridge.name and not is_vlan_bridge(port)
        ]
        wires = tuple(self._wire(port) for port in others if self._is_wire(port))
        state, notes = self._bridge_state(bridge, wires)
        return BridgePicture(
            thing=Thing(
                kind=Kind.BRIDGE,
                name=bridge.name,
                state=state,
                notes=notes,
                foreign=not owns_bridge(bridge, self.ownership or Ownership()),
            ),
            addresses=self._addresses(bridge.name),
            wires=wires,
            ports=tuple(self._port(port) for port in others if not self._is_wire(port)),
            vlans=tuple(self._vlans(bridge, vlans)),
            management=bool(self.management) and bridge.name == self.management,
        )

    def _bridge_state(self, bridge: Bridge, wires: tuple[Wire, ...]) -> tuple[State, tuple[str, ...]]:
        own = bridge.ports.get(bridge.name)
        state, notes = self._upper_state(bridge.name, own)
        if wires and all(wire.thing.state is State.BROKEN for wire in wires):
            state, notes = State.BROKEN, ("no way to the wire", *notes)
        elif wires:
            state = worst(state, *(State.DEGRADED for wire in wires if wire.thing.state is not State.GOOD))
        if isinstance(bridge.fail_mode, str) and bridge.fail_mode != "standalone":
            notes = (*notes, f"fail mode {bridge.fail_mode}")
        if bridge.controllers:
            notes = (*notes, "controller " + " ".join(bridge.controllers))
        if not wires:
            notes = (*notes, "internal")
        return state, notes

    def _upper_state(self, device: str, port: Port | None) -> tuple[State, tuple[str, ...]]:
        """The state of a bridge's own device: what the switch reports, and down where it has addresses."""
        reports = [report for item in port.interfaces.values() for report in self._reports(item)] if port else []
        link = self.topology.links.get(device)
        if link is not None and link.up is False and self._addresses(device):
            reports.append("down")
        return (State.BROKEN, tuple(reports)) if reports else (State.GOOD, ())

    def _vlans(self, bridge: Bridge, vlans: list[Port]) -> Iterator[Vlan]:
        seen: set[int] = set()
        for port in sorted(vlans, key=lambda port: (_tag(port), natural(port.name))):
            tag = _tag(port)
            on_it = () if tag in seen else ports_of_vlan_bridge(bridge, port)
            seen.add(tag)
            state, notes = self._upper_state(port.name, port)
            yield Vlan(
                thing=Thing(
                    kind=Kind.VLAN,
                    name=port.name,
                    state=state,
                    notes=notes,
                    foreign=not owns_port(port, self.ownership or Ownership()),
                ),
                tag=tag,
                addresses=self._addresses(port.name),
                ports=tuple(
                    self._port(one, below_its_tag=True) for one in sorted(on_it, key=lambda one: natural(one.name))
                ),
                management=bool(self.management) and port.name == self.management,
            )

    # -- ports -----------------------------------------------------------------------------------------------

    def _is_wire(self, port: Port) -> bool:
        links = [self.topology.links.get(name) for name in port.interfaces]
        claimed = self.ownership is not None and port.name in self.ownership.devices
        return is_bond(port) or claimed or any(link is not None and link.physical for link in links)

    def _wire(self, port: Port) -> Wire:
        if not is_bond(port):
            return Wire(thing=self._nic(next(iter(port.interfaces.values()), Interface(name=port.name)), port))
        interfaces = sorted(port.interfaces.values(), key=lambda item: natural(item.name))
        members = tuple(self._member(interface, port) for interface in interfaces)
        good = sum(member.state is State.GOOD for member in members)
        state = State.GOOD if good == len(members) and good > 0 else State.DEGRADED if good else State.BROKEN
        notes = [f"{good} of {len(members)} members carry"] if good < len(members) else []
        notes += [port.bond_mode] if isinstance(port.bond_mode, str) else []
        notes += [f"lacp {port.lacp}"] if isinstance(port.lacp, str) and port.lacp != "off" else []
        thing = Thing(
            kind=Kind.BOND, name=port.name, state=state, notes=tuple(notes), foreign=self._is_foreign_wire(port)
        )
        return Wire(thing=thing, members=members)

    def _member(self, interface: Interface, port: Port) -> Thing:
        state, notes = self._wire_state(interface)
        if port.bond_active_member == self.mac_of(interface.name) and port.bond_active_member:
            notes = (*notes, "active")
        return Thing(kind=Kind.NIC, name=interface.name, state=state, notes=notes)

    def mac_of(self, device: str) -> str | None:
        """The netdev's MAC, as Port.bond_active_slave names a member."""
        link = self.topology.links.get(device)
        return link.mac if link is not None and isinstance(link.mac, str) else None

    def _nic(self, interface: Interface, port: Port) -> Thing:
        state, notes = self._wire_state(interface)
        return Thing(kind=Kind.NIC, name=interface.name, state=state, notes=notes, foreign=self._is_foreign_wire(port))

    def _is_foreign_wire(self, port: Port) -> bool:
        return self.ownership is not None and not owns_port(port, self.ownership)

    def _wire_state(self, interface: Interface) -> tuple[State, tuple[str, ...]]:
        link = self.topology.links.get(interface.name)
        reports = self._reports(interface)
        if link is None and interface.type in {"", "system"}:
            reports = ["no such device", *reports[1:]]
        elif link is not None and link.up is False:
            reports = ["down", *reports]
        elif link is not None and link.carrier is False:
            reports = ["no carrier", *reports]
        facts = [f"MTU {link.mtu}"] if link is not None and isinstance(link.mtu, int) and link.mtu != _PLAIN_MTU else []
        return (State.BROKEN if reports else State.GOOD), (*reports, *facts)

    def _port(self, port: Port, *, below_its_tag: bool = False) -> Thing:
        interface = next(iter(port.interfaces.values()), Interface(name=port.name))
        kind = self._kind(port, interface)
        state, notes = self._port_state(kind, interface)
        if kind is Kind.TUNNEL:
            notes = (*notes, *_ends(interface))
        elif kind is Kind.PATCH and interface.options.get("peer"):
            notes = (*notes, f"to {interface.options['peer']}")
        if isinstance(port.tag, int) and not below_its_tag:
            notes = (*notes, f"tag {port.tag}")
        foreign = kind is not Kind.VIF and not owns_port(port, self.ownership or Ownership())
        return Thing(kind=kind, name=port.name, state=state, notes=notes, foreign=foreign)

    def _kind(self, port: Port, interface: Interface) -> Kind:
        if is_vif_port(port) or _GUEST.match(port.name):
            return Kind.VIF
        if interface.type in _TUNNELS:
            return Kind.TUNNEL
        return Kind.PATCH if interface.type == "patch" else Kind.PORT

    def _port_state(self, kind: Kind, interface: Interface) -> tuple[State, tuple[str, ...]]:
        reports = self._reports(interface)
        link = self.topology.links.get(interface.name)
        if link is None and interface.type in {"", "system"}:
            reports = ["no such device", *reports[1:]]
        elif link is not None and link.up is False and kind is Kind.VIF:
            reports = ["down", *reports]
        if reports:
            return State.BROKEN, tuple(reports)
        if link is not None and link.carrier is False and kind is Kind.VIF:
            return State.IDLE, ("guest not connected",)
        return State.GOOD, ()

    def _reports(self, interface: Interface) -> list[str]:
        """The switch's report; a switch that does not answer is one complaint, not one at each port."""
        return describe_switch_report(interface) if self.topology.switch_alive else []

    # -- devices on no bridge --------------------------------------------------------------------------------

    def _loose(self) -> Iterator[LooseThing]:
        taken = set(self.topology.bridges)
        for bridge in self.topology.bridges.values():
            for port in bridge.ports.values():
                taken |= {port.name, *port.interfaces}
        for name in sorted((set(self.topology.links) | set(self.topology.ip_devices)) - taken - {"lo"}, key=natural):
            link, addresses = self.topology.links.get(name), self._addresses(name)
            guest = bool(_GUEST.match(name))
            if link is None or not (addresses or link.physical or link.parent or guest):
                continue
            yield LooseThing(
                thing=self._loose_thing(link, guest=guest, used=bool(addresses)),
                addresses=addresses,
                management=bool(self.management) and name == self.management,
            )

    def _loose_thing(self, link: Link, *, guest: bool, used: bool) -> Thing:
        if guest:
            return Thing(kind=Kind.VIF, name=link.name, state=State.BROKEN, notes=("on no bridge",))
        kind = Kind.NIC if link.physical else Kind.VLAN if link.parent else Kind.DEVICE
        notes = (f"tag {link.vlan} on {link.parent}",) if link.parent else ()
        if used and link.up is False:
            return Thing(kind=kind, name=link.name, state=State.BROKEN, notes=("down", *notes))
        if used and link.carrier is False:
            return Thing(kind=kind, name=link.name, state=State.BROKEN, notes=("no carrier", *notes))
        if used:
            return Thing(kind=kind, name=link.name, notes=notes)
        words = ("unused", "down") if link.up is False else ("unused",)
        return Thing(kind=kind, name=link.name, state=State.IDLE, notes=(*words, *notes))

    def _addresses(self, name: str) -> tuple[str, ...]:
        device = self.topology.ip_devices.get(name)
        found = [one for one in device.addresses if one.origin is not Origin.LINK_LOCAL] if device else []
        found.sort(key=lambda one: (one.interface.version, one.interface))
        return tuple(str(one.interface) + ("" if one.origin is Origin.STATIC else f" ({one.origin})") for one in found)


_PLAIN_MTU: Final = 1500


def _place(bridge: BridgePicture) -> tuple[bool, bool, bool, list[str]]:
    """Management first, then what leads to the wire, then internal bridges, others' last."""
    below = any(vlan.management for vlan in bridge.vlans)
    return not (bridge.management or below), bridge.thing.foreign, not bridge.wires, natural(bridge.thing.name)


def _tag(port: Port) -> int:
    return port.tag if isinstance(port.tag, int) else 0


def _ends(interface: Interface) -> Iterable[str]:
    yield f"{interface.type} to {interface.options.get('remote_ip') or 'wherever its flows say'}"
    if interface.options.get("key"):
        yield f"key {interface.options['key']}"
