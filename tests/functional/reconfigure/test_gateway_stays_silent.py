"""A gateway that answers no more once all was taken back: the host is not said to be as it was before."""

from __future__ import annotations

import os
import signal

from deadman_host import WINDOW, ask, default_gateway, guardians, journal, managed, reachable, start_mistake
from host_state import reconfigure, succeed
from xapi_host import XapiHost

from xsagent.sandbox.namespaces import pid_of
from xsagent.sandbox.root_prefix import record_ref

STILL_SILENT = "gateway 192.0.2.1 does not answer on xenbr0, as one did before"


def fall_silent(host: XapiHost) -> None:
    """The gateway goes away, for a reason that is none of ours."""
    host.sandbox.far().set_addresses()


def test_a_gateway_that_is_silent_after_the_way_back_too_is_named() -> None:
    """The host is not said to be as it was; nothing is left to take back, and the next run does its work."""
    with managed() as host:
        run = start_mistake(host, XSAGENT_DEADMAN_S="5")
        fall_silent(host)
        _, said = run.communicate(timeout=90)

        assert run.returncode == 1
        assert STILL_SILENT in said
        assert "the host is as it was before" not in said
        assert default_gateway(host.sandbox) == ["192.0.2.1"]
        assert not journal(host.sandbox).exists()
        assert guardians(host.sandbox) == []
        host.sandbox.far().set_addresses("192.0.2.1/24")
        succeed(host.sandbox, *ask(host, gateway="192.0.2.1", DNS="192.0.2.53"), env=WINDOW)
        assert reachable(host)


def test_the_way_back_of_a_killed_run_asks_for_the_gateway_too() -> None:
    """Whoever finishes it: here the next run, of another PIF, which goes on."""
    with managed() as host:
        run = start_mistake(host)
        (watcher,) = guardians(host.sandbox)
        host.sandbox.run(["kill", "-KILL", str(watcher)])
        os.kill(pid_of(run), signal.SIGKILL)
        run.communicate(timeout=20)
        fall_silent(host)

        session = host.restart_xapi().control("open_session", originator="xapi")
        words = ("--session", session, "--pif", record_ref("pif eth1"), "up")
        done = reconfigure(host.sandbox, "--no-syslog", *words)

        assert done.returncode == 0
        assert STILL_SILENT in done.stderr
        assert default_gateway(host.sandbox) == ["192.0.2.1"]
        assert not journal(host.sandbox).exists()
