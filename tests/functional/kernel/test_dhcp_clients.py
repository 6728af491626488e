"""Processes of our DHCP clients: kept, stopped, dead, silent, taken for another's or living beside one another."""

from __future__ import annotations

import pytest
from kernel_dom0 import (
    ADDRESS_ALONE,
    Dom0,
    client,
    gateway_segment,
    inner_pids,
    running_dom0,
    start_dhcp,
    stop_dhcp,
    wait_until,
)

from xsagent.sandbox.spec import Segment


def test_a_right_client_is_left_running(dom0: Dom0) -> None:
    """A second start with the same configuration keeps the process; with another it is exchanged, the address kept."""
    dom0.sandbox.far("gateway").dhcp.start()
    first = dom0.run(start_dhcp())
    second = dom0.run(start_dhcp())
    third = dom0.run(start_dhcp(configuration=ADDRESS_ALONE))

    pids = [client(done.devices["eth0"]).pid for done in (first, second, third)]
    assert pids[0] == pids[1] != pids[2]
    assert len(inner_pids(dom0)) == 1
    assert len({client(done.devices["eth0"]).leased for done in (first, second, third)}) == 1


def test_silence_is_named_and_the_client_keeps_asking(dom0: Dom0) -> None:
    """No server: DhcpSilentError with the device's name; when one comes up later, the address appears by itself."""
    done = dom0.run(start_dhcp(), wait_s=1)

    assert done.error == "DhcpSilentError"
    assert "eth0" in done.text
    assert client(done.devices["eth0"]).running is True
    assert client(done.devices["eth0"]).leased == ()
    dom0.sandbox.far("gateway").dhcp.start()
    wait_until(lambda: dom0.addresses("eth0"), "an address after the server came up")
    assert client(dom0.run(start_dhcp()).devices["eth0"]).pid == client(done.devices["eth0"]).pid


def test_a_killed_client_is_found_dead_and_started_again(dom0: Dom0) -> None:
    """Its pid file stays behind; that alone is no running client."""
    dom0.sandbox.far("gateway").dhcp.start()
    dom0.run(start_dhcp())
    (pid,) = inner_pids(dom0)
    dom0.sandbox.run(["kill", "-9", str(pid)])

    dead = client(dom0.run().devices["eth0"])
    alive = client(dom0.run(start_dhcp()).devices["eth0"])

    assert (dead.running, dead.pid) == (False, None)
    assert dom0.text("run/xsagent/dhclient-eth0.pid").strip() == str(alive.pid)
    assert alive.running is True


def test_a_strangers_process_is_no_client_and_is_not_killed(dom0: Dom0) -> None:
    """A stale pid file names a number that another program has now: not ours, left alone, a client is started."""
    dom0.sandbox.far("gateway").dhcp.start()
    dom0.run(start_dhcp())
    (pid,) = inner_pids(dom0)
    dom0.sandbox.run(["kill", "-9", str(pid)])
    stranger = dom0.sandbox.spawn(["sh", "-c", "echo $$; exec sleep 600"])
    number = stranger.stdout.readline().strip() if stranger.stdout else ""
    (dom0.sandbox.root / "run/xsagent/dhclient-eth0.pid").write_text(f"{number}\n")

    seen = client(dom0.run().devices["eth0"])
    started = client(dom0.run(start_dhcp()).devices["eth0"])

    assert seen.running is False
    assert started.running is True
    assert started.pid != int(number)
    assert dom0.sandbox.run(["kill", "-0", number], check=False).returncode == 0


def test_a_client_of_a_device_that_was_made_again_is_dead(dom0: Dom0) -> None:
    """Its socket is bound to the old ifindex: it runs, but not for this device; a start exchanges it."""
    dom0.sandbox.run(["ip", "link", "add", "tmp0", "type", "veth", "peer", "name", "tmp1"])
    dom0.sandbox.run(["ip", "link", "set", "tmp0", "up"])
    dom0.run(start_dhcp("tmp0"), wait_s=0)
    old = inner_pids(dom0)
    dom0.sandbox.run(["ip", "link", "delete", "tmp0"])
    dom0.sandbox.run(["ip", "link", "add", "tmp0", "type", "veth", "peer", "name", "tmp1"])
    dom0.sandbox.run(["ip", "link", "set", "tmp0", "up"])

    seen = client(dom0.run().devices["tmp0"])
    dom0.run(start_dhcp("tmp0"), wait_s=0)

    assert seen.running is False
    assert len(inner_pids(dom0)) == 1
    assert inner_pids(dom0) != old


def test_a_lost_pid_file_leads_to_no_second_client(dom0: Dom0) -> None:
    """A client that nobody can name by its file is found by its command line and exchanged, not doubled."""
    dom0.sandbox.far("gateway").dhcp.start()
    dom0.run(start_dhcp())
    (dom0.sandbox.root / "run/xsagent/dhclient-eth0.pid").unlink()

    dom0.run(start_dhcp())

    assert len(inner_pids(dom0)) == 1


def test_stopping_waits_releases_nothing_and_leaves_the_address(dom0: Dom0) -> None:
    """After the step no process is left, the server heard of no release, the address stays for the next step."""
    dom0.sandbox.far("gateway").dhcp.start()
    dom0.run(start_dhcp())
    before = dom0.addresses("eth0")

    done = dom0.run(stop_dhcp(), stop_dhcp())

    assert done.error is None
    assert inner_pids(dom0) == []
    assert "DHCPRELEASE" not in dom0.server_log()
    assert dom0.addresses("eth0") == before
    assert done.devices["eth0"].dhcp4 is None


def test_a_client_that_another_agent_left_behind_gives_way(dom0: Dom0) -> None:
    """Two clients on a device would fight over one lease; those on other devices, and of the other family, stay."""
    words = ["dhclient", "-nw", "-q", "-sf", "/bin/true", "-cf", "/dev/null"]
    for name in ("eth0", "eth1"):
        files = ["-lf", f"{dom0.sandbox.directory}/{name}.leases", "-pf", f"{dom0.sandbox.directory}/{name}.pid"]
        dom0.sandbox.run([*words, *files, name])
    before = inner_pids(dom0)
    dom0.sandbox.far("gateway").dhcp.start()

    ours = client(dom0.run(start_dhcp()).devices["eth0"]).pid

    assert len(before) == 2
    assert len(inner_pids(dom0)) == 2
    assert ours in inner_pids(dom0)
    assert "DHCPRELEASE" not in dom0.server_log()


def test_two_devices_have_clients_of_their_own() -> None:
    """Each has its own files and process; stopping one leaves the other."""
    other = Segment(name="far1", nics=("eth1",), addresses=("198.51.100.1/24",), dhcp=True)
    with running_dom0(gateway_segment(), other) as dom0:
        both = dom0.run(start_dhcp("eth0"), start_dhcp("eth1", ADDRESS_ALONE))
        one = dom0.run(stop_dhcp("eth0"))

        assert both.error is None
        assert len(both.returned) == 2
        assert one.devices["eth0"].dhcp4 is None
        assert client(one.devices["eth1"]).running is True
        assert len(dom0.addresses("eth1")) == 1


def test_the_client_outlives_its_starter(dom0: Dom0) -> None:
    """It is in a session of its own and holds none of its starter's files open."""
    dom0.run(start_dhcp(), wait_s=0)
    (pid,) = inner_pids(dom0)

    shown = dom0.sandbox.run(["sh", "-c", f"cut -d' ' -f4,6 /proc/{pid}/stat; readlink /proc/{pid}/fd/*"]).stdout
    parent, session = shown.split()[:2]
    assert parent == "1"
    assert session == str(pid)
    assert "memfd" not in shown
    assert "pipe" not in shown


@pytest.mark.parametrize("bus", ["works", "is away"])
def test_the_client_has_a_scope_of_its_own_where_systemd_runs(dom0: Dom0, bus: str) -> None:
    """It is started through systemd-run; where that fails it is started all the same, once."""
    (dom0.sandbox.root / "run/systemd/system").mkdir(parents=True)
    called = dom0.sandbox.root / "called"
    script = dom0.sandbox.bin / "systemd-run"
    rest = 'while [ "$1" != -- ]; do shift; done; shift; exec "$@"' if bus == "works" else "exit 1"
    script.write_text(f'#!/bin/sh\necho "$@" > {called}\n{rest}\n', encoding="utf-8")
    script.chmod(0o755)

    done = dom0.run(start_dhcp(), wait_s=0)

    assert called.read_text(encoding="utf-8").startswith("--scope --quiet --collect -- ")
    assert done.error == "DhcpSilentError"
    assert len(inner_pids(dom0)) == 1
