"""The VM as a dom0: Open vSwitch on the kernel's datapath, our commands, and what kernel and switch say. Effects."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shell import GuestError, run, run_json, wait_for

if TYPE_CHECKING:
    from report import Facts

_DATABASE = "/etc/openvswitch/conf.db"
_PRODUCT = Path(os.environ["PYTHONPATH"])
_STREAM = _PRODUCT / "xsagent/sandbox/ping_stream.py"
_LOCK = Path("/run/xsagent/lock")
_LONGEST_RUN_S = 240
_LATEST_ANSWER_S = 10
"""After the last ping: the emulated processor may be busy elsewhere for a second when a stream ends."""

_pingers: list[subprocess.Popen[str]] = []
"""Streams that are under way."""


def start_switch() -> None:
    """Start Open vSwitch as the distribution does."""
    # Its daemons keep what it writes to, so a pipe would never end.
    subprocess.run(["lab-ovs"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120)


def reconfigure(*words: str, environ: Mapping[str, str] | None = None) -> Facts:
    """Run interface-reconfigure: exit code, stdout, the lines on stderr, and how long it took (s).

    Streams that are under way rest until it has read its code: they would take the emulated processor away from it
    while nothing can happen.
    """
    began = time.monotonic()
    for pinger in _pingers:
        pinger.send_signal(signal.SIGSTOP)
    process = subprocess.Popen(
        [sys.executable, "-m", "xsagent.cli.interface_reconfigure", "--no-syslog", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env={**os.environ, **(environ or {})},
    )
    if _pingers:
        wait_for("the command's lock", lambda: _has_lock(process.pid) or process.poll() is not None, _LONGEST_RUN_S)
    for pinger in _pingers:
        pinger.send_signal(signal.SIGCONT)
    stdout, stderr = process.communicate(timeout=_LONGEST_RUN_S)
    return {
        "code": process.returncode,
        "stdout": stdout,
        "stderr": stderr.splitlines(),
        "seconds": round(time.monotonic() - began, 1),
    }


def _has_lock(pid: int) -> bool:
    """Whether a command has its lock file open, which comes before all that it reads and does."""
    try:
        return any(entry.readlink() == _LOCK for entry in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return False


def worked(*words: str, environ: Mapping[str, str] | None = None) -> Facts:
    """As `reconfigure`; GuestError when the exit code is not 0."""
    done = reconfigure(*words, environ=environ)
    if done["code"]:
        said = "\n".join(done["stderr"])
        raise GuestError(f"interface-reconfigure: exit {done['code']}:\n{said}")
    return done


def up(bridge: str) -> Facts:
    """Bring the PIF of a bridge up from the cache; it has to work."""
    return worked("--force", bridge, "up")


def down(bridge: str) -> Facts:
    """Take the PIF of a bridge down from the cache; it has to work."""
    return worked("--force", bridge, "down")


# --- what kernel and switch say ----------------------------------------------------------------------------


def addresses(device: str) -> list[str]:
    """IPv4 addresses of a device; none when it is not there."""
    if not Path(f"/sys/class/net/{device}").exists():
        return []
    rows = run_json(["ip", "-json", "-4", "address", "show", "dev", device])
    return [f"{one['local']}/{one['prefixlen']}" for row in rows for one in row.get("addr_info", [])]


def default_routes() -> list[str]:
    """IPv4 default routes as ``GATEWAY dev DEVICE``."""
    rows = run_json(["ip", "-json", "-4", "route", "show", "default"])
    return [f"{row.get('gateway', '')} dev {row['dev']}" for row in rows]


def link(device: str) -> Facts:
    """The kernel's word on a device, with details of its kind; empty when it is not there."""
    if not Path(f"/sys/class/net/{device}").exists():
        return {}
    found: Facts = run_json(["ip", "-json", "-details", "link", "show", "dev", device])[0]
    return found


def bridges() -> dict[str, list[str]]:
    """Ports of each bridge, VLAN bridges with their own."""
    return {name: run(["ovs-vsctl", "list-ports", name]).split() for name in run(["ovs-vsctl", "list-br"]).split()}


def columns(table: str, record: str, *names: str) -> dict[str, Any]:
    """Columns of one row of the switch's database; sets and maps as lists and dicts."""
    names_wanted = ",".join(names)
    found = json.loads(run(["ovs-vsctl", "--format=json", f"--columns={names_wanted}", "list", table, record]))
    return {name: _value(cell) for name, cell in zip(found["headings"], found["data"][0], strict=True)}


def _value(cell: object) -> object:
    """A cell of OVSDB's JSON."""
    match cell:
        case ["set", items]:
            return [_value(item) for item in items]
        case ["map", pairs]:
            return dict(pairs)
        case ["uuid", text]:
            return text
        case _:
            return cell


def offloads(device: str) -> dict[str, str]:
    """Offloads as ``ethtool -k`` tells them: ``on``, ``off``, with ``[fixed]`` behind."""
    lines = run(["ethtool", "-k", device]).splitlines()[1:]
    return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


def link_settings(device: str) -> dict[str, str]:
    """Speed, duplex and autonegotiation as ``ethtool`` tells them."""
    pairs = (line.strip().partition(": ") for line in run(["ethtool", device]).splitlines())
    return {name: value for name, _, value in pairs if name in {"Speed", "Duplex", "Auto-negotiation", "Link detected"}}


def dhclients() -> list[int]:
    """Processes that are a dhclient."""
    found = []
    for directory in Path("/proc").iterdir():
        try:
            name = (directory / "comm").read_text(encoding="ascii").strip() if directory.name.isdecimal() else ""
        except FileNotFoundError:
            continue
        if name == "dhclient":
            found.append(int(directory.name))
    return sorted(found)


def reaches(address: str, *, namespace: str = "") -> bool:
    """Whether pings, from dom0 or from a namespace, are answered."""
    enter = ["ip", "netns", "exec", namespace] if namespace else []
    ping = ["ping", "-n", "-c", "5", "-i", "0.3", "-W", "2", address]
    return subprocess.run([*enter, *ping], check=False, capture_output=True).returncode == 0


# --- what changes meanwhile --------------------------------------------------------------------------------


@contextmanager
def changes() -> Iterator[Facts]:
    """What changes while the block runs: transactions in the database's log, and what kernel and driver tell.

    The facts are there after the block: ``transactions`` (count), ``kernel`` (lines of ``ip monitor``),
    ``driver`` (lines of ``ethtool --monitor``).
    """
    found: Facts = {}
    # What an earlier step set off in the kernel may still be under way: it is none of the block's doing.
    wait_for("the end of duplicate detection", lambda: not run(["ip", "-6", "address", "show", "tentative"]))
    time.sleep(1)
    log_before = _transactions()
    watchers = {
        "kernel": _watch(["ip", "monitor", "link", "address", "route", "rule"]),
        "driver": _watch(["ethtool", "--monitor"]),
    }
    time.sleep(0.5)
    try:
        yield found
        time.sleep(0.5)
        found["transactions"] = _transactions() - log_before
    finally:
        for name, watcher in watchers.items():
            watcher.send_signal(signal.SIGTERM)
            found[name] = watcher.communicate(timeout=10)[0].splitlines()


def _watch(argv: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["stdbuf", "-oL", *argv], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8"
    )


def _transactions() -> int:
    return run(["ovsdb-tool", "show-log", _DATABASE]).count("record ")


@contextmanager
def stream(target: str, *, interval_ms: float = 5, namespace: str = "") -> Iterator[Facts]:
    """Pings while the block runs, from dom0 or from a namespace; counts every packet.

    The facts are there after the block: sent, answered, lost, longest_gap (packets in a row), duplicates, and
    ``outage_ms``, the longest gap as time.
    """
    found: Facts = {}
    enter = ["ip", "netns", "exec", namespace] if namespace else []
    words = [target, f"--interval-ms={interval_ms}", f"--grace-s={_LATEST_ANSWER_S}"]
    argv = [*enter, sys.executable, "-I", str(_STREAM), *words]
    pinger = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8")
    if pinger.stdout is None or pinger.stdout.readline().strip() != "started":
        raise GuestError(f"the stream to {target} did not start")
    time.sleep(0.5)
    _pingers.append(pinger)
    try:
        yield found
        time.sleep(0.5)
    finally:
        _pingers.remove(pinger)
        last = pinger.communicate(timeout=30)[0].splitlines()[-1]
    counts = json.loads(last)
    found |= counts | {"lost": counts["sent"] - counts["answered"], "interval_ms": interval_ms}
    found["outage_ms"] = counts["longest_gap"] * interval_ms
