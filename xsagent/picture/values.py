"""What a picture shows: bridges with what is below, on and beside them, each thing with one of four states. Pure.

Made by `build.py` from an observed Topology; drawn by `text.py`, `dot.py` and `svg.py`, and written as JSON as it is.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class State(enum.StrEnum):
    """How a thing is; the worst of what was found."""

    GOOD = "ok"
    IDLE = "idle"
    """Not in use, or its guest is not connected yet."""
    DEGRADED = "degraded"
    """It works with less than it has."""
    BROKEN = "broken"


_BADNESS = {State.GOOD: 0, State.IDLE: 0, State.DEGRADED: 1, State.BROKEN: 2}


def worst(*states: State) -> State:
    """The worst of them; GOOD of none."""
    return max(states, key=lambda state: _BADNESS[state], default=State.GOOD)


class Kind(enum.StrEnum):
    """What a thing is, in words of XAPI and Open vSwitch."""

    NIC = "NIC"
    BOND = "bond"
    BRIDGE = "bridge"
    VLAN = "VLAN"
    TUNNEL = "tunnel"
    VIF = "VIF"
    PATCH = "patch"
    PORT = "port"
    DEVICE = "device"


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """One box or chip.

    Attributes:
        notes: what is wrong first, then facts, each short.
        foreign: not ours by any mark or record.
    """

    kind: Kind
    name: str
    state: State = State.GOOD
    notes: tuple[str, ...] = ()
    foreign: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """What leads from a bridge to the outside: a NIC, or a bond with its members.

    Attributes:
        thing: the NIC or the bond.
        members: of a bond.
    """

    thing: Thing
    members: tuple[Thing, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Vlan:
    """A VLAN bridge.

    Attributes:
        tag: of its frames on the wire.
        addresses: of its IP device, with how each came.
        ports: guests' ports and others with its tag.
        management: this host's management interface is here.
    """

    thing: Thing
    tag: int
    addresses: tuple[str, ...] = ()
    ports: tuple[Thing, ...] = ()
    management: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgePicture:
    """A real bridge with all that belongs to it.

    Attributes:
        wires: NICs and bonds.
        ports: guests' ports, tunnels and others that are on no VLAN bridge.
        vlans: in the order of their tags.
    """

    thing: Thing
    addresses: tuple[str, ...] = ()
    wires: tuple[Wire, ...] = ()
    ports: tuple[Thing, ...] = ()
    vlans: tuple[Vlan, ...] = ()
    management: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LooseThing:
    """A device on no bridge, with its addresses."""

    thing: Thing
    addresses: tuple[str, ...] = ()
    management: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A whole host.

    Attributes:
        complaints: what makes the picture incomplete, or concerns all of it.
        loose: devices on no bridge.
    """

    bridges: tuple[BridgePicture, ...] = ()
    loose: tuple[LooseThing, ...] = ()
    complaints: tuple[str, ...] = ()
