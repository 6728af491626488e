"""apply/ovsdb_resolve.py, ovsdb_guards.py, ovsdb_insert.py and ovsdb_render.py: a step as RFC 7047 operations."""

from __future__ import annotations

import pytest

from xsagent.apply.ovsdb_render import Transaction, render_step
from xsagent.apply.ovsdb_resolve import FoundRow, Rows, parse_rows, resolve_selects
from xsagent.errors import ConflictError
from xsagent.observed.ovsdb_connection import Operation
from xsagent.observed.ovsdb_json import Column, Row, as_object
from xsagent.plan.steps import (
    AddInterface,
    AddPort,
    CreateBridge,
    DeleteBridge,
    DeletePort,
    MovePort,
    OvsdbOperation,
    OvsdbStep,
    Relied,
    RemoveInterface,
    SetColumns,
    SetKeys,
)
from xsagent.topology.values import Bridge, Interface, Json, Port

TEXT, FLAG = Column(default=""), Column(default=False)
SET, MAP = Column(default=["set", []]), Column(default=["map", []])
SCHEMA = {
    "Open_vSwitch": {"bridges": SET, "other_config": MAP},
    "Bridge": dict.fromkeys(["name", "fail_mode"], TEXT)
    | {"ports": SET, "other_config": MAP, "mcast_snooping_enable": FLAG, "mirrors": SET, "controller": SET},
    "Port": {"name": TEXT, "interfaces": SET, "tag": SET, "trunks": SET, "external_ids": MAP, "qos": SET},
    "Interface": {"name": TEXT, "type": TEXT, "ofport": SET},
    "QoS": {"type": TEXT, "queues": MAP},
    "Queue": {"dscp": SET},
    "Mirror": {"name": TEXT, "select_src_port": SET, "output_port": SET},
    "Controller": {"target": TEXT},
}
ETH0 = Port(name="eth0", interfaces={"eth0": Interface(name="eth0")})
BOND = Port(name="bond0", interfaces={name: Interface(name=name) for name in ("eth0", "eth1")})


def found(present: tuple[str, ...] = ()) -> Rows:
    """A database with bridges xenbr0 (port vif1.0 with its interface) and xenbr1 (empty)."""
    port = FoundRow("Port", "vif1.0", ("uuid", "p"), {("uuid", "i")})
    rows = [
        FoundRow("Bridge", "xenbr0", ("uuid", "b0"), {port.reference}),
        FoundRow("Bridge", "xenbr1", ("uuid", "b1")),
        port,
        FoundRow("Interface", "vif1.0", ("uuid", "i")),
    ]
    return Rows(rows, frozenset(present))


def render(*operations: OvsdbOperation, relied: tuple[Relied, ...] = (), present: tuple[str, ...] = ()) -> Transaction:
    """The transaction of these operations on the database of `found`."""
    return render_step(OvsdbStep(operations=operations, relied=relied), found(present), SCHEMA)


def waits(transaction: Transaction) -> list[tuple[Json, ...]]:
    """Table, condition, column and expected rows of each guard."""
    keys = ("table", "where", "columns", "rows")
    assert all(
        (guard.operation["op"], guard.operation["timeout"], guard.operation["until"]) == ("wait", 0, "==")
        for guard in transaction.guards
    )
    return [tuple(guard.operation[key] for key in keys) for guard in transaction.guards]


def inserted(operations: list[Operation], table: str) -> list[Row]:
    """The rows that are inserted into a table."""
    return [as_object(operation["row"]) for operation in operations if operation["table"] == table]


def mutation(table: str, uuid: str, column: str, mutator: str, reference: Json) -> dict[str, Json]:
    """A mutation that names one row."""
    where: list[Json] = [["_uuid", "==", ["uuid", uuid]]]
    return {"op": "mutate", "table": table, "where": where, "mutations": [[column, mutator, ["set", [reference]]]]}


def test_bridge_is_inserted_with_its_parts_and_hung_into_the_switch() -> None:
    """Interfaces, ports, bridge, then a mutation of Open_vSwitch.bridges; the names must be free."""
    bridge = Bridge(name="new0", ports={"bond0": BOND}, hwaddr="00:16:3e:00:00:01", other_config={"a": "", "b": None})

    transaction = render(CreateBridge(bridge=bridge))

    assert transaction.operations == [
        {"op": "insert", "table": "Interface", "row": {"name": "eth0", "type": ""}, "uuid-name": "row1"},
        {"op": "insert", "table": "Interface", "row": {"name": "eth1", "type": ""}, "uuid-name": "row2"},
        {
            "op": "insert",
            "table": "Port",
            "row": {"name": "bond0", "interfaces": ["set", [["named-uuid", "row1"], ["named-uuid", "row2"]]]},
            "uuid-name": "row3",
        },
        {
            "op": "insert",
            "table": "Bridge",
            "row": {
                "name": "new0",
                "other_config": ["map", [["a", ""], ["hwaddr", "00:16:3e:00:00:01"]]],
                "ports": ["set", [["named-uuid", "row3"]]],
            },
            "uuid-name": "row4",
        },
        {
            "op": "mutate",
            "table": "Open_vSwitch",
            "where": [],
            "mutations": [["bridges", "insert", ["set", [["named-uuid", "row4"]]]]],
        },
    ]
    names = [("Bridge", "new0"), ("Port", "bond0"), ("Interface", "eth0"), ("Interface", "eth1")]
    assert waits(transaction) == [(table, [["name", "==", name]], ["name"], []) for table, name in names]


def test_ports_are_added_and_removed_as_named_rows() -> None:
    """A set of ports is never written back whole: each change names the row, and guards where it is."""
    transaction = render(AddPort(bridge="xenbr1", port=ETH0), DeletePort(bridge="xenbr0", name="vif1.0"))

    inserted: Json = ["named-uuid", "row2"]
    assert transaction.operations[2:] == [
        mutation("Bridge", "b1", "ports", "insert", inserted),
        mutation("Bridge", "b0", "ports", "delete", ["uuid", "p"]),
    ]
    member = (
        "Bridge",
        [["_uuid", "==", ["uuid", "b0"]], ["ports", "includes", ["uuid", "p"]]],
        ["name"],
        [{"name": "xenbr0"}],
    )
    assert member in waits(transaction)
    assert not any(operation["op"] == "update" for operation in transaction.operations)


def test_moved_port_stays_the_same_row() -> None:
    """MovePort is two mutations with the row's UUID, and no insert."""
    transaction = render(MovePort(name="vif1.0", source="xenbr0", target="xenbr1"))

    assert transaction.operations == [
        mutation("Bridge", "b0", "ports", "delete", ["uuid", "p"]),
        mutation("Bridge", "b1", "ports", "insert", ["uuid", "p"]),
    ]


def test_members_of_a_port_change_as_named_rows() -> None:
    """AddInterface and RemoveInterface mutate Port.interfaces."""
    transaction = render(
        AddInterface(port="vif1.0", interface=Interface(name="eth0")), RemoveInterface(port="vif1.0", name="vif1.0")
    )

    assert transaction.operations[1:] == [
        mutation("Port", "p", "interfaces", "insert", ["named-uuid", "row1"]),
        mutation("Port", "p", "interfaces", "delete", ["uuid", "i"]),
    ]


def test_key_is_deleted_before_it_is_inserted() -> None:
    """OVSDB's insert leaves a key that exists as it is, so a changed key goes first; one to be removed only goes."""
    keys = {"b": "2", "a": None}
    transaction = render(SetKeys(table="Open_vSwitch", record=".", column="other_config", keys=keys))

    mutations: Json = [
        ["other_config", "delete", ["set", ["a", "b"]]],
        ["other_config", "insert", ["map", [["b", "2"]]]],
    ]
    assert transaction.operations == [{"op": "mutate", "table": "Open_vSwitch", "where": [], "mutations": mutations}]
    only_removed = render(SetKeys(table="Open_vSwitch", record=".", column="other_config", keys={"a": None}))
    assert only_removed.operations[0]["mutations"] == [["other_config", "delete", ["set", ["a"]]]]


def test_emptied_column_gets_the_default_of_its_type() -> None:
    """The empty set clears an optional column, and puts a column that cannot be empty back to its default."""
    columns: dict[str, Json] = {"mcast_snooping_enable": ["set", []], "mirrors": ["set", []], "fail_mode": "secure"}
    transaction = render(SetColumns(table="Bridge", record="xenbr0", columns=columns))

    assert transaction.operations == [
        {
            "op": "update",
            "table": "Bridge",
            "where": [["_uuid", "==", ["uuid", "b0"]]],
            "row": {"mcast_snooping_enable": False, "mirrors": ["set", []], "fail_mode": "secure"},
        }
    ]


def test_row_of_the_same_transaction_is_found_by_its_name() -> None:
    """Conditions cannot name a row that is yet to be inserted by UUID, so they name it by name."""
    transaction = render(
        CreateBridge(bridge=Bridge(name="new0")), MovePort(name="vif1.0", source="xenbr0", target="new0")
    )

    assert transaction.operations[-1] == {
        "op": "mutate",
        "table": "Bridge",
        "where": [["name", "==", "new0"]],
        "mutations": [["ports", "insert", ["set", [["uuid", "p"]]]]],
    }


def test_name_freed_in_the_same_transaction_needs_no_absence() -> None:
    """A port that goes and comes again under its name is not guarded to be absent: it is there at the start."""
    again = Port(name="vif1.0", interfaces={"vif1.0": Interface(name="vif1.0")})
    transaction = render(DeleteBridge(name="xenbr0"), AddPort(bridge="xenbr1", port=again))

    assert not [wait for wait in waits(transaction) if wait[3] == []]
    assert sum(operation["op"] == "insert" for operation in transaction.operations) == 2


@pytest.mark.parametrize(
    "operation",
    [
        DeleteBridge(name="gone"),
        DeletePort(bridge="xenbr0", name="gone"),
        DeletePort(bridge="gone", name="vif1.0"),
        DeletePort(bridge="xenbr1", name="vif1.0"),
        RemoveInterface(port="vif1.0", name="gone"),
        RemoveInterface(port="gone", name="vif1.0"),
        CreateBridge(bridge=Bridge(name="xenbr0")),
        AddPort(bridge="xenbr0", port=Port(name="vif1.0", interfaces={})),
        AddInterface(port="vif1.0", interface=Interface(name="vif1.0")),
        MovePort(name="vif1.0", source="xenbr1", target="xenbr0"),
        MovePort(name="vif1.0", source="gone", target="xenbr0"),
        SetColumns(table="Port", record="gone", columns={"tag": 1}),
        SetKeys(table="Port", record="gone", column="external_ids", keys={"a": "1"}),
    ],
)
def test_what_is_done_already_is_passed_over(operation: OvsdbOperation) -> None:
    """An undo that runs again, or whose step never ran, finds things as it would leave them and writes nothing."""
    assert render(operation).operations == []


@pytest.mark.parametrize(
    "operation",
    [
        AddPort(bridge="gone", port=ETH0),
        AddPort(bridge="xenbr1", port=Port(name="vif1.0", interfaces={})),
        AddInterface(port="gone", interface=Interface(name="eth0")),
        AddPort(bridge="xenbr1", port=Port(name="new", interfaces={"vif1.0": Interface(name="vif1.0")})),
        CreateBridge(bridge=Bridge(name="new0", ports={"vif1.0": Port(name="vif1.0", interfaces={})})),
        MovePort(name="gone", source="xenbr0", target="xenbr1"),
        MovePort(name="vif1.0", source="xenbr0", target="gone"),
        MovePort(name="vif1.0", source="gone", target="xenbr1"),
    ],
)
def test_what_cannot_be_done_any_more_is_a_conflict(operation: OvsdbOperation) -> None:
    """A row that is missing, or one that stands in another place, makes the caller plan afresh."""
    with pytest.raises(ConflictError, match="nothing was changed"):
        render(operation)


def test_relied_values_are_guards_that_name_what_they_are_for() -> None:
    """Existence, absence, a column and membership are waits; each knows the Relied that it stands for."""
    relied = (
        Relied(table="Bridge", record="xenbr0", column="name", value=True),
        Relied(table="Port", record="eth0", column="name", value=False),
        Relied(table="Port", record="vif1.0", column="tag", value=["set", []]),
        Relied(table="Open_vSwitch", record=".", column="other_config", value=["map", []]),
        Relied(table="Bridge", record="xenbr0", column="ports", value=["vif1.0"]),
    )
    transaction = render(relied=relied)

    includes = [["name", "==", "xenbr0"], ["ports", "includes", ["uuid", "p"]]]
    assert waits(transaction) == [
        ("Bridge", [["name", "==", "xenbr0"]], ["name"], [{"name": "xenbr0"}]),
        ("Port", [["name", "==", "eth0"]], ["name"], []),
        ("Port", [["name", "==", "vif1.0"]], ["tag"], [{"tag": ["set", []]}]),
        ("Open_vSwitch", [], ["other_config"], [{"other_config": ["map", []]}]),
        ("Bridge", includes, ["name"], [{"name": "xenbr0"}]),
    ]
    assert [guard.relied for guard in transaction.guards] == list(relied)
    with pytest.raises(ConflictError, match="relies on Bridge xenbr0 having ports eth7, but eth7 is gone"):
        render(relied=(Relied(table="Bridge", record="xenbr0", column="ports", value=["eth7"]),))


def test_deleted_bridge_may_hold_what_was_relied_on_and_moved_away_alone() -> None:
    """The guard of a deletion is the exact set of ports: relied on, or taken out by the step itself."""
    nothing_left = Relied(table="Bridge", record="xenbr0", column="ports", value=[])
    transaction = render(
        MovePort(name="vif1.0", source="xenbr0", target="xenbr1"), DeleteBridge(name="xenbr0"), relied=(nothing_left,)
    )

    exact = ("Bridge", [["name", "==", "xenbr0"]], ["ports"], [{"ports": ["set", [["uuid", "p"]]]}])
    assert exact in waits(transaction)
    assert not [wait for wait in waits(render(DeleteBridge(name="xenbr0"))) if wait[2] == ["ports"]]


def test_nested_rows_are_referred_to_or_made_again() -> None:
    """A QoS that still exists is referred to; one that is gone is inserted, once, with its queues."""
    queue: Json = {"table": "Queue", "uuid": "u1", "row": {"dscp": 5}}
    qos: Json = {"table": "QoS", "uuid": "q1", "row": {"type": "htb", "queues": ["map", [[0, queue]]], "newer": 1}}
    ports = {name: Port(name=name, interfaces={}, extra={"qos": qos}) for name in ("eth0", "eth1")}
    bridge = CreateBridge(bridge=Bridge(name="new0", ports=ports))

    kept = render(bridge, present=("q1",)).operations
    again = render(bridge, present=("u1",)).operations

    assert [operation["table"] for operation in kept if operation["op"] == "insert"] == ["Port", "Port", "Bridge"]
    assert inserted(kept, "Port")[0] == {"name": "eth0", "interfaces": ["set", []], "qos": ["uuid", "q1"]}
    assert inserted(again, "QoS") == [{"type": "htb", "queues": ["map", [[0, ["uuid", "u1"]]]]}]
    names = [operation["uuid-name"] for operation in again if operation["table"] == "QoS"]
    assert [row["qos"] for row in inserted(again, "Port")] == [["named-uuid", names[0]]] * 2


def test_mirror_names_the_new_rows_of_its_ports() -> None:
    """A mirror made again refers to ports by their new rows, and drops those that are gone for good."""
    row: Json = {
        "name": "m",
        "select_src_port": ["set", [{"table": "Port", "name": "eth0"}, {"table": "Port", "name": "gone"}]],
        "output_port": {"table": "Port", "name": "gone"},
    }
    mirror: Json = {"table": "Mirror", "uuid": "m1", "row": row}
    made = Bridge(name="new0", ports={"eth0": Port(name="eth0", interfaces={})}, extra={"mirrors": ["set", [mirror]]})

    operations = render(CreateBridge(bridge=made)).operations

    assert operations[1]["row"] == {
        "name": "m",
        "select_src_port": ["set", [["named-uuid", "row1"]]],
        "output_port": ["set", []],
    }


def test_port_goes_back_into_mirrors_that_stayed() -> None:
    """A mirror that outlived the port gets it back, and its one output port only if it has none meanwhile."""
    places: Json = [["m1", "select_src_port"], ["m1", "output_port"], ["m2", "output_port"]]
    port = Port(name="eth0", interfaces={}, extra={"@mirrors": places})

    mirrored = [
        o for o in render(AddPort(bridge="xenbr0", port=port), present=("m1",)).operations if o["table"] == "Mirror"
    ]

    assert [operation["where"] for operation in mirrored] == [
        [["_uuid", "==", ["uuid", "m1"]]],
        [["_uuid", "==", ["uuid", "m1"]], ["output_port", "==", ["set", []]]],
    ]


def test_number_of_a_port_is_asked_for_again_where_it_means_one() -> None:
    """Only a number that a port can have goes into the insert: none, -1 and the reserved ones do not."""
    numbers = {"a": 7, "b": -1, "c": None, "d": 65534}
    interfaces = {name: Interface(name=name, ofport=number) for name, number in numbers.items()}

    operations = render(AddPort(bridge="xenbr0", port=Port(name="bond0", interfaces=interfaces))).operations

    assert inserted(operations, "Interface") == [
        {"name": "a", "type": "", "ofport": 7}, {"name": "b", "type": ""}, {"name": "c", "type": ""},
        {"name": "d", "type": ""},
    ]  # fmt: skip


def test_lookup_asks_for_every_row_that_is_spoken_about_once() -> None:
    """Names, parts, nested rows and what is relied on are looked up; a deletion asks for all parts' names."""
    qos: Json = {"table": "QoS", "uuid": "q1", "row": {}}
    port = Port(name="eth0", interfaces={"eth0": Interface(name="eth0")}, extra={"qos": qos, "@mirrors": [["m1", "x"]]})
    relied = Relied(table="Port", record="vif1.0", column="interfaces", value=["vif1.0"])
    step = OvsdbStep(
        operations=(
            AddPort(bridge="xenbr0", port=port),
            SetKeys(table="Open_vSwitch", record=".", column="c", keys={}),
        ),
        relied=(relied, relied),
    )

    selects = resolve_selects(step)
    deleting = resolve_selects(OvsdbStep(operations=(DeleteBridge(name="xenbr0"),)))

    assert [(select["table"], select["where"]) for select in selects] == [
        ("Bridge", [["name", "==", "xenbr0"]]),
        ("Port", [["name", "==", "eth0"]]),
        ("Interface", [["name", "==", "eth0"]]),
        ("QoS", [["_uuid", "==", ["uuid", "q1"]]]),
        ("Mirror", [["_uuid", "==", ["uuid", "m1"]]]),
        ("Port", [["name", "==", "vif1.0"]]),
        ("Interface", [["name", "==", "vif1.0"]]),
    ]
    assert [(select["table"], select["where"]) for select in deleting[1:]] == [("Port", []), ("Interface", [])]
    assert (selects[0]["columns"], deleting[0]["columns"]) == (["_uuid", "name"], ["_uuid", "name", "ports"])


def test_answers_of_the_lookup_become_rows() -> None:
    """Named rows come with their members, a bridge's as told, and rows without names count as present."""
    selects: list[dict[str, Json]] = [{"table": name} for name in ("Port", "QoS", "QoS", "Bridge")]
    port: dict[str, Json] = {"_uuid": ["uuid", "p"], "name": "eth0", "interfaces": ["uuid", "i"]}

    bridge: dict[str, Json] = {"_uuid": ["uuid", "b"], "name": "xenbr0"}

    rows = parse_rows(selects, [[port], [{"_uuid": ["uuid", "q1"]}], [], [bridge]])
    rows.place_ports({"p": "xenbr0", "q": "xenbr1"})

    assert rows.find("Port", "eth0") == FoundRow("Port", "eth0", ("uuid", "p"), {("uuid", "i")})
    assert rows.present == {"q1"}
    assert rows.find("Bridge", "xenbr0") == FoundRow("Bridge", "xenbr0", ("uuid", "b"), {("uuid", "p")})
