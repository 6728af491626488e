"""VLANs on NICs: as a bridge on the kernel's datapath, and without bridges as a device of the 8021q module."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from lab_run import NOTHING_CHANGED, PINGS

if TYPE_CHECKING:
    from lab_run import LabRun, Report

STREAMS = ("host_stream", "guest_stream")


@pytest.fixture(scope="module")
def report(lab_run: LabRun, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """One boot for all tests."""
    return lab_run.boot("vlans.py", tmp_path_factory.mktemp("out"))


def test_a_vlan_is_tagged_on_the_wire_and_its_carrier_is_not(report: Report) -> None:
    """Packets of the VLAN carry its tag, those of the carrier none."""
    facts = report.facts("up")

    assert facts["port"] == {"tag": 100, "fake_bridge": True}
    assert facts["parent"] == "xenbr0"
    assert facts["reaches_vlan"]
    requests = [line for line in facts["frames"]["lines"] if "ICMP echo request" in line]
    tagged = [line for line in requests if "vlan 100," in line]
    assert len(tagged) == PINGS
    assert all("198.51.100.10 > 198.51.100.1" in line for line in tagged)
    assert len([line for line in requests if "vlan" not in line and "192.0.2.10 > 192.0.2.1" in line]) == PINGS


@pytest.mark.parametrize("case", ["up", "down"])
def test_a_vlan_comes_and_goes_without_a_lost_packet(report: Report, case: str) -> None:
    """Of a 1 ms stream from dom0 and a 5 ms stream from a guest on the carrier's bridge."""
    facts = report.facts(case)

    assert [facts[stream]["lost"] for stream in STREAMS] == [0, 0]
    assert all(facts[stream]["answered"] > 200 for stream in STREAMS)


@pytest.mark.parametrize("case", ["again", "bridgeless_again"])
def test_a_second_run_changes_nothing(report: Report, case: str) -> None:
    """Neither in the switch's database nor in the kernel nor in a driver."""
    changes = report.facts(case)["changes"]

    assert changes == NOTHING_CHANGED


def test_down_leaves_the_carrier(report: Report) -> None:
    """The VLAN's bridge goes, management's and the guest's port stay."""
    assert report.facts("down")["bridges"] == {"xenbr0": ["eth0", "vif1.0"]}


def test_a_bridgeless_vlan_is_a_device_of_8021q(report: Report) -> None:
    """It lies on the NIC with its tag and its address, is tagged on the wire, and the switch knows nothing of it."""
    facts = report.facts("bridgeless_up")

    assert facts["link"]["link"] == "eth1"
    assert facts["link"]["linkinfo"]["info_kind"] == "vlan"
    assert facts["link"]["linkinfo"]["info_data"]["id"] == 42
    assert facts["addresses"] == ["203.0.113.10/24"]
    assert facts["bridges"] == {"xenbr0": ["eth0", "vif1.0"]}
    assert facts["reaches"]
    requests = [line for line in facts["frames"]["lines"] if "ICMP echo request" in line]
    assert len(requests) == PINGS
    assert all("vlan 42," in line for line in requests)


def test_xapi_absent_is_told_and_the_cache_used(report: Report) -> None:
    """``--pif-uuid`` without XAPI warns on stderr and works."""
    stderr = report.facts("bridgeless_up")["run"]["stderr"]

    assert stderr[0].startswith("interface-reconfigure: warning: XAPI is not there")
    assert stderr[0].endswith("the cache is used")


def test_down_removes_the_8021q_device(report: Report) -> None:
    """And the NIC, which nobody needs any more, goes down."""
    facts = report.facts("bridgeless_down")

    assert facts["link"] == {}
    assert "UP" not in facts["nic"]
