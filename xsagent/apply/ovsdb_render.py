"""OVSDB step + the rows that its names stand for -> one transaction, guards first. Pure.

`apply/ovsdb_resolve.py` found the rows, `apply/ovsdb.py` sends the transaction. A guard is a ``wait`` with timeout 0:
every row used must still be that row, every name to be inserted still be free, everything relied on still be so.
Columns that hold sets of rows are changed by mutations that name rows, so that what others plugged meanwhile stays.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, assert_never

from xsagent.apply.ovsdb_guards import Guard, GuardList, where_name
from xsagent.apply.ovsdb_insert import COLLECTOR_SET_TABLE, RowInserter, text_map_column
from xsagent.apply.ovsdb_resolve import MEMBERS, FoundRow, Reference, Rows, find_mirror, reference_set
from xsagent.errors import ConflictError
from xsagent.observed.ovsdb_connection import Operation
from xsagent.observed.ovsdb_json import EMPTY_MAP, EMPTY_SET, Schema
from xsagent.observed.ovsdb_rows import COLLECTOR_SETS, MIRRORED_BY
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
    SetColumns,
    SetKeys,
    SetMirror,
)
from xsagent.topology.values import Bridge, Interface, Json, Port

_SWITCH: Final = "Open_vSwitch"
_Value = Bridge | Port | Interface


@dataclass(slots=True, kw_only=True)
class Transaction:
    """A rendered step.

    Attributes:
        guards: sent first, in this order.
        operations: the changes; empty when the database is already as the step leaves it.
    """

    guards: list[Guard] = field(default_factory=list)
    operations: list[Operation] = field(default_factory=list)


def render_step(step: OvsdbStep, rows: Rows, schema: Schema) -> Transaction:
    """The transaction of a step, for these rows.

    What is to be removed and is not there is passed over, what is to be inserted and stands in its place already,
    and what is to be set on a row that is gone: an undo may run after a crash that left open whether its step was
    done. A step that must not meet that says so in `relied`.

    Args:
        step: what to do.
        rows: found for this step; used up (it becomes what will be).
        schema: columns that it lacks are left out of inserts.

    Raises:
        ConflictError: a row that the step needs is missing, or one that it inserts stands elsewhere.
    """
    guards = GuardList(rows)
    for entry in step.relied:
        guards.rely(entry)
    renderer = _Renderer(rows, schema, guards)
    for operation in step.operations:
        renderer.render(operation)
    return renderer.transaction


class _Renderer:
    """Keeps the rows as they will be after the operations rendered so far."""

    def __init__(self, rows: Rows, schema: Schema, guards: GuardList) -> None:
        self.transaction = Transaction(guards=guards.guards)
        self._guards = guards
        self._rows = rows
        self._schema = schema
        self._removed_mirrors: set[str] = set()
        self._taken_out: defaultdict[Reference, set[Reference]] = defaultdict(set)
        self._inserter = RowInserter(schema, rows.present, self._reference, self.transaction.operations)

    # -- rows ------------------------------------------------------------------------------------------------

    def _reference(self, table: str, name: str) -> Reference | None:
        row = self._rows.find(table, name)
        return row.reference if row is not None else None

    def _need(self, table: str, name: str) -> FoundRow:
        row = self._rows.find(table, name)
        if row is None:
            raise ConflictError(f"{table} {name} is no longer in the Open vSwitch database; nothing was changed")
        return self._guarded(row)

    def _guarded(self, row: FoundRow) -> FoundRow:
        self._guards.same(row)
        return row

    # -- operations ------------------------------------------------------------------------------------------

    def render(self, operation: OvsdbOperation) -> None:
        """Append one operation of the step."""
        match operation:
            case CreateBridge(bridge=bridge):
                self._create_bridge(bridge)
            case DeleteBridge(name=name):
                self._delete_bridge(name)
            case AddPort() | AddInterface():
                self._add(operation)
            case DeletePort(bridge=bridge_name, name=name):
                self._remove(self._rows.find("Port", name), self._rows.find("Bridge", bridge_name))
            case RemoveInterface(port=port_name, name=name):
                self._remove(self._rows.find("Interface", name), self._rows.find("Port", port_name))
            case MovePort() | MoveMirror():
                self._move(operation)
            case SetColumns() | SetKeys():
                self._set(operation)
            case SetMirror(bridge=name, columns=columns, present=True):
                self._add_mirror(name, columns)
            case SetMirror(bridge=name, columns=columns):
                self._remove_mirror(name, columns)
            case _:
                assert_never(operation)

    def _create_bridge(self, bridge: Bridge) -> None:
        if self._rows.find("Bridge", bridge.name) is None:
            row = self._insert(bridge)
            self._mutate(_SWITCH, [], "bridges", "insert", row.reference)

    def _insert(self, value: _Value) -> FoundRow:
        table = type(value).__name__
        if self._rows.find(table, value.name) is not None:
            raise ConflictError(f"{table} {value.name} exists already in another place; nothing was changed")
        if not self._rows.was_there(table, value.name):
            self._guards.absent(table, value.name)
        parts = [self._insert(part).reference for part in _parts_of(value)]
        row = FoundRow(table, value.name, self._inserter.insert(value, parts), set(parts))
        self._rows.put(row)
        self._put_into_mirrors(value, row.reference)
        return row

    def _put_into_mirrors(self, value: _Value, reference: Reference) -> None:
        """Mirrors that outlived the port name it again; those that did not are nested in their bridge."""
        places = value.extra.get(MIRRORED_BY)
        for place in places if isinstance(places, list) else []:
            match place:
                case [str(uuid), str(column)] if uuid in self._rows.present:
                    where: list[Json] = [["_uuid", "==", ["uuid", uuid]]]
                    if column == "output_port":
                        where.append([column, "==", EMPTY_SET])
                    self._mutate("Mirror", where, column, "insert", reference)

    def _delete_bridge(self, name: str) -> None:
        bridge = self._rows.find("Bridge", name)
        if bridge is not None:
            self._guards.same(bridge)
            self._guards.known_members(bridge, self._taken_out[bridge.reference])
            self._mutate(_SWITCH, [], "bridges", "delete", bridge.reference)
            self._delete_collector_sets(bridge)
            self._rows.forget(bridge)

    def _delete_collector_sets(self, bridge: FoundRow) -> None:
        if COLLECTOR_SET_TABLE in self._schema:
            where: list[Json] = [["bridge", "==", list(bridge.reference)]]
            self.transaction.operations.append({"op": "delete", "table": COLLECTOR_SET_TABLE, "where": where})

    def _add(self, operation: AddPort | AddInterface) -> None:
        value: Port | Interface
        if isinstance(operation, AddPort):
            value, owner = operation.port, self._need("Bridge", operation.bridge)
        else:
            value, owner = operation.interface, self._need("Port", operation.port)
        present = self._rows.find(type(value).__name__, value.name)
        if present is None or present.reference not in owner.members:
            self._put_in(self._insert(value), owner)

    def _remove(self, row: FoundRow | None, owner: FoundRow | None) -> None:
        if row is not None and owner is not None and row.reference in owner.members:
            self._take_out(row, owner)
            self._guards.known_members(row, self._taken_out[row.reference])
            self._rows.forget(row)

    def _move(self, operation: MovePort | MoveMirror) -> None:
        if isinstance(operation, MovePort):
            self._move_port(operation.name, operation.source, operation.target)
        else:
            self._move_mirror(operation.mirror, operation.source, operation.target)

    def _move_port(self, name: str, source: str, target: str) -> None:
        port, new_bridge = self._need("Port", name), self._need("Bridge", target)
        if port.reference not in new_bridge.members:
            self._take_out(port, self._need("Bridge", source))
            self._put_in(port, new_bridge)

    def _add_mirror(self, name: str, columns: Mapping[str, Json]) -> None:
        bridge = self._need("Bridge", name)
        match columns.get("output_port"):
            case {"name": str(port)}:
                self._need("Port", port)
        key = str(find_mirror(columns))
        if key in self._removed_mirrors or not self._rows.mirrors.get(key):
            self._mutate("Bridge", _where(bridge), "mirrors", "insert", self._inserter.insert_mirror(columns))

    def _remove_mirror(self, name: str, columns: Mapping[str, Json]) -> None:
        bridge, key = self._rows.find("Bridge", name), str(find_mirror(columns))
        if bridge is None:
            return
        for reference in self._rows.mirrors.get(key, ()):
            self._mutate("Bridge", _where(self._guarded(bridge)), "mirrors", "delete", reference)
        self._removed_mirrors.add(key)

    def _move_mirror(self, mirror: Json, source: str, target: str) -> None:
        match mirror:
            case {"uuid": str(uuid)} if uuid in self._rows.present:
                owner = self._rows.find("Bridge", source)
                if owner is not None:
                    self._mutate("Bridge", _where(owner), "mirrors", "delete", ("uuid", uuid))
                self._mutate("Bridge", _where(self._need("Bridge", target)), "mirrors", "insert", ("uuid", uuid))

    def _put_in(self, row: FoundRow, owner: FoundRow) -> None:
        self._mutate(owner.table, _where(owner), MEMBERS[owner.table][0], "insert", row.reference)
        owner.members.add(row.reference)

    def _take_out(self, row: FoundRow, owner: FoundRow) -> None:
        column = MEMBERS[owner.table][0]
        if row.reference not in owner.members:
            raise ConflictError(
                f"{row.table} {row.name} is no longer in {owner.table} {owner.name}; nothing was changed"
            )
        self._guards.member(row, owner)
        self._mutate(owner.table, _where(owner), column, "delete", row.reference)
        owner.members.discard(row.reference)
        self._taken_out[owner.reference].add(row.reference)

    def _mutate(self, table: str, where: list[Json], column: str, mutator: str, reference: Reference) -> None:
        mutations: list[Json] = [[column, mutator, reference_set([reference])]]
        self.transaction.operations.append({"op": "mutate", "table": table, "where": where, "mutations": mutations})

    def _set(self, operation: SetColumns | SetKeys) -> None:
        table, where = operation.table, list[Json]()
        if table != _SWITCH:
            row = self._rows.find(table, operation.record)
            if row is None:
                return
            where = _where(self._guarded(row))
            if isinstance(operation, SetColumns) and COLLECTOR_SETS in operation.columns:
                self._delete_collector_sets(row)
                self._inserter.insert_collector_sets(row.reference, operation.columns[COLLECTOR_SETS])
        change = self._columns(operation) if isinstance(operation, SetColumns) else _mutations(operation)
        if change.get("row") != {}:
            self.transaction.operations.append({"table": table, "where": where, **change})

    def _columns(self, operation: SetColumns) -> Operation:
        columns = self._schema[operation.table]
        row: dict[str, Json] = {
            column: columns[column].default
            if value == EMPTY_SET and column in columns
            else self._inserter.column(value)
            for column, value in operation.columns.items()
            if column != COLLECTOR_SETS
        }
        return {"op": "update", "row": row}


def _mutations(operation: SetKeys) -> Operation:
    # An insert leaves a key that exists as it is (RFC 7047 section 5.1), so each goes first.
    names: list[Json] = [*sorted(operation.keys)]
    mutations: list[Json] = [[operation.column, "delete", ["set", names]]]
    kept = text_map_column(operation.keys)
    if kept != EMPTY_MAP:
        mutations.append([operation.column, "insert", kept])
    return {"op": "mutate", "mutations": mutations}


def _where(row: FoundRow) -> list[Json]:
    """Finds a row; one that this transaction inserts by its name, which no other row that stays has."""
    return [["_uuid", "==", list(row.reference)]] if row.reference[0] == "uuid" else where_name(row.table, row.name)


def _parts_of(value: _Value) -> list[Port] | list[Interface]:
    match value:
        case Bridge():
            return list(value.ports.values())
        case Port():
            return list(value.interfaces.values())
    return []
