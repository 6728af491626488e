"""What an OVSDB operation does to a set of bridges, and the operation that takes it back. Pure.

`plan/ovsdb.py` builds operations; here each is applied to the observed bridges in turn, so that the undo of a whole
transaction is exact even where a later operation depends on an earlier one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import assert_never

from xsagent.plan.columns import (
    EMPTY_SET,
    current_column,
    current_key,
    from_members,
    members_of,
    with_columns,
    with_keys,
)
from xsagent.plan.steps import (
    AddInterface,
    AddPort,
    CreateBridge,
    DeleteBridge,
    DeletePort,
    MoveMirror,
    MovePort,
    OvsdbOperation,
    RemoveInterface,
    SetColumns,
    SetKeys,
    SetMirror,
)
from xsagent.topology.values import Bridge, Interface, Json, Port

Bridges = dict[str, Bridge]
_MIRRORS = "mirrors"


def invert_operations(
    operations: Sequence[OvsdbOperation], observed: Mapping[str, Bridge]
) -> tuple[OvsdbOperation, ...]:
    """Operations that, run after `operations`, bring back the observed bridges."""
    bridges = dict(observed)
    inverses: list[OvsdbOperation] = []
    for operation in operations:
        inverses.append(_invert(operation, bridges))
        bridges = model_operation(operation, bridges)
    return tuple(reversed(inverses))


def model_operations(operations: Sequence[OvsdbOperation], observed: Mapping[str, Bridge]) -> Bridges:
    """The bridges after a whole transaction."""
    bridges = dict(observed)
    for operation in operations:
        bridges = model_operation(operation, bridges)
    return bridges


def model_operation(operation: OvsdbOperation, bridges: Mapping[str, Bridge]) -> Bridges:
    """The bridges after one operation."""
    after = dict(bridges)
    match operation:
        case CreateBridge(bridge=bridge):
            after[bridge.name] = bridge
        case DeleteBridge(name=name):
            after.pop(name, None)
        case AddPort(bridge=name, port=port):
            after[name] = _with_port(after[name], port)
        case DeletePort(bridge=name, name=port_name):
            after[name] = _without_port(after[name], port_name)
        case MovePort() | MoveMirror():
            _move(operation, after)
        case AddInterface(port=port_name, interface=interface):
            _put_port(after, _with_interface(find_port(after, port_name)[1], interface))
        case RemoveInterface(port=port_name, name=interface_name):
            _put_port(after, _without_interface(find_port(after, port_name)[1], interface_name))
        case SetColumns(table="Open_vSwitch") | SetKeys(table="Open_vSwitch") | SetMirror():
            pass  # the switch's own record is not a bridge, and no plan depends on a guest's mirror
        case SetColumns() | SetKeys():
            _set_values(operation, after)
        case _:
            assert_never(operation)
    return after


def _move(operation: MovePort | MoveMirror, bridges: Bridges) -> None:
    source, target = bridges[operation.source], bridges[operation.target]
    if isinstance(operation, MovePort):
        port = source.ports[operation.name]
        source, target = _without_port(source, port.name), _with_port(target, port)
    else:
        source = _with_mirrors(source, [mirror for mirror in mirrors_of(source) if mirror != operation.mirror])
        target = _with_mirrors(target, [*mirrors_of(target), operation.mirror])
    bridges[source.name], bridges[target.name] = source, target


def find_port(bridges: Mapping[str, Bridge], name: str) -> tuple[str, Port]:
    """The bridge's name and the Port; KeyError when no bridge has it (a programming error in the planner)."""
    for bridge in bridges.values():
        if name in bridge.ports:
            return bridge.name, bridge.ports[name]
    raise KeyError(name)


def mirrors_of(bridge: Bridge) -> list[Json]:
    """The bridge's mirrors, each as `extra` has it."""
    return members_of(bridge.extra.get(_MIRRORS, EMPTY_SET))


def mirror_name(mirror: Json) -> str:
    """What a mirror is called, for people: names need not differ."""
    match mirror:
        case {"row": {"name": str(name)}}:
            return name
        case {"uuid": str(uuid)}:
            return uuid
    return ""


def _with_mirrors(bridge: Bridge, mirrors: Sequence[Json]) -> Bridge:
    others = {column: value for column, value in bridge.extra.items() if column != _MIRRORS}
    return replace(bridge, extra={**others, _MIRRORS: from_members(mirrors)} if mirrors else others)


def find_interface(bridges: Mapping[str, Bridge], name: str) -> tuple[str, Port, Interface] | None:
    """The bridge's name, the Port and the Interface with this name; None when no bridge has it."""
    for bridge in bridges.values():
        for port in bridge.ports.values():
            if name in port.interfaces:
                return bridge.name, port, port.interfaces[name]
    return None


def _invert(operation: OvsdbOperation, bridges: Mapping[str, Bridge]) -> OvsdbOperation:
    match operation:
        case CreateBridge(bridge=bridge):
            return DeleteBridge(name=bridge.name)
        case DeleteBridge(name=name):
            return CreateBridge(bridge=bridges[name])
        case AddPort(bridge=name, port=port):
            return DeletePort(bridge=name, name=port.name)
        case DeletePort(bridge=name, name=port_name):
            return AddPort(bridge=name, port=bridges[name].ports[port_name])
        case MovePort(source=source, target=target) | MoveMirror(source=source, target=target):
            return replace(operation, source=target, target=source)
        case AddInterface(port=port_name, interface=interface):
            return RemoveInterface(port=port_name, name=interface.name)
        case RemoveInterface(port=port_name, name=interface_name):
            return AddInterface(port=port_name, interface=find_port(bridges, port_name)[1].interfaces[interface_name])
        case SetColumns() | SetKeys():
            return _invert_values(operation, find_row(bridges, operation.table, operation.record))
        case SetMirror(present=present):
            return replace(operation, present=not present)
    assert_never(operation)


def _invert_values(operation: SetColumns | SetKeys, row: Bridge | Port | Interface) -> SetColumns | SetKeys:
    if isinstance(operation, SetColumns):
        return replace(operation, columns={column: current_column(row, column) for column in operation.columns})
    return replace(operation, keys={key: current_key(row, operation.column, key) for key in operation.keys})


def find_row(bridges: Mapping[str, Bridge], table: str, record: str) -> Bridge | Port | Interface:
    """The value that stands for a row; KeyError when there is none (a programming error in the planner)."""
    if table == "Bridge":
        return bridges[record]
    if table == "Port":
        return find_port(bridges, record)[1]
    found = find_interface(bridges, record)
    if found is None:
        raise KeyError(record)
    return found[2]


def _set_values(operation: SetColumns | SetKeys, bridges: Bridges) -> None:
    row = find_row(bridges, operation.table, operation.record)
    changed = (
        with_columns(row, operation.columns)
        if isinstance(operation, SetColumns)
        else with_keys(row, operation.column, operation.keys)
    )
    match changed:
        case Bridge():
            bridges[changed.name] = changed
        case Port():
            _put_port(bridges, changed)
        case Interface():
            _put_port(bridges, _with_interface(_port_of_interface(bridges, changed.name), changed))
        case _:
            assert_never(changed)


def _port_of_interface(bridges: Mapping[str, Bridge], name: str) -> Port:
    found = find_interface(bridges, name)
    if found is None:
        raise KeyError(name)
    return found[1]


def _put_port(bridges: Bridges, port: Port) -> None:
    name, _ = find_port(bridges, port.name)
    bridges[name] = _with_port(bridges[name], port)


def _with_port(bridge: Bridge, port: Port) -> Bridge:
    return replace(bridge, ports={**bridge.ports, port.name: port})


def _without_port(bridge: Bridge, name: str) -> Bridge:
    return replace(bridge, ports={key: port for key, port in bridge.ports.items() if key != name})


def _with_interface(port: Port, interface: Interface) -> Port:
    return replace(port, interfaces={**port.interfaces, interface.name: interface})


def _without_interface(port: Port, name: str) -> Port:
    return replace(port, interfaces={key: value for key, value in port.interfaces.items() if key != name})
