"""Under a real systemd on the kernel's datapath: our packages come to a host that runs, boot it, and go again.

The boot that is judged comes after one whose power was cut at a random moment.
"""

from __future__ import annotations

import itertools
import os
import random
import sys
from typing import TYPE_CHECKING, Any

import pytest
from our_packages import build_packages, obstacle

if TYPE_CHECKING:
    from lab_run import LabRun, Report

THREE_BOOTS_S = 2400
BRIDGES = {"xenbr0": ["eth0"], "xenbr1": ["eth1"]}
ORDER = (
    "ovsdb-server.service",
    "ovs-vswitchd.service",
    "management-interface.service",
    "xapi.service",
    "openvswitch-xapi-update.service",
)
"""Each begins when the one before it is done."""
ALSO_AFTER_MANAGEMENT = ("network-online.target", "xsagentd.service")
pytestmark = pytest.mark.timeout(THREE_BOOTS_S + 300)


@pytest.fixture(scope="module")
def report(lab_run: LabRun, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Three boots of one disk: one that installs, one that is cut, and a whole one."""
    if reason := obstacle():
        pytest.skip(reason)
    (lab_run.payload / "packages").mkdir()
    build_packages(lab_run.payload / "packages", ("1", "2"))
    seed = int(os.environ.get("XSAGENT_TEST_SEED") or random.SystemRandom().randrange(1 << 32))
    moment = random.Random(seed).random()  # noqa: S311 - a moment, no secret
    sys.stdout.write(f"XSAGENT_TEST_SEED={seed}: the power is cut after {moment:.2f} of the second boot\n")
    out = tmp_path_factory.mktemp("out")
    return lab_run.boot("boot.py", out, f"{moment:.3f}", init="systemd", reboots=True, timeout_s=THREE_BOOTS_S)


def assert_nothing_that_runs_was_touched(facts: dict[str, Any]) -> None:
    """Installation had nothing to complain of; both daemons and all ports are the same, no packet was lost."""
    complaints = [line for line in facts["rpm"]["stderr"] if not line.endswith("/xsagent.conf.rpmsave")]
    assert (facts["rpm"]["code"], complaints) == (0, [])
    assert not any(line.startswith("warning") for line in facts["rpm"]["stdout"]), facts["rpm"]
    assert facts["before"] == facts["after"]
    for stream in ("host_stream", "guest_stream"):
        assert (facts[stream]["lost"], facts[stream]["answered"] > 50) == (0, True), facts[stream]


# --- installing on a host that runs ------------------------------------------------------------------------


def test_installing_touches_nothing_that_runs(report: Report) -> None:
    """Dom0's and a guest's packets go on through the switch that the distribution started."""
    facts = report.facts("install")

    assert_nothing_that_runs_was_touched(facts)
    assert facts["marker"]
    assert facts["daemon"] == "0"


def test_systemd_has_our_units_from_then_on(report: Report) -> None:
    """Enabled for the next boot, others' daemons masked, and the switch that runs is one of ours by now."""
    facts = report.facts("install")

    assert facts["enabled"].pop("xcp-networkd") == "masked"
    assert facts["enabled"].pop("openvswitch-xapi-sync") == "masked"
    assert facts["enabled"]["openvswitch.service"] == "enabled"
    assert facts["enabled"]["management-interface.service"] == "enabled"
    assert facts["enabled"]["xsagentd.service"] == "enabled"
    assert facts["switch"]["FragmentPath"].endswith("xsagent/initscripts/ovs-vswitchd.service") or (
        facts["switch"]["FragmentPath"] == "/etc/systemd/system/ovs-vswitchd.service"
    )
    assert facts["switch"]["MainPID"] == facts["after"]["pids"][1]
    assert facts["switch"]["ActiveState"] == "active"


def test_the_distributions_name_of_the_switch_is_a_second_name_of_ours(report: Report) -> None:
    """Whoever starts or wants openvswitch-switch.service starts ours."""
    assert report.facts("install")["other_name"]["Id"] == "openvswitch.service"


def test_the_toolstacks_rule_for_vifs_is_out_and_its_others_stay(report: Report) -> None:
    """By the file in place."""
    block, vif = report.facts("install")["rules"]

    assert block.startswith("SUBSYSTEM")
    assert vif.startswith("# xsagent: ")


def test_an_upgrade_restarts_our_daemon_alone(report: Report) -> None:
    """It goes on with the new code, and is ready again."""
    facts = report.facts("upgrade")

    assert_nothing_that_runs_was_touched(facts)
    assert facts["status"]


# --- the boot after a power cut ----------------------------------------------------------------------------


def test_the_units_bring_the_host_up(report: Report) -> None:
    """Each is as it should be, none had to be tried twice, and systemd found no cycle among them."""
    facts = report.facts("boot")

    for unit, state in facts["units"].items():
        expected = "inactive" if unit == "openvswitch-xapi-update.service" else "active"
        assert state["ActiveState"] == expected, (unit, state, facts["journal"][-60:])
        assert state.get("Result", "success") == "success", (unit, state, facts["journal"][-60:])
        assert state.get("NRestarts", "0") == "0", (unit, state)
    assert facts["cycles"] == []


def test_management_is_reachable(report: Report) -> None:
    """From the wire, on the address of the cache."""
    facts = report.facts("boot")

    assert facts["addresses"] == ["192.0.2.10/24"]
    assert facts["reaches_gateway"]
    assert facts["far_reaches"]


def test_nothing_stale_is_left_and_the_switch_never_saw_it(report: Report) -> None:
    """Bridges of the boot before are deleted before ovs-vswitchd starts; what comes back is the cache's."""
    facts = report.facts("boot")

    assert facts["bridges"] == BRIDGES
    assert facts["heard_of"] == []
    assert facts["marker"]


def test_each_begins_when_what_it_needs_is_done(report: Report) -> None:
    """Database, switch, management, XAPI, plugin, by systemd's clock; our daemon leaves management the processor."""
    times = report.facts("boot")["began_and_ended"]

    management = [("management-interface.service", other) for other in ALSO_AFTER_MANAGEMENT]
    for before, after in [*itertools.pairwise(ORDER), *management]:
        assert 0 < times[before][1] <= times[after][0], (before, after, times)


def test_online_means_that_management_is_up(report: Report) -> None:
    """The target waits for it, and a unit that waits for the target finds the address there."""
    facts = report.facts("boot")

    assert "management-interface.service" in facts["online_after"]
    assert facts["online"] == ["xenbr0"]


def test_the_plugin_made_the_manager_what_xapi_wants(report: Report) -> None:
    """The database still named one of the boot before, XAPI wants none."""
    assert report.facts("boot")["manager"] == ""


def test_the_daemon_is_ready_and_follows_its_peers(report: Report) -> None:
    """By its own status; the doctor finds nothing wrong with the host but for xenstored, which this machine has not."""
    facts = report.facts("boot")

    assert facts["status"]["ready"]
    assert facts["status"]["services"]["xapi"]["connected"]
    for program in ("interface-reconfigure", "xsagentd"):
        assert any(f" {program}[" in line for line in facts["log"])
    found = [(one["id"], one["subject"]) for one in facts["doctor"]]
    assert found == [("daemon-key-failing", "resync")], facts["doctor"]
    assert "xenstored cannot be reached" in facts["doctor"][0]["problem"]


def test_the_daemons_are_systemds(report: Report) -> None:
    """Each in the control group of its unit, with the admin's options, and the switch has threads for new flows."""
    facts = report.facts("boot")

    assert facts["cgroups"] == {"ovsdb-server": "ovsdb-server.service", "ovs-vswitchd": "ovs-vswitchd.service"}
    assert facts["handlers"] > 0
    assert facts["nice"] == "5"


# --- what may happen to the daemon -------------------------------------------------------------------------


@pytest.mark.parametrize(("case", "result", "restarts"), [("killed", "signal", "1"), ("stopped", "watchdog", "2")])
def test_a_daemon_that_ends_or_hangs_comes_back(report: Report, case: str, result: str, restarts: str) -> None:
    """Its ready file goes with it, systemd starts another one, and that one is ready."""
    facts = report.facts(case)

    old, new = facts["processes"]
    assert old != new
    assert facts["unit"] == {"ActiveState": "active", "NRestarts": restarts}
    assert f"Failed with result '{result}'" in facts["results"][-1]


def test_a_daemon_that_is_stopped_leaves_the_host_to_the_hook(report: Report) -> None:
    """No ready file is left, and the fallback unit has run: it fails here, since this machine has no xenstored."""
    facts, fallback = report.facts("ended"), report.facts("fallback")

    assert not facts["ready"]
    assert facts["daemon"] == {"ActiveState": "inactive", "Result": "success"}
    assert fallback["unit"] == {"Result": "exit-code", "ExecMainStatus": "1"}
    assert "xenstored cannot be reached" in fallback["said"][-1]


def test_the_init_scripts_restart_goes_through_systemd(report: Report) -> None:
    """Flows, bridges and management are there afterwards; the switch is not started a second time meanwhile."""
    facts = report.facts("restart")

    assert facts["other_process"]
    assert (facts["warnings"], facts["handlers"] > 0) == ([], True)
    assert facts["cgroup"] == "ovs-vswitchd.service"
    assert facts["bridges"] == BRIDGES
    assert facts["flow"]
    assert facts["reaches_gateway"]


# --- and away ----------------------------------------------------------------------------------------------


def test_removing_touches_nothing_that_runs(report: Report) -> None:
    """But for our daemon, which is ended so that udev's rules start what handles devices."""
    facts = report.facts("remove")

    assert_nothing_that_runs_was_touched(facts)
    assert facts["daemon"] == "0"
    assert not facts["ready"]
    assert facts["addresses"] == ["192.0.2.10/24"]


def test_removing_gives_everything_back(report: Report) -> None:
    """Scripts, rules and the admin's options byte for byte; nothing of ours is left on the disk or enabled."""
    facts = report.facts("remove")

    assert all(facts["files"].values()), facts["files"]
    assert facts["left"] == []
    assert facts["enabled"].pop("openvswitch-switch.service") == "enabled"
    assert set(facts["enabled"].values()).isdisjoint({"enabled", "masked"})
