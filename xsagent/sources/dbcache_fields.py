"""Raw records to the fields of ours, and the JSON of what the legacy layout has no place for. Pure.

Between `dbcache_xml` and `dbcache`; `dbcache_render` uses it too, to know what a reader would find without the JSON.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from xsagent.errors import InputError
from xsagent.model.records import NULL_REF, UNTAGGED, Bond, Pif, Ref, Sriov, Tunnel, Vlan
from xsagent.model.values import parse_integer, shown
from xsagent.sources.dbcache_layout import LAYOUTS, Element, Form, RawElement, RawRecord

Fields = dict[str, Any]
"""A record's fields by name, each checked to be of the field's type."""

_INT_LIMIT: Final = 1 << 63
_TRUE: Final = frozenset({"True", "true", "1"})
_FALSE: Final = frozenset({"False", "false", "0", ""})
_REQUIRED: Final[Mapping[type, tuple[str, ...]]] = {
    Pif: ("device",),
    Bond: ("pif",),
    Vlan: ("pif", "carrier"),
    Tunnel: ("access_pif", "transport_pif"),
    Sriov: ("ref", "physical_pif", "logical_pif"),
}


def read_elements(raw: RawRecord) -> Fields:
    """The fields that the legacy elements of a record give; elements that are not there give none.

    Raises:
        InputError: an element holds what it cannot hold; a fragment that names the element.
    """
    fields: Fields = {"ref": Ref(raw.ref)}
    for element in LAYOUTS[raw.tag].elements:
        found = raw.elements.get(element.name)
        if found is None:
            continue
        try:
            fields[element.field] = _READERS[element.form](found, element)
        except InputError as error:
            raise InputError(f"its {element.name}: {error}") from error
    return fields


def complete_fields(record_type: type, fields: Fields) -> Fields:
    """The fields with every default that a record without them has; `physical` follows from the others."""
    constants, factories, names = _defaults(record_type)
    complete = {**constants, **fields}
    for name, factory in factories:
        if name not in fields:
            complete[name] = factory()
    if record_type is Pif and "physical" not in fields:
        complete["physical"] = is_plain_nic(complete.__getitem__)
    return {name: complete[name] for name in names}


@functools.cache
def _defaults(record_type: type) -> tuple[Fields, tuple[tuple[str, Callable[[], object]], ...], tuple[str, ...]]:
    """Default values, factories of defaults, and all names of a record's fields; some hosts have 10,000 records."""
    constants: Fields = {"uuid": "", "network": None, "members": (), "tag": UNTAGGED}
    factories = []
    for field in dataclasses.fields(record_type):
        if field.default is not dataclasses.MISSING:
            constants[field.name] = field.default
        elif field.default_factory is not dataclasses.MISSING:
            factories.append((field.name, field.default_factory))
    return constants, tuple(factories), tuple(field.name for field in dataclasses.fields(record_type))


def check_required(record_type: type, fields: Fields) -> None:
    """Refuse a record that means nothing.

    Raises:
        InputError: a field that such a record must have is missing or empty.
    """
    for name in _REQUIRED.get(record_type, ()):
        if not fields.get(name):
            raise InputError(f"it has no {name.replace('_', ' ')}")


def parse_extra(record_type: type, text: str) -> Fields:
    """The fields in the JSON of an EXTRA element, for `merge_extra`.

    Raises:
        InputError: it is no JSON object of this record's fields.
    """
    return parse_json_fields(record_type, parse_json_object(text))


def parse_json_object(text: str) -> dict[str, object]:
    """A JSON object; NaN and the like are refused.

    Raises:
        InputError: the text is none.
    """
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InputError("it is not JSON") from error
    if not isinstance(value, dict):
        raise InputError("it is not a JSON object")
    return value


def parse_json_fields(record_type: type, values: Mapping[str, object]) -> Fields:
    """Fields of a record from JSON values; keys of a later version are passed over.

    Raises:
        InputError: a value is not of its field's type.
    """
    fields: Fields = {}
    for field in dataclasses.fields(record_type):
        if field.name in values:
            fields[field.name] = _from_json(str(field.type), field.name, values[field.name])
    return fields


def json_value(value: object) -> object:
    """A field's value as JSON has it; the inverse of what parse_json_fields does."""
    if isinstance(value, tuple):
        return list(value)
    return dict(value) if isinstance(value, Mapping) else value


def merge_extra(fields: Fields, extra: Fields) -> Fields:
    """Fields of the elements with those of EXTRA over them; maps are merged key by key."""
    merged = {**fields, **extra}
    for name, value in extra.items():
        if isinstance(value, Mapping):
            merged[name] = {**fields.get(name, {}), **value}
    return merged


def is_plain_nic(field: Callable[[str], object]) -> bool:
    """The legacy layout does not say `physical`: what is no VLAN, bond, tunnel or SR-IOV PIF is a NIC.

    Args:
        field: gives the value of one of the PIF's other fields by its name.
    """
    made = ("bond", "vlan_record", "tunnel_access_of", "sriov_logical_of")
    return field("vlan") == UNTAGGED and not any(map(field, made))


def _refuse_constant(word: str) -> object:
    raise ValueError(word)


def _ref(text: str) -> Ref | None:
    return None if text in {"", NULL_REF} else Ref(text)


def _refs(found: RawElement, element: Element) -> tuple[Ref, ...]:
    refs = (_ref(text) for name, text in found.items if name == element.item)
    return tuple(ref for ref in refs if ref is not None)


def _boolean(found: RawElement, _element: Element) -> bool:
    if found.text in _TRUE:
        return True
    if found.text in _FALSE:
        return False
    raise InputError(f"{shown(found.text)} is neither True nor False")


_READERS: Final[Mapping[Form, Callable[[RawElement, Element], object]]] = {
    Form.TEXT: lambda found, _: found.text,
    Form.INTEGER: lambda found, _: parse_integer(found.text, -_INT_LIMIT, _INT_LIMIT - 1),
    Form.BOOLEAN: _boolean,
    Form.REF: lambda found, _: _ref(found.text),
    Form.REFS: _refs,
    Form.FIRST_REF: lambda found, element: next(iter(_refs(found, element)), None),
    Form.MAP: lambda found, _: dict(found.items),
}


def _from_json(annotation: str, name: str, value: object) -> object:
    if _JSON_CHECKS[annotation](value):
        return tuple(value) if isinstance(value, list) else value
    raise InputError(f"{name} is no {annotation}")


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_text_map(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(item, str) for item in value.values())


_JSON_CHECKS: Final[Mapping[str, Callable[[object], bool]]] = {
    "str": lambda value: isinstance(value, str),
    "bool": lambda value: isinstance(value, bool),
    "int": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "Ref": lambda value: isinstance(value, str) and bool(value),
    "Ref | None": lambda value: value is None or (isinstance(value, str) and bool(value)),
    "tuple[str, ...]": _is_texts,
    "tuple[Ref, ...]": _is_texts,
    "Mapping[str, str]": _is_text_map,
}
"""By the annotation of a record's field; a test holds every field of every record against this table."""
