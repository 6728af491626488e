"""The host's firewall lets tunnels in while they are there: read, decide, compare, apply. Effects under a lock.

Called when Open vSwitch was started, after a PIF of a tunnel went up or down, by xsagentd's reconciliation, and by hand
(`xsagent firewall`). Level-triggered: each run looks at everything anew.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

from xsagent.apply.firewall import apply_firewall_change
from xsagent.apply.lock import hold_lock
from xsagent.config import Paths, Settings
from xsagent.desired.firewall import attached_tunnels, build_firewall_rules, is_tunnel
from xsagent.errors import CacheError, CommandError, InputError
from xsagent.log import get_logger
from xsagent.model.snapshot import Snapshot
from xsagent.observed.bridge_names import read_bridge_parents
from xsagent.observed.firewall import read_firewall
from xsagent.observed.ovsdb_connection import OvsdbConnection
from xsagent.observed.tunnel_ports import read_tunnel_ports
from xsagent.plan.firewall import diff_firewall, render_change
from xsagent.sources.boot import read_boot_state
from xsagent.topology.firewall import FirewallChange, FirewallRule

_READ_S: Final = 10.0
_LOCK_S: Final = 30.0
_LOCK_NAME: Final = "firewall.lock"
_LOG = get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class FirewallResult:
    """What a run came to, or would come to.

    Attributes:
        changes: what was done, or is to be done.
        warnings: what could not be read or done.
    """

    changes: tuple[FirewallChange, ...] = ()
    warnings: tuple[str, ...] = ()


def reconcile_firewall(paths: Paths, settings: Settings, snapshot: Snapshot | None = None) -> FirewallResult:
    """Make the firewall let in what the tunnels of this host need, and nothing more of ours. Idempotent.

    Args:
        snapshot: XAPI's records; None: the cache's. Which tunnels are attached, the switch's bridges say.

    Raises:
        OvsdbUnavailableError, OvsdbError: the switch does not say which tunnels there are; nothing was changed.
        LockHeldError: another run does not end.
    """
    if settings.firewall == "off":
        return FirewallResult()
    with hold_lock(paths.run_dir / _LOCK_NAME, "xsagent firewall", _LOCK_S):
        planned = plan_firewall(paths, settings, snapshot)
        failures = tuple(filter(None, map(_apply, planned.changes)))
    warnings = planned.warnings + failures
    for sentence in warnings:
        _LOG.warning("reconcile_firewall", reason=sentence)
    return FirewallResult(changes=planned.changes, warnings=warnings)


def plan_firewall(paths: Paths, settings: Settings, snapshot: Snapshot | None = None) -> FirewallResult:
    """What `reconcile_firewall` would do now; arguments and errors as there, reads only."""
    if settings.firewall == "off":
        return FirewallResult()
    wanted = _wanted(paths, settings, snapshot)
    found = read_firewall(paths)
    return FirewallResult(changes=diff_firewall(wanted, found.chains), warnings=found.warnings)


def _wanted(paths: Paths, settings: Settings, snapshot: Snapshot | None) -> frozenset[FirewallRule]:
    deadline = time.monotonic() + _READ_S
    with OvsdbConnection.open(paths.ovsdb_socket, settings.ovsdb_wait_s) as connection:
        ports = read_tunnel_ports(connection, is_tunnel, deadline)
        bridges = read_bridge_parents(connection, deadline)
    attached: frozenset[str] = frozenset()
    try:
        attached = attached_tunnels(snapshot or read_boot_state(paths), bridges)
    except (CacheError, InputError) as error:
        _LOG.debug("read_boot_state", reason=str(error))
    return build_firewall_rules(ports, attached, vxlan_port=settings.vxlan_port)


def _apply(change: FirewallChange) -> str:
    """A sentence when it failed; the other chains get theirs all the same."""
    try:
        apply_firewall_change(change)
    except CommandError as error:
        return str(error)
    for line in render_change(change):
        _LOG.info("change_firewall", what=line)
    return ""
