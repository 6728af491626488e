"""SafetyFlowsStep -> the switch: our safety flows go out and the wanted ones in, as one bundle. Effects.

Run right after the OVSDB transaction that made a management bridge secure; what a controller installed stays.
ovs-vswitchd forgets flows when it dies, and a secure bridge then cuts off management, and with it the way to the
controller. So what was wanted last is kept below /run, for whoever starts the switch again or sees that it came back.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from xsagent.apply.flows import FLOWS_DEADLINE_S
from xsagent.apply.lock import hold_lock
from xsagent.apply.run_dir import remove_run_file, write_run_file
from xsagent.config import Paths
from xsagent.errors import CommandError, XsagentError
from xsagent.log import get_logger
from xsagent.observed.flows import read_flow_lines
from xsagent.observed.ovsdb import read_ovsdb
from xsagent.observed.ovsdb_connection import OvsdbConnection
from xsagent.observed.secure_bridges import kept_flows_path, read_kept_flows, read_unattended
from xsagent.ofctl import lacks_bundles, run_ofctl
from xsagent.plan.secure_bridge import lines_that_work
from xsagent.plan.steps import SafetyFlowsStep
from xsagent.topology.values import SAFETY_COOKIE

_LOCK_WAIT_S: Final = FLOWS_DEADLINE_S + 5.0
_OURS: Final = f"{SAFETY_COOKIE:#x}/-1"
_LOG = get_logger()


def replace_safety_flows(paths: Paths, step: SafetyFlowsStep) -> None:
    """Make the flows with our safety cookie exactly the step's; idempotent, one bundle where the bridge takes any.

    Raises:
        CommandError: ovs-ofctl failed or passed its deadline; the flows are as they were.
        LockHeldError: another process was at it all the time; they are as they were.
    """
    with _alone(paths):
        _keep(paths, step)
        _install(paths.ovs_rundir, step.bridge, step.lines)


def forget_safety_flows(paths: Paths, bridges: Iterable[str]) -> None:
    """Keep no flows for bridges that were taken away: one of the same name that comes later is another one."""
    for bridge in bridges:
        _keep(paths, SafetyFlowsStep(bridge=bridge, lines=()))


def put_back_safety_flows(paths: Paths, connection: OvsdbConnection) -> None:
    """Install what was wanted last on secure bridges that have none of it; idempotent.

    A bridge whose controller is connected is left alone: what is there is the controller's word. Whatever goes wrong
    is logged: the caller has more to do.

    Raises:
        OvsdbUnavailableError, OvsdbError: the database does not say which bridges there are.
    """
    kept = read_kept_flows(paths)
    if not kept:
        return
    for name in sorted(kept.keys() & read_unattended(connection)):
        try:
            with _alone(paths):
                _put_back(paths, connection, name)
        except (XsagentError, OSError) as error:
            _LOG.error("lose_safety_flows", bridge=name, reason=str(error))


def _put_back(paths: Paths, connection: OvsdbConnection, name: str) -> None:
    """Read again what is kept: nobody changes it now."""
    bridge = read_ovsdb(connection).bridges.get(name)
    if bridge is None or read_flow_lines(paths.ovs_rundir, name, SAFETY_COOKIE):
        return
    lines = lines_that_work(read_kept_flows(paths).get(name, ()), bridge)
    if lines:
        _install(paths.ovs_rundir, name, lines)
        _LOG.warning("put_back_safety_flows", bridge=name, flows=len(lines))


def _install(rundir: Path, bridge: str, lines: tuple[str, ...]) -> None:
    added = [f"add cookie={SAFETY_COOKIE:#x},{line}" for line in lines]
    try:
        _send(rundir, bridge, ["--bundle"], [f"delete cookie={_OURS}", *added])
    except CommandError as error:
        if not lacks_bundles(error):
            raise
        # without a moment in which management has no flow: those that stay are there before any goes
        wanted = set(map(_match, lines))
        stale = [
            match
            for line in read_flow_lines(rundir, bridge, SAFETY_COOKIE) or ()
            if (match := _match(line)) not in wanted
        ]
        _send(rundir, bridge, [], [*added, *(f"delete_strict cookie={_OURS},{match}" for match in stale)])


def _send(rundir: Path, bridge: str, options: list[str], lines: list[str]) -> None:
    text = "".join(f"{line}\n" for line in lines)
    run_ofctl(rundir, bridge, ["--names", *options, "add-flows"], "-", deadline_s=FLOWS_DEADLINE_S, text=text)


def _match(line: str) -> str:
    """What a flow is found by, in one order: the switch shows fields in an order of its own."""
    fields = line.replace('"', "").partition("actions=")[0]
    return ",".join(sorted(filter(None, map(str.strip, fields.split(",")))))


def _keep(paths: Paths, step: SafetyFlowsStep) -> None:
    path = kept_flows_path(paths, step.bridge)
    try:
        if step.lines:
            write_run_file(path, "".join(f"{line}\n" for line in step.lines))
        else:
            remove_run_file(path)
    except OSError as error:
        _LOG.warning("keep_no_safety_flows", bridge=step.bridge, reason=str(error))


@contextlib.contextmanager
def _alone(paths: Paths) -> Iterator[None]:
    def go_on(problem: str) -> None:
        _LOG.warning("go_on_without_lock", reason=problem)

    with hold_lock(paths.run_dir / "safety-flows.lock", "safety flows", _LOCK_WAIT_S, go_on):
        yield
