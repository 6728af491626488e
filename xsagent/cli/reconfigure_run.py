"""What interface-reconfigure does with a good command line: read, decide, apply or print, answer.

The in-process way (DESIGN.md section 7). Comes after `reconfigure_options`; the main path itself is
`xsagent/reconfigure.py`.
"""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterator, Mapping
from types import FrameType
from typing import Literal

from xsagent.apply.cache import write_dbcache
from xsagent.apply.deadman import compute_window
from xsagent.apply.lock import hold_lock
from xsagent.apply.outcome import Applied, Outcome, RolledBack, Stuck, Unverified
from xsagent.cli.reconfigure_options import ALL_INTERFACES, ReconfigureOptions
from xsagent.config import Paths, Settings, read_settings
from xsagent.desired.build import build_desired
from xsagent.desired.request import BuildOptions, Request
from xsagent.errors import ApplyError, XsagentError
from xsagent.log import configure, get_logger
from xsagent.model.force_rewrite import build_one_pif_snapshot
from xsagent.model.records import Pif
from xsagent.model.snapshot import Snapshot
from xsagent.observed.ovsdb_connection import OvsdbConnection
from xsagent.plan.render import render_plan
from xsagent.plan.steps import Plan
from xsagent.reconfigure import Host, Operation, apply_operation, finish_earlier_run, make_plan
from xsagent.sources.boot import read_boot_state
from xsagent.sources.host_files import check_backend, read_host_facts
from xsagent.topology.desired import Desired


def run_reconfigure(options: ReconfigureOptions, environ: Mapping[str, str]) -> int:
    """Run one command; returns its exit code.

    Raises:
        XsagentError: it failed before the first effect; the sentence is for the user.
    """
    paths, settings = _start(options, environ)
    with _signals_end_the_run():
        if options.action == "rewrite":
            return _rewrite(options, paths, settings)
        return _up_or_down(options, paths, settings)


def plan_only(options: ReconfigureOptions, environ: Mapping[str, str]) -> tuple[Desired, Plan]:
    """What an ``up`` or ``down`` would do; nothing is changed and no lock is taken (`xsagent plan`).

    Raises:
        XsagentError: as run_reconfigure.
    """
    return _plan(options, *_start(options, environ))


def _start(options: ReconfigureOptions, environ: Mapping[str, str]) -> tuple[Paths, Settings]:
    paths = Paths.from_environ(options.root_prefix, environ)
    settings = read_settings(paths, environ)
    configure(
        syslog=options.syslog,
        level=settings.log_level,
        program="interface-reconfigure",
        device=paths.below("/dev/log"),
    )
    check_backend(paths)
    return paths, settings


# --- up and down -----------------------------------------------------------------------------------------


def _up_or_down(options: ReconfigureOptions, paths: Paths, settings: Settings) -> int:
    if options.dry_run:
        desired, plan = _plan(options, paths, settings)
        sys.stdout.write(render_plan(plan, desired.reasons))
        return 0
    owner = f"interface-reconfigure {options.action} {options.force or options.pif_uuid or options.pif}"
    with (
        hold_lock(paths.lock, owner, settings.lock_wait_s),
        OvsdbConnection.open(paths.ovsdb_socket, settings.ovsdb_wait_s) as connection,
    ):
        host = Host(paths, settings, connection)
        earlier = finish_earlier_run(host)
        if isinstance(earlier, Stuck):
            return _answer(earlier, options)
        operation, _ = _decide(options, paths, settings)
        return _answer(apply_operation(operation, host), options)


def _plan(options: ReconfigureOptions, paths: Paths, settings: Settings) -> tuple[Desired, Plan]:
    operation, _ = _decide(options, paths, settings)
    with OvsdbConnection.open(paths.ovsdb_socket, settings.ovsdb_wait_s) as connection:
        return operation.desired, make_plan(operation, Host(paths, settings, connection))


def _decide(options: ReconfigureOptions, paths: Paths, settings: Settings) -> tuple[Operation, Snapshot]:
    """The operation that the command line asks for, from the snapshot it says to use."""
    if options.force is None:
        raise XsagentError("reading XAPI is not possible yet: use --force BRIDGE; nothing was changed")
    if options.force == ALL_INTERFACES:
        raise XsagentError("--force-interface all is not possible yet; nothing was changed")
    snapshot = read_boot_state(paths)
    pif = snapshot.pif_for_bridge(options.force)
    return _operation(options, paths, settings, snapshot, pif), snapshot


def _operation(
    options: ReconfigureOptions, paths: Paths, settings: Settings, snapshot: Snapshot, pif: Pif
) -> Operation:
    host = read_host_facts(paths)
    action: Literal["up", "down"] = "up" if options.action == "up" else "down"
    origin = _origin(options)
    request = Request(
        action=action,
        pif=pif.ref,
        becoming_management=options.management and origin != "force",
        origin=origin,
        even_if_in_use=options.even_if_in_use,
    )
    desired = build_desired(snapshot, request, host, build_options(paths, settings))
    dhcp = desired.management is not None and desired.management.dhcp
    window = compute_window(settings.deadman_s, dhcp=dhcp, high_availability=host.high_availability)
    return Operation(
        name=f"{action} {snapshot.bridge_of(pif) or pif.device}",
        desired=desired,
        keep_vif_ports=origin != "session" and not options.even_if_in_use,
        dhcp_wait_s=settings.dhcp_first_boot_s if host.first_boot else settings.dhcp_wait_s,
        deadman_s=window if options.deadman and origin != "force" else 0.0,
    )


def build_options(paths: Paths, settings: Settings) -> BuildOptions:
    """What `desired/` is told about this host's way of doing things (DESIGN.md section 8)."""
    ifcfg = settings.ip_backend == "ifcfg" or (settings.ip_backend == "auto" and paths.network_functions.exists())
    return BuildOptions(
        ip_backend="ifcfg" if ifcfg else "netlink",
        datapath_type=settings.datapath_type,
        dhcp_vendor_class=settings.dhcp_vendor_class,
    )


def _origin(options: ReconfigureOptions) -> Literal["session", "pif-uuid", "force"]:
    if options.force is not None:
        return "force"
    return "session" if options.session is not None else "pif-uuid"


# --- rewrite ---------------------------------------------------------------------------------------------


def _rewrite(options: ReconfigureOptions, paths: Paths, settings: Settings) -> int:
    if options.force is None:
        raise XsagentError("rewrite from XAPI is not possible yet: use --force BRIDGE; nothing was changed")
    snapshot = build_one_pif_snapshot(options.force, options.rewrite, lambda device: _mac_of(paths, device))
    if options.dry_run:
        print(f"write a one-PIF cache for {options.force} to {paths.dbcache}")
        return 0
    with hold_lock(paths.lock, f"interface-reconfigure rewrite {options.force}", settings.lock_wait_s):
        write_dbcache(paths, snapshot)
    get_logger().info("write_cache", path=str(paths.dbcache), bridge=options.force)
    return 0


def _mac_of(paths: Paths, device: str) -> str | None:
    try:
        return (paths.sys / "class" / "net" / device / "address").read_text(encoding="ascii").strip()
    except OSError:
        return None


# --- answering -------------------------------------------------------------------------------------------


def _answer(outcome: Outcome, options: ReconfigureOptions) -> int:
    """Log how it ended, tell the user on stderr, and choose the exit code (DESIGN.md section 4)."""
    logger = get_logger()
    match outcome:
        case Applied(changed=changed, warnings=warnings):
            logger.info("end_run", outcome="applied", changed=changed)
            _warn(warnings)
            return 0
        case Unverified(reason=reason, warnings=warnings):
            logger.warning("end_run", outcome="unverified", reason=reason)
            _warn(warnings)
            _say(reason if options.force is None else f"warning: {reason}; it is left in place and keeps trying")
            return 0 if options.force is not None else 1
        case RolledBack(cause=cause):
            logger.error("end_run", outcome="rolled_back", reason=cause)
            _say(f"{cause}; the host is as it was before")
        case Stuck(cause=cause, left=left):
            for step in left:
                logger.error("undo_left", step=type(step).__name__, subject=getattr(step, "device", ""))
            logger.error("end_run", outcome="stuck", reason=cause, left=len(left))
            _say(f"{cause}; and {len(left)} steps of the way back failed (see the log); run the command again")
    return 1


def _warn(warnings: tuple[str, ...]) -> None:
    for warning in warnings:
        get_logger().warning("warn", reason=warning)


def _say(sentence: str) -> None:
    print(f"interface-reconfigure: {' '.join(sentence.split())}", file=sys.stderr)


@contextlib.contextmanager
def _signals_end_the_run() -> Iterator[None]:
    """SIGTERM, SIGINT and SIGHUP end the run as a failed step would: what was begun is taken back."""
    signals = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

    def end(number: int, _frame: FrameType | None) -> None:
        for each in signals:
            signal.signal(each, signal.SIG_IGN)
        raise ApplyError(f"the run was told to end ({signal.Signals(number).name})")

    before = {each: signal.signal(each, end) for each in signals}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
