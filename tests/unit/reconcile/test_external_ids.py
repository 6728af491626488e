"""reconcile/external_ids.py: which keys of external_ids XAPI's records want, and that nothing else is touched."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xsagent.model.records import Network, Ref
from xsagent.model.xapi_ids import GuestVif, GuestVm
from xsagent.observed.ovsdb_ids import BridgeIds, SwitchIds
from xsagent.plan.steps import SetKeys
from xsagent.reconcile.external_ids import IdRecords, build_ids_step, guest_vms, unknown_vms

PIF = (Ref("pif"),)
MARKS = {"xs-vif-uuid": "v1", "xs-vm-uuid": "m1"}
RIGHT = {"iface-id": "v1", "vm-id": "m1", "iface-status": "active"}


def changes(switch: SwitchIds, records: IdRecords) -> dict[str, Mapping[str, str | None]]:
    """The keys that the step sets, by row."""
    step = build_ids_step(switch, records)
    operations = step.operations if step else ()
    assert all(isinstance(operation, SetKeys) and operation.column == "external_ids" for operation in operations)
    return {operation.record: operation.keys for operation in operations if isinstance(operation, SetKeys)}


def networks(*several: Network) -> dict[Ref, Network]:
    """By reference."""
    return {network.ref: network for network in several}


def net(uuid: str, bridge: str, *, pifs: tuple[Ref, ...] = PIF, **other_config: str) -> Network:
    """A network that a PIF is on; `_` stands for `-` in a key."""
    config = {key.replace("_", "-"): value for key, value in other_config.items()}
    return Network(ref=Ref(uuid), uuid=uuid, bridge=bridge, pifs=pifs, other_config=config)


def bridge(name: str, **ids: str) -> SwitchIds:
    """A switch of one bridge with these ids."""
    external = {key.replace("_", "-"): value for key, value in ids.items()}
    return SwitchIds(bridges={name: BridgeIds(external_ids=external)})


@pytest.mark.parametrize(
    ("marks", "records", "wanted"),
    [
        ("n0", [net("n0", "xenbr0")], {"bridge-id": "n0"}),
        ("n0;n7", [net("n0", "xenbr0"), net("n7", "xapi7")], {"bridge-id": "n0"}),
        ("n7;n0", [net("n0", "xenbr0"), net("n7", "xapi7")], {"bridge-id": "n0"}),
        ("n0", [net("n0", "xenbr0", nicira_bridge_id="my bridge")], {"bridge-id": "my bridge"}),
        ("n0", [net("n0", "xenbr0", nicira_bridge_id="a\nb")], {"bridge-id": "n0"}),
        ("n1", [net("n0", "xenbr0"), net("n1", "xenbr0")], {"bridge-id": "n1"}),
        ("", [net("n0", "xenbr0"), net("n1", "xenbr0")], {}),
        ("n0;n1", [net("n0", "xenbr0"), net("n1", "xenbr0")], {}),
        ("n9", [], {"bridge-id": "n9"}),
        ("n8;n9", [], {}),
        ("", [], {}),
    ],
)
def test_a_bridges_id_is_its_networks(marks: str, records: list[Network], wanted: dict[str, str]) -> None:
    """The override, else the uuid; of several the one whose record names the bridge; never a guess."""
    switch = bridge("xenbr0", xs_network_uuids=marks) if marks else bridge("xenbr0")

    assert changes(switch, IdRecords(networks=networks(*records))).get("xenbr0", {}) == wanted


def test_an_internal_networks_mark_is_kept_and_others_are_not() -> None:
    """interface-reconfigure keeps those of PIFs; an unmanaged network is nobody's to mark."""
    internal, unmanaged = net("n3", "xapi3", pifs=()), net("n4", "xapi4", pifs=())
    object.__setattr__(unmanaged, "managed", False)

    marks = changes(bridge("xapi3", xs_network_uuids="old"), IdRecords(networks=networks(internal)))
    pif = changes(bridge("xenbr0", xs_network_uuids="old"), IdRecords(networks=networks(net("n0", "xenbr0"))))
    left = changes(bridge("xapi4"), IdRecords(networks=networks(unmanaged)))

    assert marks == {"xapi3": {"xs-network-uuids": "n3", "bridge-id": "n3"}}
    assert pif == {"xenbr0": {"bridge-id": "n0"}}
    assert left == {"xapi4": {"bridge-id": "n4"}}


def test_a_vlan_bridge_keeps_its_ids_on_its_port() -> None:
    """With the prefix of ovs-vsctl(8); keys without it are the port's own."""
    switch = SwitchIds(vlan_bridges={"xapi7": {"fake-bridge-xs-network-uuids": "n7", "bridge-id": "not it"}})

    assert changes(switch, IdRecords(networks=networks(net("n7", "xapi7")))) == {
        "xapi7": {"fake-bridge-bridge-id": "n7"}
    }


def guests(iface_id: str = "", vm_id: str = "") -> IdRecords:
    """VM m1 with VIF v1, and overrides."""
    vifs = {Ref("v"): GuestVif(ref=Ref("v"), uuid="v1", iface_id=iface_id)} if iface_id else {}
    return IdRecords(vms={Ref("m"): GuestVm(ref=Ref("m"), uuid="m1", vm_id=vm_id)}, vifs=vifs)


@pytest.mark.parametrize(
    ("present", "records", "wanted"),
    [
        (MARKS, guests(), RIGHT),
        (MARKS | RIGHT, guests(), {}),
        (MARKS | RIGHT, guests("lport", "vm-17"), {"iface-id": "lport", "vm-id": "vm-17"}),
        (MARKS | RIGHT | {"iface-id": "gone", "vm-id": "gone"}, guests(), {"iface-id": "v1", "vm-id": "m1"}),
        (MARKS | {"iface-id": "by hand", "vm-id": "by hand"}, IdRecords(), {"iface-status": "active"}),
        (MARKS, IdRecords(), RIGHT),
        ({"xs-vif-uuid": "v1"}, IdRecords(), {"iface-id": "v1", "iface-status": "active"}),
        ({"iface-id": "others"}, guests(), {}),
    ],
)
def test_a_vifs_ids(present: dict[str, str], records: IdRecords, wanted: dict[str, str]) -> None:
    """XAPI's override, else the uuids; of a guest that XAPI does not know what is there stays."""
    switch = SwitchIds(interfaces={"vif5.0": present})

    assert changes(switch, records).get("vif5.0", {}) == wanted


def test_a_tap_is_the_active_one_and_takes_the_vifs_marks() -> None:
    """As a pair; a lone tap without marks is nobody's."""
    switch = SwitchIds(interfaces={"vif5.0": MARKS | RIGHT, "tap5.0": {}, "tap6.0": {}})

    assert changes(switch, guests()) == {
        "vif5.0": {"iface-status": "inactive"},
        "tap5.0": MARKS | RIGHT,
    }


def test_a_marked_row_that_is_no_device_of_a_vif_is_not_active() -> None:
    """It would attach a logical port twice; the same key of others stays."""
    switch = SwitchIds(interfaces={"eth9": MARKS | {"iface-status": "active"}, "p0": {"iface-status": "active"}})

    assert changes(switch, guests()) == {"eth9": {"iface-status": None}}


def test_the_step_relies_on_the_ids_that_it_was_made_from() -> None:
    """A device that became another VIF's meanwhile does not get the old one's ids."""
    step = build_ids_step(SwitchIds(interfaces={"vif5.0": MARKS}), guests())

    assert step is not None
    assert [(one.table, one.record, one.column, one.value) for one in step.relied] == [
        ("Interface", "vif5.0", "external_ids", ["map", [["xs-vif-uuid", "v1"], ["xs-vm-uuid", "m1"]]])
    ]


def test_vms_without_a_record_are_known_by_their_ports() -> None:
    """Only of ports that are a VIF's."""
    switch = SwitchIds(interfaces={"vif5.0": MARKS, "p0": {"xs-vm-uuid": "m2"}, "vif6.0": {"xs-vif-uuid": "v3"}})

    assert guest_vms(switch) == {"m1"}
    assert unknown_vms(guest_vms(switch), IdRecords()) == {"m1"}
    assert unknown_vms(guest_vms(switch), guests()) == set()


_TEXT = st.sampled_from(["", "a", "n0", "n0;n1", "v1", "m1", "vif", "active", 'x"y'])
_KEYS = st.sampled_from(
    [
        "xs-network-uuids",
        "bridge-id",
        "xs-vif-uuid",
        "xs-vm-uuid",
        "iface-id",
        "vm-id",
        "iface-status",
        "foreign",
        "fake-bridge-bridge-id",
        "fake-bridge-xs-network-uuids",
    ]
)
_IDS = st.dictionaries(_KEYS, _TEXT, max_size=6)
_DEVICES = st.sampled_from(["vif1.0", "tap1.0", "vif1.1", "tap2.0", "eth0", "vif1.0x", "tap99999999.0"])
_BRIDGES = st.sampled_from(["xenbr0", "xapi1", "admin"])
_NETWORKS = st.lists(
    st.builds(
        Network,
        ref=st.sampled_from([Ref("a"), Ref("b"), Ref("c")]),
        uuid=st.sampled_from(["n0", "n1"]),
        bridge=_BRIDGES | st.just(""),
        managed=st.booleans(),
        pifs=st.sampled_from([(), PIF]),
        other_config=st.dictionaries(st.just("nicira-bridge-id"), _TEXT),
    )
)


@given(
    bridges=st.dictionaries(_BRIDGES, st.builds(BridgeIds, external_ids=_IDS)),
    vlans=st.dictionaries(_BRIDGES, _IDS),
    interfaces=st.dictionaries(_DEVICES, _IDS),
    records=_NETWORKS,
    known=st.booleans(),
)
def test_one_step_makes_all_right_and_leaves_foreign_keys(
    *,
    bridges: dict[str, BridgeIds],
    vlans: dict[str, dict[str, str]],
    interfaces: dict[str, dict[str, str]],
    records: list[Network],
    known: bool,
) -> None:
    """For any ids and records: after the step there is nothing left to do, and nobody else's key changed."""
    all_records = IdRecords(networks=networks(*records), vms=guests().vms if known else {})
    before = SwitchIds(bridges=bridges, vlan_bridges=vlans, interfaces=interfaces)
    step = build_ids_step(before, all_records)
    if step is None:
        return
    rows: dict[tuple[str, str], dict[str, str]] = {
        ("Bridge", name): dict(row.external_ids) for name, row in bridges.items()
    }
    rows |= {("Port", name): dict(ids) for name, ids in vlans.items()}
    rows |= {("Interface", name): dict(ids) for name, ids in interfaces.items()}
    for operation in step.operations:
        assert isinstance(operation, SetKeys)
        assert "foreign" not in operation.keys
        for key, value in operation.keys.items():
            row = rows[operation.table, operation.record]
            row.pop(key, None)
            if value is not None:
                row[key] = value
    after = SwitchIds(
        bridges={name: BridgeIds(external_ids=rows["Bridge", name]) for name in bridges},
        vlan_bridges={name: rows["Port", name] for name in vlans},
        interfaces={name: rows["Interface", name] for name in interfaces},
    )

    assert build_ids_step(after, all_records) is None
