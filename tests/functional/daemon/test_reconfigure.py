"""interface-reconfigure through the daemon: the same answers, hotplug beside it, and whoever is killed."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from host_records import HostRecords, Record, static
from host_state import addresses, bridges, reconfigurations, reconfigure, refuse, succeed
from served_dom0 import ServedDom0
from xapi_host import XapiHost

from xsagent.model.vif import VifId
from xsagent.sandbox.daemons import wait_for
from xsagent.sandbox.guest_vif import GuestVif
from xsagent.sandbox.namespaces import pid_of
from xsagent.sandbox.root_prefix import record_ref
from xsagent.sandbox.xenopsd import guest_services

WINDOW = {"XSAGENT_DEADMAN_S": "6"}
NO_DAEMON = {"XSAGENT_USE_DAEMON": "never"}


class Host:
    """A host with XAPI whose management is up, and a daemon."""

    def __init__(self, xapi: XapiHost) -> None:
        self.xapi = xapi
        self.sandbox = xapi.sandbox
        self.served = ServedDom0(xapi.sandbox, {"XSAGENT_LOG_LEVEL": "debug"})

    @property
    def pif(self) -> Record:
        """The management PIF."""
        return self.xapi.records.classes["PIF"][record_ref("pif eth0")]

    def ask(self, **fields: object) -> tuple[str, ...]:
        """Change the management PIF's record; the words that bring it up by XAPI's own way in."""
        self.pif.update(fields)
        session = self.xapi.restart_xapi().control("open_session", originator="xapi")
        return ("--session", session, "--pif", record_ref("pif eth0"), "up")

    def journal(self) -> Path:
        """The journal of a run that is under way, or that was killed."""
        return self.sandbox.root / "var/lib/xsagent/journal"

    def served_requests(self) -> int:
        """Requests that the daemon has taken, without the question itself."""
        return int(self.served.status()["requests"]["served"]) - 1


@pytest.fixture
def host() -> Iterator[Host]:
    """The host, its daemon ready."""
    records = HostRecords()
    records.nic("eth0", management=True, **static("192.0.2.10"))
    records.nic("eth1")
    with XapiHost(records, services=guest_services()) as xapi:
        succeed(xapi.sandbox, "--force", "xenbr0", "up")
        running = Host(xapi)
        running.pif["currently_attached"] = True
        running.served.start()
        yield running


def test_the_daemon_does_it_and_answers_as_the_command_itself(host: Host) -> None:
    """A change, a second run that changes nothing, a refusal and a usage error: same output, same exit code."""
    taken = host.served_requests()
    succeed(host.sandbox, *host.ask(IP="192.0.2.12"))
    assert addresses(host.sandbox, "xenbr0") == ["192.0.2.12/24"]

    before = reconfigurations(host.sandbox)
    succeed(host.sandbox, *host.ask())
    assert reconfigurations(host.sandbox) == before

    calls = [
        ("--pif-uuid", "nonsense", "up"),
        ("up",),
        ("--version",),
        ("--pif-uuid", host.pif["uuid"], "--dry-run", "up"),
    ]
    handed = [reconfigure(host.sandbox, *words) for words in calls]
    alone = [reconfigure(host.sandbox, *words, env=NO_DAEMON) for words in calls]
    assert [(one.returncode, one.stdout, one.stderr) for one in handed] == [
        (one.returncode, one.stdout, one.stderr) for one in alone
    ]
    assert host.served_requests() >= taken + 2 + len(calls)


def test_what_xapi_changed_a_moment_before_counts(host: Host) -> None:
    """A worker begins with what one before it read, and XAPI says what is new; the caller's session stays open."""
    words = host.ask()
    xapi = host.xapi.xapi
    assert xapi is not None
    given = words[1]

    def is_known() -> bool:
        xapi.control("clear_log")
        succeed(host.sandbox, *words)
        return "PIF.get_all_records_where" not in xapi.methods()

    wait_for(is_known, 60, "all was read again and again")
    xapi.control("clear_log")
    xapi.control("put", name="PIF", ref=record_ref("pif eth0"), fields={"IP": "192.0.2.12"})

    succeed(host.sandbox, *words)

    assert "PIF.get_all_records_where" not in xapi.methods()
    assert addresses(host.sandbox, "xenbr0") == ["192.0.2.12/24"]
    assert "<IP>192.0.2.12</IP>" in (host.sandbox.root / "var/xapi/network.dbcache").read_text()
    assert given in xapi.sessions()
    assert "session.logout" not in xapi.methods()


def test_a_callers_session_is_enough_where_xapi_refuses_us_one(host: Host) -> None:
    """XAPI's own way of calling needs no login of ours, with a daemon as without."""
    words = host.ask()
    xapi = host.xapi.xapi
    assert xapi is not None
    xapi.fault("error", "session.*login*", error=["SESSION_AUTHENTICATION_FAILED", "root", ""])
    xapi.control("put", name="PIF", ref=record_ref("pif eth0"), fields={"IP": "192.0.2.12"})

    succeed(host.sandbox, *words)

    assert addresses(host.sandbox, "xenbr0") == ["192.0.2.12/24"]


def test_xapi_that_hangs_is_the_error_that_it_is_without_a_daemon(host: Host) -> None:
    """Exit 1 at the deadline for XAPI itself, the cache with a warning for an admin; nothing was changed."""
    words = host.ask()
    succeed(host.sandbox, *words)
    xapi = host.xapi.xapi
    assert xapi is not None
    xapi.control("put", name="PIF", ref=record_ref("pif eth0"), fields={"IP": "192.0.2.12"})
    xapi.fault("hang", "*")
    deadline = {"XSAGENT_XAPI_DEADLINE_S": "1"}

    said = refuse(host.sandbox, *words, env=deadline)
    done = reconfigure(host.sandbox, "--pif-uuid", host.pif["uuid"], "up", env=deadline)

    assert "XAPI did not answer" in said
    assert done.returncode == 0
    assert "the cache is used" in done.stderr
    assert addresses(host.sandbox, "xenbr0") == ["192.0.2.10/24"]


def test_force_and_never_are_not_handed_over(host: Host) -> None:
    """A boot needs nobody, and who wants no daemon has none."""
    before = host.served_requests()

    succeed(host.sandbox, "--force", "xenbr1", "up")
    succeed(host.sandbox, *host.ask(), env=NO_DAEMON)

    assert host.served_requests() == before + 1  # the question before
    assert "xenbr1" in bridges(host.sandbox)


def test_always_is_a_named_error_without_a_daemon(host: Host) -> None:
    """Nothing is changed then; auto does it without."""
    host.served.end()
    words = host.ask(IP="192.0.2.12")

    said = refuse(host.sandbox, *words, env={"XSAGENT_USE_DAEMON": "always"})

    assert "use_daemon is always" in said
    assert addresses(host.sandbox, "xenbr0") == ["192.0.2.10/24"]
    succeed(host.sandbox, *words)
    assert addresses(host.sandbox, "xenbr0") == ["192.0.2.12/24"]


def test_the_callers_path_and_settings_count_not_the_daemons(host: Host) -> None:
    """Its XSAGENT_* are the settings, and its PATH finds the child programs."""
    said = refuse(host.sandbox, *host.ask(), env={"XSAGENT_LOG_LEVEL": "shrill"})
    assert "shrill" in said

    mine = host.sandbox.directory / "mine"
    mine.mkdir()
    (mine / "dhclient").write_text("#!/bin/sh\necho $PPID >>$0.ran\nexit 1\n")
    (mine / "dhclient").chmod(0o755)
    words = host.ask(ip_configuration_mode="DHCP", IP="", netmask="", gateway="")
    path = f"{mine}:{host.sandbox.environment['PATH']}"
    refuse(host.sandbox, *words, env={"PATH": path, "XSAGENT_DHCP_WAIT_S": "1", "XSAGENT_DEADMAN_S": "3"})

    assert (mine / "dhclient.ran").exists()


def test_hotplug_goes_on_while_the_deadman_waits(host: Host) -> None:
    """A change that cuts management off is taken back by the daemon's worker; meanwhile a vif is plugged in."""
    words = host.ask(gateway="192.0.2.99")
    waiting = host.sandbox.spawn(["interface-reconfigure", f"--root-prefix={host.sandbox.root}", *words], env=WINDOW)
    wait_for(host.journal().exists, 20, "nothing was begun")

    host.served.plug(GuestVif(id=VifId(7, 0)))

    assert waiting.poll() is None
    output, errors = waiting.communicate(timeout=60)
    assert (waiting.returncode, output) == (1, "")
    assert "gateway 192.0.2.99 does not answer" in errors
    assert not host.journal().exists()


def begin_change(host: Host) -> tuple[subprocess.Popen[str], int]:
    """A change under the deadman, begun, and decided by nobody in this test's time; the client, its process id here."""
    words = host.ask(IP="192.0.2.12", gateway="192.0.2.99")
    env = {"XSAGENT_DEADMAN_S": "600"}
    client = host.sandbox.spawn(["interface-reconfigure", f"--root-prefix={host.sandbox.root}", *words], env=env)
    wait_for(lambda: addresses(host.sandbox, "xenbr0") == ["192.0.2.12/24"], 20, "nothing was begun")
    return client, pid_of(client)


def is_back(host: Host) -> bool:
    """Whether the old configuration is there, and nothing is left to take back."""
    with contextlib.suppress(FileNotFoundError):
        if host.journal().stat().st_size:
            return False
    return addresses(host.sandbox, "xenbr0") == ["192.0.2.10/24"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_client_that_is_told_to_end_takes_back_first(host: Host, number: int) -> None:
    """As a run in its own process: exit 1 with the reason, once the host is as it was."""
    client, pid = begin_change(host)

    os.kill(pid, number)

    output, errors = client.communicate(timeout=60)
    assert (client.returncode, output) == (1, "")
    assert errors.endswith("the host is as it was before\n")
    assert "told to end" in errors
    assert is_back(host)


def test_a_client_that_is_killed_ends_its_run(host: Host) -> None:
    """Nobody waits for the answer any more: what was begun is taken back, long before the window ends."""
    _, pid = begin_change(host)

    os.kill(pid, signal.SIGKILL)

    wait_for(lambda: is_back(host), 60, "it was not taken back")


def workers_of(host: Host) -> list[str]:
    """Process ids of the workers, inside: what the nursery forked."""
    inside = host.sandbox.run(["ps", "-eo", "pid=,ppid=,args="]).stdout.splitlines()
    rows = [line.split(maxsplit=2) for line in inside if "xsagent.cli.xsagentd" in line]
    nurseries = {pid for pid, parent, _ in rows if parent == host.served.pid}
    return [pid for pid, parent, _ in rows if parent in nurseries]


def test_a_worker_that_is_killed_is_an_error_and_is_taken_back(host: Host) -> None:
    """The client says so and exits 1; the guardian or the daemon finishes the undo."""
    client, _ = begin_change(host)
    worker = min(workers_of(host), key=int)  # the later one waits for the next request

    host.sandbox.run(["kill", "-KILL", worker])

    _, errors = client.communicate(timeout=30)
    assert "xsagentd ended while it did this" in errors
    wait_for(lambda: is_back(host), 60, "it was not taken back")


def test_a_guardian_watches_a_worker_and_needs_no_daemon(host: Host) -> None:
    """It is a fork of the worker, and outlives it and the daemon."""
    begin_change(host)
    worker = min(workers_of(host), key=int)

    host.served.end("KILL")
    host.sandbox.run(["kill", "-KILL", worker])

    wait_for(lambda: is_back(host), 60, "it was not taken back")


def test_a_killed_daemon_does_not_end_a_run(host: Host) -> None:
    """The worker finishes and answers its client by itself; meanwhile a new daemon serves already."""
    words = host.ask(gateway="192.0.2.99")
    waiting = host.sandbox.spawn(["interface-reconfigure", f"--root-prefix={host.sandbox.root}", *words], env=WINDOW)
    wait_for(host.journal().exists, 20, "nothing was begun")

    host.served.end("KILL")
    (host.sandbox.root / "run/xsagent/ready").unlink()
    host.served.start()

    assert waiting.poll() is None
    _, errors = waiting.communicate(timeout=60)
    assert "gateway 192.0.2.99 does not answer" in errors
    assert is_back(host)


def test_a_restart_of_ovsdb_server_ends_no_run(host: Host) -> None:
    """The worker takes back with the next one, and the daemon plugs with it."""
    words = host.ask(gateway="192.0.2.99")
    waiting = host.sandbox.spawn(["interface-reconfigure", f"--root-prefix={host.sandbox.root}", *words], env=WINDOW)
    wait_for(host.journal().exists, 20, "nothing was begun")

    host.sandbox.ovsdb_server.kill()
    host.sandbox.ovsdb_server.start()

    host.served.plug(GuestVif(id=VifId(7, 0)))
    _, errors = waiting.communicate(timeout=60)
    assert "gateway 192.0.2.99 does not answer" in errors
    assert errors.endswith("the host is as it was before\n")
    assert is_back(host)


def test_what_a_killed_run_left_is_finished_by_the_daemon(host: Host) -> None:
    """No guardian watched, for nothing of management was at risk; nobody runs the command again."""
    journal = host.journal()
    entry = '{"boot": "%s", "operation": "up xenbr9", "answered": [], "desired": null, "configuration": null}\n'
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    journal.parent.mkdir(exist_ok=True)
    journal.write_text(entry % boot)

    wait_for(lambda: not journal.exists(), 40, "the journal was left")
