"""The Open vSwitch database -> the numbers of each bridge's interfaces in the switch. I/O: one read, no effect.

For `apply/locked_ports.py`, while guests are without their locking flows: a row of four short columns for each port,
where a whole read takes four times as long. To ask for each guest by name is quicker for a few and slower for many,
since ovsdb-server goes through a table for each.
"""

from __future__ import annotations

import time
from typing import Final

from xsagent.observed.ovsdb_connection import Operation, OvsdbConnection, rows_of
from xsagent.observed.ovsdb_json import uuid_of, uuids_of

_READ_S: Final = 10.0
_SELECTS: Final[tuple[Operation, ...]] = (
    {"op": "select", "table": "Bridge", "where": [], "columns": ["name", "ports"]},
    {"op": "select", "table": "Port", "where": [], "columns": ["_uuid", "interfaces"]},
    {"op": "select", "table": "Interface", "where": [], "columns": ["_uuid", "name", "ofport"]},
)


def read_port_numbers(connection: OvsdbConnection) -> dict[str, dict[str, int]]:
    """OpenFlow port numbers by real bridge and interface, bonds' members included; none for what got no number.

    Raises:
        OvsdbUnavailableError: no answer in time.
        OvsdbError: the answer makes no sense.
    """
    bridges, ports, interfaces = map(rows_of, connection.transact(_SELECTS, time.monotonic() + _READ_S))
    members = {uuid_of(row["_uuid"]): uuids_of(row["interfaces"]) for row in ports}
    numbers = {uuid_of(row["_uuid"]): (str(row["name"]), row["ofport"]) for row in interfaces}
    return {
        str(bridge["name"]): {
            name: ofport
            for port in uuids_of(bridge["ports"])
            for name, ofport in (numbers[member] for member in members[port])
            if isinstance(ofport, int) and ofport > 0
        }
        for bridge in bridges
    }
