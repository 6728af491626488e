"""The Open vSwitch database -> bridges with their ports, and the switch's own record. I/O: one read, no effect.

One transaction of selects is one consistent snapshot. Ports and interfaces are many and mostly plain: where all of
them matter, the server is asked for a rare column only where it differs from its default; where an operation says what
it looks at, for those rows alone (`ovsdb_part.py`).
`observed/` joins the result with the kernel's links into a Topology; `plan/` compares it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from xsagent.errors import OvsdbError
from xsagent.observed.ovsdb_connection import Operation, OvsdbConnection, rows_of
from xsagent.observed.ovsdb_json import Row, Schema, text_map, uuid_of
from xsagent.observed.ovsdb_part import MOST_NAMES, missing_parts
from xsagent.observed.ovsdb_rows import RowReader, TableRows, configuration_columns
from xsagent.topology.concern import SwitchConcern, left_bridges
from xsagent.topology.values import Bridge, Json

READ_DEADLINE_S: Final = 10.0

_COMMON: Final[Mapping[str, tuple[str, ...]]] = {
    "Port": ("name", "interfaces"),
    "Interface": ("name", "external_ids", "ofport"),
}
"""Columns that nearly every row fills; the tables' others are asked for where they differ from their default."""

_WHOLE: Final = (
    "Bridge", "Controller", "Mirror", "NetFlow", "sFlow", "IPFIX", "QoS", "Queue", "Flow_Table", "AutoAttach",
    "Flow_Sample_Collector_Set",
)  # fmt: skip
"""Tables of few rows: whole rows. All but Bridge matter only for what a Bridge or Port has of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OvsdbTopology:
    """What the database says.

    Attributes:
        bridges: real bridges by name; VLAN bridges are ports inside them. Read for a concern, a bridge has of its ports
            those alone that are concerned.
        other_config, external_ids: of the Open_vSwitch record.
        managers: targets of its Manager rows, sorted.
        next_cfg, cur_cfg: number of the last configuration asked for, and of the one the switch runs.
    """

    bridges: Mapping[str, Bridge] = field(default_factory=dict)
    other_config: Mapping[str, str] = field(default_factory=dict)
    external_ids: Mapping[str, str] = field(default_factory=dict)
    managers: tuple[str, ...] = ()
    next_cfg: int = 0
    cur_cfg: int = 0


def read_ovsdb(
    connection: OvsdbConnection, deadline: float | None = None, concern: SwitchConcern | None = None
) -> OvsdbTopology:
    """Read everything, or what an operation looks at, in one snapshot; makes no record in the database's log.

    Args:
        connection: open.
        deadline: a time of ``time.monotonic()``; None: READ_DEADLINE_S from now.
        concern: ports and interfaces that matter; None: all.

    Raises:
        OvsdbUnavailableError: no answer in time.
        OvsdbError: the database was never initialised (``ovs-vsctl init``), or the answer makes no sense.
    """
    end = time.monotonic() + READ_DEADLINE_S if deadline is None else deadline
    schema = connection.schema(end)
    tables = _read_part(connection, schema, concern, end) if concern is not None else None
    partial = tables is not None
    if tables is None:
        tables = _read_tables(connection, [*_base_selects(schema), *_port_selects(schema)], end)
    switch = next(iter(tables["Open_vSwitch"].values()), None)
    if switch is None:
        raise OvsdbError("the Open vSwitch database was never initialised (ovs-vsctl init); nothing was changed")
    return OvsdbTopology(
        bridges=RowReader(schema, tables, partial=partial).bridges(switch),
        other_config=text_map(switch["other_config"]),
        external_ids=text_map(switch["external_ids"]),
        managers=tuple(sorted(str(row["target"]) for row in tables["Manager"].values())),
        next_cfg=_count(switch, "next_cfg"),
        cur_cfg=_count(switch, "cur_cfg"),
    )


def _read_part(
    connection: OvsdbConnection, schema: Schema, concern: SwitchConcern, deadline: float
) -> Mapping[str, TableRows] | None:
    """The rows that are concerned; None where that may be most of them.

    What was read may name rows that belong to it (a bond's members, a VLAN's ports): then all is asked again with them,
    so that the whole is one snapshot.
    """
    if len(concern.names) > MOST_NAMES:
        return None
    asked = missing_parts(schema, concern, {}, {})
    while True:
        tables = _read_tables(connection, [*_base_selects(schema), *asked.values()], deadline)
        if len(asked) > 3 * MOST_NAMES or any(str(row["name"]) in concern.bridges for row in tables["Bridge"].values()):
            return None
        missing = missing_parts(schema, concern, tables, asked)
        if not missing:
            return None if _leaves_bridge(schema, concern, tables) else tables
        asked |= missing


def _leaves_bridge(schema: Schema, concern: SwitchConcern, tables: Mapping[str, TableRows]) -> bool:
    """Whether a bridge may go because its uplink does: then each of its ports counts."""
    reader = RowReader(schema, tables, partial=True)
    switches = tables["Open_vSwitch"].values()
    return any(left_bridges(concern.uplinks, concern.staying, reader.bridges(switch)) for switch in switches)


def _read_tables(connection: OvsdbConnection, selects: list[Operation], deadline: float) -> Mapping[str, TableRows]:
    return _merge(selects, [rows_of(result) for result in connection.transact(selects, deadline)])


def _base_selects(schema: Schema) -> list[Operation]:
    """The switch's own row and the tables of few rows."""
    selects = [
        _select("Open_vSwitch", ["bridges", "other_config", "external_ids", "next_cfg", "cur_cfg"]),
        _select("Manager", ["target"]),
    ]
    return selects + [_select(table, configuration_columns(schema, table)) for table in _WHOLE if table in schema]


def _port_selects(schema: Schema) -> list[Operation]:
    """All ports and interfaces."""
    selects: list[Operation] = []
    for table, common in _COMMON.items():
        selects.append(_select(table, common))
        rare = [name for name in configuration_columns(schema, table) if name not in common]
        selects += [_select(table, [name], [[name, "!=", schema[table][name].default]]) for name in rare]
    return selects


def _select(table: str, columns: list[str] | tuple[str, ...], where: list[Json] | None = None) -> Operation:
    return {"op": "select", "table": table, "where": where or [], "columns": ["_uuid", *columns]}


def _merge(selects: list[Operation], results: list[list[Row]]) -> Mapping[str, TableRows]:
    """Rows by table and UUID; the selects of one table are parts of the same rows."""
    tables: dict[str, dict[str, dict[str, Json]]] = {}
    for select, rows in zip(selects, results, strict=True):
        merged = tables.setdefault(str(select["table"]), {})
        for row in rows:
            merged.setdefault(uuid_of(row["_uuid"]), {}).update(row)
    return tables


def _count(row: Row, column: str) -> int:
    value = row[column]
    return value if isinstance(value, int) else 0
