"""The deadman: management that no longer reaches its gateway is given back its old configuration, whoever is killed."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
import time
from collections.abc import Iterator

import pytest
from deadman_host import (
    WINDOW,
    ask,
    default_gateway,
    guardians,
    host_records,
    journal,
    managed,
    reachable,
    start_mistake,
    state_of,
    wait_until,
)
from host_records import DHCP, HostRecords, static
from host_state import addresses, ip, reconfigure, refuse, spec_for, succeed
from xapi_host import XapiHost

from xsagent.sandbox.dom0 import Sandbox
from xsagent.sandbox.namespaces import pid_of
from xsagent.sandbox.root_prefix import record_ref
from xsagent.sandbox.spec import default_segments, shared_segment

MISTAKES = {
    "wrong gateway": {"gateway": "192.0.2.99"},
    "wrong netmask": {"netmask": "255.255.255.240", "gateway": "192.0.2.14"},
    "wrong netmask that leaves the gateway out": {"netmask": "255.255.255.252"},
    "wrong address": {"IP": "203.0.113.10", "gateway": "203.0.113.1"},
    "wrong address that leaves the gateway out": {"IP": "203.0.113.10"},
    "wrong MTU and gateway": {"gateway": "192.0.2.77", "other_config": {"mtu": "1400"}},
}


@pytest.fixture(scope="module")
def shared() -> Iterator[XapiHost]:
    """A host whose management works: for mistakes that are taken back."""
    with managed() as host:
        yield host


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_in_management_s_configuration_is_taken_back(shared: XapiHost, case: str) -> None:
    """Reachable again on the old configuration soon after the window; exit 1 with the reason. The time is printed."""
    words = ask(shared, **{"other_config": {}, **static("192.0.2.10"), **MISTAKES[case]})
    before = state_of(shared)
    with shared.sandbox.far().ping_stream("192.0.2.10", interval_ms=20) as stream:
        stream.wait_answered(5)
        started = time.monotonic()
        said = refuse(shared.sandbox, *words, env=WINDOW)
        took = time.monotonic() - started
        stream.wait_answered(5)

    sys.stdout.write(
        f"{case}: back after {took:.1f} s, {stream.result.lost * 0.02:.1f} s without answer; {said.strip()}\n"
    )
    # what can be told from the record alone is refused before any effect
    assert ("the host is as it was before" in said) != (
        "leaves the gateway out" in case and "nothing was changed" in said
    )
    assert state_of(shared) == before


def test_a_wrong_gateway_is_named_with_the_window(shared: XapiHost) -> None:
    """The sentence is what XAPI shows its user."""
    words = ask(shared, **{"other_config": {}, **static("192.0.2.10", gateway="192.0.2.99")})

    said = refuse(shared.sandbox, *words, env=WINDOW)

    assert "gateway 192.0.2.99 does not answer on xenbr0 within 3 s; the old configuration is back" in said


def test_a_change_to_dhcp_that_brings_no_lease_is_taken_back_within_the_window() -> None:
    """No server answers: the static address is back, and no client is left."""
    with managed() as host:
        host.sandbox.far().dhcp.stop()
        words = ask(host, **DHCP)
        before = state_of(host)

        said = refuse(host.sandbox, *words, env=WINDOW)

        assert "DHCP" in said
        assert state_of(host) == before
        assert reachable(host)
        assert host.sandbox.run(["pgrep", "dhclient"], check=False).stdout == ""


def test_a_silent_server_is_no_reason_to_undo_where_there_was_dhcp_before() -> None:
    """There is nothing better to go back to: Unverified, exit 1, the client keeps trying."""
    with managed(**DHCP, IP="", netmask="", gateway="") as host:
        host.sandbox.far().dhcp.stop()
        host.sandbox.run(["ip", "address", "flush", "dev", "xenbr0", "scope", "global"])

        said = refuse(host.sandbox, *ask(host), env={**WINDOW, "XSAGENT_DHCP_WAIT_S": "3"})

        assert "as it was before" not in said
        assert host.sandbox.run(["pgrep", "dhclient"], check=False).stdout != ""
        host.sandbox.far().dhcp.start()
        wait_until(lambda: addresses(host.sandbox, "xenbr0"), "no lease was taken")


def test_the_way_back_to_dhcp_keeps_no_device_waiting_for_a_server_that_is_silent() -> None:
    """Management is back with its address, and every other device is up, before its client asks; once is enough."""
    records = HostRecords()
    nic, other = records.nic("eth0", management=True, **DHCP), records.nic("eth1")
    with XapiHost(records, segments=shared_segment(nics=2)) as host:
        host.up(nic)
        host.up(other)
        before = addresses(host.sandbox, "xenbr0")
        host.sandbox.far().dhcp.stop()
        bond = records.bond("bond0", ["eth0", "eth1"], "xapi0", mode="active-backup", **DHCP)
        nic["ip_configuration_mode"] = "None"

        done = host.run("up", bond, "--management", XSAGENT_DEADMAN_S="2")

        assert done.returncode == 1
        undone = re.findall(r"event=undo_step step=(\w+) subject=(\w*)", done.stderr)
        assert undone.count(("StartDhcpStep", "xenbr0")) == 1
        assert undone.index(("LinkStep", "xenbr1")) < undone.index(("StartDhcpStep", "xenbr0")) == len(undone) - 1
        assert addresses(host.sandbox, "xenbr0") == before != []
        ping = ["ping", "-c1", "-w5", "-i0.2", before[0].partition("/")[0]]
        assert host.sandbox.far().run(ping, check=False).returncode == 0


@pytest.mark.parametrize("how", [("--no-deadman",), ()])
def test_without_the_deadman_the_change_stays(how: tuple[str, ...]) -> None:
    """--no-deadman or deadman_s = 0: somebody is re-cabling and knows it."""
    with managed() as host:
        words = ask(host, IP="203.0.113.10", gateway="203.0.113.1")

        succeed(host.sandbox, *words, *how, env=WINDOW if how else {"XSAGENT_DEADMAN_S": "0"})

        assert addresses(host.sandbox, "xenbr0") == ["203.0.113.10/24"]
        assert "203.0.113.10" in (host.sandbox.root / "var/xapi/network.dbcache").read_text()


def test_without_a_baseline_the_change_stays_unverified() -> None:
    """The gateway was silent before: exit 1 with the reason, and nothing is taken back."""
    with managed() as host:
        host.sandbox.far().set_addresses("192.0.2.2/24")
        words = ask(host, IP="192.0.2.12")

        said = refuse(host.sandbox, *words, env=WINDOW)

        assert "192.0.2.1 does not answer" in said
        assert addresses(host.sandbox, "xenbr0") == ["192.0.2.12/24"]
        assert not (host.sandbox.root / "var/lib/xsagent/journal").exists()


def test_an_interface_that_is_to_have_no_gateway_is_verified_without_one() -> None:
    """Address, link and port alone: Applied, exit 0."""
    with managed() as host:
        succeed(host.sandbox, *ask(host, IP="192.0.2.12", gateway=""), env=WINDOW)

        assert addresses(host.sandbox, "xenbr0") == ["192.0.2.12/24"]
        assert ip(host.sandbox, "route", "show", "default") == []


def test_force_leaves_what_it_made_with_a_warning() -> None:
    """Boot: there is nothing better; exit 0."""
    with managed() as host:
        cache = host.sandbox.root / "var/xapi/network.dbcache"
        cache.write_text(cache.read_text().replace("192.0.2.1<", "192.0.2.99<"))

        done = reconfigure(host.sandbox, "--force", "xenbr0", "up", env=WINDOW)

        assert done.returncode == 0, done.stderr
        assert re.search("warning: .*192.0.2.99 does not answer", done.stderr)
        assert [route["gateway"] for route in ip(host.sandbox, "route", "show", "default")] == ["192.0.2.99"]


def test_a_change_that_does_not_touch_management_starts_no_guardian() -> None:
    """It exists only while management is at risk: eth1 comes up while the switch hangs, and nobody watches."""
    with managed() as host:
        session = host.restart_xapi().control("open_session", originator="xapi")
        host.sandbox.vswitchd.pause()
        run = host.sandbox.spawn(
            [
                *("interface-reconfigure", f"--root-prefix={host.sandbox.root}"),
                *("--session", session, "--pif", record_ref("pif eth1"), "up"),
            ]
        )
        time.sleep(2)
        assert guardians(host.sandbox) == []
        host.sandbox.vswitchd.resume()
        run.communicate(timeout=60)
        assert run.returncode == 0


# --- the guardian --------------------------------------------------------------------------------------------


def test_the_guardian_takes_back_for_a_run_that_was_killed() -> None:
    """Nobody runs the command again: the old gateway is back all the same, and the configuration is remembered."""
    with managed() as host:
        before = state_of(host)
        run = start_mistake(host)
        assert len(guardians(host.sandbox)) == 1

        os.kill(pid_of(run), signal.SIGKILL)
        took = wait_until(lambda: not guardians(host.sandbox), "the guardian never ended")

        sys.stdout.write(f"back {took:.1f} s after SIGKILL\n")
        assert state_of(host) == before
        assert reachable(host)
        assert not journal(host.sandbox).exists()
        succeed(host.sandbox, "rewrite")
        assert "192.0.2.99" not in (host.sandbox.root / "var/xapi/network.dbcache").read_text()


def test_the_guardian_survives_a_kill_of_the_whole_process_group() -> None:
    """It is in a session of its own."""
    with managed() as host:
        before = state_of(host)
        run = start_mistake(host)

        os.killpg(os.getpgid(pid_of(run)), signal.SIGKILL)
        wait_until(lambda: not guardians(host.sandbox), "the guardian never ended")

        assert state_of(host) == before


def test_a_run_that_hangs_is_killed_by_the_guardian_after_its_limit() -> None:
    """SIGSTOP: it still holds the lock and the pipe; the limit is an argument."""
    with managed() as host:
        before = state_of(host)
        run = start_mistake(host)
        (watcher,) = guardians(host.sandbox)
        inside = host.sandbox.run(["ps", "-o", "ppid=", "-p", str(watcher)]).stdout.strip()
        os.kill(pid_of(run), signal.SIGSTOP)

        command = (
            f"python -m xsagent.cli.guardian --root-prefix={host.sandbox.root} --window=1 --limit=2 --run={inside}"
        )
        another = host.sandbox.spawn(command.split())
        assert another.wait(60) == 0

        # nsenter(1), between the run and us, stopped with it
        os.kill(run.pid, signal.SIGCONT)
        run.communicate(timeout=10)
        wait_until(lambda: not guardians(host.sandbox), "the run's own guardian never ended")
        assert state_of(host) == before
        assert reachable(host)


def test_a_run_that_ends_in_order_leaves_no_guardian() -> None:
    """Whether it was kept or taken back."""
    with managed() as host:
        succeed(host.sandbox, *ask(host, IP="192.0.2.12"), env=WINDOW)
        assert guardians(host.sandbox) == []
        refuse(host.sandbox, *ask(host, gateway="192.0.2.99"), env=WINDOW)
        assert guardians(host.sandbox) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_run_that_is_told_to_end_takes_back_first(number: signal.Signals) -> None:
    """Exit 1 with the reason, also when it is told twice."""
    with managed() as host:
        before = state_of(host)
        run = start_mistake(host)
        pid = pid_of(run)

        os.kill(pid, number)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        _, said = run.communicate(timeout=60)

        assert run.returncode == 1
        assert number.name in said
        assert "the host is as it was before" in said
        assert state_of(host) == before


def test_what_the_run_could_not_take_back_the_guardian_tries_again() -> None:
    """Stuck under the deadman: exit 1 at once, and the guardian goes on until the old configuration is back."""
    with managed(DNS="192.0.2.2") as host:
        before = state_of(host)
        words = ask(host, DNS="192.0.2.3", gateway="192.0.2.99")
        run = host.sandbox.spawn(
            ["interface-reconfigure", f"--root-prefix={host.sandbox.root}", "--no-syslog", *words],
            env={"XSAGENT_DEADMAN_S": "5"},
        )
        resolver = host.sandbox.root / "etc/resolv.conf"
        wait_until(lambda: "192.0.2.3" in resolver.read_text(), "the change was never made")
        # the file's undo cannot be done while a folder stands in its place
        resolver.unlink()
        resolver.mkdir()
        _, said = run.communicate(timeout=60)
        assert run.returncode == 1
        assert "of the way back failed" in said.splitlines()[-1], said
        assert default_gateway(host.sandbox) == ["192.0.2.1"]
        resolver.rmdir()

        wait_until(lambda: not guardians(host.sandbox), "the guardian gave up or never ended")

        assert "192.0.2.2" in resolver.read_text()
        assert {**state_of(host), "files": before["files"]} == before
        assert not journal(host.sandbox).exists()


def test_guardian_and_dhcp_client_are_in_scopes_of_their_own() -> None:
    """Where systemd runs, both are started through systemd-run --scope, so that no cgroup of ours ends them."""
    with Sandbox(spec_for(host_records(), segments=default_segments())) as sandbox:
        (sandbox.root / "run/systemd/system").mkdir(parents=True)
        log = sandbox.log / "scopes"
        program = sandbox.bin / "systemd-run"
        program.write_text(f'#!/bin/sh\necho "$@" >> {log}\nwhile [ "$1" != -- ]; do shift; done\nshift\nexec "$@"\n')
        program.chmod(0o755)
        succeed(sandbox, "--force", "xenbr0", "up")
        cache = sandbox.root / "var/xapi/network.dbcache"
        cache.write_text(host_records(**DHCP).as_dbcache())
        uuid = host_records().classes["PIF"][record_ref("pif eth0")]["uuid"]

        succeed(sandbox, "--pif-uuid", uuid, "up", env={**WINDOW, "XSAGENT_XAPI_DEADLINE_S": "1"})

        lines = log.read_text().splitlines()
        assert all(line.startswith("--scope --quiet --collect -- ") for line in lines)
        assert len([line for line in lines if "xsagent.cli.guardian" in line]) == 1
        assert len([line for line in lines if "dhclient" in line]) == 1


def test_a_systemd_that_does_not_answer_is_done_without() -> None:
    """systemd-run fails (no bus): guardian and client run where we do."""
    with Sandbox(spec_for(host_records())) as sandbox:
        (sandbox.root / "run/systemd/system").mkdir(parents=True)
        program = sandbox.bin / "systemd-run"
        program.write_text("#!/bin/sh\nexit 1\n")
        program.chmod(0o755)
        succeed(sandbox, "--force", "xenbr0", "up")
        (sandbox.root / "var/xapi/network.dbcache").write_text(host_records(IP="192.0.2.12").as_dbcache())
        uuid = host_records().classes["PIF"][record_ref("pif eth0")]["uuid"]

        succeed(sandbox, "--pif-uuid", uuid, "up", env={**WINDOW, "XSAGENT_XAPI_DEADLINE_S": "1"})

        assert addresses(sandbox, "xenbr0") == ["192.0.2.12/24"]
