"""Fields of Bridge, Port and Interface as OVSDB columns (ovs-vswitchd.conf.db(5)). Pure.

The one table that says which field stands in which column; the planner's diff and undo, and the renderer of
transactions in `apply/`, all read it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from xsagent.topology.values import KEEP, Bridge, Interface, Json, Keep, Port

Row = Bridge | Port | Interface
EMPTY_SET: Json = ["set", []]

SCALARS: Mapping[type[Row], Mapping[str, str]] = {
    Bridge: {
        "datapath_type": "datapath_type",
        "fail_mode": "fail_mode",
        "mcast_snooping": "mcast_snooping_enable",
    },
    Port: {
        "tag": "tag",
        "trunks": "trunks",
        "mac": "mac",
        "fake_bridge": "fake_bridge",
        "bond_fake_iface": "bond_fake_iface",
        "bond_mode": "bond_mode",
        "lacp": "lacp",
        "bond_updelay": "bond_updelay",
        "bond_downdelay": "bond_downdelay",
    },
    Interface: {"type": "type", "mac": "mac", "mtu_request": "mtu_request"},
}
"""Column by field, for each row type."""

MAPS: Mapping[type[Row], tuple[str, ...]] = {
    Bridge: ("other_config", "external_ids"),
    Port: ("other_config", "external_ids"),
    Interface: ("options", "other_config", "external_ids"),
}
"""Map columns by row type; field and column have the same name."""

HWADDR_KEY = "hwaddr"
"""Key of Bridge.other_config that Bridge.hwaddr stands for."""


def to_column(value: object) -> Json:
    """OVSDB JSON of a scalar field: None is the empty set, a tuple a set."""
    if value is None:
        return EMPTY_SET
    if isinstance(value, tuple):
        return ["set", list(value)]
    if isinstance(value, bool | int | str):
        return value
    raise TypeError(f"no column form for {type(value).__name__}")


def from_column(value: Json) -> None | bool | int | str | tuple[Any, ...]:
    """A scalar field from OVSDB JSON: the inverse of `to_column` for the columns of SCALARS."""
    if value == EMPTY_SET:
        return None
    if isinstance(value, list):
        members = value[1]
        return tuple(members) if isinstance(members, list) else ()
    if isinstance(value, dict | float):
        raise TypeError("no field holds such a column")
    return value


def members_of(value: Json) -> list[Json]:
    """The members of a set column: a set of one is written as its member (RFC 7047 section 5.1)."""
    if isinstance(value, list) and value[0] == "set":
        return list(value[1]) if isinstance(value[1], list) else []
    return [value]


def from_members(members: Sequence[Json]) -> Json:
    """The inverse of `members_of`."""
    return members[0] if len(members) == 1 else ["set", [*members]]


def effective_maps(row: Row) -> dict[str, dict[str, str | None]]:
    """The row's map columns as OVSDB has them: Bridge.hwaddr under its key in other_config."""
    maps = {name: dict(getattr(row, name)) for name in MAPS[type(row)]}
    if isinstance(row, Bridge) and row.hwaddr is not KEEP:
        maps["other_config"][HWADDR_KEY] = row.hwaddr
    return maps


def current_column(row: Row, column: str) -> Json:
    """The column's present value, for an undo; a field that the switch's default fills counts as empty.

    A column that no field stands for is looked up in `extra`, which leaves defaults out.
    """
    field = _field(row, column)
    if field is None:
        return row.extra.get(column, EMPTY_SET)
    value = getattr(row, field)
    return EMPTY_SET if isinstance(value, Keep) else to_column(value)


def current_key(row: Row, column: str, key: str) -> str | None:
    """The present value of one key of a map column; None when it is absent."""
    return effective_maps(row)[column].get(key)


def with_columns(row: Row, columns: Mapping[str, Json]) -> Row:
    """The row with whole columns replaced."""
    changes: dict[str, Any] = {}
    for column, value in columns.items():
        field = _field(row, column)
        if field is None:
            others = {name: item for name, item in changes.get("extra", row.extra).items() if name != column}
            changes["extra"] = others if value == EMPTY_SET else {**others, column: value}
            continue
        decoded = from_column(value)
        changes[field] = () if field == "trunks" and decoded is None else decoded
    return replace(row, **changes)


def with_keys(row: Row, column: str, keys: Mapping[str, str | None]) -> Row:
    """The row with keys of a map column set (or removed, where None)."""
    merged = {**effective_maps(row)[column], **keys}
    kept: dict[str, str | None] = {key: value for key, value in merged.items() if value is not None}
    changes: dict[str, Any] = {column: kept}
    if isinstance(row, Bridge) and column == "other_config":
        changes["hwaddr"] = kept.pop(HWADDR_KEY, None)
    return replace(row, **changes)


def _field(row: Row, column: str) -> str | None:
    return next((field for field, name in SCALARS[type(row)].items() if name == column), None)
