"""The Open vSwitch database -> the names of bridges, VLAN bridges among them, and nothing else. I/O: one read.

For deciding what is wanted, before `observed/ovsdb.py` reads all that there is to compare it with: beside 500 VLANs
this takes a tenth of the time.
"""

from __future__ import annotations

from typing import Final

from xsagent.observed.ovsdb_connection import Operation, OvsdbConnection, rows_of
from xsagent.observed.ovsdb_json import uuid_of, uuids_of

_SELECTS: Final[list[Operation]] = [
    {"op": "select", "table": "Bridge", "where": [], "columns": ["name", "ports"]},
    {
        "op": "select",
        "table": "Port",
        "where": [["fake_bridge", "==", True]],
        "columns": ["_uuid", "name", "tag"],
    },
]


def read_bridge_parents(connection: OvsdbConnection, deadline: float) -> dict[str, str | None]:
    """The bridges that the switch has: for a VLAN bridge the bridge that it rides on, None for a real one.

    Args:
        connection: open.
        deadline: a time of ``time.monotonic()``.

    Raises:
        OvsdbUnavailableError: no answer in time.
        OvsdbError: the answer makes no sense.
    """
    bridges, ports = map(rows_of, connection.transact(_SELECTS, deadline))
    # a VLAN bridge without a tag is a port like any other (ovs-vsctl(8))
    vlans = {uuid_of(row["_uuid"]): str(row["name"]) for row in ports if isinstance(row["tag"], int)}
    parents: dict[str, str | None] = {str(row["name"]): None for row in bridges}
    for row in bridges:
        parents |= {vlans[uuid]: str(row["name"]) for uuid in uuids_of(row["ports"]) if uuid in vlans}
    return parents
