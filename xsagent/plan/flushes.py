"""Operations of a transaction -> whose flows it takes away. Pure.

The switch drops all flows of a bridge whose fail mode or controllers change (vswitchd/bridge.c,
bridge_configure_remotes()). A port that changes bridges leaves its flows behind, under a number that another port of
that bridge may get next; one that the way back makes anew has none. Used by `plan/manager.py`, by
`apply/locked_ports.py`, who puts them back, and after a run that was killed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from xsagent.plan.steps import AddPort, CreateBridge, MovePort, OvsdbOperation, OvsdbStep, SetColumns
from xsagent.topology.ownership import is_vif_port
from xsagent.topology.values import Port

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


def deleted_guests(step: OvsdbStep) -> dict[str, str]:
    """VIFs' ports that go with the step and that its undo makes anew, with the bridge that they are on."""
    undo = (operation for back in step.undo if isinstance(back, OvsdbStep) for operation in back.operations)
    return {port.name: bridge for operation in undo for bridge, port in _made(operation) if is_vif_port(port)}


def _made(operation: OvsdbOperation) -> tuple[tuple[str, Port], ...]:
    match operation:
        case AddPort(bridge=name, port=port):
            return ((name, port),)
        case CreateBridge(bridge=bridge):
            return tuple((bridge.name, port) for port in bridge.ports.values())
        case _:
            return ()


def robbed_bridges(step: OvsdbStep) -> frozenset[str]:
    """Real bridges that lose flows: all of theirs, or those of ports that leave or go."""
    return flushed_bridges(step.operations).union(moved_ports(step.operations).values(), deleted_guests(step).values())
