"""Rows of the Open_vSwitch database -> Bridge, Port, Interface of the topology. Pure.

`observed/ovsdb.py` selects the rows; a column that is absent from a row here has its default. What no field stands
for goes to `extra`, with the rows it refers to nested, so that `apply/ovsdb_insert.py` can bring all of it back:

- ``{"table", "uuid", "row"}``: a row of a table without names (Controller, QoS ...), its own columns nested likewise;
- ``{"table", "name"}``: a Bridge, Port or Interface, which keeps its name when it is made again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final, TypeVar

from xsagent.errors import OvsdbError
from xsagent.observed.ovsdb_json import Row, Schema, members, pairs, text_map, uuid_of, uuids_of
from xsagent.topology.values import Bridge, Interface, Json, Port

_Named = TypeVar("_Named", Bridge, Port, Interface)

TableRows = Mapping[str, Row]
"""Rows of one table by UUID."""

MIRRORED_BY: Final = "@mirrors"
"""Key of Port.extra that is no column: ``[UUID of a Mirror row, its column]`` for each mirror that names the port."""

COLLECTOR_SETS: Final = "@collector_sets"
"""Key of Bridge.extra that is no column: the Flow_Sample_Collector_Set rows that point at the bridge."""

NAMED_TABLES: Final = frozenset({"Bridge", "Port", "Interface"})

MODELLED: Final[Mapping[str, frozenset[str]]] = {
    "Bridge": frozenset({
        "name", "ports", "datapath_type", "fail_mode", "mcast_snooping_enable", "other_config", "external_ids",
    }),
    "Port": frozenset({
        "name", "interfaces", "tag", "trunks", "mac", "fake_bridge", "bond_fake_iface", "bond_mode", "lacp",
        "bond_updelay", "bond_downdelay", "bond_active_slave", "other_config", "external_ids",
    }),
    "Interface": frozenset({
        "name", "type", "mac", "mtu_request", "options", "other_config", "external_ids", "ofport", "error",
    }),
}  # fmt: skip
"""Columns that a field of the value stands for."""

_NO_COLUMNS: Final[frozenset[str]] = frozenset()

STATUS: Final[Mapping[str, frozenset[str]]] = {
    "Bridge": frozenset({"datapath_version"}),
    "Interface": frozenset({"cfm_flap_count"}),
}
"""What the switch writes although the schema does not call it ephemeral (ovs-vswitchd.conf.db(5))."""


def configuration_columns(schema: Schema, table: str) -> list[str]:
    """The table's columns that hold configuration, or a report that a field stands for."""
    status = STATUS.get(table, _NO_COLUMNS)
    return [name for name, column in schema[table].items() if not column.ephemeral and name not in status]


class RowReader:
    """Builds values from one consistent set of rows."""

    def __init__(self, schema: Schema, tables: Mapping[str, TableRows], *, partial: bool = False) -> None:
        """For these tables; `partial`: rows of Port that are not among them are none of the reader's concern."""
        self._schema = schema
        self._tables = tables
        self._partial = partial
        self._mirrored_by = self._find_mirrors()
        self._collector_sets = self._find_collector_sets()

    def bridges(self, switch: Row) -> dict[str, Bridge]:
        """Every real bridge of the Open_vSwitch record with its ports, by name."""
        return _by_name(self._bridge(uuid) for uuid in _references(switch, "bridges"))

    def _row(self, table: str, uuid: str) -> Row:
        row = self._tables.get(table, {}).get(uuid)
        if row is None:
            raise OvsdbError(f"the Open vSwitch database refers to a row {uuid} of {table} that it lacks")
        return row

    def _bridge(self, uuid: str) -> Bridge:
        row = self._row("Bridge", uuid)
        extra = self._extra("Bridge", row)
        if uuid in self._collector_sets:
            extra[COLLECTOR_SETS] = self._collector_sets[uuid]
        other_config = text_map(row["other_config"]) if "other_config" in row else {}
        hwaddr = other_config.pop("hwaddr", None)
        return Bridge(
            name=str(row["name"]),
            ports=_by_name(self._port(uuid) for uuid in self._ports(row)),
            datapath_type=_text(row, "datapath_type") or "",
            fail_mode=_text(row, "fail_mode"),
            hwaddr=hwaddr.lower() if hwaddr else hwaddr,
            mcast_snooping=row.get("mcast_snooping_enable") is True,
            other_config=other_config,
            external_ids=_keys(row, "external_ids"),
            controllers=self._controllers(row),
            extra=extra,
        )

    def _ports(self, bridge: Row) -> list[str]:
        known = self._tables.get("Port", {})
        return [uuid for uuid in _references(bridge, "ports") if not self._partial or uuid in known]

    def _controllers(self, bridge: Row) -> tuple[str, ...]:
        rows = (self._row("Controller", uuid) for uuid in _references(bridge, "controller"))
        return tuple(sorted(str(row["target"]) for row in rows))

    def _port(self, uuid: str) -> Port:
        row = self._row("Port", uuid)
        extra = self._extra("Port", row)
        if uuid in self._mirrored_by:
            extra[MIRRORED_BY] = self._mirrored_by[uuid]
        return Port(
            name=str(row["name"]),
            interfaces=_by_name(self._interface(interface) for interface in _references(row, "interfaces")),
            tag=_number(row, "tag"),
            trunks=_numbers(row, "trunks"),
            mac=_text(row, "mac"),
            fake_bridge=row.get("fake_bridge") is True,
            bond_fake_iface=row.get("bond_fake_iface") is True,
            bond_mode=_text(row, "bond_mode"),
            lacp=_text(row, "lacp"),
            bond_updelay=_number(row, "bond_updelay") or 0,
            bond_downdelay=_number(row, "bond_downdelay") or 0,
            bond_active_member=_text(row, "bond_active_slave"),
            other_config=_keys(row, "other_config"),
            external_ids=_keys(row, "external_ids"),
            extra=extra,
        )

    def _interface(self, uuid: str) -> Interface:
        row = self._row("Interface", uuid)
        return Interface(
            name=str(row["name"]),
            type=_text(row, "type") or "",
            mac=_text(row, "mac"),
            mtu_request=_number(row, "mtu_request"),
            options=_keys(row, "options"),
            other_config=_keys(row, "other_config"),
            external_ids=_keys(row, "external_ids"),
            ofport=_number(row, "ofport"),
            error=_text(row, "error"),
            extra=self._extra("Interface", row),
        )

    def _extra(self, table: str, row: Row) -> dict[str, Json]:
        modelled = MODELLED.get(table, _NO_COLUMNS)
        columns = self._schema[table]
        return {
            name: self._nested(columns[name].refers_to, value)
            for name, value in row.items()
            if name not in modelled and name != "_uuid" and value != columns[name].default
        }

    def _nested(self, refers_to: str, value: Json) -> Json:
        """The column's value with each UUID replaced by what it refers to."""
        if not refers_to:
            return value
        match value:
            case ["map", _]:
                entries: list[Json] = [[key, self._reference(refers_to, item)] for key, item in pairs(value)]
                return ["map", entries]
            case ["set", _]:
                return ["set", [self._reference(refers_to, item) for item in members(value)]]
        return self._reference(refers_to, value)

    def _reference(self, table: str, value: Json) -> Json:
        uuid = uuid_of(value)
        row = self._row(table, uuid)
        if table in NAMED_TABLES:
            return {"table": table, "name": row["name"]}
        return {"table": table, "uuid": uuid, "row": self._extra(table, row)}

    def _find_mirrors(self) -> dict[str, list[Json]]:
        """For each port's UUID the places in Mirror rows that name it."""
        places: defaultdict[str, list[Json]] = defaultdict(list)
        for uuid, mirror in sorted(self._tables.get("Mirror", {}).items()):
            for name, column in self._schema["Mirror"].items():
                if column.refers_to == "Port":
                    for port in _references(mirror, name):
                        places[port].append([uuid, name])
        return places

    def _find_collector_sets(self) -> dict[str, list[Json]]:
        """For each bridge's UUID the sets that point at it; they must go before the bridge can."""
        sets: defaultdict[str, list[Json]] = defaultdict(list)
        for _, row in sorted(self._tables.get("Flow_Sample_Collector_Set", {}).items()):
            own = {name: value for name, value in row.items() if name != "bridge"}
            sets[uuid_of(row["bridge"])].append(self._extra("Flow_Sample_Collector_Set", own))
        return sets


def _by_name(values: Iterable[_Named]) -> dict[str, _Named]:
    return {value.name: value for value in sorted(values, key=lambda value: value.name)}


def _references(row: Row, column: str) -> list[str]:
    return uuids_of(row[column]) if column in row else []


def _keys(row: Row, column: str) -> dict[str, str]:
    return text_map(row[column]) if column in row else {}


def _text(row: Row, column: str) -> str | None:
    value = row.get(column)
    return value if isinstance(value, str) else None


def _number(row: Row, column: str) -> int | None:
    value = row.get(column)
    return value if isinstance(value, int) else None


def _numbers(row: Row, column: str) -> tuple[int, ...]:
    found = members(row[column]) if column in row else []
    return tuple(sorted(value for value in found if isinstance(value, int)))
