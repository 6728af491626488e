"""Bridge, Port, Interface values -> OVSDB inserts, with the rows nested in `extra`. Pure.

Used by `apply/ovsdb_render.py`; undoes what `observed/ovsdb_rows.py` does. A nested row that still exists (QoS outlives
its port, a Controller may be shared) is referred to; one that went with its owner is made again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from xsagent.apply.ovsdb_resolve import Reference, reference_set
from xsagent.observed.ovsdb_connection import Operation
from xsagent.observed.ovsdb_json import EMPTY_MAP, EMPTY_SET, Schema
from xsagent.observed.ovsdb_rows import COLLECTOR_SETS
from xsagent.plan.columns import SCALARS, effective_maps, to_column
from xsagent.topology.values import KEEP, Bridge, Interface, Json, Port

COLLECTOR_SET_TABLE: Final = "Flow_Sample_Collector_Set"
"""Its rows point at a bridge; no bridge can go before they do."""

_RESERVED_PORTS: Final = 0xFF00
"""OpenFlow port numbers from here on have meanings of their own (OFPP_MAX)."""

Find = Callable[[str, str], Reference | None]
"""Finds a row by table and name, inserted ones included; None when there is none."""


class RowInserter:
    """Appends the inserts of one transaction to its `operations`."""

    def __init__(self, schema: Schema, present: frozenset[str], find: Find, operations: list[Operation]) -> None:
        self._schema = schema
        self._present = present
        self._find = find
        self._again: dict[str, Reference] = {}
        self._count = 0
        self._operations = operations

    def insert(self, value: Bridge | Port | Interface, parts: list[Reference]) -> Reference:
        """Insert the row of a value.

        Args:
            value: KEEP and None leave a column at its default.
            parts: its ports or interfaces, inserted before (references may be named ahead of their insert, but a
                Mirror nested in a bridge looks for its ports).
        """
        table = type(value).__name__
        row: dict[str, Json] = {"name": value.name} | _scalars(value) | _maps(value)
        match value:
            case Bridge():
                row["ports"] = reference_set(parts)
            case Port():
                row["interfaces"] = reference_set(parts)
                if value.bond_active_member is not None:
                    row["bond_active_slave"] = value.bond_active_member
            case Interface():
                if value.ofport is not None and 0 < value.ofport < _RESERVED_PORTS:
                    # The switch reuses the number where it is free, so that others' flows still mean this port.
                    row["ofport"] = value.ofport
        reference = self._insert(table, row | self._extra(table, value.extra))
        self.insert_collector_sets(reference, value.extra.get(COLLECTOR_SETS))
        return reference

    def insert_collector_sets(self, bridge: Reference, value: Json) -> None:
        """Insert the sets that point at a bridge, as Bridge.extra has them."""
        for columns in _rows_in(value):
            own: dict[str, Json] = {"bridge": list(bridge)}
            self._insert(COLLECTOR_SET_TABLE, own | self._extra(COLLECTOR_SET_TABLE, columns))

    def insert_mirror(self, columns: Mapping[str, Json]) -> Reference:
        """Insert a Mirror, as Bridge.extra has it; nothing mirrors until it is in a bridge."""
        return self._insert("Mirror", self._extra("Mirror", columns))

    def _insert(self, table: str, row: Mapping[str, Json]) -> Reference:
        self._count += 1
        name = f"row{self._count}"
        known = {column: value for column, value in row.items() if column in self._schema[table]}
        self._operations.append({"op": "insert", "table": table, "row": known, "uuid-name": name})
        return "named-uuid", name

    def _extra(self, table: str, extra: Mapping[str, Json]) -> dict[str, Json]:
        columns = self._schema[table]
        return {column: self.column(value) for column, value in extra.items() if column in columns}

    def column(self, value: Json) -> Json:
        """The column's value with references for the rows nested in it; those that are gone are inserted again."""
        match value:
            case {"table": _}:
                reference = self._member(value)
                return EMPTY_SET if reference is None else reference
            case ["set", list(members)]:
                return ["set", [kept for member in members if (kept := self._member(member)) is not None]]
            case ["map", list(entries)]:
                return ["map", [[entry[0], self._member(entry[1])] for entry in entries if isinstance(entry, list)]]
        return value

    def _member(self, member: Json) -> Json:
        """A member of a set; None for a row that is gone for good (a mirror's port that was unplugged)."""
        if isinstance(member, dict):
            reference = self._reference(member)
            return None if reference is None else list(reference)
        return member

    def _reference(self, nested: Mapping[str, Any]) -> Reference | None:
        table = str(nested["table"])
        if "name" in nested:
            return self._find(table, str(nested["name"]))
        uuid = str(nested["uuid"])
        if uuid in self._present:
            return "uuid", uuid
        if uuid not in self._again:
            self._again[uuid] = self._insert(table, self._extra(table, nested["row"]))
        return self._again[uuid]


def _rows_in(value: Json) -> list[dict[str, Json]]:
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


_UNSET: Final = (None, KEEP, ())


def _scalars(value: Bridge | Port | Interface) -> dict[str, Json]:
    found = {column: getattr(value, name) for name, column in SCALARS[type(value)].items()}
    return {column: to_column(item) for column, item in found.items() if item not in _UNSET}


def _maps(value: Bridge | Port | Interface) -> dict[str, Json]:
    columns = {column: text_map_column(keys) for column, keys in effective_maps(value).items()}
    return {column: item for column, item in columns.items() if item != EMPTY_MAP}


def text_map_column(keys: Mapping[str, str | None]) -> Json:
    """A map column with these keys; a key whose value is None is left out."""
    return ["map", [[key, item] for key, item in sorted(keys.items()) if item is not None]]
