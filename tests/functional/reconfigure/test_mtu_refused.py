"""A device that refuses its network's MTU: a warning, no rollback, and nothing to do for a second run."""

from __future__ import annotations

import json

import pytest
from host_records import HostRecords, static
from host_state import addresses, ip, reconfigure, settle, spec_for, transactions, vsctl, watched
from xapi_host import XapiHost

from xsagent.sandbox.dom0 import Sandbox
from xsagent.sandbox.spec import shared_segment

UP = ("--no-syslog", "--force", "xenbr0", "up")


def up(sandbox: Sandbox) -> str:
    """Bring management up and return what was logged."""
    done = reconfigure(sandbox, *UP)

    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    return done.stderr


def narrow_nic(sandbox: Sandbox) -> None:
    """Make eth0 a device that takes at most 1500: a macvlan over the former eth0."""
    for command in (
        "ip link set eth0 down",
        "ip link set eth0 name real0",
        "ip link set real0 up",
        "ip link add link real0 name eth0 type macvlan mode passthru",
        "ip link set eth0 address 00:1b:21:00:5a:01",
    ):
        sandbox.run(command.split())


def width(sandbox: Sandbox, device: str) -> int:
    """A device's MTU, as the kernel has it."""
    return int(ip(sandbox, "link", "show", device)[0]["mtu"])


def told(sandbox: Sandbox) -> set[tuple[str, str, str]]:
    """What the doctor says of widths and of drift: kind, severity, device."""
    done = sandbox.run(["xsagent", "doctor", f"--root-prefix={sandbox.root}", "--json"], check=False)
    found = json.loads(done.stdout)["findings"]
    return {(one["id"], one["severity"], one["subject"]) for one in found if one["id"] == "drift" or "mtu" in one["id"]}


@pytest.mark.parametrize(("mtu", "refuser"), [("65530", "xenbr0"), ("9000", "eth0")])
def test_a_refused_mtu_is_a_warning_and_no_second_run_tries_it_again(mtu: str, refuser: str) -> None:
    """A tap takes at most 65521 bytes, the narrow NIC 1500: the host comes up with what it has."""
    records = HostRecords()
    pif = records.nic("eth0", management=True, **static("192.0.2.10"))
    records.network_of(pif)["MTU"] = mtu
    with Sandbox(spec_for(records)) as sandbox:
        if refuser == "eth0":
            narrow_nic(sandbox)

        log = up(sandbox)

        assert any("refuse_setting" in line and refuser in line for line in log.splitlines()), log
        assert width(sandbox, refuser) != int(mtu)
        assert width(sandbox, "eth0") >= width(sandbox, "xenbr0")
        assert "UP" in ip(sandbox, "link", "show", "eth0")[0]["flags"]
        assert addresses(sandbox, "xenbr0") == ["192.0.2.10/24"]
        settle(sandbox)
        before = transactions(sandbox)
        with watched(sandbox) as changes:
            log = up(sandbox)
        assert "refuse_setting" not in log
        assert transactions(sandbox) == before
        assert changes == []


@pytest.mark.parametrize("first", ["carrier", "vlan"])
def test_a_vlan_is_no_wider_than_a_nic_that_refused_its_mtu(first: str) -> None:
    """Whether the NIC refused it before, or in the very run that brings the VLAN up: that is a warning, and stays."""
    records = HostRecords()
    management = records.nic("eth1", management=True, **static("192.0.2.10"))
    nic = records.nic("eth0")
    vlan = records.vlan("eth0", 100, "xapi100", **static("203.0.113.10", gateway=""))
    records.network_of(nic)["MTU"] = records.network_of(vlan)["MTU"] = "9000"
    with XapiHost(records, segments=shared_segment(nics=2)) as host:
        narrow_nic(host.sandbox)
        host.up(management, "--no-deadman")
        if first == "carrier":
            host.up(nic)

        done = host.run("up", vlan)

        vlan["currently_attached"] = True
        assert (done.returncode, done.stdout) == (0, ""), done.stderr
        assert "xapi100 gets MTU 1500, not 9000: eth0 below it is no wider" in done.stderr
        assert addresses(host.sandbox, "xapi100") == ["203.0.113.10/24"]
        for pif in (vlan, nic):
            assert (width(host.sandbox, "eth0"), width(host.sandbox, "xapi100")) == (1500, 1500)
            assert vsctl(host.sandbox, "get", "Interface", "xapi100", "mtu_request") == "1500"
            host.up(pif)
        before = transactions(host.sandbox)
        host.up(nic)
        host.up(vlan)
        assert transactions(host.sandbox) == before
        assert told(host.sandbox) == {("mtu-differs", "info", name) for name in ("eth0", "xenbr0", "xapi100")}
