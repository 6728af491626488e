"""The Open vSwitch database -> whether ovs-vswitchd is told to wait for flows. I/O: one read, no effect.

Whoever restarts the switch and puts flows back (ovs-lib's restart) sets ``other_config:flow-restore-wait`` meanwhile:
an ovs-vswitchd that starts then takes no packet from the datapath and has no handler threads until the key is gone
(ovs-vswitchd.conf.db(5)). Asked at Open vSwitch's start and by the doctor.
"""

from __future__ import annotations

from xsagent.observed.ovsdb_connection import Operation, OvsdbConnection, rows_of
from xsagent.observed.ovsdb_json import text_map


def read_flow_restore_wait(connection: OvsdbConnection, deadline: float) -> bool:
    """Whether the key is set.

    Args:
        deadline: a time of ``time.monotonic()``.

    Raises:
        OvsdbUnavailableError, OvsdbError: as `read_ovsdb`.
    """
    select: Operation = {"op": "select", "table": "Open_vSwitch", "where": [], "columns": ["other_config"]}
    rows = rows_of(connection.transact([select], deadline)[0])
    return any(text_map(row["other_config"]).get("flow-restore-wait", "").lower() == "true" for row in rows)
