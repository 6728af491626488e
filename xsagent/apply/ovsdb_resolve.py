"""Names in an OVSDB step -> the rows that have them now. Pure: renders the selects and reads their answers.

`apply/ovsdb.py` sends the selects as one read-only transaction before each attempt; `apply/ovsdb_render.py` builds
the writing transaction from `Rows` and guards everything that it took from here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, assert_never

from xsagent.observed.ovsdb_connection import Operation
from xsagent.observed.ovsdb_json import Row, uuid_of, uuids_of
from xsagent.observed.ovsdb_rows import MIRRORED_BY
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
    Relied,
    RemoveInterface,
    SetColumns,
    SetKeys,
    SetMirror,
)
from xsagent.topology.values import Bridge, Interface, Json, Port

MEMBERS: Final[Mapping[str, tuple[str, str]]] = {"Bridge": ("ports", "Port"), "Port": ("interfaces", "Interface")}
"""By table the column that holds its parts, and the parts' table."""

_COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "Bridge": ("name",),
    "Port": ("name", "interfaces"),
    "Interface": ("name",),
}

Mention = tuple[str, str]
"""A table with a row's name, or with a row's UUID where the table has no names."""

Reference = tuple[str, str]
"""``("uuid", UUID)`` of a row that exists, or ``("named-uuid", NAME)`` of one that the transaction inserts."""


@dataclass(slots=True)
class FoundRow:
    """A row with a name; `members` are its ports or interfaces, of a bridge at least those that the step mentions."""

    table: str
    name: str
    reference: Reference
    members: set[Reference] = field(default_factory=set)


class Rows:
    """The rows a step speaks about: as they are, then, while it is rendered, as they will be.

    Attributes:
        present: UUIDs of rows without names that the step mentions and that still exist.
        mirrors: those to be added or removed that are there, by the condition that finds them.
    """

    def __init__(
        self,
        rows: Iterable[FoundRow] = (),
        present: frozenset[str] = frozenset(),
        mirrors: Mapping[str, Sequence[Reference]] | None = None,
    ) -> None:
        self.present = present
        self.mirrors = dict(mirrors or {})
        self._by_name: dict[Mention, FoundRow] = {}
        self._by_reference: dict[Reference, FoundRow] = {}
        for row in rows:
            self.put(row)
        self._at_first = frozenset(self._by_name)

    def find(self, table: str, name: str) -> FoundRow | None:
        """The row with this name; None when there is none."""
        return self._by_name.get((table, name))

    def was_there(self, table: str, name: str) -> bool:
        """Whether the database has a row of this name, whatever becomes of it in the transaction."""
        return (table, name) in self._at_first

    def uuids(self, table: str) -> list[str]:
        """UUIDs of the table's rows that were found."""
        return [row.reference[1] for row in self._by_name.values() if row.table == table]

    def place_ports(self, homes: Mapping[str, str]) -> None:
        """Put ports into their bridges: the bridge's name by the port's UUID."""
        for uuid, name in homes.items():
            bridge = self.find("Bridge", name)
            if bridge is not None:
                bridge.members.add(("uuid", uuid))

    def put(self, row: FoundRow) -> None:
        """Add a row."""
        self._by_name[row.table, row.name] = row
        self._by_reference[row.reference] = row

    def forget(self, row: FoundRow) -> None:
        """Take a row away, and with it its ports and interfaces: their names are free again."""
        for reference in row.members:
            if reference in self._by_reference:
                self.forget(self._by_reference[reference])
        self._by_name.pop((row.table, row.name), None)
        self._by_reference.pop(row.reference, None)


def find_mirror(columns: Mapping[str, Json]) -> list[Json]:
    """The condition that finds a mirror: by name, which others may have, and marks."""
    return [["name", "==", columns["name"]], ["external_ids", "includes", columns["external_ids"]]]


def reference_set(references: Iterable[Reference]) -> Json:
    """A set column that refers to these rows."""
    return ["set", [list(reference) for reference in references]]


def resolve_selects(step: OvsdbStep) -> list[Operation]:
    """The selects that find every row the step speaks about, for `parse_rows`.

    A bridge's list of ports is long and is read only where the bridge goes; else `Rows.place_ports` follows.
    """
    mentions = [mention for operation in step.operations for mention in _mentions_of(operation)]
    mentions += _relied_mentions(step.relied)
    mirrors = [operation.columns for operation in step.operations if isinstance(operation, SetMirror)]
    mentions += [mention for columns in mirrors for mention in _in_extra(columns)]
    whole = takes_bridge(step)
    selects = [_select(table, key, whole=whole) for table, key in dict.fromkeys(mentions) if table != "Open_vSwitch"]
    selects += [{"op": "select", "table": "Mirror", "where": find_mirror(one), "columns": _MARKED} for one in mirrors]
    if whole:
        # What goes with the bridge must be known by name: it may come back elsewhere in the same transaction.
        selects += [{"op": "select", "table": t, "where": [], "columns": ["_uuid", *_COLUMNS[t]]} for t in _WHOLE]
    return selects


_WHOLE: Final = ("Port", "Interface")
_MARKED: Final[Json] = ["_uuid", "name"]


def takes_bridge(step: OvsdbStep) -> bool:
    """Whether a bridge goes in this step, with all that is on it."""
    return any(isinstance(operation, DeleteBridge) for operation in step.operations)


def parse_rows(selects: Sequence[Operation], results: Sequence[Sequence[Row]]) -> Rows:
    """What the selects of `resolve_selects` found."""
    found: list[FoundRow] = []
    present: set[str] = set()
    mirrors: dict[str, list[Reference]] = {}
    for select, rows in zip(selects, results, strict=True):
        table = str(select["table"])
        if table in _COLUMNS:
            found += [_found_row(table, row) for row in rows]
        elif select.get("columns") == _MARKED:
            mirrors[str(select["where"])] = [("uuid", uuid_of(row["_uuid"])) for row in rows]
        else:
            present |= {uuid_of(row["_uuid"]) for row in rows}
    return Rows(found, frozenset(present), mirrors)


def _found_row(table: str, row: Row) -> FoundRow:
    column = MEMBERS.get(table, ("", ""))[0]
    members = {("uuid", uuid) for uuid in uuids_of(row[column])} if column in row else set()
    return FoundRow(table, str(row["name"]), ("uuid", uuid_of(row["_uuid"])), members)


def _select(table: str, key: str, *, whole: bool) -> Operation:
    if table in _COLUMNS:
        where: list[Json] = [["name", "==", key]]
        ports = ["ports"] if whole and table == "Bridge" else []
        return {"op": "select", "table": table, "where": where, "columns": ["_uuid", *_COLUMNS[table], *ports]}
    return {"op": "select", "table": table, "where": [["_uuid", "==", ["uuid", key]]], "columns": ["_uuid"]}


def _relied_mentions(relied: Sequence[Relied]) -> Iterator[Mention]:
    for entry in relied:
        yield entry.table, entry.record
        if entry.column == MEMBERS.get(entry.table, ("", ""))[0] and isinstance(entry.value, list):
            yield from ((MEMBERS[entry.table][1], str(name)) for name in entry.value)


def _mentions_of(operation: OvsdbOperation) -> Iterator[Mention]:
    match operation:
        case CreateBridge(bridge=bridge):
            yield from _in_bridge(bridge)
        case DeleteBridge(name=name) | SetMirror(bridge=name):
            yield "Bridge", name
        case AddPort(bridge=bridge_name, port=port):
            yield "Bridge", bridge_name
            yield from _in_port(port)
        case DeletePort(bridge=bridge_name, name=name):
            yield from (("Bridge", bridge_name), ("Port", name))
        case MovePort(source=source, target=target) | MoveMirror(source=source, target=target):
            yield from (("Bridge", source), ("Bridge", target), *_moved(operation))
        case AddInterface(port=port_name, interface=interface):
            yield "Port", port_name
            yield from _in_interface(interface)
        case RemoveInterface(port=port_name, name=name):
            yield from (("Port", port_name), ("Interface", name))
        case SetColumns(table=table, record=record, columns=columns):
            yield table, record
            yield from _in_extra(columns)
        case SetKeys(table=table, record=record):
            yield table, record
        case _:
            assert_never(operation)


def _moved(operation: MovePort | MoveMirror) -> Iterable[Mention]:
    return [("Port", operation.name)] if isinstance(operation, MovePort) else _in_extra(operation.mirror)


def _in_bridge(bridge: Bridge) -> Iterator[Mention]:
    yield "Bridge", bridge.name
    for port in bridge.ports.values():
        yield from _in_port(port)
    yield from _in_extra(bridge.extra)


def _in_port(port: Port) -> Iterator[Mention]:
    yield "Port", port.name
    for interface in port.interfaces.values():
        yield from _in_interface(interface)
    yield from _in_extra(port.extra)
    for place in _list(port.extra.get(MIRRORED_BY)):
        yield "Mirror", str(_list(place)[0])


def _in_interface(interface: Interface) -> Iterator[Mention]:
    yield "Interface", interface.name
    yield from _in_extra(interface.extra)


def _in_extra(value: Json | Mapping[str, Json]) -> Iterator[Mention]:
    """Every row that is nested anywhere in `extra` (observed/ovsdb_rows.py)."""
    match value:
        case {"table": str(table), "name": str(name)}:
            yield table, name
        case {"table": str(table), "uuid": str(uuid), "row": row}:
            yield table, uuid
            yield from _in_extra(row)
        case Mapping():
            for item in value.values():
                yield from _in_extra(item)
        case list():
            for item in value:
                yield from _in_extra(item)


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []
