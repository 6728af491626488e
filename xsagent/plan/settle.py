"""Undo steps of a run that died x the bridges as they are -> the undo that is still to do. Pure.

An OVSDB transaction happened wholly or not at all, and the dead run cannot say which: an operation of the undo whose
work is done already, or whose object never came to be, is left out; so is a flow whose port is no longer there, which
would keep all others out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from xsagent.plan.ovsdb_model import find_interface, find_row, mirrors_of, model_operation
from xsagent.plan.secure_bridge import lines_that_work
from xsagent.plan.steps import (
    AddInterface,
    AddPort,
    CreateBridge,
    DeleteBridge,
    DeletePort,
    MoveMirror,
    MovePort,
    OvsdbOperation,
    OvsdbStep,
    RemoveInterface,
    SafetyFlowsStep,
    SetColumns,
    SetKeys,
    SetMirror,
    Step,
)
from xsagent.topology.values import Bridge


def settle_undo(undo: Sequence[Step], bridges: Mapping[str, Bridge]) -> tuple[Step, ...]:
    """The undo steps, their OVSDB operations and flows reduced to those that apply after the steps before them."""
    settled: list[Step] = []
    present = dict(bridges)
    for step in undo:
        if isinstance(step, OvsdbStep):
            operations: list[OvsdbOperation] = []
            for operation in step.operations:
                if _applies(operation, present):
                    operations.append(operation)
                    present = model_operation(operation, present)
            if operations:
                settled.append(replace(step, operations=tuple(operations), relied=()))
        elif isinstance(step, SafetyFlowsStep):
            if step.bridge in present:
                settled.append(replace(step, lines=lines_that_work(step.lines, present[step.bridge])))
        else:
            settled.append(step)
    return tuple(settled)


def _applies(operation: OvsdbOperation, bridges: Mapping[str, Bridge]) -> bool:
    match operation:
        case CreateBridge(bridge=bridge):
            return bridge.name not in bridges
        case DeleteBridge(name=name):
            return name in bridges
        case AddPort(bridge=name, port=port):
            return name in bridges and not any(port.name in bridge.ports for bridge in bridges.values())
        case DeletePort(bridge=name, name=port_name) | MovePort(source=name, name=port_name):
            return name in bridges and port_name in bridges[name].ports
        case AddInterface(port=port_name, interface=interface):
            return find_interface(bridges, interface.name) is None and _has_row(bridges, "Port", port_name)
        case RemoveInterface(port=port_name, name=interface_name):
            found = find_interface(bridges, interface_name)
            return found is not None and found[1].name == port_name
        case SetColumns(table=table, record=record) | SetKeys(table=table, record=record):
            return _has_row(bridges, table, record)
        case SetMirror(bridge=name):
            return name in bridges
        case MoveMirror(mirror=mirror, source=source, target=target):
            return source in bridges and target in bridges and mirror in mirrors_of(bridges[source])


def _has_row(bridges: Mapping[str, Bridge], table: str, record: str) -> bool:
    if table == "Open_vSwitch":
        return True
    try:
        find_row(bridges, table, record)
    except KeyError:
        return False
    return True
