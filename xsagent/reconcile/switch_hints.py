"""A monitor of what `xapi_follower.py` compares: the switch's database says when it changed. I/O: reads only.

Its updates are hints and are not read: what counts is read as a whole (`observed/ovsdb_ids.py`).
"""

from __future__ import annotations

import time
from typing import Final

from xsagent.errors import OvsdbUnavailableError
from xsagent.observed.jsonrpc import RemoteError
from xsagent.observed.ovsdb_connection import DATABASE, OvsdbConnection
from xsagent.topology.values import Json

_CALL_S: Final = 10.0
_LATER: Final[Json] = {"initial": False}
_MONITORED: Final[dict[str, Json]] = {
    "Bridge": [{"columns": ["name", "external_ids", "fail_mode"], "select": _LATER}],
    "Port": [{"columns": ["name", "tag", "external_ids"], "where": [["fake_bridge", "==", True]], "select": _LATER}],
    "Interface": [{"columns": ["name", "external_ids"], "select": _LATER}],
    "Manager": [{"columns": ["target", "is_connected"], "select": _LATER}],
}


def watch_ids(connection: OvsdbConnection) -> None:
    """Have the connection's channel notified of each change from here on (ovsdb-server(7), monitor_cond).

    Raises:
        OvsdbUnavailableError: no answer, or the server has no such monitors.
    """
    try:
        connection.channel.call("monitor_cond", [DATABASE, None, dict(_MONITORED)], time.monotonic() + _CALL_S)
    except (OSError, RemoteError) as error:
        raise OvsdbUnavailableError(f"ovsdb-server does not say what changes: {error}") from error
