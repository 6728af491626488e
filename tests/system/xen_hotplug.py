"""Guests' devices on a real Xen: netback, the kernel's datapath and xenstored, under bare udevd and under systemd's.

Each boot tells of two guests: one whose events start the hook, and one whose events xsagentd hears by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from lab_run import LabRun, Report

_TIMEOUT_S = 1500
WAYS = ("one-shot", "daemon")

pytestmark = pytest.mark.timeout(_TIMEOUT_S + 60)


@pytest.fixture(scope="module", params=["udev", "systemd"])
def report(lab_run: LabRun, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Report:
    """Two guests' lives for all tests."""
    init = str(request.param)
    return lab_run.boot_xen("hotplug.py", tmp_path_factory.mktemp("xen"), init=init, timeout_s=_TIMEOUT_S)


def of(report: Report, way: str, case: str) -> dict[str, Any]:
    """Facts of one case of one guest."""
    return report.facts(f"{way}: {case}")


def check_attached(facts: dict[str, Any]) -> None:
    """Reported without an error, and on the bridge."""
    assert (facts["status"], facts["online"], facts["error"], facts["bridge"]) == ("connected", "online", "", ["br0"])
    assert facts["interface"]["ofport"] > 0
    assert {"UP", "NOARP"} <= set(facts["link"]["flags"])


@pytest.mark.parametrize("way", WAYS)
def test_a_guest_starts_with_its_vif_on_the_bridge_and_is_reached(report: Report, way: str) -> None:
    """Netback connects the guest after `connected`; port, marks, netdev and flows are as wanted by then."""
    facts = of(report, way, "create")

    check_attached(facts)
    assert facts["interface"]["external_ids"]["attached-mac"] == "00:16:3e:00:00:01"
    assert facts["interface"]["external_ids"]["iface-status"] == "active"
    assert (facts["link"]["mtu"], facts["link"]["address"]) == (1400, "fe:ff:ff:ff:ff:ff")
    assert facts["link"]["inet6_addr_gen_mode"] == "none"
    assert facts["flows"] == 14
    assert facts["guest_pinged"]
    assert facts["guest_answers"]


@pytest.mark.parametrize("way", WAYS)
def test_a_locked_guest_is_cut_off_with_an_address_that_is_not_its_own(report: Report, way: str) -> None:
    """A live change of the allowed address, there and back."""
    facts = of(report, way, "lock another address")

    assert (facts["guest_answers"], facts["guest_answers_again"]) == (False, True)


@pytest.mark.parametrize("way", WAYS)
def test_a_second_vif_is_attached_to_the_running_guest(report: Report, way: str) -> None:
    """By xl, and the guest is reached through it."""
    facts = of(report, way, "attach")

    check_attached(facts)
    assert facts["guest_answers"]


@pytest.mark.parametrize("way", WAYS)
def test_a_third_vif_is_plugged_through_xenstore_alone(report: Report, way: str) -> None:
    """As xenopsd does it, with no libxl in between."""
    check_attached(of(report, way, "plug"))


@pytest.mark.parametrize("way", WAYS)
def test_a_vif_that_goes_leaves_nothing_behind_and_the_others_stay(report: Report, way: str) -> None:
    """Its port and the key that xenopsd waits for go, by xenstore alone and by xl."""
    domid = of(report, way, "destroy")["domid"]

    assert of(report, way, "unplug")["others"] == [f"vif{domid}.0", f"vif{domid}.1"]
    assert of(report, way, "detach")["others"] == [f"vif{domid}.0"]
    assert of(report, way, "detach")["guest_answers"]


@pytest.mark.parametrize("way", WAYS)
def test_a_destroyed_guest_leaves_nothing_behind(report: Report, way: str) -> None:
    """Its port is gone and so are its flows, though the kernel's datapath had forgotten the port's number."""
    assert of(report, way, "destroy")["ports"] == []


@pytest.mark.parametrize("way", WAYS)
def test_no_second_vif_rule_runs(report: Report, way: str) -> None:
    """The toolstack's own line is taken out."""
    assert of(report, way, "destroy")["second_rule_ran"] is False


def test_udev_starts_the_hook_only_without_the_daemon(report: Report) -> None:
    """Three vifs came and went: `online` and `remove` of each without xsagentd, and nothing while it is ready."""
    calls = [line for line in of(report, "one-shot", "destroy")["hook"] if line]

    assert sorted(calls) == ["online type_if=vif"] * 3 + ["remove type_if=vif"] * 3
    assert of(report, "daemon", "destroy")["hook"] == []


def test_xenstore_is_read_through_the_kernels_device(report: Report) -> None:
    """Where xenstored runs in a domain of its own there is no socket: watches and many reads at once work then too."""
    assert report.facts("read by device")["said"] == "/dev/xen/xenbus br0"
