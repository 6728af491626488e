"""A host whose management works, for tests of the deadman: mistakes in its record, and who watches meanwhile."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from host_records import HostRecords, Record, static
from host_state import ip, state, succeed
from xapi_host import XapiHost

from xsagent.sandbox.dom0 import Sandbox
from xsagent.sandbox.root_prefix import record_ref

WINDOW_S = 3
WINDOW = {"XSAGENT_DEADMAN_S": str(WINDOW_S)}


def host_records(**fields: object) -> HostRecords:
    """A host whose eth0 is management, static unless said otherwise, and whose eth1 has no IP."""
    records = HostRecords()
    records.nic("eth0", management=True, **{**static("192.0.2.10"), **fields})
    records.nic("eth1")
    return records


@contextlib.contextmanager
def managed(**fields: object) -> Iterator[XapiHost]:
    """A host whose management interface is up and works."""
    with XapiHost(host_records(**fields)) as host:
        succeed(host.sandbox, "--force", "xenbr0", "up")
        nic(host)["currently_attached"] = True
        yield host


def nic(host: XapiHost) -> Record:
    """The management PIF."""
    return host.records.classes["PIF"][record_ref("pif eth0")]


def ask(host: XapiHost, **fields: object) -> tuple[str, ...]:
    """Change the management PIF's record; the words that bring it up by XAPI's own way in."""
    nic(host).update(fields)
    session = host.restart_xapi().control("open_session", originator="xapi")
    return ("--session", session, "--pif", record_ref("pif eth0"), "up")


def state_of(host: XapiHost) -> dict[str, Any]:
    """What must be as it was; the stand-in's own files are not the host's."""
    return state(host.sandbox, without=("var/lib/xsagent", "run", "var/lib/xcp"))


def reachable(host: XapiHost) -> bool:
    """Whether the far host reaches management on its old address."""
    return host.sandbox.far().run(["ping", "-c1", "-W1", "192.0.2.10"], check=False).returncode == 0


def guardians(sandbox: Sandbox) -> list[int]:
    """Process ids, inside, of guardians that run."""
    return [int(pid) for pid in sandbox.run(["pgrep", "-f", "xsagent.cli.guardian"], check=False).stdout.split()]


def wait_until(condition: Callable[[], object], what: str, seconds: float = 60) -> float:
    """Wait for a condition; how long that took, in seconds."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() < started + seconds, what
        time.sleep(0.05)
    return time.monotonic() - started


def start_mistake(host: XapiHost, **env: str) -> subprocess.Popen[str]:
    """A run that gives management a wrong gateway; returned once it is in its window."""
    words = ask(host, gateway="192.0.2.99")
    run = host.sandbox.spawn(
        ["interface-reconfigure", f"--root-prefix={host.sandbox.root}", *words],
        env={"XSAGENT_DEADMAN_S": "120", **env},
    )
    wait_until(lambda: default_gateway(host.sandbox) == ["192.0.2.99"], "the change was never made")
    return run


def default_gateway(sandbox: Sandbox) -> list[str]:
    """Gateways of the default routes."""
    return [route["gateway"] for route in ip(sandbox, "route", "show", "default")]


def journal(sandbox: Sandbox) -> Path:
    """Where the journal is while something is under way."""
    return sandbox.root / "var/lib/xsagent/journal"
