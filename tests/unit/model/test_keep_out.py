"""model/keep_out.py: the cache keeps the last records that worked of a PIF whose present ones were taken back."""

from __future__ import annotations

from dataclasses import replace

from xsagent.model.keep_out import configuration_of, keep_out
from xsagent.model.records import Bond, Network, Pif, Ref
from xsagent.model.snapshot import Snapshot

NETWORK = Network(ref=Ref("N"), uuid="n", bridge="xenbr0", mtu="1500")
PIF = Pif(ref=Ref("P"), uuid="p", device="eth0", network=Ref("N"), ip_mode="Static", ip="192.0.2.10")
OTHER = Pif(ref=Ref("Q"), uuid="q", device="eth1", network=None, ip="198.51.100.1")


def snapshot(pif: Pif = PIF, network: Network = NETWORK, *others: Pif) -> Snapshot:
    """Records with this PIF on this network."""
    return Snapshot(
        source="xapi",
        host_uuid="h",
        complete=True,
        pifs={one.ref: one for one in (pif, *others)},
        networks={network.ref: network},
        bonds={},
        vlans={},
        tunnels={},
        sriovs={},
        pool=None,
        unusable={},
        warnings=(),
    )


def test_a_configuration_that_was_taken_back_gives_way_to_the_one_before() -> None:
    """Its network too; other PIFs are as XAPI says."""
    failed = replace(PIF, ip="192.0.2.99")
    now = snapshot(failed, replace(NETWORK, mtu="9000"), replace(OTHER, ip="198.51.100.2"))
    before = snapshot(PIF, NETWORK, OTHER)

    kept = keep_out(now, {"p": (configuration_of(now, failed),)}, before)

    assert kept.pifs[Ref("P")] == PIF
    assert kept.networks[Ref("N")] == NETWORK
    assert kept.pifs[Ref("Q")].ip == "198.51.100.2"


def test_without_a_cache_before_such_a_pif_is_left_out() -> None:
    """The next boot must not try what failed."""
    assert keep_out(snapshot(), {"p": (configuration_of(snapshot(), PIF),)}, None).pifs == {}


def test_another_configuration_of_the_same_pif_goes_in() -> None:
    """Only what was taken back stays out, each of them."""
    tried = [replace(PIF, ip=f"192.0.2.{number}") for number in (98, 99)]
    remembered = {"p": tuple(configuration_of(snapshot(pif), pif) for pif in tried)}

    assert keep_out(snapshot(), remembered, None) == snapshot()
    for pif in tried:
        assert keep_out(snapshot(pif), remembered, snapshot()).pifs[Ref("P")] == PIF


def test_the_bond_comes_back_that_worked_before_its_member_was_tried_alone() -> None:
    """XAPI moved management from a bond to its member, and we took that back: the next boot needs the whole bond."""
    bond = Bond(ref=Ref("B"), uuid="b", pif=Ref("M"), members=(Ref("P"), Ref("Q")))
    over = Pif(ref=Ref("M"), uuid="m", device="bond0", network=Ref("N"), bond=Ref("B"), management=True)
    members = [replace(pif, ip_mode="None", member_of=Ref("B"), network=None) for pif in (PIF, OTHER)]
    before = replace(snapshot(over, NETWORK, *members), bonds={Ref("B"): bond})
    alone = replace(PIF, management=True)
    now = snapshot(alone, NETWORK, OTHER)

    kept = keep_out(now, {"p": (configuration_of(now, alone),)}, before)

    assert kept == before


def test_what_xapi_learns_afterwards_does_not_make_it_another() -> None:
    """State, read-back values, a VLAN that was put on it, the network's name."""
    later = replace(
        PIF, currently_attached=True, management=True, mtu="1500", vlans_on=(Ref("V"),), igmp_snooping_status="enabled"
    )
    network = replace(NETWORK, name_label="renamed", pifs=(Ref("P"),), default_locking_mode="disabled")

    assert configuration_of(snapshot(later, network), later) == configuration_of(snapshot(), PIF)


def test_with_dhcp_the_learnt_address_is_no_part_of_it_and_with_static_it_is() -> None:
    """wire.md section 4: with DHCP the fields hold what was learnt, or nothing."""
    dhcp = replace(PIF, ip_mode="DHCP", ipv6_mode="Autoconf")
    learnt = replace(dhcp, ip="192.0.2.77", gateway="192.0.2.1", dns="192.0.2.2", ipv6=("2001:db8::7/64",))

    assert configuration_of(snapshot(learnt), learnt) == configuration_of(snapshot(dhcp), dhcp)
    assert configuration_of(snapshot(), PIF) != configuration_of(snapshot(), replace(PIF, gateway="192.0.2.1"))
