"""OVSDB's JSON notation (RFC 7047 section 5.1) and the part of a schema that reading and writing need. Pure.

Used by `observed/ovsdb.py` to take rows apart and by `apply/` to put them together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from xsagent.errors import OvsdbError
from xsagent.topology.values import Json

Row = Mapping[str, Json]

EMPTY_SET: Final[Json] = ["set", []]
EMPTY_MAP: Final[Json] = ["map", []]

_PLAIN_DEFAULTS: Final[Mapping[str, Json]] = {
    "integer": 0,
    "real": 0,
    "boolean": False,
    "string": "",
    "uuid": ["uuid", "00000000-0000-0000-0000-000000000000"],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a schema.

    Attributes:
        default: what an insert that does not name the column gets (RFC 7047 section 5.2.1).
        ephemeral: not kept on disk: a status, never a configuration.
        refers_to: the table whose rows it refers to; empty when to none.
    """

    default: Json
    ephemeral: bool = False
    refers_to: str = ""


Schema = Mapping[str, Mapping[str, Column]]
"""Columns by table and name."""


def parse_schema(form: Json) -> Schema:
    """The answer to ``get_schema``.

    Raises:
        OvsdbError: it has not the form of a schema.
    """
    return {name: _parse_table(as_object(table)) for name, table in as_object(as_object(form).get("tables")).items()}


def _parse_table(table: Mapping[str, Json]) -> Mapping[str, Column]:
    columns = as_object(table.get("columns"))
    return {name: _parse_column(as_object(column)) for name, column in columns.items()}


def _parse_column(column: Mapping[str, Json]) -> Column:
    kind = column.get("type")
    parts: Mapping[str, Json] = kind if isinstance(kind, dict) else {"key": kind}
    key, value = _base(parts.get("key")), _base(parts.get("value"))
    if value:
        default = EMPTY_MAP
    elif parts.get("min", 1) == 0:
        default = EMPTY_SET
    else:
        default = _PLAIN_DEFAULTS.get(str(key.get("type")), "")
    refers_to = value.get("refTable") or key.get("refTable") or ""
    return Column(default=default, ephemeral=column.get("ephemeral") is True, refers_to=str(refers_to))


def _base(form: Json) -> Mapping[str, Json]:
    return form if isinstance(form, dict) else {"type": form} if form else {}


def as_object(value: Json) -> Mapping[str, Json]:
    """A JSON object; OvsdbError when it is something else."""
    if not isinstance(value, dict):
        raise OvsdbError(f"ovsdb-server answered {value!r:.80} where an object must stand; nothing was changed")
    return value


def as_list(value: Json) -> list[Json]:
    """A JSON array; OvsdbError when it is something else."""
    if not isinstance(value, list):
        raise OvsdbError(f"ovsdb-server answered {value!r:.80} where an array must stand; nothing was changed")
    return value


def members(value: Json) -> list[Json]:
    """The elements of a set column: OVSDB writes a set of one as the element itself."""
    if isinstance(value, list) and value and value[0] == "set":
        return as_list(value[1])
    return [value]


def pairs(value: Json) -> list[tuple[Json, Json]]:
    """The pairs of a map column."""
    entries = [as_list(entry) for entry in as_list(as_list(value)[1])]
    return [(entry[0], entry[1]) for entry in entries]


def text_map(value: Json) -> dict[str, str]:
    """A map of strings to strings."""
    return {str(key): str(item) for key, item in pairs(value)}


def uuid_of(value: Json) -> str:
    """The UUID in ``["uuid", UUID]``."""
    match value:
        case ["uuid", str(uuid)]:
            return uuid
    raise OvsdbError(f"ovsdb-server answered {value!r:.80} where a row's UUID must stand; nothing was changed")


def uuids_of(value: Json) -> list[str]:
    """The UUIDs of a set column that refers to rows."""
    return [uuid_of(member) for member in members(value)]
