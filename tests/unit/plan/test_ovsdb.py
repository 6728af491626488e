"""plan/ovsdb.py: what is right is not touched, what is foreign stays, and each change is the smallest one."""

from dataclasses import replace

import pytest

from xsagent.errors import ForeignObjectError, InUseError
from xsagent.plan.ovsdb import diff_ovsdb
from xsagent.plan.ovsdb_model import invert_operations, model_operation
from xsagent.plan.steps import (
    AddPort,
    CreateBridge,
    DeleteBridge,
    DeletePort,
    MovePort,
    OvsdbOperation,
    RemoveInterface,
    SetColumns,
    SetKeys,
)
from xsagent.topology.desired import Desired, Ownership
from xsagent.topology.values import Bridge, Interface, ObjectKey, ObjectKind, Port, Topology

NETWORK = "e65a64e7-d3e1-5188-9362-812424459b12"
UPLINKS = frozenset({"eth0", "eth1", "bond0"})
OURS = Ownership(
    bridges=frozenset({"xenbr0", "xapi1", "xapi5"}), devices=UPLINKS | {"bond0.5", "eth7.6"}, uplinks=UPLINKS
)


def nic_port(name: str, **fields: object) -> Port:
    """A port with one interface of the same name."""
    return Port(name=name, interfaces={name: Interface(name=name)}, **fields)  # type: ignore[arg-type]  # test brevity


def vif_port(name: str, **fields: object) -> Port:
    """A port as hotplug makes it."""
    interface = Interface(name=name, external_ids={"xs-vif-uuid": "b3"})
    return Port(name=name, interfaces={name: interface}, **{"tag": None, **fields})  # type: ignore[arg-type]  # test brevity


def own_port(name: str) -> Port:
    """A bridge's own internal port."""
    return Port(name=name, interfaces={name: Interface(name=name, type="internal")})


def bridge(name: str, *ports: Port, **fields: object) -> Bridge:
    """A bridge with its own port and others."""
    every = {port.name: port for port in (own_port(name), *ports)}
    return Bridge(name=name, ports=every, **fields)  # type: ignore[arg-type]  # test brevity


def observed(*bridges: Bridge) -> Topology:
    """An observed topology of bridges alone."""
    return Topology(bridges={item.name: item for item in bridges})


def desired(*bridges: Bridge, absent: tuple[ObjectKey, ...] = (), moves: dict[str, str] | None = None) -> Desired:
    """A desired topology of bridges alone."""
    topology = Topology(bridges={item.name: item for item in bridges}, absent=frozenset(absent))
    return Desired(topology=topology, ownership=OURS, moves=moves or {})


def test_keys_that_are_ours_alone_go_once_they_are_not_wanted_and_no_other_key_does() -> None:
    """An option that the records lost stays in force otherwise; the undo brings it back."""
    options = {"bond-primary": "eth1", "bond-hash-basis": "7", "lb-output-action": "true"}
    members = {name: Interface(name=name) for name in ("eth0", "eth1")}
    before = observed(bridge("xapi1", Port(name="bond0", interfaces=members, other_config=options)))
    wanted = Port(name="bond0", interfaces=members, own_keys="bond-", other_config={"bond-hash-basis": "8"})

    operations, _ = diff_ovsdb(desired(bridge("xapi1", wanted)), before)

    keys = {"bond-hash-basis": "8", "bond-primary": None}
    assert operations == (SetKeys(table="Port", record="bond0", column="other_config", keys=keys),)
    undo = {"bond-hash-basis": "7", "bond-primary": "eth1"}
    assert invert_operations(operations, before.bridges) == (
        SetKeys(table="Port", record="bond0", column="other_config", keys=undo),
    )


def operations(want: Desired, have: Topology) -> tuple[OvsdbOperation, ...]:
    """The operations, after a check that their undo brings back what was observed."""
    result, _ = diff_ovsdb(want, have)
    bridges = dict(have.bridges)
    for operation in (*result, *invert_operations(result, have.bridges)):
        bridges = model_operation(operation, bridges)

    assert bridges == dict(have.bridges)
    return result


def gone(name: str) -> ObjectKey:
    """Says that a bridge must be absent."""
    return ObjectKey(kind=ObjectKind.BRIDGE, name=name)


def test_a_missing_bridge_is_created_with_its_ports() -> None:
    """Bridge and NIC port come in one transaction."""
    want = desired(bridge("xenbr0", nic_port("eth0"), fail_mode="standalone"))

    kinds = [type(operation) for operation in operations(want, observed())]

    assert kinds == [CreateBridge, AddPort]


def test_what_is_right_is_not_touched() -> None:
    """An equal bridge gives no operation, whatever else stands on it."""
    want = desired(bridge("xenbr0", nic_port("eth0"), external_ids={"xs-network-uuids": NETWORK}))
    have = observed(
        bridge(
            "xenbr0",
            nic_port("eth0", external_ids={"admin": "note"}),
            vif_port("vif1.0"),
            nic_port("tapmirror"),
            external_ids={"xs-network-uuids": NETWORK, "sdn": "theirs"},
            other_config={"mac-aging-time": "60"},
        )
    )

    assert operations(want, have) == ()


def test_beside_the_wanted_uplink_no_other_of_ours_stays() -> None:
    """Nothing else is taken: a NIC of others, a VIF, a VLAN's netdev, also one on a NIC of others."""
    want = desired(bridge("xenbr0", nic_port("eth0")))
    others = (nic_port("eth7"), vif_port("vif1.0"), nic_port("bond0.5"), nic_port("eth7.6"))
    have = observed(bridge("xenbr0", nic_port("eth0"), nic_port("eth1"), *others))

    assert operations(want, have) == (DeletePort(bridge="xenbr0", name="eth1"),)


def test_a_bridge_that_is_to_have_no_uplink_keeps_what_it_has() -> None:
    """An internal network's, or a tunnel's, to which somebody added a NIC."""
    assert operations(desired(bridge("xapi1")), observed(bridge("xapi1", nic_port("eth1")))) == ()


def test_vlan_bridges_on_a_real_bridge_that_becomes_one_keep_their_tags() -> None:
    """They are VLANs of the carrier as before; a port that had no tag is in the new VLAN bridge's."""
    vlan = Port(name="xapi5", interfaces=own_port("xapi5").interfaces, tag=5, fake_bridge=True)
    new = Port(name="xapi1", interfaces=own_port("xapi1").interfaces, tag=7, fake_bridge=True)
    have = observed(
        bridge("xenbr0", nic_port("eth0")), bridge("xapi1", vlan, vif_port("vif1.0", tag=5), vif_port("vif2.0"))
    )

    result, _ = diff_ovsdb(desired(bridge("xenbr0", nic_port("eth0"), new)), have)

    assert [item.record for item in result if isinstance(item, SetColumns)] == ["vif2.0"]


def test_a_changed_scalar_and_a_changed_key_are_one_operation_each() -> None:
    """Only the column and the keys that differ are written; the key of others is not named."""
    want = desired(
        bridge("xenbr0", fail_mode="secure", hwaddr="00:1b:21:0a:0b:01", other_config={"disable-in-band": None})
    )
    have = observed(
        bridge(
            "xenbr0",
            fail_mode="standalone",
            hwaddr="00:1b:21:0a:0b:ff",
            other_config={"disable-in-band": "true", "theirs": "1"},
        )
    )

    assert operations(want, have) == (
        SetColumns(table="Bridge", record="xenbr0", columns={"fail_mode": "secure"}),
        SetKeys(
            table="Bridge",
            record="xenbr0",
            column="other_config",
            keys={"disable-in-band": None, "hwaddr": "00:1b:21:0a:0b:01"},
        ),
    )


def test_a_nic_on_another_bridge_moves_as_the_row_it_is() -> None:
    """What others hung on the NIC's port (QoS, mirrors, external_ids) comes along (legacy-faults F07)."""
    want = desired(bridge("xenbr0", nic_port("eth0")))
    have = observed(bridge("xenbr0"), bridge("xapi1", nic_port("eth0", external_ids={"keep": "me"})))

    assert operations(want, have) == (MovePort(name="eth0", source="xapi1", target="xenbr0"),)


def test_going_down_deletes_the_bridge_and_nothing_else() -> None:
    """A bridge of ours that must be absent is deleted; a foreign neighbour stays."""
    have = observed(bridge("xenbr0", nic_port("eth0")), bridge("br-admin"))

    assert operations(desired(absent=(gone("xenbr0"),)), have) == (DeleteBridge(name="xenbr0"),)


def test_a_foreign_bridge_is_refused_by_name() -> None:
    """Nothing of others is deleted, whatever asks for it."""
    with pytest.raises(ForeignObjectError, match="br-admin"):
        diff_ovsdb(desired(absent=(gone("br-admin"),)), observed(bridge("br-admin")))


def test_a_vlan_bridge_that_goes_leaves_its_neighbours() -> None:
    """Its own port and the VIFs with its tag go; VIFs of other tags and the carrier stay."""
    vlan = Port(name="xapi5", interfaces={"xapi5": Interface(name="xapi5", type="internal")}, fake_bridge=True, tag=5)
    have = observed(
        bridge(
            "xenbr0", nic_port("eth0"), vlan, vif_port("vif1.0", tag=5), vif_port("vif2.0"), vif_port("vif3.0", tag=6)
        )
    )

    assert operations(desired(absent=(gone("xapi5"),)), have) == (
        DeletePort(bridge="xenbr0", name="vif1.0"),
        DeletePort(bridge="xenbr0", name="xapi5"),
    )


def test_ports_that_would_have_to_move_to_a_bridge_that_is_not_there_are_named() -> None:
    """Records and switch disagree on where they are: refused, not a traceback; without such ports it goes."""
    want = desired(absent=(gone("xenbr0"),), moves={"xenbr0": "xapi1"})

    with pytest.raises(InUseError, match=r"vif3\.0 on bridge xenbr0 .* xapi1, which is not on the switch"):
        diff_ovsdb(want, observed(bridge("xenbr0", nic_port("eth0"), vif_port("vif3.0"))))

    operations, _ = diff_ovsdb(want, observed(bridge("xenbr0", nic_port("eth0"))))
    assert operations == (DeleteBridge(name="xenbr0"),)


def test_building_a_bond_moves_the_vifs_of_its_members() -> None:
    """NIC to bond in one transaction: the member's NIC changes port, its bridge's other ports change bridge."""
    bond = Port(name="bond0", interfaces={name: Interface(name=name) for name in ("eth0", "eth1")})
    want = desired(bridge("xapi1", bond), absent=(gone("xenbr0"),), moves={"xenbr0": "xapi1"})
    have = observed(bridge("xenbr0", nic_port("eth0"), vif_port("vif1.0")))

    assert [type(operation) for operation in operations(want, have)] == [
        CreateBridge,
        DeletePort,
        AddPort,
        MovePort,
        DeleteBridge,
    ]


def test_a_member_that_leaves_is_removed_in_place() -> None:
    """The bond's row stays; one interface goes."""
    want = desired(bridge("xapi1", nic_port("bond0")))
    bond = Port(name="bond0", interfaces={name: Interface(name=name) for name in ("bond0", "eth1")})

    assert operations(want, observed(bridge("xapi1", bond))) == (RemoveInterface(port="bond0", name="eth1"),)


def test_a_real_bridge_in_the_way_of_a_vlan_bridge_gives_its_vifs_to_it() -> None:
    """VIFs of the real bridge keep their ports, with the VLAN's tag, in the same transaction (F05)."""
    vlan = Port(name="xapi5", interfaces={"xapi5": Interface(name="xapi5", type="internal")}, fake_bridge=True, tag=5)
    want = desired(bridge("xenbr0", nic_port("eth0"), vlan))
    have = observed(bridge("xenbr0", nic_port("eth0")), bridge("xapi5", vif_port("vif1.0")))

    assert operations(want, have) == (
        MovePort(name="vif1.0", source="xapi5", target="xenbr0"),
        SetColumns(table="Port", record="vif1.0", columns={"tag": 5}),
        DeleteBridge(name="xapi5"),
        AddPort(bridge="xenbr0", port=vlan),
    )


def test_a_vlan_bridge_in_the_way_of_a_real_one_gives_its_vifs_to_it() -> None:
    """The reverse: the VIFs lose the tag and stand on the real bridge."""
    vlan = Port(name="xapi5", interfaces={"xapi5": Interface(name="xapi5", type="internal")}, fake_bridge=True, tag=5)
    want = desired(bridge("xapi5", nic_port("eth1")))
    have = observed(bridge("xenbr0", nic_port("eth0"), vlan, vif_port("vif1.0", tag=5)))

    kinds = [type(operation) for operation in operations(want, have)]

    assert kinds == [DeletePort, CreateBridge, AddPort, MovePort, SetColumns]


def vlan_bridge(name: str, tag: int) -> Port:
    """A VLAN bridge's own port."""
    interfaces = {name: Interface(name=name, type="internal")}
    return Port(name=name, interfaces=interfaces, fake_bridge=True, tag=tag)


def test_a_stale_vlan_bridge_with_the_tag_of_a_wanted_one_goes_and_its_vifs_stay() -> None:
    """Under another name, ours by its mark; one with another tag and one on another carrier are let be."""
    stale = replace(vlan_bridge("xapi9", 5), external_ids={"fake-bridge-xs-network-uuids": NETWORK})
    vif, other = vif_port("vif1.0", tag=5), vlan_bridge("xapi1", 7)
    have = observed(bridge("xenbr0", stale, vif, other), bridge("xenbr1", vlan_bridge("br-admin", 5)))
    want = desired(bridge("xenbr0", vlan_bridge("xapi5", 5)))

    made = operations(want, have)

    assert [item.name for item in made if isinstance(item, DeletePort)] == ["xapi9"]
    assert [item.port.name for item in made if isinstance(item, AddPort)] == ["xapi5"]
    assert not any(isinstance(item, MovePort) for item in made)


def test_a_vlan_bridge_that_moves_onto_the_tag_of_a_wanted_one_goes_at_once() -> None:
    """A member's VLAN beside the bond's own of the same tag: not moved now and deleted by the next run."""
    stale = replace(vlan_bridge("xapi9", 5), external_ids={"fake-bridge-xs-network-uuids": NETWORK})
    have = observed(bridge("xenbr0", nic_port("eth0"), stale, vif_port("vif1.0", tag=5)))
    want = desired(
        bridge("xapi1", nic_port("eth0"), vlan_bridge("xapi5", 5)), absent=(gone("xenbr0"),), moves={"xenbr0": "xapi1"}
    )

    made = operations(want, have)

    after = have.bridges
    for operation in made:
        after = model_operation(operation, after)
    assert sorted(after["xapi1"].ports) == ["eth0", "vif1.0", "xapi1", "xapi5"]
    assert operations(want, observed(*after.values())) == ()


def test_a_foreign_vlan_bridge_with_the_tag_of_a_wanted_one_is_refused_by_name() -> None:
    """Nobody but its owner may take it away (DESIGN.md rule 4)."""
    have = observed(bridge("xenbr0", vlan_bridge("br-admin", 5)))

    with pytest.raises(ForeignObjectError, match="br-admin"):
        diff_ovsdb(desired(bridge("xenbr0", vlan_bridge("xapi5", 5))), have)


def test_a_port_that_is_made_anew_is_not_relied_on_to_be_absent() -> None:
    """It is there when the transaction begins: the wait would fail for ever."""
    _, relied = diff_ovsdb(
        desired(bridge("xenbr0", vlan_bridge("xapi5", 5))), observed(bridge("xenbr0", vif_port("xapi5")))
    )

    assert not any(item.record == "xapi5" and item.value is False for item in relied)
