"""desired/rescue.py: a stand-in is chosen by slot, else because there is no other; never by a guess."""

from __future__ import annotations

from xsagent.desired.rescue import PresentNic, choose_stand_in, find_renamed, missing_management_nics, with_stand_in
from xsagent.model.records import Network, Pif, Ref
from xsagent.model.snapshot import Snapshot

GONE = Pif(ref=Ref("p0"), uuid="p0", device="eth0", network=Ref("n0"), mac="aa:00:00:00:00:00", management=True)
OTHER = Pif(ref=Ref("p1"), uuid="p1", device="eth9", network=Ref("n1"), mac="aa:00:00:00:00:01")
SNAPSHOT = Snapshot(
    source="test",
    pifs={GONE.ref: GONE, OTHER.ref: OTHER},
    networks={Ref("n0"): Network(ref=Ref("n0"), uuid="n0", bridge="xenbr0")},
)
LEFT = PresentNic(name="eth8", mac="bb:00:00:00:00:08", slot="0000:03:00.0")
RIGHT = PresentNic(name="eth9", mac="bb:00:00:00:00:09", slot="0000:04:00.0")


def test_a_nic_that_is_there_needs_no_rescue() -> None:
    """Whatever its MAC: a swapped NIC of the same name is used by its name."""
    swapped = [PresentNic(name="eth0", mac="cc:00:00:00:00:00")]
    assert missing_management_nics(SNAPSHOT, "", swapped, {"eth0"}, at_boot=True) == ()
    assert missing_management_nics(SNAPSHOT, "", [LEFT], {"eth8"}, at_boot=True) == (GONE,)


def test_a_nic_under_another_name_is_found_by_its_mac_at_boot_also_where_its_own_name_is_anothers() -> None:
    """Two NICs that have swapped names are both there, and neither is where its name says."""
    moved, other = PresentNic(name="eth9", mac=GONE.mac), PresentNic(name="eth0", mac=OTHER.mac)

    assert missing_management_nics(SNAPSHOT, "", [moved, other], {"eth0", "eth9"}, at_boot=True) == (GONE,)
    assert missing_management_nics(SNAPSHOT, "", [moved, other], {"eth0", "eth9"}, at_boot=False) == ()
    (rescue,) = find_renamed([GONE], [moved, other])
    assert rescue.nic == moved
    assert find_renamed([GONE], [LEFT, RIGHT]) == ()


def test_two_nics_with_one_mac_prove_nothing() -> None:
    """As a bond's members have in some drivers."""
    both = [PresentNic(name=name, mac=GONE.mac) for name in ("eth8", "eth9")]

    assert find_renamed([GONE], both) == ()


def test_the_slot_decides_before_anything_else() -> None:
    """The NIC in the slot of the gone one stands in, however many others have carrier."""
    rescue = choose_stand_in(GONE, [LEFT, RIGHT], {"eth0": "0000:04:00.0"}, {"eth8"})

    assert rescue is not None
    assert rescue.nic == RIGHT


def test_without_a_slot_only_a_single_candidate_will_do() -> None:
    """One NIC, or one with carrier; two with carrier are a guess, and none is none."""
    assert choose_stand_in(GONE, [LEFT], {}, ()) is not None
    chosen = choose_stand_in(GONE, [LEFT, RIGHT], {}, {"eth9"})
    assert chosen is not None
    assert chosen.nic == RIGHT
    assert choose_stand_in(GONE, [LEFT, RIGHT], {}, {"eth8", "eth9"}) is None
    assert choose_stand_in(GONE, [], {}, ()) is None


def test_the_stand_in_takes_name_and_mac_and_its_own_pif_makes_way() -> None:
    """Two PIFs cannot have one NIC: management has it."""
    rescue = choose_stand_in(GONE, [RIGHT], {}, ())
    assert rescue is not None

    after = with_stand_in(SNAPSHOT, rescue)

    assert {(pif.device, pif.mac) for pif in after.pifs.values()} == {("eth9", RIGHT.mac)}
    assert after.warnings == ("PIF p1 (eth9) makes way: eth9 stands in for management's eth0",)
    assert not after.complete
