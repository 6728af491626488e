"""Which mirror a device is to have, by the decision about its port, the settings and the mirrors that are there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from xsagent.hotplug.decide import Observed, decide
from xsagent.hotplug.decision import Decision, Verdict
from xsagent.hotplug.event import Action, Event
from xsagent.hotplug.mirror import bridges_to_look_at, decide_mirror, mirrored_devices
from xsagent.model.vif import DeviceType, Layout, Locking, LockingMode, Vif, VifId
from xsagent.plan.steps import AddPort, DeletePort, MovePort, SetMirror
from xsagent.sources.vif import build_paths
from xsagent.topology.values import Bridge, Interface, Json, Link, Port

ID = VifId(5, 0)
UUID = "ad183578-73d1-5ace-8bdc-9e32c65a5032"
VIF = Vif(
    id=ID, paths=build_paths(ID, Layout.DOMID, ""), bridge="xenbr0", mac="00:16:3e:00:00:01", vif_uuid=UUID, mtu=1500,
    promiscuous=True,
)  # fmt: skip
ONLINE = Event(vif=ID, kind=DeviceType.VIF, action=Action.ONLINE)
REMOVE = replace(ONLINE, action=Action.REMOVE)
PORT = Port(name="vif5.0", interfaces={"vif5.0": Interface(name="vif5.0", ofport=3)})


def mirror(vlan: Json = 0, *, name: str = "xsagent-vif5.0", mark: str = "xs-vif-uuid", uuid: str = UUID) -> Json:
    """A mirror as a bridge has it in `extra`."""
    row: dict[str, Json] = {
        "name": name,
        "select_all": True,
        "select_vlan": vlan,
        "output_port": {"table": "Port", "name": "vif5.0"},
        "external_ids": ["map", [["a", "b"], [mark, uuid]]] if mark != "xs-vif-uuid" else ["map", [[mark, uuid]]],
    }
    return {"table": "Mirror", "uuid": "m", "row": row}


def columns(nested: Json) -> dict[str, Json]:
    """The columns of such a mirror."""
    assert isinstance(nested, dict)
    row = nested["row"]
    assert isinstance(row, dict)
    return row


def switch(port: Port | None, *mirrors: Json, on: str = "xenbr0") -> dict[str, Bridge]:
    """Bridges xenbr0, with VLAN bridge xapi5 (tag 50), and xenbr1; port and mirrors on `on`."""
    vlan = Port(name="xapi5", interfaces={}, tag=50, fake_bridge=True)
    extra: dict[str, Json] = {"mirrors": mirrors[0] if len(mirrors) == 1 else ["set", [*mirrors]]} if mirrors else {}
    return {
        name: Bridge(
            name=name,
            ports={one.name: one for one in (vlan if name == "xenbr0" else None, port if name == on else None) if one},
            extra=extra if name == on else {},
        )
        for name in ("xenbr0", "xenbr1")
    }


def decided(bridges: dict[str, Bridge], vif: Vif = VIF, event: Event = ONLINE, *, allowed: bool = True) -> Decision:
    """The decision with what becomes of the mirror."""
    link = Link(name=event.device, mac=VIF.bridge_mac, mtu=1500, up=True)
    decision = decide(event, vif, Observed(bridges=bridges, links={link.name: link}))
    return decide_mirror(decision, bridges, allowed=allowed)


def mirrorings(decision: Decision) -> list[tuple[str, bool, Json]]:
    """Bridge, whether it is to be there, and VLAN of each mirror spoken about."""
    found = (one for one in decision.operations if isinstance(one, SetMirror))
    return [(one.bridge, one.present, one.columns["select_vlan"]) for one in found]


def marked(decision: Decision) -> Port:
    """The port as the decision leaves it, for a switch where it is right."""
    assert decision.port is not None
    interface = replace(decision.port.interfaces["vif5.0"], ofport=3)
    return replace(decision.port, interfaces={"vif5.0": interface}, trunks=())


def test_a_new_port_gets_its_mirror_in_the_same_transaction() -> None:
    """After the port, on its real bridge; of untagged frames alone on a real bridge, of the tag's on a VLAN bridge."""
    plain, tagged = decided(switch(None)), decided(switch(None), replace(VIF, bridge="xapi5"))

    assert [type(operation) for operation in plain.operations] == [AddPort, SetMirror]
    assert plain.operations[1] == SetMirror(bridge="xenbr0", columns=columns(mirror()))
    assert mirrorings(tagged) == [("xenbr0", True, 50)]
    assert "all that it sends is dropped" in plain.warnings[-1]


def test_no_vlan_is_seen_that_the_port_is_not_in() -> None:
    """Trunks are its VLANs, also those of its row where nobody speaks about them; so is a tag that was set by hand."""
    trunks = decided(switch(None), replace(VIF, trunks=(30, 20)))
    kept = decided(switch(replace(PORT, trunks=(7,))))
    by_hand = decided(switch(replace(PORT, tag=77)))

    assert mirrorings(trunks) == [("xenbr0", True, ["set", [20, 30]])]
    assert mirrorings(kept) == [("xenbr0", True, 7)]
    assert mirrorings(by_hand) == [("xenbr0", True, 77)]


def test_a_right_mirror_is_left_alone() -> None:
    """Nothing is to be done, and nothing is said."""
    port = marked(decided(switch(None)))

    decision = decided(switch(port, mirror(), mirror(name="others", mark="x")))

    assert (decision.operations, decision.warnings) == ((), ())


@pytest.mark.parametrize(
    "wrong", [(mirror(50),), (mirror(uuid="of another VIF"),), (mirror(), mirror())], ids=["vlan", "vif", "twice"]
)
def test_a_wrong_mirror_is_made_anew(wrong: tuple[Json, ...]) -> None:
    """Whatever is wrong with it. The switch is told to look at its flows anew, as the port stays."""
    decision = decided(switch(marked(decided(switch(None))), *wrong))

    assert [present for _, present, _ in mirrorings(decision)] == [*([False] * len(wrong)), True]
    assert bridges_to_look_at([decision]) == {"xenbr0"}


def test_a_mirror_moves_with_its_port() -> None:
    """Off the one bridge, onto the other, around the port's own move; a port that is new to a bridge is news enough."""
    decision = decided(switch(PORT, mirror(), on="xenbr1"))

    assert mirrorings(decision) == [("xenbr1", False, 0), ("xenbr0", True, 0)]
    assert isinstance(decision.operations[1], MovePort)
    assert bridges_to_look_at([decision]) == frozenset()


def test_a_mirror_goes_with_its_port() -> None:
    """By a remove, also when the port or the keys are gone already, and by locking mode `disabled`."""
    removed = decided(switch(PORT, mirror()), event=REMOVE)
    off = decided(switch(PORT, mirror()), replace(VIF, locking=Locking(mode=LockingMode.DISABLED)))
    left = decided(switch(None, mirror()), event=REMOVE)

    for decision in (removed, off):
        assert mirrorings(decision) == [("xenbr0", False, 0)]
        assert DeletePort(bridge="xenbr0", name="vif5.0") in decision.operations
    assert left.operations == (SetMirror(bridge="xenbr0", columns=columns(mirror()), present=False),)


def test_a_mirror_goes_when_key_or_setting_no_longer_ask_for_it() -> None:
    """The port stays as it is; where the key asks in vain, that is said with the way to have it."""
    bridges = switch(marked(decided(switch(None))), mirror())
    by_key, by_setting = decided(bridges, replace(VIF, promiscuous=False)), decided(bridges, allowed=False)

    for decision in (by_key, by_setting):
        assert (mirrorings(decision), decision.in_place) == ([("xenbr0", False, 0)], True)
        assert (len(decision.operations), bridges_to_look_at([decision])) == (1, {"xenbr0"})
    assert by_key.warnings == ()
    assert 'promiscuous = "mirror"' in by_setting.warnings[0]


def test_a_tap_has_no_mirror_and_what_waits_keeps_what_it_has() -> None:
    """The emulated device is not the guest's own; a bridge that is missing may come back."""
    tap = decided(switch(None), event=Event(vif=ID, kind=DeviceType.TAP, action=Action.ADD))
    waiting = decided(switch(PORT, mirror()), replace(VIF, bridge="gone"))

    assert (mirrorings(tap), tap.warnings) == ([], ())
    assert (waiting.verdict, waiting.operations) == (Verdict.WAIT, ())


def test_a_vif_that_somebody_moved_by_hand_loses_its_mirror() -> None:
    """It was of the network that it was in; the port itself is left where it is."""
    left = decided(switch(PORT, mirror(), on="xenbr1"), event=replace(ONLINE, action=Action.REPAIR))

    assert left.verdict is Verdict.LEAVE
    assert mirrorings(left) == [("xenbr1", False, 0)]
    assert len(left.operations) == 1


def test_mirrors_of_others_are_not_ours() -> None:
    """One with our name and without the mark, one with the mark and another name, and something that is no mirror."""
    foreign = (mirror(mark="x"), mirror(name="vif5.0"), "nonsense")
    bridges = switch(PORT, *foreign)

    assert list(mirrored_devices(bridges["xenbr0"])) == []
    assert mirrorings(decided(bridges, event=REMOVE)) == []
    assert list(mirrored_devices(switch(None, mirror())["xenbr0"])) == ["vif5.0"]
