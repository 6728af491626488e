"""Operations of the OVSDB transaction -> lines in the words and the notation of ovs-vsctl(8). Pure.

`plan/render.py` puts them below the transaction's step, `apply/` into what it says of a conflict. Complete: every
column that an operation sets is named.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping

from xsagent.plan.columns import SCALARS, Row, effective_maps, to_column
from xsagent.plan.ovsdb_model import mirror_name
from xsagent.plan.steps import (
    AddInterface,
    AddPort,
    CreateBridge,
    DeleteBridge,
    DeletePort,
    MoveMirror,
    MovePort,
    OvsdbOperation,
    Relied,
    RemoveInterface,
    SetColumns,
    SetKeys,
    SetMirror,
)
from xsagent.topology.values import KEEP, Json, Port

_INDENT = "  "


@functools.singledispatch
def describe_operation(operation: OvsdbOperation) -> list[str]:
    """An operation's line, and below it the rows that it inserts.

    Raises:
        TypeError: no operation of ours (a programming error).
    """
    raise TypeError(f"no words for an operation of type {type(operation).__name__}")


@describe_operation.register
def _(operation: CreateBridge) -> list[str]:
    bridge = operation.bridge
    lines = [_words("create bridge", bridge.name, _columns(bridge))]
    for _name, port in sorted(bridge.ports.items()):
        lines += [_INDENT + line for line in _port_lines("with port", port)]
    return lines


@describe_operation.register
def _(operation: DeleteBridge) -> list[str]:
    return [f"delete bridge {operation.name} with its ports"]


@describe_operation.register
def _(operation: AddPort) -> list[str]:
    return _port_lines(f"add to bridge {operation.bridge} port", operation.port)


@describe_operation.register
def _(operation: DeletePort) -> list[str]:
    return [f"delete port {operation.name} from bridge {operation.bridge}"]


@describe_operation.register
def _(operation: MovePort) -> list[str]:
    return [f"move port {operation.name} from bridge {operation.source} to bridge {operation.target}"]


@describe_operation.register
def _(operation: AddInterface) -> list[str]:
    return [_words(f"add to port {operation.port} interface", operation.interface.name, _columns(operation.interface))]


@describe_operation.register
def _(operation: RemoveInterface) -> list[str]:
    return [f"remove interface {operation.name} from port {operation.port}"]


@describe_operation.register
def _(operation: SetColumns) -> list[str]:
    return [_words(f"set {operation.table}", operation.record, _values(operation.columns))]


@describe_operation.register
def _(operation: SetMirror) -> list[str]:
    name = str(operation.columns["name"])
    if not operation.present:
        return [f"remove mirror {name} from bridge {operation.bridge}"]
    others = {column: value for column, value in operation.columns.items() if column != "name"}
    return [_words(f"add to bridge {operation.bridge} mirror", name, _values(others))]


@describe_operation.register
def _(operation: MoveMirror) -> list[str]:
    name = mirror_name(operation.mirror)
    return [f"move mirror {name} from bridge {operation.source} to bridge {operation.target}"]


@describe_operation.register
def _(operation: SetKeys) -> list[str]:
    put = {key: value for key, value in operation.keys.items() if value is not None}
    gone = [f"{operation.column}:{key}" for key, value in sorted(operation.keys.items()) if value is None]
    lines = []
    if put:
        lines.append(_words(f"set {operation.table}", operation.record, _keys(operation.column, put)))
    if gone:
        lines.append(_words(f"remove from {operation.table}", operation.record, gone))
    return lines


def describe_relied(relied: Relied) -> str:
    """What a transaction relies on, as a clause after "relies on"; also what a conflict says of it."""
    row = f"{relied.table} {relied.record}"
    if relied.column == "name":
        return f"{row} being {'there' if relied.value else 'absent'}"
    if isinstance(relied.value, list) and relied.column in {"ports", "interfaces"}:
        return f"{row} having {relied.column} {' '.join(str(name) for name in relied.value)}"
    return f"{row} {relied.column}={_column(relied.value)}"


def _port_lines(head: str, port: Port) -> list[str]:
    """A port whose one interface bears its name is one line; a bond has one more for each member."""
    own = port.interfaces.get(port.name)
    if own is not None and len(port.interfaces) == 1:
        return [_words(head, port.name, _columns(port) + _columns(own))]
    members = [_words("with interface", name, _columns(item)) for name, item in sorted(port.interfaces.items())]
    return [_words(head, port.name, _columns(port)), *(_INDENT + line for line in members)]


def _words(head: str, name: str, words: list[str]) -> str:
    return " ".join([head, name, *words])


def _columns(row: Row) -> list[str]:
    """Every column that is not its table's default."""
    values = ((column, getattr(row, field)) for field, column in SCALARS[type(row)].items())
    words = [f"{column}={_column(to_column(value))}" for column, value in values if value not in {KEEP, None, "", ()}]
    for column, keys in effective_maps(row).items():
        words += _keys(column, {key: value for key, value in keys.items() if value is not None})
    extra: Mapping[str, Json] = row.extra
    return words + _values(extra)


def _values(columns: Mapping[str, Json]) -> list[str]:
    return [f"{column}={_column(value)}" for column, value in sorted(columns.items())]


def _keys(column: str, keys: Mapping[str, str]) -> list[str]:
    return [f"{column}:{key}={_quoted(value)}" for key, value in sorted(keys.items())]


def _column(value: Json) -> str:
    """OVSDB JSON as ovs-vsctl writes it; what has no short form stays JSON."""
    match value:
        case ["set", list() as members]:
            return "[" + ",".join(_column(member) for member in members) + "]"
        case bool():
            return "true" if value else "false"
        case str():
            return _quoted(value)
    return json.dumps(value, ensure_ascii=False)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False) if not text or set(text) & set(' ,"=[]') else text
