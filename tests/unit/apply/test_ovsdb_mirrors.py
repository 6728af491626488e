"""How mirrors of guests get into a transaction and out of the database."""

from __future__ import annotations

import pytest

from xsagent.apply.ovsdb_render import render_step
from xsagent.apply.ovsdb_resolve import FoundRow, Rows, find_mirror, parse_rows, resolve_selects
from xsagent.errors import ConflictError
from xsagent.observed.ovsdb_connection import Operation
from xsagent.observed.ovsdb_json import Column
from xsagent.plan.steps import AddPort, MoveMirror, OvsdbOperation, OvsdbStep, SetMirror
from xsagent.topology.values import Interface, Json, Port

TEXT, SET, MAP = Column(default=""), Column(default=["set", []]), Column(default=["map", []])
SCHEMA = {
    "Bridge": {"name": TEXT, "ports": SET, "mirrors": SET},
    "Port": {"name": TEXT, "interfaces": SET},
    "Interface": {"name": TEXT},
    "Mirror": {"name": TEXT, "output_port": SET, "external_ids": MAP},
}
MIRROR: dict[str, Json] = {
    "name": "m",
    "output_port": {"table": "Port", "name": "vif1.0"},
    "external_ids": ["map", [["xs-vif-uuid", "u"]]],
}
ADD = SetMirror(bridge="xenbr0", columns=MIRROR)


def render(*operations: OvsdbOperation, there: tuple[str, ...] = ()) -> list[Operation]:
    """What is done to bridges xenbr0, with port vif1.0, and xenbr1, and mirrors like MIRROR with these UUIDs."""
    port = FoundRow("Port", "vif1.0", ("uuid", "p"))
    rows = [
        FoundRow("Bridge", "xenbr0", ("uuid", "b0"), {port.reference}),
        FoundRow("Bridge", "xenbr1", ("uuid", "b1")),
    ]
    mirrors = {str(find_mirror(MIRROR)): [("uuid", uuid) for uuid in there]}
    found = Rows([*rows, port], frozenset(there), mirrors)
    return render_step(OvsdbStep(operations=operations), found, SCHEMA).operations


def mutation(bridge: str, mutator: str, *reference: str) -> Json:
    """A mutation of a bridge's mirrors."""
    where: Json = [["_uuid", "==", ["uuid", bridge]]]
    mutations: Json = [["mirrors", mutator, ["set", [[*reference]]]]]
    return {"op": "mutate", "table": "Bridge", "where": where, "mutations": mutations}


def test_a_mirror_is_inserted_and_hung_into_its_bridge() -> None:
    """It refers to the port's row; one that stands there already is left."""
    row = MIRROR | {"output_port": ["uuid", "p"]}

    assert render(ADD) == [
        {"op": "insert", "table": "Mirror", "row": row, "uuid-name": "row1"},
        mutation("b0", "insert", "named-uuid", "row1"),
    ]
    assert render(ADD, there=("m1",)) == []


def test_a_mirror_may_be_of_a_port_that_comes_with_it() -> None:
    """It refers to the row that the same transaction inserts."""
    port = Port(name="vif2.0", interfaces={"vif2.0": Interface(name="vif2.0")})
    mirror = MIRROR | {"output_port": {"table": "Port", "name": "vif2.0"}}

    operations = render(AddPort(bridge="xenbr1", port=port), SetMirror(bridge="xenbr1", columns=mirror))

    assert [one["row"] for one in operations if one["table"] == "Mirror"] == [
        MIRROR | {"output_port": ["named-uuid", "row2"]}
    ]


def test_a_mirror_is_removed_wherever_it_is_and_may_be_made_anew_in_the_same_transaction() -> None:
    """Every row with its name and marks; on a bridge that is gone, or when there is none, nothing is to be done."""
    removals = [SetMirror(bridge=name, columns=MIRROR, present=False) for name in ("xenbr0", "xenbr1", "gone")]

    operations = render(*removals, ADD, there=("m1", "m2"))

    assert operations[:4] == [mutation(b, "delete", "uuid", m) for b in ("b0", "b1") for m in ("m1", "m2")]
    assert [operation["op"] for operation in operations[4:]] == ["insert", "mutate"]
    assert render(*removals) == []


def test_a_mirror_for_a_port_that_is_gone_is_a_conflict() -> None:
    """Without its output it would be none."""
    with pytest.raises(ConflictError, match=r"Port gone is no longer"):
        render(SetMirror(bridge="xenbr0", columns=MIRROR | {"output_port": {"table": "Port", "name": "gone"}}))


def test_a_mirror_moves_as_the_row_that_it_is() -> None:
    """Where nobody took it out meanwhile; from a bridge that is gone it only arrives."""
    nested: Json = {"table": "Mirror", "uuid": "m1", "row": {"name": "m"}}
    move = MoveMirror(mirror=nested, source="xenbr0", target="xenbr1")

    assert render(move, there=("m1",)) == [
        mutation("b0", "delete", "uuid", "m1"),
        mutation("b1", "insert", "uuid", "m1"),
    ]
    assert render(MoveMirror(mirror=nested, source="gone", target="xenbr1"), there=("m1",)) == [
        mutation("b1", "insert", "uuid", "m1")
    ]
    assert render(move) == []


def test_mirrors_are_looked_up_by_name_and_mark() -> None:
    """Names of mirrors are not unique: one of somebody else, which has not the mark, is not found."""
    selects = resolve_selects(OvsdbStep(operations=(ADD,)))
    found: list[list[dict[str, Json]]] = [
        [{"_uuid": ["uuid", "m1"], "name": "m"}] if select["table"] == "Mirror" else [] for select in selects
    ]

    assert [select["where"] for select in selects if select["table"] == "Mirror"] == [
        [["name", "==", "m"], ["external_ids", "includes", MIRROR["external_ids"]]]
    ]
    assert list(parse_rows(selects, found).mirrors.values()) == [[("uuid", "m1")]]
