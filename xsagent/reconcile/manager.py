"""The switch's manager, as XAPI wants it: read, decide, apply, answer. Effects through `control.py`.

What `openvswitch-cfg-update` and xsagentd do when the pool's controller changes (features.md section 20). The plugin's
edge, `cli/plugin.py`, turns the errors into XAPI's codes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from xsagent.apply.lock import hold_lock
from xsagent.apply.outcome import Stuck
from xsagent.config import Paths, Settings
from xsagent.desired.manager import ControlOptions, build_control
from xsagent.errors import CacheError, ConflictError, InputError, XapiError, XapiUnavailableError, XsagentError
from xsagent.log import Logger, get_logger, log_reasons
from xsagent.model.records import Ref
from xsagent.model.snapshot import Snapshot
from xsagent.observed.ovsdb_connection import OvsdbConnection
from xsagent.observed.ovsdb_control import read_managers
from xsagent.operations import build_options
from xsagent.plan.manager import ControlChange, diff_control, diff_emergency_reset
from xsagent.plan.manager_ca import BOOTSTRAPPED_CA
from xsagent.planning import Host
from xsagent.reconcile.control import apply_control, forget_kept_ca
from xsagent.reconfigure import make_way
from xsagent.sources.boot import read_boot_state
from xsagent.sources.certificate import check_tls_files
from xsagent.sources.host_files import read_host_facts, read_inventory
from xsagent.sources.xapi import open_session, read_snapshot
from xsagent.sources.xapi_manager import ManagerRecords, read_manager_records
from xsagent.topology.control import DesiredControl, SwitchControl

CERTIFICATE = "/etc/xensource/xapi-ssl.pem"
"""The host's key and certificate in one file (wire.md section 6)."""
INSTALLED_CA = "/etc/stunnel/certs/sdn-controller-ca.pem"
"""The CA of a controller that connects to us, installed by the pool (features.md section 20)."""
RESET_DONE = "Successfully reset configuration"
NO_CHANGE = "No change to configuration"


class PoolCountError(InputError):
    """XAPI has not exactly one pool record; nothing was changed.

    Attributes:
        count: how many it has.
    """

    def __init__(self, count: int) -> None:
        super().__init__(f"XAPI has {count} pool records where there must be one; nothing was changed")
        self.count = count


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlHooks:
    """What else goes with a change; a hook that raises is logged and changes no result.

    Attributes:
        rewrite: brings the bridges' marks and the cache in step with XAPI; profile `full` only.
        relock: puts the locking flows of guests on these bridges (None: on all) in place by what xenstore says now;
            those that were there before the change are back already.
        listen: opens (True) or closes the port on which a pssl manager comes in; told to open it by each update,
            since firewalls forget.
    """

    rewrite: Callable[[], object] | None = None
    relock: Callable[[frozenset[str] | None], object] | None = None
    listen: Callable[[bool], object] | None = None


def update_manager(paths: Paths, settings: Settings, session: Ref | None, hooks: ControlHooks) -> str:
    """Make the switch obey whom XAPI names, with fail mode and in-band control of each bridge that XAPI knows.

    Idempotent; a failure leaves manager, TLS files, CA and bridges as they were.

    Args:
        session: the caller's, never logged out; None logs in.

    Returns:
        The plugin's answer.

    Raises:
        PoolCountError, XapiError, XapiUnavailableError: XAPI does not say; nothing was changed.
        InputError: the controller's address or the TLS files cannot be used; nothing was changed.
        XsagentError: as `apply_control`.
    """
    logger = get_logger()
    if hooks.rewrite is not None:
        _run_hook("rewrite", hooks.rewrite, logger)
    with (
        hold_lock(paths.lock, "openvswitch-cfg-update update", settings.lock_wait_s),
        OvsdbConnection.open(paths.ovsdb_socket, settings.ovsdb_wait_s) as connection,
    ):
        host = _open_host(paths, settings, connection)
        desired = _read_desired(paths, settings, session)
        log_reasons(logger, desired.reasons)
        change = apply_control(host, desired, partial(_decide_update, desired, logger))
        if change.manager is None and desired.manager is not None:
            forget_kept_ca(paths, desired.manager.target, read_managers(connection))
    _run_hooks(hooks, desired, change, logger)
    return render_result(desired, change)


def emergency_reset(paths: Paths, settings: Settings, session: Ref | None, hooks: ControlHooks) -> str:
    """Take away what controllers and admins configured, as ``ovs-vsctl emer-reset`` does; XAPI's own values stay.

    Works without XAPI too: then the cache says what XAPI wants, and without that all bridges fall back to defaults.

    Raises:
        XsagentError: as `apply_control`.
    """
    logger = get_logger()
    with (
        hold_lock(paths.lock, "openvswitch-cfg-update emergency_reset", settings.lock_wait_s),
        OvsdbConnection.open(paths.ovsdb_socket, settings.ovsdb_wait_s) as connection,
    ):
        host = _open_host(paths, settings, connection)
        desired = _read_for_emergency(paths, settings, session, logger)
        change = apply_control(host, desired, partial(diff_emergency_reset, desired))
    _run_hooks(hooks, replace(desired, manager=None), change, logger, is_reset=True)
    return RESET_DONE


def render_result(desired: DesiredControl, change: ControlChange) -> str:
    """The texts of features.md section 20, one after the other."""
    text = ""
    if change.manager == "removed":
        text += "Successfully removed controller config.  "
    elif change.manager == "set" and desired.manager is not None:
        text += f"Successfully set controller to {desired.manager.label}.  "
    if change.in_band:
        text += "Updated in-band management.  "
    if change.fail_mode:
        text += "Updated fail_mode.  "
    return text or NO_CHANGE


def control_options(paths: Paths, settings: Settings) -> ControlOptions:
    """Where the TLS files lie for ovsdb-server, and the port of pool.vswitch_controller."""
    return ControlOptions(
        certificate=str(paths.below(CERTIFICATE)),
        bootstrapped_ca=str(paths.below(BOOTSTRAPPED_CA)),
        installed_ca=str(paths.below(INSTALLED_CA)),
        default_port=settings.controller_port,
    )


def _open_host(paths: Paths, settings: Settings, connection: OvsdbConnection) -> Host:
    host = Host(paths, settings, connection)
    if isinstance(make_way(host), Stuck):
        raise ConflictError("an earlier run could not be taken back (see the log); nothing was changed")
    return host


def _decide_update(desired: DesiredControl, logger: Logger, observed: SwitchControl) -> ControlChange:
    """The change, once it is certain that the new manager's TLS files are good."""
    change = diff_control(desired, observed)
    if desired.manager is None:
        return change
    try:
        warnings = check_tls_files(desired.manager.tls)
    except InputError as error:
        if change.manager is not None:
            raise
        warnings = (str(error),)
    for warning in warnings:
        logger.warning("check_tls_files", reason=warning)
    return change


# --- reading ---------------------------------------------------------------------------------------------


def require_one_pool(records: ManagerRecords) -> None:
    """PoolCountError unless XAPI has exactly one pool record."""
    if records.pools != 1:
        raise PoolCountError(records.pools)


def _read_desired(paths: Paths, settings: Settings, session_ref: Ref | None) -> DesiredControl:
    inventory = read_inventory(paths)
    with open_session(paths.xapi_sockets, settings.xapi_deadline_s, session_ref) as session:
        records = read_manager_records(session, read_snapshot(session, inventory.installation_uuid))
    require_one_pool(records)
    return build_control(
        records.snapshot,
        records.controllers,
        read_host_facts(paths),
        build_options(paths, settings),
        control_options(paths, settings),
    )


def _read_for_emergency(paths: Paths, settings: Settings, session: Ref | None, logger: Logger) -> DesiredControl:
    try:
        return _read_desired(paths, settings, session)
    except (XapiError, XapiUnavailableError, InputError) as error:
        logger.warning("use_cache", reason=str(error))
    facts = read_host_facts(paths)
    snapshot = _cached_snapshot(paths, logger)
    if snapshot is None or snapshot.pool is None:
        return DesiredControl(management=facts.management_bridge)
    return build_control(snapshot, (), facts, build_options(paths, settings), control_options(paths, settings))


def _cached_snapshot(paths: Paths, logger: Logger) -> Snapshot | None:
    try:
        return read_boot_state(paths)
    except (CacheError, InputError) as error:
        logger.warning("reset_to_defaults", reason=str(error))
        return None


# --- hooks -----------------------------------------------------------------------------------------------


def _run_hooks(
    hooks: ControlHooks, desired: DesiredControl, change: ControlChange, logger: Logger, *, is_reset: bool = False
) -> None:
    is_passive = desired.manager is not None and desired.manager.target.startswith("p")
    if hooks.listen is not None and (is_passive or change.manager is not None):
        _run_hook("listen", partial(hooks.listen, is_passive), logger)
    everywhere = is_reset or change.manager is not None
    if hooks.relock is not None and (change.flushed or everywhere):
        _run_hook("relock", partial(hooks.relock, None if everywhere else change.flushed), logger)


def _run_hook(name: str, hook: Callable[[], object], logger: Logger) -> None:
    try:
        hook()
    except (XsagentError, OSError) as error:
        logger.warning("hook_failed", hook=name, reason=str(error))
