"""Circles among records are set aside, so that nothing that follows references can run for ever."""

from __future__ import annotations

import dataclasses

import pytest

from xsagent.model.records import Bond, Pif, Ref, Sriov, Vlan
from xsagent.model.references import check_references
from xsagent.model.snapshot import Snapshot


def pif(name: str, **fields: object) -> Pif:
    """A PIF whose reference, uuid and device are its name."""
    return Pif(ref=Ref(name), uuid=name, device=name, network=None, **fields)  # type: ignore[arg-type] # any field


def vlan(name: str, upper: str, carrier: str) -> Vlan:
    """A VLAN by names."""
    return Vlan(ref=Ref(name), uuid=name, pif=Ref(upper), carrier=Ref(carrier), tag=5)


def bond(name: str, upper: str, *members: str) -> Bond:
    """A bond by names."""
    return Bond(ref=Ref(name), uuid=name, pif=Ref(upper), members=tuple(map(Ref, members)))


def sriov(name: str, logical: str, physical: str) -> Sriov:
    """An SR-IOV enablement by names."""
    return Sriov(ref=Ref(name), uuid=name, logical_pif=Ref(logical), physical_pif=Ref(physical))


def snapshot(
    pifs: list[Pif],
    vlans: list[Vlan] | None = None,
    bonds: list[Bond] | None = None,
    sriovs: list[Sriov] | None = None,
) -> Snapshot:
    """A snapshot of these."""
    return Snapshot(
        source="test",
        pifs={item.ref: item for item in pifs},
        vlans={item.ref: item for item in vlans or []},
        bonds={item.ref: item for item in bonds or []},
        sriovs={item.ref: item for item in sriovs or []},
    )


@pytest.mark.parametrize(
    ("given", "bad"),
    [
        (snapshot([pif("a", vlan_record=Ref("v"))], [vlan("v", "a", "a")]), {"a"}),
        (snapshot([pif("a"), pif("b")], [vlan("v", "a", "b"), vlan("w", "b", "a")]), {"a", "b"}),
        (snapshot([pif("a"), pif("b"), pif("c")], [vlan("v", "a", "b"), vlan("w", "b", "a")]), {"a", "b"}),
        (snapshot([pif("a"), pif("b")], [vlan("v", "a", "b")], [bond("x", "b", "a")]), {"a", "b"}),
        (snapshot([pif("a"), pif("b")], [], [bond("x", "a", "a", "b")]), {"a"}),
        (snapshot([pif("a", bond=Ref("x"))], [], [bond("x", "other", "a")]), {"a"}),
        (snapshot([pif("a"), pif("b"), pif("c")], [], [bond("x", "a", "b"), bond("y", "b", "c")]), {"a"}),
        (snapshot([pif("u"), pif("a")], [vlan("v", "u", "a"), vlan("w", "a", "a")]), {"u", "a"}),
        (snapshot([pif("a")], sriovs=[sriov("s", "a", "a")]), {"a"}),
        (snapshot([pif("a"), pif("b")], [vlan("v", "a", "b")], sriovs=[sriov("s", "b", "a")]), {"a", "b"}),
    ],
)
def test_what_goes_round_in_a_circle_is_set_aside(given: Snapshot, bad: set[str]) -> None:
    """A VLAN on itself, a loop of VLANs, a bond over its VLAN, a bond of bonds, and what stands on them."""
    checked = check_references(given)

    assert set(checked.unusable) == bad
    assert set(checked.pifs) == set(given.pifs) - bad
    assert not checked.complete, "what is set aside is missing: nothing may be pruned for it"
    assert len(checked.warnings) >= len(bad)


def test_a_sound_snapshot_comes_back_as_it_was() -> None:
    """VLANs on a bond of two NICs are no circle, nor is SR-IOV on a NIC."""
    sound = snapshot(
        [
            *(pif("a", member_of=Ref("x")), pif("b", member_of=Ref("x"))),
            pif("c", bond=Ref("x"), vlans_on=(Ref("v"),)),
            pif("d", vlan_record=Ref("v")),
            *(pif("e", sriov_physical_of=(Ref("s"),)), pif("f", sriov_logical_of=(Ref("s"),))),
        ],
        [vlan("v", "d", "c")],
        [bond("x", "c", "a", "b")],
        [sriov("s", "f", "e")],
    )

    assert check_references(sound) == sound


def test_records_of_other_hosts_are_no_warning() -> None:
    """A cache can hold VLANs whose PIFs are all elsewhere; one half here is worth a word."""
    assert check_references(snapshot([pif("a")], [vlan("v", "x", "y")])).warnings == ()
    assert check_references(snapshot([pif("a")], [vlan("v", "x", "a")])).warnings == (
        "VLAN v refers to PIF x, which is in no record",
    )


def test_an_sriov_record_that_is_half_here_is_a_warning() -> None:
    """Whichever end points nowhere."""
    assert check_references(snapshot([pif("a")], sriovs=[sriov("s", "x", "y")])).warnings == ()
    assert check_references(snapshot([pif("a")], sriovs=[sriov("s", "x", "a")])).warnings == (
        "SR-IOV record s refers to PIF x, which is in no record",
    )
    assert check_references(snapshot([pif("a", sriov_logical_of=(Ref("s"),))])).warnings == (
        "PIF a refers to SR-IOV record s, which is in no record",
    )


def test_a_record_that_cannot_be_used_is_no_dangling_reference() -> None:
    """It is named in `unusable` already, with what is wrong with it."""
    records = snapshot([pif("a", vlan_record=Ref("v"))], [vlan("w", "a", "b")])
    records = dataclasses.replace(records, unusable={Ref(ref): "wrong" for ref in ("v", "b")})

    assert check_references(records).warnings == ()


def test_a_chain_of_ten_thousand_vlans_is_checked() -> None:
    """Without recursion."""
    pifs = [pif(str(number)) for number in range(10_000)]
    vlans = [vlan(f"v{number}", str(number), str(number + 1)) for number in range(9_999)]

    assert check_references(snapshot(pifs, vlans)).unusable == {}
