"""Guests' devices on a real Xen: netback, the kernel's datapath and xenstored, under bare udevd and under systemd's.

Each boot tells of two guests: one whose events start the hook, and one whose events xsagentd hears by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from lab_run import LabRun, Report

_TIMEOUT_S = 2400
WAYS = ("one-shot", "daemon")
VM = "e5b24593-770e-5865-b077-5f56bdead3c7"
NETWORK = "e65a64e7-d3e1-5188-9362-812424459b12"
MACS = ("00:16:3e:00:00:01", "00:16:3e:00:00:02", "00:16:3e:00:00:03")
"""As guest/hotplug.py has them."""

pytestmark = pytest.mark.timeout(_TIMEOUT_S + 60)


@pytest.fixture(scope="module", params=["udev", "systemd"])
def report(lab_run: LabRun, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Report:
    """Two guests' lives for all tests."""
    init = str(request.param)
    return lab_run.boot_xen("hotplug.py", tmp_path_factory.mktemp("xen"), init=init, timeout_s=_TIMEOUT_S)


def of(report: Report, way: str, case: str) -> dict[str, Any]:
    """Facts of one case of one guest."""
    return report.facts(f"{way}: {case}")


def names(report: Report, way: str, *devids: int) -> list[str]:
    """What is on the bridge while the guest has these vifs."""
    domid = of(report, way, "create")["domid"]
    return ["eth0", *(f"vif{domid}.{devid}" for devid in devids)]


def check_attached(facts: dict[str, Any], devid: int) -> None:
    """Reported, on the bridge, marked with all that is known of it, and ready for frames."""
    assert (facts["status"], facts["online"], facts["bridge"]) == ("connected", "online", ["br0"])
    vif = f"{devid}d183578-73d1-5ace-8bdc-9e32c65a5032"
    assert facts["interface"]["external_ids"] == {
        "attached-mac": MACS[devid],
        "iface-id": vif,
        "iface-status": "active",
        "vm-id": VM,
        "xs-network-uuid": NETWORK,
        "xs-vif-uuid": vif,
        "xs-vm-uuid": VM,
    }
    assert facts["interface"]["ofport"] > 0
    assert {"UP", "NOARP"} <= set(facts["link"]["flags"])
    assert (facts["link"]["mtu"], facts["link"]["address"]) == (1400, "fe:ff:ff:ff:ff:ff")
    assert facts["link"]["inet6_addr_gen_mode"] == "none"


@pytest.mark.parametrize("way", WAYS)
def test_a_guest_starts_with_its_vif_on_the_bridge(report: Report, way: str) -> None:
    """Port, marks, netdev and locking flows are as wanted when netback and xenopsd are told."""
    facts = of(report, way, "create")

    check_attached(facts, 0)
    port = facts["interface"]["ofport"]
    assert len(facts["flows"]) == 14
    assert all(f"in_port={port}" in flow or f'in_port="vif{facts["domid"]}.0"' in flow for flow in facts["flows"])


@pytest.mark.parametrize("way", WAYS)
def test_a_guest_reaches_the_wire_and_is_reached(report: Report, way: str) -> None:
    """Its own ping and its answers arrive at a host behind the bridge's NIC."""
    facts = of(report, way, "create")

    assert facts["guest_pinged"]
    assert facts["answered_by"] == MACS[0]
    assert any("ICMP echo request" in line and "10.0.0.2 > 10.0.0.1" in line for line in facts["frames"]["lines"])
    assert any("ICMP echo reply" in line and "10.0.0.2 > 10.0.0.1" in line for line in facts["frames"]["lines"])


@pytest.mark.parametrize("way", WAYS)
def test_a_locked_guest_is_cut_off_with_an_address_that_is_not_its_own(report: Report, way: str) -> None:
    """A live change of the allowed address, there and back."""
    facts = of(report, way, "lock another address")

    assert facts["guest_answers"] is False
    assert facts["answered_by_again"] == MACS[0]


@pytest.mark.parametrize("way", WAYS)
def test_a_second_vif_is_attached_to_the_running_guest(report: Report, way: str) -> None:
    """By xl, and the guest is reached through it."""
    facts = of(report, way, "attach")

    check_attached(facts, 1)
    assert facts["answered_by"] == MACS[1]


@pytest.mark.parametrize("way", WAYS)
def test_a_third_vif_is_plugged_through_xenstore_alone(report: Report, way: str) -> None:
    """As xenopsd does it, with no libxl in between, and the guest is reached through it."""
    facts = of(report, way, "plug")

    check_attached(facts, 2)
    assert facts["answered_by"] == MACS[2]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("case", "others"), [("unplug", (0, 1)), ("detach", (0,)), ("destroy", ())])
def test_a_vif_that_goes_leaves_nothing_behind(report: Report, way: str, case: str, others: tuple[int, ...]) -> None:
    """Its port, netdev and keys are gone by the time when xenopsd learns of it; the other vifs stay.

    It goes by xenstore alone, by xl, and with its guest.
    """
    facts = of(report, way, case)

    assert facts["ports"] == names(report, way, *others)
    assert facts["keys"] == []
    assert not facts["netdev"]


@pytest.mark.parametrize("way", WAYS)
def test_the_vif_that_stays_still_works(report: Report, way: str) -> None:
    """While the others come and go."""
    assert of(report, way, "detach")["answered_by"] == MACS[0]


@pytest.mark.parametrize("way", WAYS)
def test_a_destroyed_guests_flows_are_gone(report: Report, way: str) -> None:
    """Though the kernel's datapath had forgotten the number of its port."""
    assert of(report, way, "destroy")["flows"] == []


@pytest.mark.parametrize("way", WAYS)
def test_no_second_vif_rule_runs(report: Report, way: str) -> None:
    """The toolstack's own line is taken out."""
    assert of(report, way, "destroy")["second_rule_ran"] is False


def test_udev_starts_the_hook_only_without_the_daemon(report: Report) -> None:
    """Three vifs came and went: `online` and `remove` of each without xsagentd, and nothing while it is ready."""
    calls = of(report, "one-shot", "destroy")["hook"]

    assert sorted(calls) == ["online type_if=vif"] * 3 + ["remove type_if=vif"] * 3
    assert of(report, "daemon", "destroy")["hook"] == []


@pytest.mark.parametrize("way", WAYS)
def test_the_hook_of_the_hosts_owner_may_what_it_always_could(report: Report, way: str) -> None:
    """It runs as a service of its own: it writes where xsagentd's unit may not."""
    assert sorted(of(report, way, "destroy")["owners_hook"]) == ["online"] * 3 + ["remove"] * 3


def test_xenstore_is_read_through_the_kernels_device(report: Report) -> None:
    """Where xenstored runs in a domain of its own there is no socket: watches and many reads at once work then too."""
    assert report.facts("read by device")["said"] == "/dev/xen/xenbus br0"
