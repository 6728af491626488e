"""observed/ovsdb_json.py: what a schema says of a column, and OVSDB's notation taken apart."""

from __future__ import annotations

import pytest

from xsagent.errors import OvsdbError
from xsagent.observed.ovsdb_json import (
    Column,
    as_list,
    as_object,
    members,
    pairs,
    parse_schema,
    text_map,
    uuid_of,
    uuids_of,
)
from xsagent.topology.values import Json

UUID = "0f9e8d7c-0000-4000-8000-000000000001"


@pytest.mark.parametrize(
    ("form", "column"),
    [
        ({"type": "string"}, Column(default="")),
        ({"type": "boolean"}, Column(default=False)),
        ({"type": {"key": {"type": "integer", "minInteger": 0}}}, Column(default=0)),
        ({"type": {"key": "real"}}, Column(default=0)),
        ({"type": {"key": "integer", "min": 0, "max": 1}}, Column(default=["set", []])),
        ({"type": {"key": "integer", "min": 1, "max": "unlimited"}}, Column(default=0)),
        ({"type": {"key": "string", "value": "string", "min": 0, "max": 5}}, Column(default=["map", []])),
        ({"type": "string", "ephemeral": True}, Column(default="", ephemeral=True)),
        (
            {"type": {"key": {"type": "uuid", "refTable": "QoS"}, "min": 0, "max": 1}},
            Column(default=["set", []], refers_to="QoS"),
        ),
        (
            {"type": {"key": "integer", "value": {"type": "uuid", "refTable": "Queue"}, "min": 0}},
            Column(default=["map", []], refers_to="Queue"),
        ),
    ],
)
def test_column_has_the_default_of_an_insert(form: Json, column: Column) -> None:
    """Each form of a column's type gives the default that RFC 7047 names, and what it refers to."""
    schema = parse_schema({"name": "Open_vSwitch", "tables": {"T": {"columns": {"c": form}}}})

    assert schema == {"T": {"c": column}}


@pytest.mark.parametrize("form", [None, [], {}, {"tables": []}, {"tables": {"T": {}}}, {"tables": {"T": 1}}])
def test_what_is_no_schema_is_refused(form: Json) -> None:
    """An answer of another form is OvsdbError, never a crash."""
    with pytest.raises(OvsdbError):
        parse_schema(form)


def test_sets_maps_and_references_are_taken_apart() -> None:
    """A set of one is written as its element; maps and UUIDs come as plain values."""
    assert members(["set", []]) == []
    assert members(["set", [1, 2]]) == [1, 2]
    assert members(7) == [7]
    assert members(["uuid", UUID]) == [["uuid", UUID]]
    assert pairs(["map", [[0, ["uuid", UUID]]]]) == [(0, ["uuid", UUID])]
    assert text_map(["map", [["b", "2"], ["a", "1"]]]) == {"a": "1", "b": "2"}
    assert uuids_of(["uuid", UUID]) == [UUID]
    assert uuids_of(["set", [["uuid", UUID]]]) == [UUID]
    assert uuids_of(["set", []]) == []


def test_value_of_another_form_is_refused() -> None:
    """What is no object, array or UUID where one must stand is OvsdbError with the value."""
    with pytest.raises(OvsdbError, match="object"):
        as_object([])
    with pytest.raises(OvsdbError, match="array"):
        as_list({})
    with pytest.raises(OvsdbError, match="UUID"):
        uuid_of(["named-uuid", "x"])
