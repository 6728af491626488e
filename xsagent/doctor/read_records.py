"""XAPI, the cache and the inventory -> Records, and what XAPI wants of the switch's manager. I/O: reads only.

Called by `read.py`. XAPI gets few seconds: a host in trouble is when it hangs, and then the cache speaks for it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from xsagent.config import Paths, Settings
from xsagent.desired.manager import build_control
from xsagent.doctor.facts import Peer, Records
from xsagent.errors import CacheError, InputError, XsagentError
from xsagent.model.host import HostFacts, Inventory
from xsagent.model.snapshot import Snapshot
from xsagent.operations import build_options
from xsagent.reconcile.manager import control_options
from xsagent.sources.boot import read_boot_state
from xsagent.sources.dbcache import read_dbcache
from xsagent.sources.host_files import read_host_facts, read_inventory
from xsagent.sources.xapi import open_session, read_snapshot
from xsagent.sources.xapi_manager import read_manager_records
from xsagent.sources.xapi_memory import XapiMemory
from xsagent.topology.control import DesiredControl

_XAPI_S = 5.0


@dataclass(slots=True)
class RecordsRead:
    """What was read, and why the rest was not.

    Attributes:
        host: plain facts; `present_bridges` is not among them.
        control: what XAPI wants of the switch as a whole; None when it did not say.
    """

    records: Records = field(default_factory=Records)
    host: HostFacts = field(default_factory=HostFacts)
    control: DesiredControl | None = None
    unread: dict[str, str] = field(default_factory=dict)


def read_records(paths: Paths, settings: Settings, memory: XapiMemory | None = None) -> RecordsRead:
    """The toolstack's word about this host; never raises for a peer or a file.

    Args:
        paths, settings: of this host.
        memory: of XAPI's records, which then are all that is read: what XAPI wants of the manager is no part of them.
    """
    found = RecordsRead()
    inventory = _read_inventory(paths, found)
    cached, problem = _read_cache(paths)
    snapshot = _read_xapi(paths, settings, inventory, found, memory)
    found.records = Records(
        snapshot=snapshot or _read_fallback(paths, cached),
        from_xapi=snapshot is not None,
        cached=cached,
        cache_path=str(paths.dbcache),
        cache_problem=problem,
        inventory=inventory,
    )
    return found


def _read_inventory(paths: Paths, found: RecordsRead) -> Inventory:
    try:
        found.host = read_host_facts(paths)
        inventory = read_inventory(paths)
    except InputError as error:
        found.unread[Peer.INVENTORY] = sentence(error)
        return Inventory()
    if not inventory.installation_uuid:
        found.unread[Peer.INVENTORY] = "; ".join(inventory.warnings) or f"{paths.inventory} names no INSTALLATION_UUID"
    return inventory


def _read_cache(paths: Paths) -> tuple[Snapshot | None, str]:
    try:
        return read_dbcache(paths.dbcache), ""
    except CacheError as error:
        return None, sentence(error)


def _read_fallback(paths: Paths, cached: Snapshot | None) -> Snapshot | None:
    """What a boot would start from."""
    try:
        return read_boot_state(paths)
    except (CacheError, InputError):
        return cached


def _read_xapi(
    paths: Paths, settings: Settings, inventory: Inventory, found: RecordsRead, memory: XapiMemory | None
) -> Snapshot | None:
    seconds, uuid = min(_XAPI_S, settings.xapi_deadline_s), inventory.installation_uuid
    try:
        if memory is not None:
            return memory.read(paths.xapi_sockets, seconds, uuid)
        with open_session(paths.xapi_sockets, seconds, wait=False) as session:
            snapshot = read_snapshot(session, uuid)
            try:
                manager = read_manager_records(session, snapshot)
            except InputError as error:
                found.unread[Peer.MANAGER] = sentence(error)
                return snapshot
    except XsagentError as error:
        found.unread[Peer.XAPI] = sentence(error)
        return None
    try:
        found.control = build_control(
            manager.snapshot,
            manager.controllers,
            found.host,
            build_options(paths, settings),
            control_options(paths, settings),
        )
    except InputError as error:
        found.unread[Peer.MANAGER] = sentence(error)
    return manager.snapshot


def sentence(error: Exception) -> str:
    """An error's text without the assurance that ends it: the doctor changes nothing anyway."""
    text = str(error)
    for end in ("; nothing was changed", "; nothing was read or written", "; nothing was read or changed"):
        text = text.removesuffix(end)
    return text
