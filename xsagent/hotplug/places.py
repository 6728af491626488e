"""Where ports of guests go and where they are: bridge names, real and VLAN, resolved to rows. Pure.

`decide` asks it on the observed bridges; no snapshot is needed, since Open vSwitch's own rows say which VLAN bridge
stands for which tag of which real bridge (ovs-vsctl(8), "fake bridges").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from xsagent.topology.ownership import is_vlan_bridge
from xsagent.topology.values import Bridge, Port


@dataclass(frozen=True, slots=True)
class Place:
    """What a bridge name stands for.

    Attributes:
        name: the name that was asked for.
        bridge: the real bridge.
        tag: the VLAN bridge's tag; None for a real bridge.
    """

    name: str
    bridge: str
    tag: int | None = None


@dataclass(frozen=True, slots=True)
class PlacedPort:
    """A port that is in the switch, with the bridge it is on.

    Attributes:
        foreign_tag: it has a tag that no VLAN bridge stands for: somebody set it by hand.
    """

    place: Place
    port: Port
    foreign_tag: bool = False


def find_place(bridges: Mapping[str, Bridge], name: str, aliases: Mapping[str, str] | None = None) -> Place | None:
    """The place of a bridge name; None when no such bridge is in the switch.

    Args:
        bridges: observed, real ones by name.
        name: of a real or a VLAN bridge.
        aliases: other names by name: a bond member's bridge stands for the bond's while the bond is up.
    """
    name = (aliases or {}).get(name, name)
    if name in bridges:
        return Place(name, name)
    for bridge in bridges.values():
        port = bridge.ports.get(name)
        if port is not None and is_vlan_bridge(port) and isinstance(port.tag, int):
            return Place(name, bridge.name, port.tag)
    return None


def find_port(bridges: Mapping[str, Bridge], name: str) -> PlacedPort | None:
    """The port of that name and where it is; None when it is on no bridge."""
    for bridge in bridges.values():
        port = bridge.ports.get(name)
        if port is not None:
            return _placed(bridge, port)
    return None


def _placed(bridge: Bridge, port: Port) -> PlacedPort:
    if not isinstance(port.tag, int):
        return PlacedPort(Place(bridge.name, bridge.name), port)
    for other in bridge.ports.values():
        if is_vlan_bridge(other) and other.tag == port.tag and other.name != port.name:
            return PlacedPort(Place(other.name, bridge.name, port.tag), port)
    return PlacedPort(Place(bridge.name, bridge.name), port, foreign_tag=True)
