"""desired/rescue.py: a stand-in is chosen by slot, else because there is no other; never by a guess."""

from __future__ import annotations

from dataclasses import replace

from xsagent.desired.request import HostFacts
from xsagent.desired.rescue import (
    PresentNic,
    choose_stand_in,
    find_renamed,
    keep_stand_in,
    making_way,
    management_base,
    missing_management_nics,
    with_stand_ins,
)
from xsagent.model.records import Bond, Network, Pif, Ref
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
    assert missing_management_nics(SNAPSHOT, GONE, swapped, {"eth0"}, at_boot=True) == ()
    assert missing_management_nics(SNAPSHOT, GONE, [LEFT], {"eth8"}, at_boot=True) == (GONE,)


def test_a_nic_under_another_name_is_found_by_its_mac_at_boot_also_where_its_own_name_is_anothers() -> None:
    """Two NICs that have swapped names are both there, and neither is where its name says."""
    moved, other = PresentNic(name="eth9", mac=GONE.mac), PresentNic(name="eth0", mac=OTHER.mac)

    assert missing_management_nics(SNAPSHOT, GONE, [moved, other], {"eth0", "eth9"}, at_boot=True) == (GONE,)
    assert missing_management_nics(SNAPSHOT, GONE, [moved, other], {"eth0", "eth9"}, at_boot=False) == ()
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

    after = with_stand_ins(SNAPSHOT, [rescue])

    assert {(pif.device, pif.mac) for pif in after.pifs.values()} == {("eth9", RIGHT.mac)}
    assert after.warnings == ("PIF p1 (eth9) makes way: eth9 stands in for management's eth0",)
    assert not after.complete


def test_management_is_on_the_pif_that_says_so_or_whose_bridge_the_inventory_names() -> None:
    """Old records do not say which it is."""
    silent = replace(SNAPSHOT, pifs={GONE.ref: replace(GONE, management=False), OTHER.ref: OTHER})

    assert management_base(SNAPSHOT, "") == GONE
    found = management_base(silent, "xenbr0")
    assert found is not None
    assert found.ref == GONE.ref
    assert management_base(silent, "xenbr7") is None


def test_the_nic_that_stands_in_already_stays_the_one() -> None:
    """Among all that is on management's bridge; two are none."""
    kept = keep_stand_in(GONE, [LEFT, RIGHT], ["xenbr0", "eth8"])
    assert kept is not None
    assert kept.nic == LEFT
    assert keep_stand_in(GONE, [LEFT, RIGHT], ["eth8", "eth9"]) is None
    assert keep_stand_in(GONE, [LEFT, RIGHT], ["eth7"]) is None


def bonded(members: dict[str, str]) -> Snapshot:
    """Management on bond0 over NICs of these names and MACs; a NIC eth2 beside it, in no bond."""
    record = Bond(ref=Ref("b0"), uuid="b0", pif=Ref("bond0"), members=tuple(map(Ref, members)))
    pifs = {
        Ref(name): Pif(ref=Ref(name), uuid=name, device=name, network=Ref(f"n-{name}"), mac=mac, physical=True)
        for name, mac in {**members, "eth2": "aa:00:00:00:00:02"}.items()
    }
    pifs |= {ref: replace(pifs[ref], member_of=record.ref) for ref in record.members}
    bond = Pif(ref=record.pif, uuid="bond0", device="bond0", network=Ref("n-bond0"), management=True, bond=record.ref)
    networks = {Ref(f"n-{name}"): Network(ref=Ref(f"n-{name}"), uuid=name, bridge=f"br-{name}") for name in pifs}
    return Snapshot(source="test", pifs={**pifs, bond.ref: bond}, bonds={record.ref: record}, networks=networks)


def test_members_of_managements_bond_are_found_by_their_macs_at_boot_all_at_once() -> None:
    """Also where three NICs have each other's names, one of them outside the bond: its PIF makes way, none else."""
    snapshot = bonded({"eth0": "aa:00:00:00:00:00", "eth1": "aa:00:00:00:00:01"})
    macs = {"eth2": "aa:00:00:00:00:00", "eth0": "aa:00:00:00:00:01", "eth1": "aa:00:00:00:00:02"}
    nics = [PresentNic(name=name, mac=mac) for name, mac in macs.items()]
    bond = snapshot.pifs[Ref("bond0")]

    gone = missing_management_nics(snapshot, bond, nics, macs, at_boot=True)
    rescues = find_renamed(gone, nics)
    after = with_stand_ins(snapshot, rescues)

    assert missing_management_nics(snapshot, bond, nics, macs, at_boot=False) == ()
    assert {ref: pif.device for ref, pif in after.pifs.items()} == {"eth0": "eth2", "eth1": "eth0", "bond0": "bond0"}
    assert [(pif.ref, why) for pif, why in making_way(snapshot, rescues, HostFacts())] == [
        ("eth2", "eth2 stands in for management's eth0")
    ]


def test_members_of_one_bond_may_have_each_others_names() -> None:
    """Then none of them is gone."""
    snapshot = bonded({"eth0": "aa:00:00:00:00:00", "eth1": "aa:00:00:00:00:01"})
    nics = [PresentNic(name="eth0", mac="aa:00:00:00:00:01"), PresentNic(name="eth1", mac="aa:00:00:00:00:00")]
    devices = {"eth0", "eth1"}

    assert missing_management_nics(snapshot, snapshot.pifs[Ref("bond0")], nics, devices, at_boot=True) == ()
