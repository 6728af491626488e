"""The Open vSwitch database -> the bridges and ports that some guests' devices touch. I/O: two reads, no effect.

What `hotplug/` decides on and verifies by. A whole read grows with the number of ports; a hotplug event must not
get slower because 1,000 other guests run, so the rows are asked for by name.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

from xsagent.observed.ovsdb_connection import Operation, OvsdbConnection, rows_of
from xsagent.observed.ovsdb_json import Row, Schema, members, text_map, uuid_of, uuids_of
from xsagent.observed.ovsdb_rows import configuration_columns
from xsagent.topology.values import Bridge, Interface, Json, Port

READ_DEADLINE_S: Final = 10.0


def read_vif_ports(
    connection: OvsdbConnection, devices: Collection[str], deadline: float | None = None
) -> dict[str, Bridge]:
    """Every real bridge by name, holding VLAN bridges' ports and those of the named devices, and no others.

    Its mirrors are in `extra` as in a whole read, but that they name only those ports.

    Args:
        connection: open.
        devices: port names.
        deadline: a time of ``time.monotonic()``; None: READ_DEADLINE_S from now.

    Raises:
        OvsdbUnavailableError: no answer in time.
        OvsdbError: the answer makes no sense.
    """
    end = time.monotonic() + READ_DEADLINE_S if deadline is None else deadline
    schema = connection.schema(end)
    bridges, mirrors, vlan_bridges, *rest = map(rows_of, connection.transact(_selects(schema, devices), end))
    count = len(devices)
    ports = {uuid_of(row["_uuid"]): row for part in (vlan_bridges, *rest[:count]) for row in part}
    interfaces = {uuid_of(row["_uuid"]): row for part in rest[count:] for row in part}
    nested = {uuid_of(row["_uuid"]): _mirror(row, schema, ports) for row in mirrors}
    homes = read_homes(connection, ports, end)
    return {
        str(row["name"]): Bridge(
            name=str(row["name"]),
            ports=_by_name(
                _port(ports[uuid], interfaces) for uuid, bridge in homes.items() if bridge == str(row["name"])
            ),
            extra=_mirrors(row, nested),
        )
        for row in bridges
    }


def _selects(schema: Schema, devices: Collection[str]) -> list[Operation]:
    """Bridges, mirrors, VLAN bridges, then each device's Port, then each device's Interface."""
    port_columns = ["_uuid", "name", "tag", "trunks", "fake_bridge", "interfaces"]
    interface_columns = ["_uuid", "name", "external_ids", "ofport", "error"]
    return [
        _select("Bridge", ["name", "mirrors"], []),
        _select("Mirror", ["_uuid", *configuration_columns(schema, "Mirror")], []),
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


def _mirror(row: Row, schema: Schema, ports: Mapping[str, Row]) -> Json:
    """A mirror as `Bridge.extra` has it; other ports than those that were read stay UUIDs."""
    columns = {
        name: value for name, value in row.items() if name != "_uuid" and value != schema["Mirror"][name].default
    }
    for uuid in uuids_of(row["output_port"]):
        if uuid in ports:
            columns["output_port"] = {"table": "Port", "name": ports[uuid]["name"]}
    return {"table": "Mirror", "uuid": uuid_of(row["_uuid"]), "row": columns}


def _mirrors(bridge: Row, nested: Mapping[str, Json]) -> dict[str, Json]:
    found = uuids_of(bridge["mirrors"])
    return {"mirrors": ["set", [nested[uuid] for uuid in found]]} if found else {}


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
