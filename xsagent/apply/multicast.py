"""IgmpQueryStep -> guests' devices: each guest is asked for its multicast groups (features.md section 11). Effects.

Run after the transaction that turned multicast snooping on: the switch knows a group only once it heard a report, and
until then keeps its frames from those who joined before. Nothing to undo.
"""

from __future__ import annotations

import time
from typing import Final

from xsagent.apply.frames import ETH_P_IP, igmp_query
from xsagent.apply.packet_socket import device_mac, send_once
from xsagent.errors import DeviceAbsentError, NetlinkError
from xsagent.observed.ovsdb import read_ovsdb
from xsagent.observed.ovsdb_connection import OvsdbConnection
from xsagent.plan.steps import IgmpQueryStep
from xsagent.topology.ownership import is_vif_port

_READ_S: Final = 20.0


def query_groups(step: IgmpQueryStep, connection: OvsdbConnection) -> tuple[str, ...]:
    """Send one general query out of each guest's port of a bridge, VLANs' too; what kept one from it is returned.

    Raises:
        OvsdbUnavailableError, OvsdbError: the bridge's ports cannot be read; nothing was sent.
    """
    bridge = read_ovsdb(connection, time.monotonic() + _READ_S).bridges.get(step.bridge)
    problems: list[str] = []
    for port in bridge.ports.values() if bridge is not None else ():
        if is_vif_port(port):
            try:
                send_once(port.name, ETH_P_IP, igmp_query(device_mac(port.name)))
            except (DeviceAbsentError, NetlinkError, OSError) as error:
                problems.append(f"{port.name} was not asked for its multicast groups: {error}")
    return tuple(problems)
