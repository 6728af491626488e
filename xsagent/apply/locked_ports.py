"""Guests' locking flows over a transaction that takes them away: read before it, put back after it. Effects.

A locked guest must not be free because a bridge got another fail mode, because its port moved to a bond's bridge, or
because the way back made the bridge anew that had gone with it.
What is put back is what was there, for the number that the port has then; whether that is what xenstore wants is
hotplug's business, as is what could not be put back (`hotplug/relock.py`). Called by `apply/run_step.py`, on the way
there and on the way back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from xsagent.apply.flows import Flow, read_flows, render_flow, replace_flows
from xsagent.errors import CommandError, OvsdbError, OvsdbUnavailableError, XsagentError
from xsagent.log import Logger
from xsagent.observed.ovsdb_connection import OvsdbConnection
from xsagent.observed.port_numbers import read_port_numbers
from xsagent.plan.flushes import deleted_guests, flushed_bridges, moved_ports, robbed_bridges
from xsagent.plan.steps import OvsdbStep


@dataclass(slots=True)
class LockedPorts:
    """Ports with locking flows that a transaction takes away, until they are back.

    Attributes:
        flows: by the port's name.
        deleted: the same of VIFs' ports that are gone: the way back may make them anew.
        left: numbers by bridge that ports which moved away or are gone had there: their flows stay behind.
        silent: real bridges that did not say which flows they hold.
    """

    flows: dict[str, frozenset[Flow]] = field(default_factory=dict)
    deleted: dict[str, frozenset[Flow]] = field(default_factory=dict)
    left: dict[str, set[int]] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)

    @property
    def is_back(self) -> bool:
        """Whether no guest's flows are missing, as far as is known."""
        return not (self.flows or self.silent)

    def add(self, other: LockedPorts) -> None:
        """What another transaction takes away too; of a port that is in both its flows count."""
        self.flows |= other.flows
        self.deleted |= other.deleted
        self.silent |= other.silent
        for bridge, numbers in other.left.items():
            self.left.setdefault(bridge, set()).update(numbers)


def read_locked_ports(rundir: Path, connection: OvsdbConnection, step: OvsdbStep, logger: Logger) -> LockedPorts:
    """Find the locked ports whose flows a step takes away.

    Raises:
        OvsdbUnavailableError, OvsdbError: their numbers cannot be read.
    """
    flushed, moved, deleted = flushed_bridges(step.operations), moved_ports(step.operations), deleted_guests(step)
    found, present = LockedPorts(), {}
    for bridge in sorted(robbed_bridges(step)):
        try:
            present[bridge] = read_flows(rundir, bridge)
        except CommandError as error:
            logger.warning("pass_over_locking_flows", subject=bridge, reason=str(error))
            found.silent.add(bridge)
    numbers = read_port_numbers(connection) if any(present.values()) else {}
    for bridge in present.keys() & numbers.keys():
        for port, number in numbers[bridge].items():
            leaves = port in moved or port in deleted
            if number in present[bridge] and (bridge in flushed or leaves):
                (found.deleted if port in deleted else found.flows)[port] = present[bridge][number]
                if leaves:
                    found.left.setdefault(bridge, set()).add(number)
    return found


def relock_ports(rundir: Path, connection: OvsdbConnection, locked: LockedPorts, logger: Logger) -> str | None:
    """Put the flows back, and take out those that a port left behind: one bundle a bridge, each bridge tried.

    Args:
        locked: what is back is taken out of it, as is a port that somebody else took away.

    Returns:
        A sentence on the guests whose flows are not back; None when all are. It is logged.
    """
    known, seen = locked.deleted | locked.flows, set[str]()
    if not (known or locked.left):
        return None
    try:
        present = read_port_numbers(connection)
    except (OvsdbUnavailableError, OvsdbError) as error:
        return _failed(sorted(locked.flows), error, logger)
    problems: dict[str, str] = {}
    for bridge, numbers in present.items():
        here = sorted(known.keys() & numbers.keys())
        seen.update(here)
        # a number that was left may be another port's by now, whose flows are not ours to take
        stale = locked.left.get(bridge, set()).difference(numbers.values())
        wanted: dict[int, tuple[str, ...]] = dict.fromkeys(stale, ())
        wanted |= {numbers[port]: _renumbered(known[port], numbers[port]) for port in here}
        try:
            replace_flows(rundir, bridge, wanted)
        except CommandError as error:
            problems |= dict.fromkeys(here, _failed(here, error, logger))
            continue
        locked.left.pop(bridge, None)
        if wanted:
            logger.info("relock_ports", subject=bridge, ports=len(here))
    locked.flows = {port: known[port] for port in problems}
    locked.deleted = {port: flows for port, flows in locked.deleted.items() if port not in seen}
    return next(iter(problems.values()), None)


def _failed(ports: Sequence[str], error: XsagentError, logger: Logger) -> str:
    sentence = f"the locking flows of {', '.join(ports) or 'ports that left'} could not be put right: {error}"
    logger.error("relock_ports_failed", reason=sentence)
    return sentence


def _renumbered(flows: frozenset[Flow], ofport: int) -> tuple[str, ...]:
    """The lines of a port's flows for another number."""
    match = f"in_port={ofport}"
    return tuple(sorted(render_flow(frozenset(match if p.startswith("in_port=") else p for p in f)) for f in flows))
