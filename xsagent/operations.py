"""What was asked -> Operation: gathers the snapshot and the host's facts, lets `desired/` decide.

Between a command line (or a request to the daemon) and `xsagent/reconfigure.py`. Reads only; everything decided here is
decided by pure code.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from xsagent.apply.cache import write_dbcache
from xsagent.apply.rolled_back import read_rolled_back
from xsagent.config import Paths, Settings
from xsagent.desired.boot import BootDesired, build_boot_desired
from xsagent.desired.build import build_desired
from xsagent.desired.internal import build_internal_desired, check_internal_bridge
from xsagent.desired.request import Action, BuildOptions, HostFacts, Origin, Request
from xsagent.desired.retire import build_retirement
from xsagent.errors import CacheError, XapiUnavailableError, XsagentError
from xsagent.model.keep_out import configuration_of, keep_out
from xsagent.model.records import Network, Pif, Ref
from xsagent.model.snapshot import Snapshot
from xsagent.observed.bridge_names import read_bridge_parents
from xsagent.observed.netlink import read_addresses_of
from xsagent.observed.ovsdb import read_ovsdb
from xsagent.observed.ovsdb_connection import OvsdbConnection
from xsagent.planning import Host, Operation
from xsagent.sources.dbcache import read_dbcache
from xsagent.sources.host_files import read_host_facts, read_inventory
from xsagent.topology.values import IpInterface

if TYPE_CHECKING:
    from xsagent.sources.dbcache_render import Texts
    from xsagent.sources.xapi_memory import XapiMemory

_READ_S = 20.0
_SIGNAL_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a caller asks for.

    Attributes:
        origin: who asks; decides what is refused when it is in use (features.md section 14).
        becoming_management: ``--management``; without effect for ``force``.
        deadman: False with ``--no-deadman``.
    """

    action: Action
    origin: Origin
    becoming_management: bool = False
    even_if_in_use: bool = False
    deadman: bool = True


def build_operation(asked: Asked, snapshot: Snapshot, pif: Pif, host: Host) -> Operation:
    """The operation for one PIF of the snapshot.

    Raises:
        InputError, InUseError, ForeignObjectError: the records or the request cannot be followed; nothing was changed.
    """
    settings, facts = host.settings, _gather_facts(host)
    request = Request(
        action=asked.action,
        pif=pif.ref,
        becoming_management=asked.becoming_management and asked.origin != "force",
        origin=asked.origin,
        even_if_in_use=asked.even_if_in_use,
    )
    options = build_options(host.paths, settings)
    desired = build_desired(snapshot, request, facts, options)
    return Operation(
        name=f"{asked.action} {snapshot.bridge_of(pif) or pif.device}",
        desired=desired,
        keep_ports=asked.origin != "session" and not asked.even_if_in_use,
        dhcp_wait_s=settings.dhcp_first_boot_s if facts.first_boot else settings.dhcp_wait_s,
        deadman=asked.deadman and asked.origin != "force",
        saves_cache=asked.origin != "force",
        high_availability=facts.high_availability,
        configuration=configuration_of(snapshot, pif) if asked.action == "up" else None,
        probe=asked.deadman and settings.deadman_s != 0,
        retirement=build_retirement(snapshot, request, facts, options),
    )


def build_boot_operation(
    snapshot: Snapshot, host: Host, left_out: Mapping[Ref, str], postponed: Collection[Ref]
) -> tuple[BootDesired, Operation]:
    """The operation of `--force-interface all`: the boot set, management first, in one plan (features.md 23).

    Args:
        snapshot, host: the records, and the host as it is now.
        left_out, postponed: as for `build_boot_desired`.
    """
    settings = host.settings
    facts, options = _gather_facts(host), build_options(host.paths, settings)
    boot = build_boot_desired(snapshot, facts, options, left_out, postponed)
    return boot, Operation(
        name="up all",
        desired=boot.desired,
        dhcp_wait_s=settings.dhcp_first_boot_s if facts.first_boot else settings.dhcp_wait_s,
        at_boot=True,
        probe=settings.deadman_s != 0,
    )


def build_internal_operation(asked: Asked, snapshot: Snapshot, network: Network, host: Host) -> Operation:
    """The operation that makes (``up``) or removes (``down``) the bridge of an internal network.

    Raises:
        InputError, ForeignObjectError: it is no internal network, or its bridge is more than that; nothing was changed.
    """
    facts, options = _gather_facts(host), build_options(host.paths, host.settings)
    desired = build_internal_desired(snapshot, network.ref, asked.action, facts, options)
    bridges = read_ovsdb(host.connection, time.monotonic() + _READ_S).bridges
    check_internal_bridge(snapshot, network, bridges)
    return Operation(
        name=f"network {asked.action} {network.bridge}",
        desired=desired,
        keep_ports=not asked.even_if_in_use,
        probe=False,
    )


def _gather_facts(host: Host) -> HostFacts:
    """Plain facts of this host that `desired/` needs beside the records."""
    return replace(read_host_facts(host.paths), present_bridges=frozenset(read_parents(host.connection)))


def build_options(paths: Paths, settings: Settings) -> BuildOptions:
    """What `desired/` is told about this host's way of doing things (DESIGN.md section 8)."""
    ifcfg = settings.ip_backend == "ifcfg" or (settings.ip_backend == "auto" and paths.network_functions.exists())
    return BuildOptions(
        ip_backend="ifcfg" if ifcfg else "netlink",
        datapath_type=settings.datapath_type,
        dhcp_vendor_class=settings.dhcp_vendor_class,
    )


def read_parents(connection: OvsdbConnection) -> dict[str, str | None]:
    """The bridges that the switch has: for a VLAN bridge the bridge that it rides on, None for a real one."""
    return read_bridge_parents(connection, time.monotonic() + _READ_S)


def read_from_xapi(
    paths: Paths,
    settings: Settings,
    session_ref: Ref | None = None,
    memory: XapiMemory | None = None,
    *,
    wait: bool = True,
) -> Snapshot:
    """This host's records from XAPI, in the caller's session or one of our own.

    Args:
        paths, settings: of this host.
        session_ref: the caller's session.
        memory: of a process that goes on from what others read; None for one that reads everything itself.
        wait: for an XAPI that is away, until the deadline; without a memory alone.

    Raises:
        XapiUnavailableError: XAPI did not answer within the deadline.
        XapiError: it answered with an error that no retry mends.
    """
    from xsagent.sources.xapi import open_session, read_snapshot  # noqa: PLC0415 - a boot does not ask XAPI

    inventory = read_inventory(paths)
    if memory is not None:
        return memory.read(paths.xapi_sockets, settings.xapi_deadline_s, inventory.installation_uuid, session_ref)
    with open_session(paths.xapi_sockets, settings.xapi_deadline_s, session_ref, wait=wait) as session:
        return read_snapshot(session, inventory.installation_uuid)


def read_for_admin(host: Host, say: Callable[[str], None], *, wait: bool = True) -> tuple[Snapshot, bool]:
    """This host's records for an admin: from XAPI, or else from the cache, with a warning (DESIGN.md section 5).

    Args:
        say: tells the user.
        wait: for an XAPI that is away; False for a dry run.

    Returns:
        The records, and whether they came from the cache.

    Raises:
        XapiError: XAPI answered with an error that no retry mends.
        CacheError: XAPI is away, and there is no cache either.
    """
    try:
        return read_from_xapi(host.paths, host.settings, memory=host.memory, wait=wait), False
    except XapiUnavailableError as error:
        say(f"warning: {error.cause}; the cache is used")
        host.logger.warning("use_cache", reason=str(error))
        from xsagent.sources.boot import read_boot_state  # noqa: PLC0415 - XAPI hardly ever is away

        return read_boot_state(host.paths), True


def read_management_addresses(operation: Operation) -> frozenset[IpInterface]:
    """The addresses that the management interface of this operation has now; empty when it concerns none."""
    management = operation.desired.management
    if management is None:
        return frozenset()
    # the kernel alone is asked: beside many ports, reading the switch's database costs more than the rest
    return frozenset(row.interface for row in read_addresses_of(management.device))


def signal_networking_change(host: Host) -> None:
    """Tell XAPI that management's address changed beneath it (features.md section 24); a failure is only logged.

    Needed where somebody else than XAPI asked: then XAPI still listens, and talks to its pool, on the old address. By a
    local login, as xcp-networkd does: the coordinator may be away, and this change be what brings it back.
    """
    from xsagent.sources.xapi import open_session  # noqa: PLC0415 - as in read_from_xapi

    try:
        seconds = min(_SIGNAL_S, host.settings.xapi_deadline_s)
        with open_session(host.paths.xapi_sockets, seconds, wait=False, local=True) as session:
            session.call("host.signal_networking_change")
    except XsagentError as error:
        host.logger.warning("signal_networking_change_failed", reason=str(error))
    else:
        host.logger.info("signal_networking_change")


def save_snapshot(paths: Paths, snapshot: Snapshot, texts: Texts | None = None) -> bool:
    """Write the cache, without configurations that were rolled back; returns whether the file changed.

    Args:
        paths: of this host.
        snapshot: the records.
        texts: as `render_dbcache`.

    Raises:
        CacheError, FileError: it could not be written; the cache is as it was unless the sentence says otherwise.
    """
    remembered = read_rolled_back(paths)
    kept = keep_out(snapshot, remembered, _present_cache(paths)) if remembered else snapshot
    return write_dbcache(paths, kept, texts)


def _present_cache(paths: Paths) -> Snapshot | None:
    for path in (paths.dbcache, paths.dbcache_previous):
        with contextlib.suppress(CacheError):
            return read_dbcache(path)
    return None
