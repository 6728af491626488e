"""What an operation looks at + the rows read so far -> the selects for rows that still lack. Pure.

`observed/ovsdb.py` asks until nothing lacks: at first ports and interfaces by name and tag, then what those refer to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from xsagent.observed.ovsdb_connection import Operation
from xsagent.observed.ovsdb_json import Row, Schema, uuids_of
from xsagent.observed.ovsdb_rows import TableRows, configuration_columns
from xsagent.topology.concern import SwitchConcern
from xsagent.topology.values import Json

MOST_NAMES: Final = 64
"""Beyond so many, asking for all costs less: ovsdb-server goes through a whole table for each select."""

_Condition = tuple[str, str, str, Json]
"""Table, column, function, value (RFC 7047 section 5.1)."""


def missing_parts(
    schema: Schema, concern: SwitchConcern, tables: Mapping[str, TableRows], asked: Mapping[str, object]
) -> dict[str, Operation]:
    """Selects for what is concerned and was not asked for yet, by a text that stands for each.

    Args:
        schema: names the columns to select.
        concern: names and tags.
        tables: rows read so far; empty at first.
        asked: the texts of selects that were sent.
    """
    wanted = [*_named(concern), *_referred_to(schema, tables)]
    fresh = {f"{table} {column} {value}": (table, column, function, value) for table, column, function, value in wanted}
    return {text: _select(schema, condition) for text, condition in fresh.items() if text not in asked}


def _named(concern: SwitchConcern) -> Iterator[_Condition]:
    for name in sorted(concern.names):
        yield from (("Port", "name", "==", name), ("Interface", "name", "==", name))
    for tag in sorted(concern.tags):
        yield "Port", "tag", "==", tag


def _referred_to(schema: Schema, tables: Mapping[str, TableRows]) -> Iterator[_Condition]:
    ports, interfaces = tables.get("Port", {}), tables.get("Interface", {})
    held = {uuid for row in ports.values() for uuid in uuids_of(row["interfaces"])}
    for uuid in sorted(held - interfaces.keys()):
        yield "Interface", "_uuid", "==", ["uuid", uuid]
    for uuid in sorted(interfaces.keys() - held):
        yield "Port", "interfaces", "includes", ["uuid", uuid]
    for row in ports.values():
        if row.get("fake_bridge") is True and isinstance(row.get("tag"), int):
            yield "Port", "tag", "==", row["tag"]
    for uuid in sorted(_mirrored(schema, tables.get("Mirror", {})) - ports.keys()):
        yield "Port", "_uuid", "==", ["uuid", uuid]


def _mirrored(schema: Schema, mirrors: TableRows) -> set[str]:
    """Ports that mirrors name: a bridge's value shows them by name."""
    columns = [name for name, column in schema.get("Mirror", {}).items() if column.refers_to == "Port"]
    return {uuid for row in mirrors.values() for name in columns for uuid in _references(row, name)}


def _references(row: Row, column: str) -> list[str]:
    return uuids_of(row[column]) if column in row else []


def _select(schema: Schema, condition: _Condition) -> Operation:
    table, column, function, value = condition
    columns: list[Json] = ["_uuid", *configuration_columns(schema, table)]
    return {"op": "select", "table": table, "where": [[column, function, value]], "columns": columns}
