"""What to do with a device, by event, VIF and what is observed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from xsagent.hotplug.decide import Observed, decide, is_made_anew, rely_on_pair
from xsagent.hotplug.decision import Verdict
from xsagent.hotplug.event import Action, Event
from xsagent.hotplug.places import Place, PlacedPort
from xsagent.model.vif import DeviceType, Layout, Locking, LockingMode, Vif, VifId
from xsagent.plan.steps import AddPort, DeletePort, MovePort, SetColumns, SetKeys
from xsagent.sources.vif import build_paths
from xsagent.topology.values import Bridge, Interface, Link, Port

VM = "e5b24593-770e-5865-b077-5f56bdead3c7"
VIF_UUID = "ad183578-73d1-5ace-8bdc-9e32c65a5032"
ID = VifId(5, 0)
VIF = Vif(
    id=ID, paths=build_paths(ID, Layout.UUID, VM), bridge="xenbr0", mac="00:16:3e:00:00:01", vif_uuid=VIF_UUID, mtu=1500
)
ONLINE = Event(vif=ID, kind=DeviceType.VIF, action=Action.ONLINE)
ADD = Event(vif=ID, kind=DeviceType.TAP, action=Action.ADD)
REMOVE = Event(vif=ID, kind=DeviceType.VIF, action=Action.REMOVE)
REPAIR = Event(vif=ID, kind=DeviceType.VIF, action=Action.REPAIR)
LINK = Link(name="vif5.0", mac="fe:ff:ff:ff:ff:ff", mtu=1500, up=True)
TAP_LINK = replace(LINK, name="tap5.0")
MARKS = {
    "xs-vif-uuid": VIF_UUID,
    "attached-mac": "00:16:3e:00:00:01",
    "iface-id": VIF_UUID,
    "iface-status": "active",
}


def port(name: str = "vif5.0", tag: int | None = None, trunks: tuple[int, ...] = (), **ids: str) -> Port:
    """A port row as observed."""
    marks = MARKS | {key.replace("_", "-"): value for key, value in ids.items()}
    return Port(
        name=name, interfaces={name: Interface(name=name, external_ids=marks, ofport=3)}, tag=tag, trunks=trunks
    )


def switch(*ports: Port, on: str = "xenbr0", links: tuple[Link, ...] = (LINK, TAP_LINK)) -> Observed:
    """Bridges xenbr0 and xenbr1, VLAN bridge xapi5 (tag 50) on xenbr0, and these ports on `on`."""
    vlan = Port(name="xapi5", interfaces={}, tag=50, fake_bridge=True)
    bridges = {
        name: Bridge(
            name=name,
            ports={p.name: p for p in (*((vlan,) if name == "xenbr0" else ()), *(ports if name == on else ()))},
        )
        for name in ("xenbr0", "xenbr1")
    }
    return Observed(bridges=bridges, links={link.name: link for link in links})


def test_a_new_vif_is_added_with_all_its_marks_to_a_prepared_netdev() -> None:
    """One AddPort that relies on the bridge, and the netdev down and quiet before it."""
    decision = decide(ONLINE, VIF, switch())

    assert decision.verdict is Verdict.ATTACH
    assert [type(operation) for operation in decision.operations] == [AddPort]
    assert decision.port is not None
    assert decision.port.interfaces["vif5.0"].external_ids == MARKS
    assert decision.relied[0].record == "xenbr0"
    assert decision.prep is not None
    assert (decision.prep.mac, decision.prep.mtu) == ("fe:ff:ff:ff:ff:ff", 1500)


def test_a_right_port_is_left_alone() -> None:
    """No operation and no preparation; what nobody speaks about (trunks, foreign keys) is no difference."""
    decision = decide(ONLINE, VIF, switch(port(foreign="x", trunks=(7,))))

    assert (decision.operations, decision.prep, decision.in_place) == ((), None, True)


def test_a_wrong_mtu_is_set_without_taking_the_port_away() -> None:
    """The netdev is prepared again; the port is in place, so its link does not bounce."""
    decision = decide(ONLINE, replace(VIF, mtu=9000), switch(port()))

    assert (decision.operations, decision.in_place) == ((), True)
    assert decision.prep is not None
    assert decision.prep.mtu == 9000


def test_a_netdev_with_arp_is_silenced_without_taking_the_port_away() -> None:
    """What comes up is made quiet; one of which nobody said whether it is counts as quiet."""
    noisy, quiet = (decide(ONLINE, VIF, switch(port(), links=(replace(LINK, quiet=one),))) for one in (False, True))

    assert (noisy.operations, noisy.in_place, noisy.prep is not None) == ((), True, True)
    assert quiet.prep is None


def test_a_netdev_that_was_never_made_quiet_is_another_than_its_ports() -> None:
    """Down and noisy: nobody prepared it. One that is up works, and one without a port is new anyway."""
    placed = PlacedPort(Place("xenbr0", "xenbr0"), port())
    fresh = replace(LINK, up=False, quiet=False)

    assert is_made_anew(fresh, placed)
    others = (replace(LINK, quiet=False), replace(fresh, quiet=True), replace(fresh, quiet=None), None)
    assert [is_made_anew(link, placed) for link in others] == [False] * 4
    assert not is_made_anew(fresh, None)


def test_without_a_word_of_the_toolstack_the_networks_mtu_counts() -> None:
    """Of its record, by our own state; 1500 where that knows none either. It is said (features.md section 8)."""
    unknown = replace(VIF, mtu=None)
    known, default = (decide(ONLINE, unknown, replace(switch(), mtus=mtus)) for mtus in ({"xenbr0": 9000}, {}))

    assert [one.prep.mtu for one in (known, default) if one.prep is not None] == [9000, 1500]
    assert "it gets 9000" in known.warnings[0]


def test_a_port_on_another_bridge_is_moved_as_it_is() -> None:
    """MovePort keeps the row with what others hung on it."""
    decision = decide(ONLINE, VIF, switch(port(), on="xenbr1"))

    assert decision.operations == (MovePort(name="vif5.0", source="xenbr1", target="xenbr0"),)
    assert not decision.in_place


def test_vlan_bridges_are_tags_of_their_parent() -> None:
    """To, from and between VLAN bridges only the tag changes."""
    onto = decide(ONLINE, replace(VIF, bridge="xapi5"), switch(port()))
    off = decide(ONLINE, VIF, switch(port(tag=50)))
    there = decide(ONLINE, replace(VIF, bridge="xapi5"), switch(port(tag=50)))

    assert onto.operations == (SetColumns(table="Port", record="vif5.0", columns={"tag": 50}),)
    assert off.operations == (SetColumns(table="Port", record="vif5.0", columns={"tag": ["set", []]}),)
    assert (there.operations, there.in_place) == ((), True)


def test_a_tag_set_by_hand_is_reported_and_left() -> None:
    """A tag that no VLAN bridge stands for is somebody's wish (DESIGN.md section 6)."""
    decision = decide(ONLINE, VIF, switch(port(tag=77)))

    assert decision.operations == ()
    assert "tag 77" in decision.warnings[0]


def test_trunks_are_set_and_cleared_only_when_the_toolstack_speaks_of_them() -> None:
    """An empty list lets all VLANs through again."""
    wanted = decide(ONLINE, replace(VIF, trunks=(10, 20)), switch(port()))
    cleared = decide(ONLINE, replace(VIF, trunks=()), switch(port(trunks=(10,))))

    assert wanted.operations == (SetColumns(table="Port", record="vif5.0", columns={"trunks": ["set", [10, 20]]}),)
    assert cleared.operations == (SetColumns(table="Port", record="vif5.0", columns={"trunks": ["set", []]}),)


def test_a_bond_members_bridge_stands_for_the_bonds() -> None:
    """While the bond is up its members' bridges are aliases of its own."""
    observed = replace(switch(), aliases={"xenbr7": "xenbr1"})

    decision = decide(ONLINE, replace(VIF, bridge="xenbr7"), observed)

    assert isinstance(decision.operations[0], AddPort)
    assert decision.operations[0].bridge == "xenbr1"


@pytest.mark.parametrize(
    ("vif", "observed", "said"),
    [
        (replace(VIF, bridge="xapi9"), switch(), "bridge xapi9 does not exist"),
        (replace(VIF, bridge=""), switch(), "names no bridge"),
        (VIF, switch(links=()), "no network device vif5.0"),
        (None, switch(), "no keys"),
    ],
)
def test_what_is_missing_is_named_and_waited_for(vif: Vif | None, observed: Observed, said: str) -> None:
    """A vif without bridge, device or keys is not attached, and never reported as such (F16)."""
    decision = decide(ONLINE, vif, observed)

    assert (decision.verdict, decision.operations) == (Verdict.WAIT, ())
    assert said in decision.reason


def test_a_disabled_vif_is_on_no_bridge() -> None:
    """Its port goes, and a bridge that does not exist is no matter."""
    disabled = replace(VIF, bridge="absent", locking=Locking(mode=LockingMode.DISABLED))

    plugged, right = decide(ONLINE, disabled, switch(port())), decide(ONLINE, disabled, switch())

    assert (plugged.verdict, plugged.operations) == (Verdict.KEEP_OFF, (DeletePort(bridge="xenbr0", name="vif5.0"),))
    assert (right.verdict, right.operations, right.prep) == (Verdict.KEEP_OFF, (), None)


def test_tap_and_vif_change_their_status_in_one_transaction() -> None:
    """A tap that comes makes the vif inactive, one that goes makes it active, in the same operations."""
    comes = decide(ADD, VIF, switch(port()))
    goes = decide(replace(ADD, action=Action.REMOVE), VIF, switch(port(iface_status="inactive"), port("tap5.0")))

    inactive, active = (
        SetKeys(table="Interface", record="vif5.0", column="external_ids", keys={"iface-status": status})
        for status in ("inactive", "active")
    )
    assert isinstance(comes.operations[0], AddPort)
    assert comes.operations[1:] == (inactive,)
    assert goes.operations == (DeletePort(bridge="xenbr0", name="tap5.0"), active)


def test_ids_that_the_reconciler_overrode_are_kept_for_the_same_vif_only() -> None:
    """iface-id from XAPI's nicira key stays on a right port; a row left by another VIF is marked afresh."""
    kept = decide(ONLINE, VIF, switch(port(iface_id="lport-17")))
    told = decide(ONLINE, replace(VIF, nicira_iface_id="lport-18"), switch(port(iface_id="lport-17")))
    left = decide(ONLINE, VIF, switch(port(iface_id="lport-17", xs_vif_uuid="another")))
    resync = decide(REPAIR, replace(VIF, nicira_iface_id="lport-18"), switch(port(iface_id="lport-17")))

    assert kept.operations == ()
    assert resync.operations == ()
    assert [operation.keys for operation in told.operations if isinstance(operation, SetKeys)] == [
        {"iface-id": "lport-18"}
    ]
    assert [operation.keys for operation in left.operations if isinstance(operation, SetKeys)] == [
        {"xs-vif-uuid": VIF_UUID, "iface-id": VIF_UUID}
    ]


def test_a_resync_follows_the_wanted_bridge_and_not_who_moved_the_port() -> None:
    """Drift repair: missing ports come back; one that somebody moved is reported (DESIGN.md section 6)."""
    elsewhere = switch(port(), on="xenbr1")

    missing = decide(REPAIR, VIF, switch())
    moved_by_hand = decide(REPAIR, VIF, elsewhere, placed="xenbr0")
    wish_changed = decide(REPAIR, VIF, elsewhere, placed="xenbr1")
    unknown = decide(REPAIR, VIF, elsewhere)
    marked = decide(REPAIR, replace(VIF, network_uuid=VM), switch(port(xs_network_uuid=VIF_UUID), on="xenbr1"))

    assert missing.verdict is Verdict.ATTACH
    assert (moved_by_hand.verdict, "somebody moved it" in moved_by_hand.reason) == (Verdict.LEAVE, True)
    assert (moved_by_hand.place, moved_by_hand.operations) == (Place("xenbr1", "xenbr1"), ())
    assert [type(operation) for operation in wish_changed.operations] == [MovePort]
    assert unknown.verdict is Verdict.LEAVE
    assert [type(operation) for operation in marked.operations] == [MovePort, SetKeys]


def test_removing_what_is_gone_is_no_failure() -> None:
    """A second remove finds nothing to do (F23), and needs no keys."""
    decision = decide(REMOVE, None, switch())

    assert (decision.verdict, decision.operations) == (Verdict.DETACH, ())


def test_virtual_functions_and_other_actions_are_left_alone() -> None:
    """SR-IOV needs no hotplug work, and offline asks for nothing."""
    assert decide(ONLINE, replace(VIF, offloaded=True), switch()).verdict is Verdict.IGNORE
    assert decide(replace(ONLINE, action=Action.OFFLINE), None, switch(port())).verdict is Verdict.IGNORE


def test_what_is_changed_relies_on_the_other_device_of_the_pair() -> None:
    """It may come or go meanwhile by another process's hand; one of the two is active. A right device needs nothing."""
    alone, beside = switch(), switch(port("tap5.0"))
    right = switch(port())

    assert [(one.record, one.value) for one in rely_on_pair(decide(ONLINE, VIF, alone), alone).relied[1:]] == [
        ("tap5.0", False)
    ]
    assert [(one.record, one.value) for one in rely_on_pair(decide(ONLINE, VIF, beside), beside).relied[1:]] == [
        ("tap5.0", True)
    ]
    assert [(one.record, one.value) for one in rely_on_pair(decide(REMOVE, VIF, right), right).relied] == [
        ("tap5.0", False)
    ]
    assert rely_on_pair(decide(REPAIR, VIF, right), right).relied == ()
