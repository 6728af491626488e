"""Guests' locking flows over a transaction that takes them away: read before it, put back after it. Effects.

A locked guest must not be free because a bridge got another fail mode, or because its port moved to a bond's bridge.
What is put back is what was there, for the number that the port has then; whether that is what xenstore wants is
hotplug's business. Called by `apply/run_step.py` on the way there and on the way back.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from xsagent.apply.flows import Flow, read_flows, render_flow, replace_flows
from xsagent.errors import XsagentError
from xsagent.log import Logger
from xsagent.observed.ovsdb import read_ovsdb
from xsagent.observed.ovsdb_connection import OvsdbConnection
from xsagent.plan.flushes import flushed_bridges, moved_ports
from xsagent.plan.steps import OvsdbOperation
from xsagent.topology.values import Bridge


@dataclass(slots=True)
class LockedPorts:
    """Ports with locking flows.

    Attributes:
        flows: by the port's name.
        left: number by bridge and name of each that moves away.
    """

    flows: dict[str, frozenset[Flow]] = field(default_factory=dict)
    left: dict[str, set[int]] = field(default_factory=dict)


def read_locked_ports(
    rundir: Path, connection: OvsdbConnection, operations: Collection[OvsdbOperation], logger: Logger
) -> LockedPorts:
    """Find the locked ports whose flows these operations take away; a bridge that does not say has none to keep."""
    flushed, moved = flushed_bridges(operations), moved_ports(operations)
    found = LockedPorts()
    concerned = flushed.union(moved.values())
    if not concerned:
        return found
    bridges = read_ovsdb(connection).bridges
    for name in sorted(concerned & bridges.keys()):
        try:
            flows = read_flows(rundir, name)
        except XsagentError as error:
            logger.warning("pass_over_locking_flows", subject=name, reason=str(error))
            continue
        for port, ofport in _numbers(bridges[name]).items():
            if ofport in flows and (name in flushed or port in moved):
                found.flows[port] = flows[ofport]
                if port in moved:
                    found.left.setdefault(name, set()).add(ofport)
    return found


def relock_ports(rundir: Path, connection: OvsdbConnection, locked: LockedPorts, logger: Logger) -> None:
    """Put the flows back, each port's in one bundle with its bridge's, and take out those that a port left behind.

    Raises:
        CommandError: ovs-ofctl failed; the sentence says on which bridge.
        OvsdbUnavailableError: the numbers of the ports cannot be read.
    """
    if not locked.flows:
        return
    for bridge in read_ovsdb(connection).bridges.values():
        wanted: dict[int, tuple[str, ...]] = dict.fromkeys(locked.left.get(bridge.name, ()), ())
        numbers = _numbers(bridge)
        for port in locked.flows.keys() & numbers.keys():
            wanted[numbers[port]] = tuple(sorted(_renumbered(flow, numbers[port]) for flow in locked.flows[port]))
        replace_flows(rundir, bridge.name, wanted)
        if wanted:
            logger.info("relock_ports", subject=bridge.name, ports=len(numbers.keys() & locked.flows.keys()))


def _numbers(bridge: Bridge) -> Mapping[str, int]:
    """Port numbers of a bridge's ports of one interface, as a guest's is."""
    found: dict[str, int] = {}
    for port in bridge.ports.values():
        interface = port.interfaces.get(port.name)
        if interface is not None and interface.ofport is not None and interface.ofport > 0:
            found[port.name] = interface.ofport
    return found


def _renumbered(flow: Flow, ofport: int) -> str:
    """The flow's line for another port number."""
    return render_flow(frozenset(f"in_port={ofport}" if part.startswith("in_port=") else part for part in flow))
