"""Operations of a transaction -> whose flows it takes away. Pure.

The switch drops all flows of a bridge whose fail mode or controllers change (vswitchd/bridge.c,
bridge_configure_remotes()). A port that changes bridges leaves its flows behind, under a number that another port of
that bridge may get next. Used by `plan/manager.py`, by `apply/locked_ports.py`, who puts them back, and after
a run that was killed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from xsagent.plan.steps import MovePort, OvsdbOperation, SetColumns

_FLUSHING: Final = frozenset({"fail_mode", "controller"})


def flushed_bridges(operations: Iterable[OvsdbOperation]) -> frozenset[str]:
    """Real bridges whose flows all go."""
    return frozenset(
        operation.record
        for operation in operations
        if isinstance(operation, SetColumns) and operation.table == "Bridge" and operation.columns.keys() & _FLUSHING
    )


def moved_ports(operations: Iterable[OvsdbOperation]) -> dict[str, str]:
    """Ports that leave their bridge as the row they are, with the bridge that they leave."""
    return {operation.name: operation.source for operation in operations if isinstance(operation, MovePort)}


def robbed_bridges(operations: Iterable[OvsdbOperation]) -> frozenset[str]:
    """Real bridges that lose flows: all of theirs, or those of ports that leave."""
    every = tuple(operations)
    return flushed_bridges(every).union(moved_ports(every).values())
