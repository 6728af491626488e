"""Units boot a host under a real systemd on the kernel's datapath, after a boot whose power was cut."""

from __future__ import annotations

import os
import random
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from lab_run import LabRun, Report

THREE_BOOTS_S = 2700
pytestmark = pytest.mark.timeout(THREE_BOOTS_S + 100)


@pytest.fixture(scope="module")
def report(lab_run: LabRun, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Three boots of one disk: one that installs, one that is cut, and a whole one, which is judged."""
    seed = int(os.environ.get("XSAGENT_TEST_SEED") or random.SystemRandom().randrange(1 << 32))
    moment = random.Random(seed).random()  # noqa: S311 - a moment, no secret
    sys.stdout.write(f"XSAGENT_TEST_SEED={seed}: the power is cut after {moment:.2f} of the second boot\n")
    out = tmp_path_factory.mktemp("out")
    return lab_run.boot("boot.py", out, f"{moment:.3f}", init="systemd", reboots=True, timeout_s=THREE_BOOTS_S)


def test_the_units_bring_the_host_up(report: Report) -> None:
    """Each is as it should be, none had to be tried twice."""
    facts = report.facts("boot")

    for unit, state in facts["units"].items():
        assert (state["ActiveState"], state["Result"]) == ("active", "success"), (unit, state, facts["journal"][-40:])
        assert state.get("NRestarts", "0") == "0", (unit, state)


def test_management_is_reachable(report: Report) -> None:
    """From the wire, on the address of the cache."""
    facts = report.facts("boot")

    assert facts["addresses"] == ["192.0.2.10/24"]
    assert facts["reaches_gateway"]
    assert facts["far_reaches"]


def test_nothing_stale_is_left_and_the_switch_never_saw_it(report: Report) -> None:
    """Bridges of the boot before are deleted before ovs-vswitchd starts; what comes back is the cache's."""
    facts = report.facts("boot")

    assert facts["bridges"] == {"xenbr0": ["eth0"], "xenbr1": ["eth1"]}
    assert facts["heard_of"] == []
    assert facts["marker"]


def test_online_comes_after_management(report: Report) -> None:
    """Database, switch, management, network-online.target, in this order."""
    since = report.facts("boot")["since"]

    order = ["ovsdb-server.service", "ovs-vswitchd.service", "management-interface.service", "network-online.target"]
    assert [since[unit] for unit in order] == sorted(since[unit] for unit in order)
    assert all(since.values())


def test_the_daemons_are_systemds(report: Report) -> None:
    """Each in the control group of its unit, and the switch has threads for new flows."""
    facts = report.facts("boot")

    assert facts["cgroups"] == {"ovsdb-server": "ovsdb-server.service", "ovs-vswitchd": "ovs-vswitchd.service"}
    assert facts["handlers"] > 0


def test_the_init_scripts_restart_goes_through_systemd(report: Report) -> None:
    """Flows, bridges and management are there afterwards."""
    facts = report.facts("restart")

    assert facts["other_process"]
    assert facts["cgroup"] == "ovs-vswitchd.service"
    assert facts["bridges"] == {"xenbr0": ["eth0"], "xenbr1": ["eth1"]}
    assert facts["flow"]
    assert facts["reaches_gateway"]
