"""The Open vSwitch database -> the bridges and ports that some guests' devices touch. I/O: two reads, no effect.

What `hotplug/` decides on and verifies by. A whole read grows with the number of ports; a hotplug event must not
get slower because 1,000 other guests run, so the rows are asked for by name.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

from xsagent.observed.ovsdb_connection import Operation, OvsdbConnection, rows_of
from xsagent.observed.ovsdb_json import Row, members, text_map, uuid_of, uuids_of
from xsagent.topology.values import Bridge, Interface, Json, Port

READ_DEADLINE_S: Final = 10.0


def read_vif_ports(
    connection: OvsdbConnection, devices: Collection[str], deadline: float | None = None
) -> dict[str, Bridge]:
    """Every real bridge by name, holding VLAN bridges' ports and those of the named devices, and no others.

    Args:
        connection: open.
        devices: port names.
        deadline: a time of ``time.monotonic()``; None: READ_DEADLINE_S from now.

    Raises:
        OvsdbUnavailableError: no answer in time.
        OvsdbError: the answer makes no sense.
    """
    end = time.monotonic() + READ_DEADLINE_S if deadline is None else deadline
    found = connection.transact(_selects(devices), end)
    rows = [rows_of(result) for result in found]
    count = len(devices)
    ports = {uuid_of(row["_uuid"]): row for part in rows[1 : count + 2] for row in part}
    interfaces = {uuid_of(row["_uuid"]): row for part in rows[count + 2 :] for row in part}
    homes = read_homes(connection, ports, end)
    return {
        str(row["name"]): Bridge(
            name=str(row["name"]),
            ports=_by_name(
                _port(ports[uuid], interfaces) for uuid, bridge in homes.items() if bridge == str(row["name"])
            ),
        )
        for row in rows[0]
    }


def _selects(devices: Collection[str]) -> list[Operation]:
    """Bridges, VLAN bridges, then each device's Port, then each device's Interface."""
    port_columns = ["_uuid", "name", "tag", "trunks", "fake_bridge", "interfaces"]
    interface_columns = ["_uuid", "name", "external_ids", "ofport", "error"]
    return [
        _select("Bridge", ["name"], []),
        _select("Port", port_columns, [["fake_bridge", "==", True]]),
        *(_select("Port", port_columns, [["name", "==", name]]) for name in devices),
        *(_select("Interface", interface_columns, [["name", "==", name]]) for name in devices),
    ]


def _select(table: str, columns: list[str], where: list[Json]) -> Operation:
    return {"op": "select", "table": table, "where": where, "columns": list(columns)}


def read_homes(connection: OvsdbConnection, ports: Collection[str], deadline: float) -> dict[str, str]:
    """Name of the bridge of each port, by the port's UUID; the server searches, so no port list is sent.

    Arguments and errors as `read_vif_ports`, but for the UUIDs and a deadline that must be told.
    """
    if not ports:
        return {}
    selects = [_select("Bridge", ["name"], [["ports", "includes", ["uuid", uuid]]]) for uuid in ports]
    results = connection.transact(selects, deadline)
    homes = {uuid: rows_of(result) for uuid, result in zip(ports, results, strict=True)}
    return {uuid: str(rows[0]["name"]) for uuid, rows in homes.items() if rows}


def _by_name(ports: Iterable[Port]) -> dict[str, Port]:
    return {port.name: port for port in ports}


def _port(row: Row, interfaces: Mapping[str, Row]) -> Port:
    mine = (interfaces[uuid] for uuid in uuids_of(row["interfaces"]) if uuid in interfaces)
    return Port(
        name=str(row["name"]),
        interfaces={interface.name: interface for interface in map(_interface, mine)},
        tag=next(_numbers(row["tag"]), None),
        trunks=tuple(sorted(_numbers(row["trunks"]))),
        fake_bridge=row["fake_bridge"] is True,
    )


def _interface(row: Row) -> Interface:
    return Interface(
        name=str(row["name"]),
        external_ids=text_map(row["external_ids"]),
        ofport=next(_numbers(row["ofport"]), None),
        error=next((str(text) for text in members(row["error"])), None),
    )


def _numbers(value: Json) -> Iterator[int]:
    return (number for number in members(value) if isinstance(number, int))
