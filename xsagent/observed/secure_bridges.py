"""The switch's database -> the secure bridges for which no controller speaks now; what is kept for them. Reads only.

Such a bridge forwards what flows say and nothing else (fail_mode, ovs-vswitchd.conf.db(5)), and nobody but us puts in
any. Before `apply/safety_flows`, which keeps what was wanted last.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Final

from xsagent.config import Paths
from xsagent.observed.ovsdb_connection import Operation, OvsdbConnection, rows_of
from xsagent.observed.ovsdb_json import uuid_of, uuids_of

_DEADLINE_S: Final = 10.0
_KEPT: Final = "safety-flows"


def kept_flows_path(paths: Paths, bridge: str) -> Path:
    """Where the safety flows that were wanted last on a bridge are kept, a line each."""
    return paths.run_dir / _KEPT / bridge


def read_kept_flows(paths: Paths) -> dict[str, tuple[str, ...]]:
    """The safety flows that are kept, by bridge; of a file that cannot be read, none."""
    kept: dict[str, tuple[str, ...]] = {}
    for path in sorted((paths.run_dir / _KEPT).glob("*")):
        with contextlib.suppress(OSError, ValueError):
            kept[path.name] = tuple(path.read_text(encoding="utf-8").splitlines())
    return kept


def read_unattended(connection: OvsdbConnection) -> set[str]:
    """Names of secure bridges none of whose controllers is connected, as the switch wrote at most some seconds ago.

    Raises:
        OvsdbUnavailableError, OvsdbError: as `read_ovsdb`.
    """
    selects: list[Operation] = [
        {
            "op": "select",
            "table": "Bridge",
            "where": [["fail_mode", "includes", "secure"]],
            "columns": ["name", "controller"],
        },
        {"op": "select", "table": "Controller", "where": [["is_connected", "==", True]], "columns": ["_uuid"]},
    ]
    bridges, rows = map(rows_of, connection.transact(selects, time.monotonic() + _DEADLINE_S))
    connected = {uuid_of(row["_uuid"]) for row in rows}
    return {str(row["name"]) for row in bridges if not connected.intersection(uuids_of(row["controller"]))}
