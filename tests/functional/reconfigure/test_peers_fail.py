"""The table of DESIGN.md section 5: each failure of a peer, by each way in."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from host_records import DHCP, HostRecords, static
from host_state import addresses, bridges, ip, reconfigure, refuse, spec_for, state, succeed
from xapi_host import XapiHost

from xsagent.sandbox.dom0 import Sandbox
from xsagent.sandbox.namespaces import pid_of
from xsagent.sandbox.root_prefix import record_ref, record_uuid
from xsagent.sandbox.spec import default_segments
from xsagent.sandbox.xapi_standin import XapiStandin

SHORT = {"XSAGENT_XAPI_DEADLINE_S": "1"}
BY_SESSION = ("--session", "OpaqueRef:caller", "--pif", record_ref("pif eth0"), "up")
BY_UUID = ("--pif-uuid", record_uuid("pif eth0"), "up")
BY_FORCE = ("--force", "xenbr0", "up")
REWRITE = ("rewrite",)


def host_records(**fields: object) -> HostRecords:
    """A host whose eth0 is management, static unless said otherwise, and whose eth1 has no IP."""
    records = HostRecords()
    records.nic("eth0", management=True, **{**static("192.0.2.10"), **fields})
    records.nic("eth1")
    return records


@pytest.fixture(scope="module")
def shared() -> Iterator[XapiHost]:
    """A host for everything that changes nothing."""
    with XapiHost(host_records()) as host:
        yield host


@pytest.fixture
def quiet(shared: XapiHost) -> Iterator[XapiHost]:
    """The shared host with a well-behaved XAPI; whatever the test does, the host is as it was afterwards."""
    shared.restart_xapi()
    before = state(shared.sandbox)
    yield shared
    assert state(shared.sandbox) == before


def standin(host: XapiHost) -> XapiStandin:
    """The XAPI that runs."""
    assert host.xapi is not None
    return host.xapi


def away(host: XapiHost) -> None:
    """No socket at all."""
    standin(host).stop()


def refusing(host: XapiHost) -> None:
    """A socket that nobody listens on."""
    standin(host).kill()


def behaving(kind: str, **rule: object) -> Callable[[XapiHost], None]:
    """Every call goes wrong in this way."""
    return lambda host: standin(host).fault(kind, **rule)


XAPI_AWAY: dict[str, Callable[[XapiHost], None]] = {
    "no socket": away,
    "nobody listens": refusing,
    "accepts and never answers": behaving("hang"),
    "a byte a second": behaving("drip"),
    "answers cut off": behaving("truncate"),
    "connections reset": behaving("reset"),
    "answers that are no XML": behaving("garbage"),
    "HTTP 500": behaving("http", seconds=500),
    "still booting": behaving("error", error=["HOST_STILL_BOOTING"]),
    "a supporter without its coordinator": behaving("error", error=["HOST_IS_SLAVE", "192.0.2.200"]),
    "hangs in the middle": behaving("hang", method="network.*"),
}


@pytest.mark.parametrize("case", XAPI_AWAY)
def test_xapi_away_fails_what_xapi_asked_for(quiet: XapiHost, case: str) -> None:
    """--session/--pif: exit 1 after the deadline, one sentence, nothing changed; F21: no traceback."""
    XAPI_AWAY[case](quiet)

    # a peer that drips, or hangs, would outlast the sandbox's own deadline for a command
    said = refuse(quiet.sandbox, *BY_SESSION, env=SHORT)

    assert "XAPI" in said
    assert "nothing was changed" in said


@pytest.mark.parametrize("case", XAPI_AWAY)
def test_xapi_away_is_no_failure_of_rewrite(quiet: XapiHost, case: str) -> None:
    """Quiet exit 0: at shutdown XAPI may be gone."""
    XAPI_AWAY[case](quiet)

    done = reconfigure(quiet.sandbox, *REWRITE, env=SHORT)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("case", ["no socket", "accepts and never answers", "a supporter without its coordinator"])
def test_xapi_away_lets_an_admin_use_the_cache_with_a_warning(case: str) -> None:
    """--pif-uuid: the host is brought up all the same, and the cache is not written."""
    with XapiHost(host_records()) as host:
        path = host.sandbox.root / "var/xapi/network.dbcache"
        before = (path.stat().st_ino, path.read_bytes())
        XAPI_AWAY[case](host)

        done = reconfigure(host.sandbox, *BY_UUID, env=SHORT)

        assert (done.returncode, done.stdout) == (0, ""), done.stderr
        assert "warning" in done.stderr
        assert "the cache is used" in done.stderr
        assert "nothing was changed" not in done.stderr
        assert addresses(host.sandbox, "xenbr0") == ["192.0.2.10/24"]
        assert (path.stat().st_ino, path.read_bytes()) == before


def test_force_never_asks_xapi() -> None:
    """Boot: not a connection is made, so a hanging XAPI costs nothing."""
    with XapiHost(host_records()) as host:
        standin(host).fault("hang")

        succeed(host.sandbox, *BY_FORCE)

        assert standin(host).methods() == []


def test_a_session_that_is_not_valid_is_named_but_not_shown(quiet: XapiHost) -> None:
    """It is the caller's: there is no other login to try, and its reference is a secret."""
    said = refuse(quiet.sandbox, *BY_SESSION)

    assert "SESSION_INVALID" in said
    assert "OpaqueRef:caller" not in said


@pytest.mark.parametrize("pif", ["OpaqueRef:11111111-2222-3333-4444-555555555555", "OpaqueRef:NULL", "", "'; reboot"])
def test_a_pif_that_is_gone_is_named(quiet: XapiHost, pif: str) -> None:
    """HANDLE_INVALID for the PIF that was asked for: exit 1, nothing changed."""
    session = standin(quiet).control("open_session", originator="xapi")

    said = refuse(quiet.sandbox, "--session", session, f"--pif={pif}", "up")

    assert pif in said


def test_a_uuid_that_nobody_has_is_named(quiet: XapiHost) -> None:
    """From XAPI as from the cache; PIFs of other hosts are not this host's."""
    unknown = "11111111-2222-3333-4444-555555555555"

    assert unknown in refuse(quiet.sandbox, "--pif-uuid", unknown, "up")
    standin(quiet).stop()
    done = reconfigure(quiet.sandbox, "--pif-uuid", unknown, "up", env=SHORT)
    assert done.returncode == 1
    assert unknown in done.stderr.splitlines()[-1]


def test_a_record_that_vanishes_between_two_calls_is_read_again(quiet: XapiHost) -> None:
    """HANDLE_INVALID once is a race; what was read at last is whole."""
    standin(quiet).fault("error", "network.*", error=["HANDLE_INVALID", "network", "OpaqueRef:x"], times=1)

    done = reconfigure(quiet.sandbox, "--pif-uuid", record_uuid("pif eth0"), "up", "--dry-run")

    assert done.returncode == 0, done.stderr
    assert standin(quiet).methods().count("network.get_all_records") == 2


def test_a_host_that_xapi_does_not_know_is_named(quiet: XapiHost) -> None:
    """The inventory's uuid is of another installation: exit 1."""
    inventory = quiet.sandbox.root / "etc/xensource-inventory"
    text = inventory.read_text()
    inventory.write_text(text.replace(record_uuid("host"), record_uuid("another host")))
    try:
        said = refuse(quiet.sandbox, *BY_UUID)
    finally:
        inventory.write_text(text)

    assert record_uuid("another host") in said


def test_our_own_session_that_expired_is_opened_again(quiet: XapiHost) -> None:
    """Once; then the run goes on as if nothing had been."""
    standin(quiet).fault("command", "PIF.*", command={"do": "expire"}, times=1)

    done = reconfigure(quiet.sandbox, "--pif-uuid", record_uuid("pif eth0"), "up", "--dry-run")

    assert done.returncode == 0, done.stderr
    assert standin(quiet).methods().count("session.login_with_password") == 2


# --- the switch ----------------------------------------------------------------------------------------------


def run_way(host: XapiHost, way: tuple[str, ...], **env: str) -> tuple[int, str, str]:
    """Run by one way in, with a session of the caller where one is named."""
    session = standin(host).control("open_session", originator="xapi")
    words = [session if word == "OpaqueRef:caller" else word for word in way]
    done = reconfigure(host.sandbox, *words, env=env)
    return done.returncode, done.stdout, done.stderr


WAYS = {"session": BY_SESSION, "uuid": BY_UUID, "force": BY_FORCE}


def test_ovsdb_absent_fails_each_way_after_its_wait_but_rewrite_at_once() -> None:
    """Exit 1 that names the socket; rewrite is quiet, since ovsdb may be down at shutdown."""
    with XapiHost(host_records(), ovsdb=False) as host:
        before = (ip(host.sandbox, "link"), ip(host.sandbox, "address"))
        for way in WAYS.values():
            code, out, err = run_way(host, way, XSAGENT_OVSDB_WAIT_S="1")
            assert (code, out, len(err.splitlines())) == (1, "", 1)
            assert "db.sock" in err

        # it would outlast the sandbox's own deadline for a command
        assert run_way(host, REWRITE, XSAGENT_OVSDB_WAIT_S="3600") == (0, "", "")
        assert (ip(host.sandbox, "link"), ip(host.sandbox, "address")) == before


def test_vswitchd_dead_fails_each_way_and_changes_nothing() -> None:
    """F12: exit 1 before any effect; rewrite is quiet and leaves the marks and the cache."""
    with XapiHost(host_records()) as host:
        host.sandbox.vswitchd.kill()
        before = state(host.sandbox)
        for way in WAYS.values():
            code, out, err = run_way(host, way, XSAGENT_VSWITCHD_WAIT_S="1")
            assert (code, out, len(err.splitlines())) == (1, "", 1)
            assert "ovs-vswitchd" in err

        assert run_way(host, REWRITE, XSAGENT_VSWITCHD_WAIT_S="1") == (0, "", "")
        assert state(host.sandbox) == before


# --- DHCP ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["session", "uuid"])
def test_a_silent_dhcp_server_is_exit_1_and_the_client_keeps_trying(way: str) -> None:
    """There was no network before: the bridge and the client stay, and a late server is taken."""
    with XapiHost(host_records(**DHCP, IP="", netmask="", gateway=""), segments=default_segments(dhcp=False)) as host:
        code, out, err = run_way(host, WAYS[way], XSAGENT_DHCP_WAIT_S="2")

        assert (code, out, len(err.splitlines())) == (1, "", 1)
        assert "DHCP" in err
        assert bridges(host.sandbox) == ["xenbr0"]
        host.sandbox.far().dhcp.start()
        deadline = time.monotonic() + 60
        while not addresses(host.sandbox, "xenbr0"):
            assert time.monotonic() < deadline, "no lease was taken"
            time.sleep(0.2)


# --- NIC, cache ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["session", "uuid", "force"])
def test_an_absent_nic_is_named_by_each_way(way: str) -> None:
    """Exit 1, nothing changed."""
    records = host_records()
    records.classes["PIF"][record_ref("pif eth0")] |= {"device": "eth7", "MAC": "0c:c4:7a:00:00:77"}
    with XapiHost(records) as host:
        before = state(host.sandbox)

        code, out, err = run_way(host, WAYS[way])

        assert (code, out, len(err.splitlines())) == (1, "", 1)
        assert "eth7" in err
        assert state(host.sandbox) == before


@pytest.mark.parametrize("text", ["", "<a/>", "\x00\x00"])
def test_f21_a_corrupt_cache_has_the_previous_generation_in_its_place(text: str) -> None:
    """F21: the one before is used, with a warning; and it is never replaced by the corrupt one."""
    with Sandbox(spec_for(host_records())) as sandbox:
        cache = sandbox.root / "var/xapi/network.dbcache"
        previous = cache.with_name("network.dbcache.previous")
        cache.rename(previous)
        cache.write_text(text)

        done = reconfigure(sandbox, "--no-syslog", *BY_FORCE)

        assert done.returncode == 0, done.stderr
        assert "previous" in done.stderr
        assert addresses(sandbox, "xenbr0") == ["192.0.2.10/24"]


# --- the lock ------------------------------------------------------------------------------------------------


def lock_holder(sandbox: Sandbox) -> int:
    """A real run that hangs while it holds the lock; its process id."""
    sandbox.ovsdb_server.pause()
    holder = sandbox.spawn(["interface-reconfigure", f"--root-prefix={sandbox.root}", *BY_FORCE])
    lock = sandbox.root / "run/xsagent/lock"
    deadline = time.monotonic() + 20
    while not (lock.exists() and lock.read_text().strip()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    pid = pid_of(holder)
    os.kill(pid, signal.SIGSTOP)
    sandbox.ovsdb_server.resume()
    return pid


def test_a_held_lock_fails_each_way_and_names_the_owner() -> None:
    """Exit 1 after the wait, also for rewrite; an owner that was killed is none."""
    with XapiHost(host_records()) as host:
        pid = lock_holder(host.sandbox)
        inside = Path(host.sandbox.root / "run/xsagent/lock").read_text().split()[0]
        before = state(host.sandbox)
        for way in (
            *WAYS.values(),
            REWRITE,
            ("--force", "xenbr0", "rewrite", "--device=eth0", "--mac=x", "--mode=dhcp"),
        ):
            code, out, err = run_way(host, way, XSAGENT_LOCK_WAIT_S="1")
            assert (code, out, len(err.splitlines())) == (1, "", 1)
            assert f"process {inside} interface-reconfigure up xenbr0" in err
        assert state(host.sandbox) == before

        os.kill(pid, signal.SIGKILL)
        succeed(host.sandbox, *BY_FORCE)
