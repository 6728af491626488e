"""IgmpQueryStep -> guests' devices: each guest is asked for its multicast groups (features.md section 11). Effects.

Run after the transaction that turned multicast snooping on: the switch knows a group only once it heard a report, and
until then keeps its frames from those who joined before. Nothing to undo.
"""

from __future__ import annotations

import time
from typing import Final

from xsagent.apply.frames import ETH_P_IP, igmp_query
from xsagent.apply.packet_socket import device_mac, sending_socket
from xsagent.observed.ovsdb import read_ovsdb
from xsagent.observed.ovsdb_connection import OvsdbConnection
from xsagent.plan.steps import IgmpQueryStep
from xsagent.topology.ownership import is_vif_port

_READ_S: Final = 20.0


def query_groups(step: IgmpQueryStep, connection: OvsdbConnection) -> tuple[str, ...]:
    """Send one general query out of each guest's port of a bridge, VLANs' too; what kept one from it is returned.

    Raises:
        OvsdbUnavailableError, OvsdbError: the bridge's ports cannot be read; nothing was sent.
        OSError: the kernel gives no packet socket.
    """
    bridge = read_ovsdb(connection, time.monotonic() + _READ_S).bridges.get(step.bridge)
    guests = [port.name for port in bridge.ports.values() if is_vif_port(port)] if bridge is not None else []
    problems: list[str] = []
    with sending_socket() as raw:
        for device in guests:
            try:
                raw.sendto(igmp_query(device_mac(device)), (device, ETH_P_IP))
            except OSError as error:
                problems.append(f"{device} was not asked for its multicast groups: {error}")
    return tuple(problems)
