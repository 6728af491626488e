"""``xsagent status``: what the daemon knows, and what earlier runs left. Reads only; works without a daemon."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

from xsagent.apply.journal import read_journal
from xsagent.apply.rolled_back import read_rolled_back
from xsagent.cli.ask_daemon import NoAnswerError, ask
from xsagent.config import Paths
from xsagent.observed.switch_alive import is_daemon_alive
from xsagent.observed.switch_daemons import read_daemon_pid
from xsagent.sources.host_files import read_boot_id
from xsagent.topology.text import printable

_ASK_S = 5.0
"""The daemon's loop answers in milliseconds, whatever its devices wait for; one that hangs never does."""
_ALIVE_S = 2.0
_MANAGER_WORDS = ("state", "last_error")
"""Of Manager.status (ovs-vswitchd.conf.db(5)): what tells why it is not connected."""


def run(arguments: argparse.Namespace) -> int:
    """Print the status; 0 also where no daemon runs, which it says."""
    paths = Paths.from_environ(arguments.root_prefix, os.environ)
    status = read_status(paths)
    if arguments.json:
        sys.stdout.write(json.dumps(status, indent=1, sort_keys=True) + "\n")
    else:
        sys.stdout.write("".join(f"{printable(line)}\n" for line in render_status(status)))
    return 0


def read_status(paths: Paths) -> dict[str, Any]:
    """Everything that is shown, as JSON."""
    daemon, reason = None, ""
    try:
        status, output, errors = ask(str(paths.root), "status", [], os.environ, begin_s=_ASK_S)
        daemon, reason = (json.loads(output), "") if status == 0 else (None, errors)
    except (NoAnswerError, ValueError) as error:
        reason = str(error)
    return {
        "daemon": daemon,
        "no_daemon_because": reason,
        "ready_without_daemon": daemon is None and paths.ready.exists(),
        "switch": {name: _state(paths, name) for name in ("ovsdb-server", "ovs-vswitchd")},
        "left": _left(paths),
        "rolled_back": _rolled_back(paths),
    }


def _state(paths: Paths, name: str) -> str:
    """How it stands with a daemon of Open vSwitch."""
    if is_daemon_alive(paths.ovs_rundir, name, _ALIVE_S):
        return "answers"
    hangs = read_daemon_pid(paths.ovs_rundir, paths.proc, name) is not None
    return "runs and does not answer" if hangs else "does not run"


def _left(paths: Paths) -> dict[str, Any] | None:
    """What a run that died or got stuck has not taken back."""
    try:
        entries = read_journal(paths.state_dir)
    except OSError as error:
        return {"operation": f"the journal cannot be read: {error.strerror}", "steps": []}
    if entries is None or not entries.begun:
        return None
    steps = entries.undo_steps(read_boot_id(paths))
    named = [f"{type(step).__name__.removesuffix('Step')} {getattr(step, 'device', '')}".strip() for step in steps]
    return {"operation": entries.operation, "steps": named}


def _rolled_back(paths: Paths) -> list[dict[str, str]]:
    """Configurations of PIFs that were taken back, and stay out of the cache until they were applied with success."""
    return [
        {"pif": uuid, "device": one.pif.device, "count": str(len(remembered))}
        for uuid, remembered in sorted(read_rolled_back(paths).items())
        for one in remembered[-1:]
    ]


def render_status(status: Mapping[str, Any]) -> Iterator[str]:
    """The lines for people."""
    daemon = status["daemon"]
    if daemon is None:
        yield f"xsagentd: no answer ({status['no_daemon_because']}); commands do their work themselves"
        if status["ready_without_daemon"]:
            yield "  its ready file is there, so udev plugs no guest's device: `xsagent doctor` says what to do"
    else:
        yield from _render_daemon(daemon)
    yield from (f"{name}: {state}" for name, state in status["switch"].items())
    left = status["left"]
    if left is not None:
        yield f"left by an earlier run ({left['operation']}): {len(left['steps'])} steps to take back"
        yield from (f"  {step}" for step in left["steps"])
        yield "  the next interface-reconfigure finishes that"
    for one in status["rolled_back"]:
        yield f"rolled back: {one['device']} (PIF {one['pif']}): that configuration stays out of the cache"


def _render_daemon(daemon: Mapping[str, Any]) -> Iterator[str]:
    ready = "ready: udev starts no hook" if daemon["ready"] else f"not ready ({daemon['not_ready_because']})"
    yield f"xsagentd: runs (pid {daemon['pid']}, version {daemon['version']}), {ready}"
    counts = daemon["counts"]
    yield f"devices: {counts['done']} done, {counts['pending']} pending, {counts['error']} in error"
    for name, device in sorted(daemon["devices"].items()):
        where = f" on {device['placed']}" if device["placed"] else ""
        text = f": {device['text']}" if device["text"] else ""
        yield f"  {name} {device['state']}{where} since {_clock(device['at'])}{text}"
    resync = daemon["resync"]
    yield "resync: none yet" if resync is None else f"resync: {_clock(resync['at'])} ({resync['reason']})"
    if put_off := daemon.get("resync_put_off"):
        yield f"resync: none can be made since {_clock(put_off['since'])}, guests may be unlocked: {put_off['reason']}"
    if daemon.get("workers"):
        yield f"workers: {daemon['workers']}"
    for name, service in sorted(daemon["services"].items()):
        connected = {True: "connected", False: "away"}.get(service.get("connected"), "runs")
        error = f": {service['error']}" if service["error"] else ""
        yield f"  {name}: {connected}{error}"
        yield from _render_details(service)


def _render_details(service: Mapping[str, Any]) -> Iterator[str]:
    """What a service has to say beyond whether its peer is there."""
    for manager in service.get("managers", ()):
        state = "connected" if manager["is_connected"] else "not connected"
        told = "".join(f", {key} {text}" for key, text in manager["status"].items() if key in _MANAGER_WORDS)
        yield f"    manager {manager['target']}: {state}{told}"
    yield from (f"    {sentence}" for sentence in service.get("drift", ()))
    if service.get("connected") is False and service.get("xapi", "away") != "away":
        yield f"    {service['xapi']}"
    for key in ("manager_drift", "controller_refused"):
        if service.get(key):
            yield f"    {service[key]}"
    yield from (f"    {task}: {text}" for task, text in service.get("errors", {}).items())


def _clock(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
