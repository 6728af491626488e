"""Values <-> JSON: one generic codec for topologies, plans and journal entries. Pure.

Used by `xsagent show --json`, `xsagent plan --observed FILE`, the journal and the golden tests. The form follows
the dataclasses' own fields: a record is an object (defaults left out), a member of a union of records carries its
class name under "is", KEEP is {"is": "keep"}, tuples and sets are arrays.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import ipaddress
import types
import typing
from collections.abc import Mapping
from typing import Any, NewType, TypeVar, Union

from xsagent.errors import InputError
from xsagent.topology.values import KEEP, Json, Keep

_T = TypeVar("_T")
_IP_TYPES = (
    ipaddress.IPv4Interface,
    ipaddress.IPv6Interface,
    ipaddress.IPv4Network,
    ipaddress.IPv6Network,
    ipaddress.IPv4Address,
    ipaddress.IPv6Address,
)
_IN_JSON = {"Mapping": "an object", "list": "an array", "str": "a text", "int": "a number", "bool": "true or false"}
"""What a person who reads JSON calls our types."""
_KIND = "is"


def to_json(value: object) -> Json:
    """The JSON form of a value of ours.

    Raises:
        TypeError: a type that no record of ours holds (a programming error).
    """
    match value:
        case Keep():
            return {_KIND: "keep"}
        case enum.Enum():
            return typing.cast("Json", value.value)
        case None | bool() | int() | float() | str():
            return value
        case Mapping():
            return {str(key): to_json(item) for key, item in value.items()}
        case frozenset() | set():
            return sorted((to_json(item) for item in value), key=repr)
        case list() | tuple():
            return [to_json(item) for item in value]
        case _ if isinstance(value, _IP_TYPES):
            return str(value)
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return _record_to_json(value)
    raise TypeError(f"no JSON form for {type(value).__name__}")


def _record_to_json(record: Any) -> Json:  # noqa: ANN401 - any dataclass of ours; its fields are typed
    form: dict[str, Json] = {_KIND: type(record).__name__}
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        if field.default is not dataclasses.MISSING and value == field.default and value is not KEEP:
            continue
        if field.default is KEEP and value is KEEP:
            continue
        if field.default_factory is not dataclasses.MISSING and value == field.default_factory():
            continue
        form[field.name] = to_json(value)
    return form


def from_json(kind: type[_T], form: Json) -> _T:
    """The value of type `kind` with this JSON form.

    Raises:
        InputError: the form is not one that `to_json` makes for that type.
    """
    try:
        return typing.cast("_T", _decode(kind, form))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"this is no {kind.__name__} as xsagent writes it: {error}") from error


def _decode(kind: Any, form: Any) -> Any:  # noqa: ANN401 - walks types; from_json is the typed face
    origin = typing.get_origin(kind)
    if kind is Any or _is_json(kind):
        return form
    if isinstance(kind, NewType):
        return _decode(kind.__supertype__, form)
    if origin in {Union, types.UnionType}:
        return _decode_union(typing.get_args(kind), form)
    if origin is typing.Literal:
        return _one_of(typing.get_args(kind), form)
    if origin is not None:
        return _decode_collection(origin, typing.get_args(kind), form)
    return _decode_plain(kind, form)


@functools.cache
def _is_json(kind: Any) -> bool:  # noqa: ANN401 - as _decode
    """Whether this is our Json type: typing resolves its references to itself, and so makes another object of it."""
    return kind is Json or any(typing.get_origin(member) is dict for member in typing.get_args(kind))


def _decode_plain(kind: Any, form: Any) -> Any:  # noqa: ANN401 - as _decode
    if kind is Keep:
        return KEEP if form == {_KIND: "keep"} else _refuse(kind, form)
    if kind is type(None):
        return None if form is None else _refuse(kind, form)
    if dataclasses.is_dataclass(kind):
        return _decode_record(kind, form)
    if issubclass(kind, enum.Enum) or kind in _IP_TYPES:
        return kind(form) if isinstance(form, str) else _refuse(kind, form)
    if kind is float and isinstance(form, int) and not isinstance(form, bool):
        return float(form)
    # bool is an int in Python, and a record that says 1 for a flag was not written by us
    return form if type(form) is kind else _refuse(kind, form)


def _decode_union(members: tuple[Any, ...], form: Any) -> Any:  # noqa: ANN401 - as _decode
    if isinstance(form, dict) and _KIND in form and form[_KIND] != "keep":
        named = [member for member in members if getattr(member, "__name__", "") == form[_KIND]]
        if named:
            return _decode(named[0], form)
    for member in members:
        try:
            return _decode(member, form)
        except (ValueError, TypeError, KeyError, AttributeError):
            continue
    return _refuse(members, form)


def _decode_collection(origin: Any, members: tuple[Any, ...], form: Any) -> Any:  # noqa: ANN401 - as _decode
    if origin is tuple:
        item = members[0]
        return tuple(_decode(item, entry) for entry in _array(form))
    if origin is frozenset:
        return frozenset(_decode(members[0], entry) for entry in _array(form))
    if origin is list:
        return [_decode(members[0], entry) for entry in _array(form)]
    if not isinstance(form, dict):
        return _refuse(origin, form)
    return {_decode(members[0], key): _decode(members[1], entry) for key, entry in form.items()}


def _decode_record(kind: Any, form: Any) -> Any:  # noqa: ANN401 - as _decode
    if not isinstance(form, dict) or form.get(_KIND, kind.__name__) != kind.__name__:
        return _refuse(kind, form)
    hints = _hints(kind)
    unknown = form.keys() - hints.keys() - {_KIND}
    if unknown:
        raise ValueError(f"{kind.__name__} has no field {min(unknown)}")
    return kind(**{name: _decode(hints[name], entry) for name, entry in form.items() if name != _KIND})


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _array(form: object) -> list[Any]:
    return form if isinstance(form, list) else _refuse(list, form)


def _one_of(choices: tuple[Any, ...], form: Any) -> Any:  # noqa: ANN401 - as _decode
    return form if form in choices else _refuse(choices, form)


def _refuse(kind: object, form: object) -> Any:  # noqa: ANN401 - never returns
    name = getattr(kind, "__name__", kind)
    raise ValueError(f"{form!r:.80} where {_IN_JSON.get(str(name), name)} must stand")
