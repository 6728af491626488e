"""The Open vSwitch database -> who controls the switch: managers and their state, TLS files, bridges. I/O: reads only.

`plan/manager.py` compares the result with what XAPI wants; `xsagentd`, `status` and `doctor` show the managers' state.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Final

from xsagent.errors import OvsdbError
from xsagent.observed.ovsdb import READ_DEADLINE_S, read_ovsdb
from xsagent.observed.ovsdb_connection import Operation, OvsdbConnection, rows_of
from xsagent.observed.ovsdb_json import EMPTY_SET, Row, Schema, text_map, uuid_of, uuids_of
from xsagent.observed.ovsdb_rows import configuration_columns
from xsagent.topology.control import ManagerState, SwitchControl, TlsFiles
from xsagent.topology.values import Json

_RECORD: Final = ("bridges", "manager_options", "ssl")
_TABLES: Final[Mapping[str, str]] = {"manager_options": "Manager", "ssl": "SSL"}
_REPORTS: Final = ("target", "is_connected", "status")


def read_control(connection: OvsdbConnection, deadline: float | None = None) -> SwitchControl:
    """Everything that a change of manager, an emer-reset and their undo need.

    The Open_vSwitch record is read first and the bridges after it: what changed in between fails the guard of the
    transaction that relies on `stored`.

    Args:
        connection: open.
        deadline: a time of ``time.monotonic()``; None: 10 s from now.

    Raises:
        OvsdbUnavailableError, OvsdbError: as `read_ovsdb`.
    """
    end = time.monotonic() + READ_DEADLINE_S if deadline is None else deadline
    schema = connection.schema(end)
    wanted: list[tuple[str, tuple[str, ...] | None]] = [
        ("Open_vSwitch", (*_RECORD, "external_ids")),
        ("Manager", None),
        ("SSL", None),
    ]
    switches, *tables = _select(connection, end, wanted)
    if not switches:
        raise OvsdbError("the Open vSwitch database was never initialised (ovs-vsctl init); nothing was changed")
    switch, rows = switches[0], {uuid_of(row["_uuid"]): row for table in tables for row in table}
    managers = [rows[uuid] for uuid in uuids_of(switch["manager_options"]) if uuid in rows]
    tls = next((rows[uuid] for uuid in uuids_of(switch["ssl"]) if uuid in rows), None)
    return SwitchControl(
        bridges=read_ovsdb(connection, end).bridges,
        managers=_states(managers),
        tls=None if tls is None else _tls_files(tls),
        columns={column: _nested(schema, column, switch[column], rows) for column in _TABLES},
        stored={column: switch[column] for column in _RECORD},
        external_ids=text_map(switch["external_ids"]),
    )


def read_managers(connection: OvsdbConnection, deadline: float | None = None) -> tuple[ManagerState, ...]:
    """The managers and whether each is connected, sorted by target. Errors as `read_ovsdb`."""
    end = time.monotonic() + READ_DEADLINE_S if deadline is None else deadline
    rows = _select(connection, end, [("Manager", _REPORTS)])[0]
    return _states(rows)


def _select(
    connection: OvsdbConnection, deadline: float, wanted: Sequence[tuple[str, tuple[str, ...] | None]]
) -> list[list[Row]]:
    selects: list[Operation] = []
    for table, columns in wanted:
        select: dict[str, Json] = {"op": "select", "table": table, "where": []}
        selects.append(select if columns is None else {**select, "columns": ["_uuid", *columns]})
    return [rows_of(result) for result in connection.transact(selects, deadline)]


def _states(rows: list[Row]) -> tuple[ManagerState, ...]:
    states = [
        ManagerState(
            target=str(row["target"]), is_connected=row.get("is_connected") is True, status=text_map(row["status"])
        )
        for row in rows
    ]
    return tuple(sorted(states, key=lambda state: state.target))


def _tls_files(row: Row) -> TlsFiles:
    return TlsFiles(
        private_key=str(row["private_key"]),
        certificate=str(row["certificate"]),
        ca_cert=str(row["ca_cert"]),
        bootstrap=row["bootstrap_ca_cert"] is True,
    )


def _nested(schema: Schema, column: str, value: Json, rows: Mapping[str, Row]) -> Json:
    """The column with each UUID replaced by the row that it refers to, as observed/ovsdb_rows.py nests them."""
    table = _TABLES[column]
    names = configuration_columns(schema, table)
    nested: list[Json] = []
    for uuid in uuids_of(value):
        row = rows.get(uuid, {})
        columns = {name: row[name] for name in names if name in row and row[name] != schema[table][name].default}
        nested.append({"table": table, "uuid": uuid, "row": columns})
    return ["set", nested] if nested else EMPTY_SET
