"""`rewrite`: xs-network-uuids, static routes, the cache as XAPI says; quiet when a peer is away (DESIGN.md section 5).

Run at shutdown, by the plugin and by hand. One transaction for all bridges; nobody's traffic depends on it, so a peer
that does not answer is a log line and success.
"""

from __future__ import annotations

from dataclasses import replace

from xsagent.apply.lock import hold_lock
from xsagent.apply.outcome import Applied, Outcome, Stuck
from xsagent.config import Paths, Settings
from xsagent.desired.rewrite import build_rewrite_desired
from xsagent.errors import OvsdbUnavailableError, SwitchDeadError, XapiError, XapiUnavailableError
from xsagent.log import get_logger
from xsagent.model.snapshot import Snapshot
from xsagent.observed.ovsdb_connection import OvsdbConnection
from xsagent.operations import build_options, read_from_xapi, read_parents, save_snapshot
from xsagent.plan.steps import Plan
from xsagent.planning import Host, Operation, make_plan
from xsagent.reconfigure import apply_operation, make_way
from xsagent.topology.desired import Desired


def rewrite(paths: Paths, settings: Settings) -> Outcome:
    """Rewrite marks, static routes and cache.

    Returns:
        Applied, also where XAPI or the switch is away (logged); otherwise how the one transaction ended.

    Raises:
        LockHeldError, CacheError, FileError: nothing was changed beyond what the log says.
    """
    logger = get_logger()
    try:
        with (
            hold_lock(paths.lock, "interface-reconfigure rewrite", settings.lock_wait_s),
            OvsdbConnection.open(paths.ovsdb_socket, 0) as connection,
        ):
            host = Host(paths, settings, connection)
            earlier = make_way(host)
            if isinstance(earlier, Stuck):
                return earlier
            snapshot = read_from_xapi(paths, settings)
            desired = _build(paths, settings, snapshot, connection)
            outcome = apply_operation(Operation(name="rewrite", desired=desired, probe=False), host)
            if isinstance(outcome, Applied):
                # what is attached stays as XAPI says; only what was rolled back is kept out
                changed = save_snapshot(paths, replace(snapshot, warnings=()))
                logger.info("save_cache", path=str(paths.dbcache), changed=changed)
            return outcome
    except (OvsdbUnavailableError, SwitchDeadError, XapiError, XapiUnavailableError) as error:
        logger.warning("skip_rewrite", reason=str(error))
        return Applied(changed=False)


def plan_rewrite(paths: Paths, settings: Settings) -> tuple[Desired, Plan]:
    """What `rewrite` would do to the switch; nothing is changed.

    Raises:
        XsagentError: a peer is away: a dry run says so.
    """
    with OvsdbConnection.open(paths.ovsdb_socket, settings.ovsdb_wait_s) as connection:
        desired = _build(paths, settings, read_from_xapi(paths, settings), connection)
        plan = make_plan(Operation(name="rewrite", desired=desired), Host(paths, settings, connection))
    return desired, plan


def _build(paths: Paths, settings: Settings, snapshot: Snapshot, connection: OvsdbConnection) -> Desired:
    with_routes = build_options(paths, settings).ip_backend == "netlink"
    return build_rewrite_desired(snapshot, read_parents(connection), with_routes=with_routes)
