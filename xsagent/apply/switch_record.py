"""The Open_vSwitch record: who this host is, max-idle, which old bridges go. Effects: one transaction each.

Run by `xsagent/boot.py` while ovs-vswitchd does not run, so unlike `apply/ovsdb.py` nothing waits for the switch.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import Final

from xsagent.errors import OvsdbError
from xsagent.model.switch_start import SwitchIdentity
from xsagent.observed.ovsdb_connection import Operation, OvsdbConnection, rows_of
from xsagent.observed.ovsdb_json import Row, text_map, uuid_of
from xsagent.topology.values import Json

_DEADLINE_S: Final = 20.0
_TABLE: Final = "Open_vSwitch"
_MAX_IDLE: Final = "max-idle"


def write_identity(connection: OvsdbConnection, identity: SwitchIdentity) -> bool:
    """Make the switch's record say who this host is; what is not known of it stays as it is.

    A database without its one record gets it (``ovs-vsctl init``). Idempotent: what is right is not written.

    Returns:
        Whether something was written.

    Raises:
        OvsdbError, OvsdbUnavailableError: nothing was written, or that is not known.
    """
    deadline = time.monotonic() + _DEADLINE_S
    columns = ["_uuid", "external_ids", "system_type", "system_version"]
    found = rows_of(connection.transact([_select(columns)], deadline)[0])
    if not found:
        connection.transact([{"op": "insert", "table": _TABLE, "row": {}}], deadline)
        found = rows_of(connection.transact([_select(columns)], deadline)[0])
    operations = _changes(found[0], identity)
    if operations:
        connection.transact([*operations, _next_cfg(), _comment("who this host is")], deadline)
    return bool(operations)


def write_max_idle(connection: OvsdbConnection, milliseconds: int) -> bool:
    """Make the switch cache an idle flow for so long (ovs-vswitchd.conf.db(5), max-idle); idempotent.

    Returns:
        Whether something was written.

    Raises:
        OvsdbError, OvsdbUnavailableError: nothing was written, or that is not known.
    """
    deadline = time.monotonic() + _DEADLINE_S
    found = rows_of(connection.transact([_select(["other_config"])], deadline)[0])
    if all(text_map(row["other_config"]).get(_MAX_IDLE) == str(milliseconds) for row in found):
        return False
    operations = _set_keys({_MAX_IDLE: str(milliseconds)}, "other_config")
    connection.transact([*operations, _next_cfg(), _comment(_MAX_IDLE)], deadline)
    return True


def delete_bridges(connection: OvsdbConnection, names: Collection[str]) -> None:
    """Delete real bridges with all that hangs on them; one transaction, names that are gone already are fine.

    Precondition: ovs-vswitchd does not run. No undo: a boot wants none of them.

    Raises:
        OvsdbError, OvsdbUnavailableError: none was deleted, or that is not known.
    """
    deadline = time.monotonic() + _DEADLINE_S
    select: Operation = {"op": "select", "table": "Bridge", "where": [], "columns": ["_uuid", "name"]}
    rows = rows_of(connection.transact([select], deadline)[0])
    uuids: list[Json] = [["uuid", uuid_of(row["_uuid"])] for row in rows if row["name"] in names]
    if uuids:
        mutation: Operation = {
            "op": "mutate",
            "table": _TABLE,
            "where": [],
            "mutations": [["bridges", "delete", ["set", uuids]]],
        }
        results = connection.transact([mutation, _next_cfg(), _comment("stale bridges")], deadline)
        if results[0].get("count") != 1:
            raise OvsdbError("the Open vSwitch database has not exactly one Open_vSwitch record; it is as it was")


def _changes(row: Row, identity: SwitchIdentity) -> list[Operation]:
    ids = text_map(row["external_ids"])
    wanted = {"system-id": identity.system_id, "xs-system-uuid": identity.system_id}
    if "hostname" not in ids:
        wanted["hostname"] = identity.hostname
    keys = {key: value for key, value in wanted.items() if value and ids.get(key) != value}
    columns = {"system_type": identity.system_type, "system_version": identity.system_version}
    differing: dict[str, Json] = {name: text for name, text in columns.items() if text and row[name] != text}
    return [*_set_keys(keys), *([_update(differing)] if differing else [])]


def _set_keys(keys: Mapping[str, str], column: str = "external_ids") -> list[Operation]:
    """OVSDB inserts a key only where it is absent, so it is taken out first."""
    if not keys:
        return []
    names: Json = ["set", list(keys)]
    pairs: Json = ["map", [[key, value] for key, value in keys.items()]]
    mutations: Json = [[column, "delete", names], [column, "insert", pairs]]
    return [{"op": "mutate", "table": _TABLE, "where": [], "mutations": mutations}]


def _update(row: dict[str, Json]) -> Operation:
    return {"op": "update", "table": _TABLE, "where": [], "row": row}


def _next_cfg() -> Operation:
    return {"op": "mutate", "table": _TABLE, "where": [], "mutations": [["next_cfg", "+=", 1]]}


def _comment(text: str) -> Operation:
    return {"op": "comment", "comment": f"xsagent: {text}"}


def _select(columns: list[str]) -> Operation:
    return {"op": "select", "table": _TABLE, "where": [], "columns": list(columns)}
