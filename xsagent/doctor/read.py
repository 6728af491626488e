"""One host -> Facts: every peer asked once, each with a deadline, in seconds also when all are dead. I/O: reads only.

The doctor's only way to the host. A peer that does not answer is a fact like any other (`unread`).
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from xsagent.config import Paths, Settings, read_settings
from xsagent.desired.firewall import is_tunnel
from xsagent.doctor.facts import ControlFacts, Facts, Peer, SwitchFacts, Wanted
from xsagent.doctor.read_host import read_certificate, read_daemon, read_dhcp, read_leftovers, read_rooms
from xsagent.doctor.read_records import RecordsRead, read_records, sentence
from xsagent.doctor.read_vifs import read_vifs
from xsagent.doctor.read_wire import probe_wire
from xsagent.doctor.wanted import build_wanted
from xsagent.errors import InputError, XsagentError
from xsagent.firewall import plan_firewall
from xsagent.observed.bridge_names import read_bridge_parents
from xsagent.observed.flow_restore import read_flow_restore_wait
from xsagent.observed.host import Interest, observe_host
from xsagent.observed.lacp import read_lacp
from xsagent.observed.ovsdb_connection import OvsdbConnection
from xsagent.observed.ovsdb_control import read_control
from xsagent.observed.processes import read_handler_threads
from xsagent.observed.switch_alive import is_switch_alive
from xsagent.observed.switch_daemons import read_daemon_pid
from xsagent.operations import build_options
from xsagent.plan.firewall import render_change
from xsagent.planning import interest_of, plan_options
from xsagent.sources.host_files import check_backend
from xsagent.sources.xapi_memory import XapiMemory
from xsagent.topology.control import SwitchControl, TlsFiles
from xsagent.topology.values import Json, Topology

_OVSDB_S = 5.0
_ALIVE_S = 2.0


def read_facts(paths: Paths, environ: Mapping[str, str], status: Mapping[str, Json] | None) -> Facts:
    """Everything the checks look at; nothing on the host is changed.

    Args:
        environ: for the settings in it.
        status: what xsagentd says of itself; None when it does not answer.
    """
    unread: dict[str, str] = {}
    settings = _read_settings(paths, environ, unread)
    found = read_records(paths, settings)
    unread |= found.unread
    daemon = read_daemon(paths, status)
    switch = _read_switch(paths, settings, found, unread, ours=daemon.topology_is_ours)
    topology = switch.topology
    vifs, silence = read_vifs(paths, settings, topology)
    if silence:
        unread[Peer.XENSTORE] = silence
    return Facts(
        root="" if str(paths.root) == "/" else str(paths.root),
        paths=_places(paths),
        is_root=os.geteuid() == 0,
        unread=unread,
        topology=topology,
        records=found.records,
        wanted=switch.wanted,
        plan_options=plan_options(paths, keep_ports=False),
        switch=replace(
            switch.facts,
            handler_threads=read_handler_threads(paths.ovs_rundir, paths.proc),
            hung=frozenset(
                one
                for one in (Peer.OVSDB, Peer.SWITCH)
                if one in unread and read_daemon_pid(paths.ovs_rundir, paths.proc, one) is not None
            ),
        ),
        control=ControlFacts(observed=switch.control, desired=found.control),
        certificate=read_certificate(paths, _tls_in_use(switch.control, found)),
        probes=probe_wire(topology),
        dhcp=read_dhcp(paths, topology),
        vifs=vifs,
        daemon=daemon,
        daemon_used=settings.use_daemon != "never",
        firewall=_read_firewall(paths, settings, topology),
        leftovers=read_leftovers(paths),
        rooms=read_rooms(paths),
    )


def read_drift_facts(paths: Paths, environ: Mapping[str, str], memory: XapiMemory | None = None) -> Facts:
    """What `check_drift` looks at, and no more: for xsagentd, which looks often and has a memory of XAPI."""
    unread: dict[str, str] = {}
    settings = _read_settings(paths, environ, unread)
    found = read_records(paths, settings, memory)
    unread |= found.unread
    switch = _read_switch(paths, settings, found, unread)
    return Facts(
        unread=unread,
        topology=switch.topology,
        records=found.records,
        wanted=switch.wanted,
        plan_options=plan_options(paths, keep_ports=False),
    )


def _read_firewall(paths: Paths, settings: Settings, topology: Topology) -> tuple[str, ...]:
    """What the firewall's flow would do; it is not asked where the switch has no tunnel."""
    ports = [port for bridge in topology.bridges.values() for port in bridge.ports.values()]
    if not any(is_tunnel(str(one.type)) for port in ports for one in port.interfaces.values()):
        return ()
    try:
        changes = plan_firewall(paths, settings).changes
    except XsagentError:  # the switch went away meanwhile, which is a finding by itself
        return ()
    return tuple(line for change in changes for line in render_change(change))


def _places(paths: Paths) -> dict[str, str]:
    return {
        "ready": str(paths.ready),
        "settings": str(paths.settings_file),
        "cache_previous": str(paths.dbcache_previous),
        "reset": str(paths.network_reset),
        "resolv.conf": str(paths.resolv_conf),
        "network.conf": str(paths.network_conf),
        "state": str(paths.state_dir),
        "ovs": str(paths.ovs_rundir),
    }


def _read_settings(paths: Paths, environ: Mapping[str, str], unread: dict[str, str]) -> Settings:
    try:
        settings = read_settings(paths, environ)
    except InputError as error:
        unread[Peer.SETTINGS] = sentence(error)
        settings = Settings()
    try:
        check_backend(paths)
    except XsagentError as error:
        unread[Peer.BACKEND] = sentence(error)
    return settings


@dataclass(frozen=True, slots=True, kw_only=True)
class _SwitchRead:
    topology: Topology
    wanted: tuple[Wanted, ...] = ()
    control: SwitchControl | None = None
    facts: SwitchFacts = field(default_factory=SwitchFacts)


def _read_switch(
    paths: Paths, settings: Settings, found: RecordsRead, unread: dict[str, str], *, ours: bool = True
) -> _SwitchRead:
    """The database and the kernel; the kernel alone where the database does not answer.

    Args:
        ours: the topology is; otherwise nothing is wanted of any PIF.
    """
    try:
        with OvsdbConnection.open(paths.ovsdb_socket, 0) as connection:
            bridges = frozenset(read_bridge_parents(connection, _deadline()))
            host = replace(found.host, present_bridges=bridges)
            wanted = build_wanted(found.records, host, build_options(paths, settings)) if ours else ()
            read = _SwitchRead(
                topology=_observe(paths, connection, _interest_of_all(wanted), unread, _deadline()),
                wanted=wanted,
                control=read_control(connection, _deadline()),
                facts=SwitchFacts(
                    flow_restore_wait=read_flow_restore_wait(connection, _deadline()),
                    lacp=read_lacp(connection, _deadline()),
                ),
            )
    except XsagentError as error:
        unread[Peer.OVSDB] = sentence(error)
        return _SwitchRead(topology=_observe(paths, None, Interest(), unread, _deadline()))
    alive = is_switch_alive(paths.ovs_rundir, _ALIVE_S)
    if not alive:
        unread[Peer.SWITCH] = f"ovs-vswitchd does not answer in {paths.ovs_rundir}"
    return replace(read, topology=replace(read.topology, switch_alive=alive))


def _deadline() -> float:
    """Of one read: beside hundreds of VLANs it takes seconds to say what is wanted, between two of them."""
    return time.monotonic() + _OVSDB_S


def _observe(
    paths: Paths, connection: OvsdbConnection | None, interest: Interest, unread: dict[str, str], deadline: float
) -> Topology:
    try:
        return observe_host(paths, connection, interest, deadline)
    except XsagentError as error:
        if connection is not None:
            raise
        unread[Peer.KERNEL] = sentence(error)
        return Topology(switch_alive=False, complete=False)


def _tls_in_use(control: SwitchControl | None, found: RecordsRead) -> TlsFiles | None:
    if found.control is not None and found.control.manager is not None:
        return found.control.manager.tls
    return control.tls if control is not None and control.managers else None


def _interest_of_all(wanted: tuple[Wanted, ...]) -> Interest:
    """What must be read to compare the host with all of them."""
    interests = [interest_of(one.desired) for one in wanted if one.desired is not None]
    return Interest(
        ethtool=frozenset().union(*(one.ethtool for one in interests)),
        sysctls=frozenset().union(*(one.sysctls for one in interests)),
        files=frozenset().union(*(one.files for one in interests)),
        network_scripts=any(one.network_scripts for one in interests),
        flows=any(one.flows for one in interests),
        virtual_functions=frozenset().union(*(one.virtual_functions for one in interests)),
    )
