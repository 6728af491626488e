"""What hotplug decided about one device: values between `decide` and those that carry it out. Pure.

`decide` and `mirror` make them, `attempt` and its helpers follow them, `apply/netdev` prepares the netdev.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from xsagent.hotplug.event import Event
from xsagent.hotplug.places import Place
from xsagent.model.vif import Vif
from xsagent.plan.steps import OvsdbOperation, Relied
from xsagent.topology.values import Port


class Verdict(enum.StrEnum):
    """What is to be done with the device."""

    ATTACH = "attach"
    """Put or keep its port where it belongs."""
    KEEP_OFF = "keep-off"
    """Locking mode ``disabled``: it belongs on no bridge, and counts as attached there."""
    LEAVE = "leave"
    """Somebody put its port elsewhere on purpose: it stays there, with the flows that it must have."""
    DETACH = "detach"
    """Take its port away."""
    WAIT = "wait"
    """It cannot be attached yet; `reason` says what is missing."""
    IGNORE = "ignore"
    """Nothing is asked for, or nothing is ours to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetdevPrep:
    """How the netdev must be before its port goes in: down, no ARP, no multicast, no addresses, no IPv6 identifier.

    Attributes:
        ifindex: of the one that was looked at; another that came in its place is for the next look.
        mac: of the dom0 end.
        mtu: bytes.
    """

    device: str
    ifindex: int
    mac: str
    mtu: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to do with one device.

    Attributes:
        reason: one clause; for WAIT, LEAVE and DETACH what a person must know.
        place: where it belongs (ATTACH), or is (LEAVE).
        port: the whole desired port (ATTACH).
        operations: to get from what is observed to that; empty when the switch is right.
        relied: what the operations rely on.
        prep: the netdev must be prepared first: the port is new there, or the netdev is not as it should be.
            None leaves the netdev alone, but for IFF_UP.
        in_place: port and netdev are right already: the link must not bounce.
        warnings: sentences for people.
    """

    event: Event
    verdict: Verdict
    reason: str
    vif: Vif | None = None
    place: Place | None = None
    port: Port | None = None
    operations: tuple[OvsdbOperation, ...] = ()
    relied: tuple[Relied, ...] = ()
    prep: NetdevPrep | None = None
    in_place: bool = False
    warnings: tuple[str, ...] = ()
