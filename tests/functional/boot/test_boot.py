"""A host boots: database, switch, management from the cache, XAPI, plugin, xsagentd; and its power is cut meanwhile."""

from __future__ import annotations

import os
import random
import sys
import time
from typing import TYPE_CHECKING

import pytest
from boot_host import HOST_UUID, STALE

from xsagent.sandbox import daemons

if TYPE_CHECKING:
    from boot_host import BootHost

CUTS = 4


def test_a_host_boots_as_a_whole(host: BootHost) -> None:
    """Each stage leaves what the next one builds on, read back from switch, kernel and wire."""
    host.leave_stale_bridges()

    assert host.start("openvswitch").stderr == ""
    assert host.bridges() == set()
    assert [name for name in (*STALE, "vif3.0", "xapi7") if name in host.switch_log()] == []
    assert host.vsctl("get-manager") == "tcp:127.0.0.1:6699"

    host.start("management-interface")
    assert host.bridges() == {"xenbr0", "xenbr1"}
    assert host.vsctl("list-ports", "xenbr0") == "eth0"
    assert host.is_reachable()

    host.start_xapi()
    host.start("openvswitch-xapi-update")
    assert host.vsctl("get-manager") == ""
    assert host.is_reachable()

    daemon = host.sandbox.spawn([sys.executable, "-m", "xsagent.cli.xsagentd", f"--root-prefix={host.root}"])
    daemons.wait_for((host.root / "run/xsagent/xsagentd.sock").exists, 60, "xsagentd made no socket")
    assert host.script("openvswitch", "reload").returncode == 0
    assert host.script("openvswitch", "status").returncode == 0
    assert host.is_reachable()
    assert daemon.poll() is None


def test_the_switch_knows_its_host(host: BootHost) -> None:
    """Ids, type and version are those of the inventory; a host name that somebody set stays."""
    host.start("openvswitch")
    record = host.switch_record()

    assert record["external_ids"]["system-id"] == HOST_UUID
    assert record["external_ids"]["xs-system-uuid"] == HOST_UUID
    assert record["external_ids"]["hostname"] == "sandbox"
    assert (record["system_type"], record["system_version"]) == ("XCP-ng", "9.0.0")

    host.vsctl("set", "Open_vSwitch", ".", "external_ids:hostname=mine", "external_ids:system-id=other")
    host.start("openvswitch")

    assert host.switch_record()["external_ids"]["hostname"] == "mine"
    assert host.switch_record()["external_ids"]["system-id"] == HOST_UUID


def test_how_long_idle_flows_are_cached_is_a_setting(host: BootHost) -> None:
    """Written once, in milliseconds; without the setting what somebody set stays."""
    host.start("openvswitch", max_idle_ms="5000")
    assert host.switch_record()["other_config"]["max-idle"] == "5000"
    before = host.database.stat().st_size

    host.start("openvswitch", max_idle_ms="5000")
    assert host.database.stat().st_size == before

    host.vsctl("set", "Open_vSwitch", ".", "other_config:max-idle=700")
    host.start("openvswitch")
    assert host.switch_record()["other_config"]["max-idle"] == "700"


@pytest.mark.parametrize(
    ("which", "left"),
    [("all", set()), ("marked", {"admin0"}), ("none", {"xenbr7", "xapi7", "admin0", "holder0"})],
)
def test_which_stale_bridges_go_is_a_setting(host: BootHost, which: str, left: set[str]) -> None:
    """All by default; only those that are ours or in the way; or none. Management comes up whatever stays."""
    host.leave_stale_bridges()

    host.start("openvswitch", boot_delete_bridges=which)

    assert host.bridges() == left
    host.start("management-interface")
    assert host.bridges() >= left | {"xenbr0"}
    assert host.is_reachable()


@pytest.mark.parametrize("way", ["restart", "stop and start", "marker lost", "crash"])
def test_live_bridges_are_never_deleted(host: BootHost, way: str) -> None:
    """Only the first start of a boot deletes any: not a restart, nor a start after a stop or a crash."""
    host.start("openvswitch")
    host.vsctl("--no-wait", "add-br", "live0", "--", "set", "Bridge", "live0", "datapath_type=netdev")

    match way:
        case "restart":
            before = host.pid("ovs-vswitchd")
            assert host.script("openvswitch", "restart").returncode == 0
            assert host.pid("ovs-vswitchd") != before
        case "stop and start":
            (host.root / "run/openvswitch.booted").unlink()
            assert host.script("openvswitch", "stop").returncode == 0
            assert host.script("openvswitch", "status").returncode == 3
        case "marker lost":
            (host.root / "run/openvswitch.booted").unlink()
        case _:
            for daemon in ("ovs-vswitchd", "ovsdb-server"):
                host.sandbox.run(["pkill", "-9", daemon])
            assert host.script("openvswitch", "status").returncode == 1
    host.start("openvswitch")

    assert host.bridges() == {"live0"}
    assert host.script("openvswitch", "status").returncode == 0


def test_a_restart_keeps_flows(host: BootHost) -> None:
    """Those of a controller too, which nobody else would put back."""
    host.start("openvswitch")
    host.vsctl("add-br", "br0", "--", "set", "Bridge", "br0", "datapath_type=netdev", "fail_mode=secure")
    host.sandbox.run(["ovs-ofctl", "add-flow", "br0", "cookie=0x77,priority=7,actions=normal"])

    assert host.script("openvswitch", "restart").returncode == 0

    assert "cookie=0x77" in host.sandbox.run(["ovs-ofctl", "dump-flows", "br0"]).stdout


def test_a_second_start_changes_nothing(host: BootHost) -> None:
    """Neither daemon is another one, and nothing is written into the database."""
    host.start("openvswitch")
    before = (host.pid("ovsdb-server"), host.pid("ovs-vswitchd"), host.database.stat().st_size)

    assert host.start("openvswitch").stderr == ""

    assert (host.pid("ovsdb-server"), host.pid("ovs-vswitchd"), host.database.stat().st_size) == before


def test_stop_of_the_management_interface_takes_nothing_down(host: BootHost) -> None:
    """Marks and cache are put in step with XAPI; it is quiet success without XAPI and without a switch."""
    host.start("openvswitch")
    host.start("management-interface")

    assert host.script("management-interface", "stop").returncode == 0
    assert host.is_reachable()

    host.power_cut()
    assert host.script("management-interface", "stop").returncode == 0


def test_power_cuts_at_random_moments(host: BootHost) -> None:
    """Whenever the power goes, the next boot ends as any other: management reachable, nothing stale, no VIF's port."""
    seed = int(os.environ.get("XSAGENT_TEST_SEED") or random.SystemRandom().randrange(1 << 32))
    choose = random.Random(seed)  # noqa: S311 - moments, no secrets
    sys.stdout.write(f"XSAGENT_TEST_SEED={seed}\n")
    began = time.monotonic()
    undisturbed = host.spawn_boot()
    assert undisturbed.stdout is not None
    assert undisturbed.stdout.readline() == "booted\n"
    whole_s = time.monotonic() - began
    for cut in range(CUTS):
        host.power_cut()
        host.leave_stale_bridges()
        host.spawn_boot()
        moment = choose.uniform(0, whole_s * 1.1)
        time.sleep(moment)
        host.power_cut()
        host.boot()
        where = f"seed {seed}, cut {cut} after {moment:.2f} of {whole_s:.2f} s"
        assert host.bridges() == {"xenbr0", "xenbr1"}, where
        assert host.vsctl("get-manager") == "", where
        assert not [port for port in host.vsctl("list-ports", "xenbr0").split() if port.startswith("vif")], where
        assert host.is_reachable(), where
