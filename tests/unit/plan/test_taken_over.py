"""What others set on a bridge that goes, and what of it the bridge that has its ports then gets."""

from __future__ import annotations

from xsagent.plan.ovsdb_model import invert_operations, mirrors_of, model_operations
from xsagent.plan.settle import settle_undo
from xsagent.plan.steps import MoveMirror, OvsdbStep, SetColumns, SetKeys
from xsagent.plan.taken_over import left_behind, take_over
from xsagent.topology.values import Bridge, Json

MIRROR: Json = {"table": "Mirror", "uuid": "m1", "row": {"name": "admin"}}
OTHER: Json = {"table": "Mirror", "uuid": "m2", "row": {}}
SFLOW: Json = {"table": "sFlow", "uuid": "s1", "row": {}}


def source() -> Bridge:
    """A bridge with a thing of each kind, ours and others'."""
    return Bridge(
        name="xenbr0",
        hwaddr="00:16:3e:00:00:01",
        controllers=("tcp:192.0.2.9:6653",),
        other_config={"mac-table-size": "10000", "disable-in-band": "true", "forward-bpdu": "true"},
        external_ids={"xs-network-uuids": "n", "bridge-id": "b", "owner": "admin"},
        extra={"mirrors": MIRROR, "sflow": SFLOW, "controller": {"uuid": "c"}, "protocols": "OpenFlow13"},
    )


def test_mirrors_sampling_and_keys_of_others_go_along() -> None:
    """Ours do not: the other bridge has its own."""
    assert list(take_over(source(), Bridge(name="xapi0"))) == [
        MoveMirror(mirror=MIRROR, source="xenbr0", target="xapi0"),
        SetColumns(table="Bridge", record="xapi0", columns={"sflow": SFLOW}),
        SetKeys(table="Bridge", record="xapi0", column="other_config", keys={"forward-bpdu": "true"}),
        SetKeys(table="Bridge", record="xapi0", column="external_ids", keys={"owner": "admin"}),
    ]
    assert left_behind(source(), Bridge(name="xapi0")) == ["OpenFlow controllers tcp:192.0.2.9:6653", "protocols"]


def test_what_is_set_on_the_other_bridge_counts() -> None:
    """Mirrors are many; of everything else a bridge has one, and what is lost by that is named."""
    target = Bridge(name="xapi0", external_ids={"owner": "sdn"}, extra={"mirrors": OTHER, "sflow": {"uuid": "s2"}})

    operations = list(take_over(source(), target))

    assert [type(operation) for operation in operations] == [MoveMirror, SetKeys]
    assert left_behind(source(), target)[1:] == ["protocols", "sflow", "external_ids:owner"]


def test_all_of_it_is_lost_with_a_bridge_whose_ports_nobody_takes() -> None:
    """Each thing is named; a bridge that has what we set alone is not worth a word."""
    assert left_behind(source(), None) == [
        "OpenFlow controllers tcp:192.0.2.9:6653",
        "mirror admin",
        "protocols",
        "sflow",
        "other_config:forward-bpdu",
        "external_ids:owner",
    ]
    assert left_behind(Bridge(name="xenbr1", external_ids={"xs-network-uuids": "n"}), None) == []


def test_the_undo_brings_a_mirror_back_where_it_went() -> None:
    """Beside another one, and not at all where the transaction did not take place."""
    before = {"xenbr0": source(), "xapi0": Bridge(name="xapi0", hwaddr=None, extra={"mirrors": OTHER})}
    operations = tuple(take_over(before["xenbr0"], before["xapi0"]))
    after = model_operations(operations, before)
    undo = invert_operations(operations, before)

    assert mirrors_of(after["xenbr0"]) == []
    assert mirrors_of(after["xapi0"]) == [OTHER, MIRROR]
    assert model_operations(undo, after) == before
    (settled,) = settle_undo([OvsdbStep(operations=undo)], before)
    assert isinstance(settled, OvsdbStep)
    assert not any(isinstance(operation, MoveMirror) for operation in settled.operations)
