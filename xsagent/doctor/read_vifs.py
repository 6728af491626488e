"""Kernel, xenstore, xenopsd's files and the switch's flows -> VifFacts of each guest's netdev. I/O: reads only.

Called by `read.py`. One ovs-ofctl for each bridge that has a locked VIF, and none where there is no such.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from xsagent.apply.flows import Flow, parse_flow, read_flows
from xsagent.config import Paths, Settings
from xsagent.doctor.facts import VifFacts
from xsagent.doctor.read_records import sentence
from xsagent.errors import CommandError, InputError, XenstoreUnavailableError, XsagentError
from xsagent.hotplug.event import find_device, parse_device
from xsagent.hotplug.locking import render_flows
from xsagent.hotplug.places import PlacedPort, find_port
from xsagent.hotplug.unlocked import find_unlocked
from xsagent.model.vif import LockingMode
from xsagent.observed.ovsdb_connection import OvsdbConnection
from xsagent.sources.vif_reader import read_backend_state, read_vif, read_vif_keys
from xsagent.sources.xenstore import Xenstore, open_xenstore
from xsagent.topology.values import Bridge, Topology

_XENSTORE_S = 3.0
_ALL_VIFS_S = 10.0
_FLOWS_S = 3.0


def read_vifs(paths: Paths, settings: Settings, topology: Topology) -> tuple[tuple[VifFacts, ...], str]:
    """Each vif and tap netdev of this host, and why xenstore could not be read (empty: it could, or need not be)."""
    devices = sorted(name for name in topology.links if find_device(name) is not None)
    if not devices:
        return (), ""
    try:
        with open_xenstore(paths, _XENSTORE_S) as store:
            vifs = [
                _described(store, paths, device, end) for end in [time.monotonic() + _ALL_VIFS_S] for device in devices
            ]
    except XsagentError as error:
        return tuple(VifFacts(device=device) for device in devices), sentence(error)
    flows = _with_flows(vifs, topology.bridges, paths.ovs_rundir, autoconf=settings.locked_autoconf)
    return tuple(_with_unlocked(list(flows), topology.bridges, paths)), ""


def _described(store: Xenstore, paths: Paths, device: str, end: float) -> VifFacts:
    _kind, vif = parse_device(device)
    if time.monotonic() > end:
        raise XenstoreUnavailableError(f"xenstored took over {_ALL_VIFS_S:g} s for the guests' devices")
    try:
        keys = read_vif_keys(store, vif)
    except InputError as error:
        return VifFacts(device=device, problem=sentence(error))
    backend = keys.private.get("xenopsd-backend", b"").decode("ascii", "replace")
    told = read_backend_state(store, keys.paths)
    facts = VifFacts(device=device, vm_uuid=keys.vm_uuid, backend=backend, error=told.error)
    if not keys.private and not keys.backend:
        return facts
    try:
        return replace(facts, vif=read_vif(keys, paths))
    except XsagentError as error:
        return replace(facts, problem=sentence(error))


def _with_flows(
    vifs: Iterable[VifFacts], bridges: Mapping[str, Bridge], rundir: Path, *, autoconf: bool
) -> Iterable[VifFacts]:
    present: dict[str, Mapping[int, frozenset[Flow]] | None] = {}
    for facts in vifs:
        port = find_port(bridges, facts.device)
        if facts.vif is None or port is None or facts.vif.locking.mode is not LockingMode.LOCKED:
            yield facts
            continue
        bridge = port.place.bridge
        if bridge not in present:
            present[bridge] = _read_flows(rundir, bridge)
        missing = _missing(facts, bridges[bridge], present[bridge], autoconf=autoconf)
        yield replace(facts, flows_missing=missing)


def _with_unlocked(vifs: list[VifFacts], bridges: Mapping[str, Bridge], paths: Paths) -> Iterable[VifFacts]:
    locked = [facts.device for facts in vifs if facts.vif and facts.vif.locking.mode is LockingMode.LOCKED]
    ports = {device: port for device in locked if (port := find_port(bridges, device)) is not None}
    numbers = {device: (port.place.bridge, _number(port, device)) for device, port in ports.items()}
    found: Mapping[str, str] = {}
    if numbers:
        # a database that does not answer is a finding by itself
        with contextlib.suppress(XsagentError), OvsdbConnection.open(paths.ovsdb_socket, 0) as connection:
            found = find_unlocked(connection, paths.ovs_rundir, numbers)
    return [replace(facts, unlocked=found.get(facts.device, "")) for facts in vifs]


def _number(port: PlacedPort, device: str) -> int:
    interface = port.port.interfaces.get(device)
    return interface.ofport or 0 if interface else 0


def _missing(
    facts: VifFacts, bridge: Bridge, present: Mapping[int, frozenset[Flow]] | None, *, autoconf: bool
) -> int | None:
    interface = bridge.ports[facts.device].interfaces.get(facts.device)
    if present is None or facts.vif is None or interface is None or interface.ofport is None or interface.ofport < 1:
        return None
    lines = render_flows(facts.vif.locking, facts.vif.mac, interface.ofport, autoconf=autoconf)
    wanted = {parse_flow(line) for line in lines}
    return len(wanted ^ present.get(interface.ofport, frozenset()))


def _read_flows(rundir: Path, bridge: str) -> Mapping[int, frozenset[Flow]] | None:
    try:
        return read_flows(rundir, bridge, _FLOWS_S)
    except (CommandError, InputError):
        return None
