"""Bonds on the kernel's datapath in front of a learning switch: NIC to bond and back, VLANs on it, cables pulled.

Packets of dom0 (one each 5 ms) and of a guest (one each 20 ms) are under way all the time. Outages are bounded
coarsely, for the VM's processor is emulated: by less than the 31 s of a member that had no carrier in time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from lab_run import NOTHING_CHANGED, PINGS

if TYPE_CHECKING:
    from lab_run import LabRun, Report

TRANSITION_MS, FAILOVER_MS = 8000, 3000
BOTH_UP = {"eth0": True, "eth1": True}
STREAMS = ("host_stream", "guest_stream")


@pytest.fixture(scope="module")
def report(lab_run: LabRun, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """One boot for all tests."""
    return lab_run.boot("bonds.py", tmp_path_factory.mktemp("out"))


def assert_nothing_lost(facts: dict[str, Any]) -> None:
    """Every packet of both streams was answered."""
    assert [facts[stream]["lost"] for stream in STREAMS] == [0, 0]
    assert all(facts[stream]["answered"] > 50 for stream in STREAMS)


def test_the_streams_see_a_switch_that_does_not_forward(report: Report) -> None:
    """The control run of all counts: without flows every packet is lost."""
    facts = report.facts("control")

    assert [facts[stream]["answered"] for stream in STREAMS] == [0, 0]
    assert all(facts[stream]["sent"] > 20 for stream in STREAMS)


def test_management_and_a_guest_move_from_a_nic_to_its_bond(report: Report) -> None:
    """The address, the guest's port and the NIC are on the bond's bridge, the NIC's bridge is gone."""
    facts = report.facts("nic_to_bond")

    assert facts["bridges"] == {"xapi0": ["bond0", "vif1.0"]}
    assert facts["addresses"] == {"xapi0": ["192.0.2.10/24"], "xenbr0": [], "eth0": [], "eth1": []}
    assert facts["port"] == {
        "bond_mode": "balance-slb",
        "lacp": "off",
        "bond_updelay": 31000,
        "bond_downdelay": 200,
        "mac": "02:00:00:00:01:00",
    }
    assert all(device in facts["kernel_ports"] for device in ("eth0", "eth1", "vif1.0"))


def test_members_have_their_carrier_before_they_join(report: Report) -> None:
    """Both count as up at once: a member that is raised too late waits for updelay, 31 s."""
    assert report.facts("nic_to_bond")["members"] == BOTH_UP


@pytest.mark.parametrize("case", ["nic_to_bond", "bond_to_nic"])
def test_a_move_between_nic_and_bond_interrupts_for_a_moment_alone(report: Report, case: str) -> None:
    """What both streams lose is what one transaction and an address set again cost."""
    facts = report.facts(case)

    assert all(facts[stream]["lost"] * facts[stream]["interval_ms"] < TRANSITION_MS for stream in STREAMS)


@pytest.mark.parametrize("case", ["bond_again", "vlan_again"])
def test_a_second_run_changes_nothing(report: Report, case: str) -> None:
    """Neither in the switch's database nor in the kernel nor in a driver."""
    assert report.facts(case)["changes"] == NOTHING_CHANGED


def test_an_option_is_changed_in_place(report: Report) -> None:
    """The delays are those of the record, the members stay up, and no packet is lost."""
    facts = report.facts("option_changed")

    assert facts["port"] == {"bond_updelay": 200, "bond_downdelay": 200}
    assert facts["members"] == BOTH_UP
    assert_nothing_lost(facts)


def test_a_vlan_on_the_bond_is_tagged_on_the_wire(report: Report) -> None:
    """Each of its packets that leaves a NIC carries tag 100; the far end answers on that VLAN alone."""
    facts = report.facts("vlan_up")

    assert facts["bridges"] == {"xapi0": ["bond0", "vif1.0"], "xapi1": []}
    assert facts["reaches_vlan"]
    frames = [line for line in facts["frames"] if "198.51.100.10 > 198.51.100.1: ICMP echo request" in line]
    assert len(frames) == PINGS
    assert all("vlan 100, p 0, ethertype IPv4" in line for line in frames)


@pytest.mark.parametrize("case", ["vlan_up", "vlan_down", "vlan_up_again"])
def test_a_vlan_on_the_bond_comes_and_goes_without_a_lost_packet(report: Report, case: str) -> None:
    """Neither of dom0 nor of the guest, both on the bond's own bridge."""
    assert_nothing_lost(report.facts(case))


def test_down_of_the_vlan_leaves_the_bond(report: Report) -> None:
    """Only the VLAN's bridge goes."""
    assert report.facts("vlan_down")["bridges"] == {"xapi0": ["bond0", "vif1.0"]}


def test_the_mode_is_changed_in_place(report: Report) -> None:
    """From balance-slb to active-backup: both members stay, and no packet is lost."""
    facts = report.facts("mode_changed")

    assert facts["port"] == {"bond_mode": "active-backup"}
    assert facts["members"] == BOTH_UP
    assert_nothing_lost(facts)


@pytest.mark.parametrize(
    ("case", "cable"),
    [
        ("cables_slb", "eth0"),
        ("cables_slb", "eth1"),
        ("cables_active_backup", "first"),
        ("cables_active_backup", "second"),
    ],
)
def test_a_pulled_cable_costs_a_failover_and_no_more(report: Report, case: str, cable: str) -> None:
    """Host, guest and VLAN go on over the other member; plugging the cable in again costs nothing."""
    facts = report.facts(case)[cable]

    assert facts["reaches_without"]
    assert all(facts[stream]["outage_ms"] < FAILOVER_MS for stream in ("out", "guest_out"))
    assert facts["in"]["lost"] == 0
    assert facts["in"]["answered"] > 50
    assert facts["vlan"]


def test_the_cable_of_the_active_member_was_pulled(report: Report) -> None:
    """What makes the test before mean something: the active member changed, and packets were lost."""
    facts = report.facts("cables_active_backup")

    assert sorted(facts["active"]) == ["eth0", "eth1"]
    assert facts["first"]["out"]["lost"] > 0


def test_management_and_the_guest_move_back(report: Report) -> None:
    """The bond is gone, the NIC's bridge has the address and the guest's port."""
    facts = report.facts("bond_to_nic")

    assert facts["bridges"] == {"xenbr0": ["eth0", "vif1.0"]}
    assert facts["addresses"] == {"xapi0": [], "xenbr0": ["192.0.2.10/24"], "eth0": [], "eth1": []}
