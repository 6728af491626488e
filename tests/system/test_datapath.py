"""Management on one NIC over the kernel's datapath, by virtio's driver and by a real card's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from lab_run import NOTHING_CHANGED

if TYPE_CHECKING:
    from lab_run import LabRun, Report

ADDRESS, DEFAULT = ["192.0.2.10/24"], ["192.0.2.1 dev xenbr0"]
SPEED = {"virtio": "100Mb/s", "e1000": "1000Mb/s"}
"""What the NIC comes to when 100 is asked for: QEMU's e1000 negotiates 1000 whatever its driver advertises."""


@pytest.fixture(scope="module", params=["virtio", "e1000"])
def nic_model(request: pytest.FixtureRequest) -> str:
    """The NIC that QEMU shows."""
    model: str = request.param
    return model


@pytest.fixture(scope="module")
def report(lab_run: LabRun, nic_model: str, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """One boot for all tests of a NIC model."""
    return lab_run.boot("datapath.py", tmp_path_factory.mktemp("out"), nic_model=nic_model)


def test_a_static_address_comes_up_on_the_kernel_datapath(report: Report) -> None:
    """The NIC is a port of the kernel's datapath, the address is on the bridge alone, and the gateway answers."""
    facts = report.facts("static_up")

    assert facts["bridge"]["datapath_type"] == ""
    assert facts["bridge"]["other_config"]["hwaddr"] == "02:00:00:00:01:00"
    assert "eth0 1/2: (system)" in facts["datapath"]
    assert "eth0" in facts["kernel_ports"]
    assert facts["master"] == "ovs-system"
    assert (facts["addresses"], facts["nic_addresses"], facts["routes"]) == (ADDRESS, [], DEFAULT)
    assert facts["reaches_gateway"]


def test_nothing_is_on_stdout(report: Report) -> None:
    """It stays empty when the command works and when it refuses."""
    assert [report.facts(case)["run"]["stdout"] for case in ("static_up", "dhcp_up", "down_refused")] == ["", "", ""]


def test_a_second_run_changes_nothing(report: Report) -> None:
    """Neither in the switch's database nor in the kernel nor in a driver, and no packet is lost."""
    facts = report.facts("static_again")

    assert facts["changes"] == NOTHING_CHANGED
    assert facts["stream"]["lost"] == 0
    assert facts["stream"]["answered"] > 10


def test_what_was_changed_by_hand_is_mended_by_the_next_run(report: Report) -> None:
    """A removed address comes back with its route, a strange one goes; the switch is not touched."""
    facts = report.facts("static_mended")

    assert (facts["addresses"], facts["routes"]) == (ADDRESS, DEFAULT)
    assert facts["reaches_gateway"]
    assert facts["changes"]["transactions"] == 0
    # shows too that the watch over the kernel, by which second runs are judged, sees changes
    assert any("192.0.2.77" in line for line in facts["changes"]["kernel"])


def test_offloads_mtu_and_link_settings_reach_the_driver(report: Report, nic_model: str) -> None:
    """GRO, TSO and GSO were on where the driver has them, and are off; the MTU is that of the network."""
    facts = report.facts("nic_settings")

    names = ["generic-receive-offload", "tcp-segmentation-offload", "generic-segmentation-offload"]
    before = [facts["offloads_before"][name].split()[0] for name in names]
    assert before == (["on", "off", "off"] if nic_model == "virtio" else ["on", "on", "on"])
    assert [facts["offloads"][name].split()[0] for name in names] == ["off", "off", "off"]
    assert facts["offloads"]["large-receive-offload"].startswith("off")
    assert facts["mtu"] == {"eth1": 1400, "xenbr1": 1400}
    assert (facts["settings"]["Speed"], facts["settings"]["Duplex"]) == (SPEED[nic_model], "Full")


def test_settings_of_a_driver_are_not_written_again(report: Report) -> None:
    """Also where the driver took them and shows something else: a link that is set again is a link that flaps."""
    assert report.facts("nic_settings_again")["changes"] == NOTHING_CHANGED


def test_the_watch_over_drivers_sees_settings(report: Report) -> None:
    """The control of the test before: what the first run wrote is told by ``ethtool --monitor``."""
    assert len(report.facts("nic_settings")["changes"]["driver"]) > 1


def test_a_static_interface_goes_over_to_dhcp(report: Report) -> None:
    """Leased address, the lease's gateway and name server; the static address is gone."""
    facts = report.facts("dhcp_up")

    assert len(facts["addresses"]) == 1
    assert facts["addresses"] != ADDRESS
    assert facts["routes"] == DEFAULT
    assert "nameserver 192.0.2.1" in facts["resolver"]
    assert facts["reaches_gateway"]
    assert len(facts["clients"]) == 1


def test_a_second_run_keeps_the_dhcp_client(report: Report) -> None:
    """The client that runs is the same process, and nothing changes."""
    facts = report.facts("dhcp_again")

    assert facts["clients"] == report.facts("dhcp_up")["clients"]
    assert facts["changes"] == NOTHING_CHANGED


def test_down_of_management_is_refused(report: Report) -> None:
    """Exit 1, one sentence that names it and what insists; nothing changes."""
    facts = report.facts("down_refused")

    assert facts["run"]["code"] == 1
    assert len(facts["run"]["stderr"]) == 1
    assert "(eth0) is the management interface; nothing was changed" in facts["run"]["stderr"][0]
    assert "--even-if-in-use" in facts["run"]["stderr"][0]
    assert facts["changes"] == NOTHING_CHANGED
    assert facts["reaches_gateway"]


def test_down_of_management_is_done_when_it_is_insisted_on(report: Report) -> None:
    """Bridge, address, route and DHCP client are gone, the NIC is down, the other bridge stays."""
    facts = report.facts("down")

    assert facts["run"]["code"] == 0
    assert facts["bridges"] == {"xenbr1": ["eth1"]}
    assert (facts["clients"], facts["routes"], facts["nic_up"]) == ([], [], False)
