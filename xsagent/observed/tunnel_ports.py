"""The Open vSwitch database -> its tunnel ports with their options, and nothing else. I/O: one read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from xsagent.observed.ovsdb_connection import Operation, OvsdbConnection, rows_of
from xsagent.observed.ovsdb_json import text_map
from xsagent.topology.firewall import TunnelPort

_SELECT: Final[Operation] = {
    "op": "select",
    "table": "Interface",
    "where": [["type", "!=", ""]],
    "columns": ["name", "type", "options"],
}


def read_tunnel_ports(
    connection: OvsdbConnection, is_tunnel: Callable[[str], bool], deadline: float
) -> tuple[TunnelPort, ...]:
    """Tunnel ports of all bridges, sorted by name.

    Args:
        connection: open.
        is_tunnel: whether a type of Interface is that of a tunnel.
        deadline: a time of ``time.monotonic()``.

    Raises:
        OvsdbUnavailableError, OvsdbError: there is no answer that makes sense.
    """
    rows = rows_of(connection.transact([_SELECT], deadline)[0])
    ports = [
        TunnelPort(name=str(row["name"]), type=str(row["type"]), options=text_map(row["options"]))
        for row in rows
        if is_tunnel(str(row["type"]))
    ]
    return tuple(sorted(ports, key=lambda port: port.name))
