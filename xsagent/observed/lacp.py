"""The Open vSwitch database -> which interfaces speak LACP, and whether their partner does. I/O: one read, no effect.

Asked by the doctor: a switch that was told nothing of the bond blocks its ports, or balances on its own (pains.md 5).
"""

from __future__ import annotations

from xsagent.observed.ovsdb_connection import Operation, OvsdbConnection, rows_of
from xsagent.observed.ovsdb_json import EMPTY_SET


def read_lacp(connection: OvsdbConnection, deadline: float) -> dict[str, bool]:
    """Interface.lacp_current by name; interfaces that do not speak LACP are left out.

    Args:
        deadline: a time of ``time.monotonic()``.

    Raises:
        OvsdbUnavailableError, OvsdbError: as `read_ovsdb`.
    """
    select: Operation = {
        "op": "select",
        "table": "Interface",
        "where": [["lacp_current", "!=", EMPTY_SET]],
        "columns": ["name", "lacp_current"],
    }
    return {
        str(row["name"]): row["lacp_current"] is True for row in rows_of(connection.transact([select], deadline)[0])
    }
