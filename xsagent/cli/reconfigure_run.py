"""What interface-reconfigure does with a good command line: read, decide, apply or print, answer.

The in-process way (DESIGN.md section 7). Comes after `reconfigure_options`; the main path itself is
`xsagent/reconfigure.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from xsagent.apply.cache import write_dbcache
from xsagent.apply.degraded import forget_degraded, remember_degraded
from xsagent.apply.interruption import signals_end_the_run
from xsagent.apply.lock import hold_lock
from xsagent.apply.outcome import Applied, Outcome, RolledBack, Stuck, Unverified
from xsagent.apply.rolled_back import forget_rolled_back
from xsagent.cli.begin import begin
from xsagent.cli.outcome import answer, say, tell_earlier, warn
from xsagent.cli.reconfigure_options import ALL_INTERFACES, ReconfigureOptions
from xsagent.cli.waiting import LOOK_WAIT_S, open_database, tell_wait
from xsagent.config import Paths, Settings
from xsagent.desired.kind import label
from xsagent.desired.request import Origin
from xsagent.errors import DeviceAbsentError, FileError, ManagementLostError, XsagentError
from xsagent.log import get_logger
from xsagent.model.records import Pif, Ref
from xsagent.model.snapshot import Snapshot
from xsagent.observed.ovsdb_connection import OvsdbConnection
from xsagent.operations import (
    Asked,
    build_operation,
    read_for_admin,
    read_from_xapi,
    read_management_addresses,
    save_snapshot,
    signal_networking_change,
)
from xsagent.plan.steps import Plan
from xsagent.planning import Host, MakeHost, Operation, make_plan
from xsagent.reconfigure import apply_operation, make_way
from xsagent.sources.host_files import check_backend, read_boot_id
from xsagent.topology.desired import Desired

if TYPE_CHECKING:
    from xsagent.desired.rescue import Rescue

_PROGRAM: Final = "interface-reconfigure"


def run_reconfigure(options: ReconfigureOptions, environ: Mapping[str, str], make_host: MakeHost = Host) -> int:
    """Run one command; returns its exit code.

    Args:
        options, environ: of the command.
        make_host: gives the host what the process has for it: a worker of the daemon has more than others.

    Raises:
        XsagentError: it failed before the first effect; the sentence is for the user.
    """
    paths, settings = _start(options, environ)
    with signals_end_the_run():
        if options.action == "rewrite":
            return _rewrite(options, paths, settings)
        return _up_or_down(options, paths, settings, make_host)


def plan_only(options: ReconfigureOptions, environ: Mapping[str, str]) -> tuple[Desired, Plan]:
    """What an ``up`` or ``down`` would do; nothing is changed and no lock is taken (`xsagent plan`).

    Raises:
        XsagentError: as run_reconfigure.
    """
    return _plan(options, *_start(options, environ))


def _start(options: ReconfigureOptions, environ: Mapping[str, str]) -> tuple[Paths, Settings]:
    paths = Paths.from_environ(options.root_prefix, environ)
    # a boot that a mistake in our own file keeps off the network could not be mended from afar
    goes_on = options.force is not None
    settings = begin(_PROGRAM, paths, environ, syslog=options.syslog, goes_on=goes_on)
    check_backend(paths)
    return paths, settings


# --- up and down -----------------------------------------------------------------------------------------


def _up_or_down(options: ReconfigureOptions, paths: Paths, settings: Settings, make_host: MakeHost) -> int:
    if options.dry_run:
        _print_plan(*_plan(options, paths, settings))
        return 0
    owner = f"interface-reconfigure {options.action} {options.force or options.pif_uuid or options.pif}"
    problems: list[str] = []
    go_on = problems.append if options.force == ALL_INTERFACES else None
    with (
        hold_lock(paths.lock, owner, settings.lock_wait_s, go_on),
        open_database(_PROGRAM, paths, settings) as connection,
    ):
        host = make_host(paths, settings, connection)
        for problem in problems:
            host.warn("go_on_without_lock", f"{problem}; the boot goes on without it")
        stuck = _finish_earlier_run(options, host)
        if stuck is not None:
            return answer(_PROGRAM, stuck)
        records = _read_records(options, host)
        if records.pif is None:
            return _up_all(records, host)
        operation = _decide(options, host, records, records.pif)
        before = read_management_addresses(operation) if options.pif_uuid is not None else None
        outcome = _apply(operation, host)
        _keep_in_step(outcome, operation, records, host)
        if isinstance(outcome, Applied | Unverified) and operation.desired.brings_up_management:
            _note_stand_in(records, host)
        _let_tunnels_in(records, host)
        if before is not None and read_management_addresses(operation) != before:
            signal_networking_change(host)
        return answer(_PROGRAM, outcome, forced=options.force is not None)


def _finish_earlier_run(options: ReconfigureOptions, host: Host) -> Stuck | None:
    """Finish what a run that died left; returns how far that came, where nothing may be done on top of it."""
    try:
        earlier = make_way(host, force=options.force is not None)
    except (FileError, OSError) as error:
        # its journal can be read or removed no more
        if options.force != ALL_INTERFACES:
            raise
        cause = error.cause if isinstance(error, FileError) else error
        host.warn("leave_earlier_run", f"what an earlier run left was not finished: {cause}; the boot goes on")
        return None
    if isinstance(earlier, Stuck):
        return earlier
    tell_earlier(_PROGRAM, earlier)
    return None


def _apply(operation: Operation, host: Host) -> Outcome:
    """Apply an operation; a configuration that would end management stays out of the cache: a boot would follow it."""
    try:
        return apply_operation(operation, host)
    except ManagementLostError as error:
        host.remember(operation.configuration)
        if operation.configuration is None:
            raise
        raise ManagementLostError(f"{label(operation.configuration.pif)}: {error}") from error


def _up_all(records: _Records, host: Host) -> int:
    """Bring up the boot set, and say at the end what is not up (features.md section 23)."""
    from xsagent.up_all import up_all  # noqa: PLC0415 - only a boot needs it

    boot = up_all(records.snapshot, host)
    if boot.management_up:
        _note_stand_in(records, host)
    _let_tunnels_in(records, host)
    for sentence in host.warnings.values():
        say(_PROGRAM, f"warning: {sentence}")
    code = answer(_PROGRAM, boot.outcome, forced=True)
    boot = replace(boot, left_out=(*records.making_way, *boot.left_out))
    problems = "; ".join(text for text in (records.management_gone, boot.as_sentence()) if text)
    if not problems:
        return code
    say(_PROGRAM, problems)
    return 1


def _print_plan(desired: Desired, plan: Plan) -> None:
    from xsagent.plan.render import render_plan  # noqa: PLC0415 - only a dry run prints

    print(render_plan(plan, desired.reasons), end="")


def _plan(options: ReconfigureOptions, paths: Paths, settings: Settings) -> tuple[Desired, Plan]:
    with OvsdbConnection.open(paths.ovsdb_socket, LOOK_WAIT_S) as connection:
        host = Host(paths, settings, connection)
        records = _read_records(options, host)
        if records.pif is None:
            from xsagent.up_all import plan_all  # noqa: PLC0415 - as in _up_all

            return plan_all(records.snapshot, host)
        operation = _decide(options, host, records, records.pif)
        return operation.desired, make_plan(operation, host)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Records:
    """What the toolstack says: its records, and the PIF among them that was asked for.

    Attributes:
        pif: None for the whole boot set.
        cached: they came from the cache, which is then not written again.
        management_gone: why management cannot come up, where its NIC is gone for good; empty otherwise.
        stand_in, making_way: as Rescued has them.
    """

    snapshot: Snapshot
    pif: Pif | None
    cached: bool
    management_gone: str = ""
    stand_in: Rescue | None = None
    making_way: tuple[tuple[Pif, str], ...] = ()


def _read_records(options: ReconfigureOptions, host: Host) -> _Records:
    """The records that the command line says to use (DESIGN.md section 5), and in the log what is odd about them."""
    records = _choose_records(options, host)
    warn(records.snapshot.warnings)
    return records


def _choose_records(options: ReconfigureOptions, host: Host) -> _Records:
    if options.force is not None:
        return _choose_forced(options.force, options, host)
    if options.pif is not None:
        snapshot = read_from_xapi(host.paths, host.settings, Ref(options.session or ""), host.memory)
        return _Records(snapshot=snapshot, pif=snapshot.pif(Ref(options.pif)), cached=False)
    snapshot, cached = tell_wait(
        _PROGRAM,
        "XAPI",
        host.settings.xapi_deadline_s,
        lambda: read_for_admin(host, partial(say, _PROGRAM), wait=not options.dry_run),
    )
    return _Records(snapshot=snapshot, pif=snapshot.pif_by_uuid(options.pif_uuid or ""), cached=cached)


def _choose_forced(bridge: str, options: ReconfigureOptions, host: Host) -> _Records:
    """The cache's records, with a NIC for management where its own is gone; none is sought for a PIF on others."""
    from xsagent import rescue  # noqa: PLC0415 - who asks XAPI needs none
    from xsagent.sources.boot import read_boot_state  # noqa: PLC0415 - as above

    snapshot = read_boot_state(host.paths)
    pif = None if bridge == ALL_INTERFACES else snapshot.pif_for_bridge(bridge)
    if pif is not None and not rescue.is_managements(host.paths, snapshot, pif):
        return _Records(snapshot=snapshot, pif=pif, cached=True)
    # a dry run raises no NIC, and nothing is to come up in a `down`
    look = rescue.with_carrier if options.dry_run else rescue.look_for_carrier
    look_for = None if options.action == "down" else look
    try:
        rescued = rescue.rescue_management(host.paths, host.connection, snapshot, at_boot=pif is None, look=look_for)
    except DeviceAbsentError as error:
        if pif is not None:
            raise
        return _Records(snapshot=snapshot, pif=None, cached=True, management_gone=error.cause)
    snapshot = rescued.snapshot
    pif = None if pif is None else snapshot.pif(pif.ref)
    return _Records(snapshot=snapshot, pif=pif, cached=True, stand_in=rescued.stand_in, making_way=rescued.making_way)


def _decide(options: ReconfigureOptions, host: Host, records: _Records, pif: Pif) -> Operation:
    asked = Asked(
        action="up" if options.action == "up" else "down",
        origin=_origin(options),
        becoming_management=options.management,
        even_if_in_use=options.even_if_in_use,
        deadman=options.deadman,
    )
    return build_operation(asked, records.snapshot, pif, host)


def _keep_in_step(outcome: Outcome, operation: Operation, records: _Records, host: Host) -> None:
    """Keep the cache in step with what works (features.md section 22, When saved). Never fails the operation."""
    try:
        match outcome:
            case Applied() | Unverified(path_works=True):
                if operation.configuration is not None:
                    forget_rolled_back(host.paths, operation.configuration)
                if not records.cached:
                    texts = None if host.memory is None else host.memory.texts
                    changed = save_snapshot(host.paths, records.snapshot, texts)
                    host.logger.info("save_cache", path=str(host.paths.dbcache), changed=changed)
            case RolledBack() | Stuck():
                host.remember(operation.configuration)
            case Unverified():
                pass
    except (XsagentError, OSError) as error:
        host.logger.error("save_cache_failed", reason=str(error))
        if isinstance(outcome, Applied | Unverified):
            say(_PROGRAM, f"warning: {error}; what was set stays until the next boot, which goes by the cache as it is")


def _note_stand_in(records: _Records, host: Host) -> None:
    """Management is up: write down which NIC stands in for its own, or that none does. Never fails the operation."""
    stand_in = records.stand_in
    try:
        if stand_in is None:
            forget_degraded(host.paths)
            return
        remember_degraded(
            host.paths,
            gone=stand_in.gone,
            stand_in=stand_in.nic.name,
            reason=stand_in.reason,
            boot=read_boot_id(host.paths),
        )
    except (XsagentError, OSError) as error:
        host.logger.warning("note_stand_in_failed", reason=str(error))


def _let_tunnels_in(records: _Records, host: Host) -> None:
    """After an operation on a tunnel's access PIF: the firewall as it must be now. Never fails the operation."""
    if not records.snapshot.tunnels or (records.pif is not None and not records.pif.tunnel_access_of):
        return
    from xsagent.firewall import reconcile_firewall  # noqa: PLC0415 - few hosts have tunnels

    try:
        reconcile_firewall(host.paths, host.settings, records.snapshot)
    except (XsagentError, OSError) as error:
        host.logger.warning("reconcile_firewall", reason=str(error))


def _origin(options: ReconfigureOptions) -> Origin:
    if options.force is not None:
        return "force"
    return "session" if options.session is not None else "pif-uuid"


# --- rewrite ---------------------------------------------------------------------------------------------


def _rewrite(options: ReconfigureOptions, paths: Paths, settings: Settings) -> int:
    if options.force is None:
        return _rewrite_from_xapi(options, paths, settings)
    from xsagent.model.force_rewrite import build_one_pif_snapshot  # noqa: PLC0415 - no other action needs it

    snapshot = build_one_pif_snapshot(options.force, options.rewrite, lambda device: _mac_of(paths, device))
    if options.dry_run:
        print(f"write a one-PIF cache for {options.force} to {paths.dbcache}")
        return 0
    with hold_lock(paths.lock, f"interface-reconfigure rewrite {options.force}", settings.lock_wait_s):
        write_dbcache(paths, snapshot)
    get_logger().info("write_cache", path=str(paths.dbcache), bridge=options.force)
    return 0


def _rewrite_from_xapi(options: ReconfigureOptions, paths: Paths, settings: Settings) -> int:
    from xsagent.rewrite import plan_rewrite, rewrite  # noqa: PLC0415 - up and down need none of it

    if options.dry_run:
        _print_plan(*plan_rewrite(paths, settings))
        return 0
    return answer(_PROGRAM, rewrite(paths, settings))


def _mac_of(paths: Paths, device: str) -> str | None:
    try:
        return (paths.sys / "class" / "net" / device / "address").read_text(encoding="ascii").strip()
    except OSError:
        return None
