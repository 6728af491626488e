"""LACP between a bond of ours and the kernel's own bonding at the far end, on the kernel's datapath."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from lab_run import NOTHING_CHANGED

if TYPE_CHECKING:
    from lab_run import LabRun, Report

FAILOVER_MS = 3000
BOTH = {"eth0": True, "eth1": True}


@pytest.fixture(scope="module")
def report(lab_run: LabRun, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """One boot for all tests."""
    return lab_run.boot("lacp.py", tmp_path_factory.mktemp("out"))


def test_both_ends_agree_on_one_aggregate(report: Report) -> None:
    """Both members collect and distribute, and the far end has us as the partner of both its ports."""
    facts = report.facts("up")

    assert facts["negotiated"] == BOTH
    assert re.search(r"Number of ports: 2\n", facts["partner"])
    assert "Partner Mac Address: 02:00:00:00:01:00" in facts["partner"]
    assert facts["reaches_gateway"]


def test_the_options_are_those_of_the_record(report: Report) -> None:
    """LACP is active, balanced over ports, and fast as asked for."""
    port = report.facts("up")["port"]

    assert (port["lacp"], port["bond_mode"]) == ("active", "balance-tcp")
    assert port["other_config"]["lacp-time"] == "fast"


def test_a_second_run_changes_nothing(report: Report) -> None:
    """Neither in the switch's database nor in the kernel nor in a driver."""
    changes = report.facts("again")["changes"]

    assert changes == NOTHING_CHANGED


def test_a_vlan_comes_up_on_the_aggregate(report: Report) -> None:
    """Without a lost packet, and without a new negotiation."""
    facts = report.facts("vlan_up")

    assert facts["stream"]["lost"] == 0
    assert facts["reaches_vlan"]
    assert facts["negotiated"] == BOTH


@pytest.mark.parametrize("cable", ["eth0", "eth1"])
def test_a_pulled_cable_leaves_the_aggregate_and_comes_back(report: Report, cable: str) -> None:
    """Traffic goes on over the other member; after the cable is plugged in again both are members."""
    facts = report.facts("cables")[cable]

    assert facts["negotiated"] == {nic: nic != cable for nic in BOTH}
    assert facts["reaches_without"]
    assert facts["out"]["outage_ms"] < FAILOVER_MS
    assert facts["in"]["outage_ms"] < FAILOVER_MS
    assert facts["vlan"]
