"""The host's word, joined: OVSDB, kernel and files -> one observed Topology.

I/O, reads only. Called by the flow before planning and again after applying; `Interest` keeps it cheap: what costs a
system call per device or file is read only for those that the desired topology speaks about.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from xsagent.config import Paths
from xsagent.observed.dhcp_clients import configured_clients
from xsagent.observed.ip_devices import read_ip_devices
from xsagent.observed.links import read_links, vlan_netdevs
from xsagent.observed.netlink import KernelDump, dump_kernel, read_holders
from xsagent.observed.ovsdb import read_ovsdb
from xsagent.observed.ovsdb_connection import OvsdbConnection
from xsagent.observed.resolver import read_resolver
from xsagent.observed.secure_bridges import read_kept_flows
from xsagent.observed.virtual_functions import are_spare, read_virtual_functions
from xsagent.topology.concern import SwitchConcern, devices_of
from xsagent.topology.values import SAFETY_COOKIE, SECURE, Bridge, IpAddress, IpNetwork, Link, Topology

_SCRIPTS: Final = ("ifcfg-*", "route-*", "route6-*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Interest:
    """What to read beyond the bulk reads.

    Attributes:
        ethtool: devices whose offloads and link settings matter.
        sysctls: paths below /proc/sys/net.
        files: absolute paths without root prefix.
        network_scripts: whether all devices' ifcfg and route files matter.
        flows: whether safety flows of secure bridges that `switch` is about matter (a child program for each).
        virtual_functions: NICs whose sriov_numvfs matters.
        switch: ports, interfaces and netdevs that matter; None: all of them.
        destinations: of wanted routes: a netdev that is on such a subnet matters, it would lose it.
        addresses: wanted ones: a netdev that has one of them matters.
        leased: devices whose leases matter alike: a netdev that has the same address matters.
        macs: by NIC the MAC that it must have; where one has another, every netdev matters: who has it?
    """

    ethtool: frozenset[str] = frozenset()
    sysctls: frozenset[str] = frozenset()
    files: frozenset[str] = frozenset()
    network_scripts: bool = False
    flows: bool = False
    virtual_functions: frozenset[str] = frozenset()
    switch: SwitchConcern | None = None
    destinations: frozenset[IpNetwork] = frozenset()
    addresses: frozenset[IpAddress] = frozenset()
    leased: frozenset[str] = frozenset()
    macs: Mapping[str, str] = field(default_factory=dict)


def observe_host(paths: Paths, connection: OvsdbConnection | None, interest: Interest, deadline: float) -> Topology:
    """The host as it is now.

    Args:
        connection: None where no OVSDB is to be read (a bridgeless host, `show` without Open vSwitch).
        deadline: monotonic time by which the database must have answered.

    Raises:
        OvsdbUnavailableError, NetlinkError: a part could not be read; nothing was changed.
    """
    interest = _with_holders(interest)
    bridges: Mapping[str, Bridge] = {}
    if connection is not None:
        bridges = read_ovsdb(connection, deadline, interest.switch).bridges
    dump = _dump_kernel(paths, interest, bridges)
    links = read_links(dump, sysfs=paths.sys, proc=paths.proc, ethtool=interest.ethtool, sysctls=interest.sysctls)
    return Topology(
        bridges=_with_flows(paths, bridges, interest),
        links={
            name: _with_functions(paths, link) if name in interest.virtual_functions else link
            for name, link in links.items()
        },
        ip_devices=read_ip_devices(dump, state=paths.state_dir, run=paths.run_dir, proc=paths.proc),
        resolver=read_resolver(paths.resolv_conf, paths.root),
        files={path: _read_text(paths, path) for path in sorted(interest.files | _scripts(paths, interest))},
    )


def _with_functions(paths: Paths, link: Link) -> Link:
    """A NIC with what is known of its virtual functions."""
    count = read_virtual_functions(paths, link.name)
    return replace(link, virtual_functions=count, functions_are_spare=bool(count) and are_spare(paths, link.name))


def _with_holders(interest: Interest) -> Interest:
    """The interest, in netdevs too that have an address which is wanted elsewhere."""
    if interest.switch is None or not (interest.addresses or interest.leased):
        return interest
    names = interest.switch.names | read_holders(interest.addresses, interest.leased)
    return replace(interest, switch=replace(interest.switch, names=names))


def _with_flows(paths: Paths, bridges: Mapping[str, Bridge], interest: Interest) -> Mapping[str, Bridge]:
    """The bridges, secure ones with their safety flows and what is kept of them, where these are asked for."""
    names = interest.switch.names if interest.switch is not None else bridges.keys()
    asked = {
        name
        for name, bridge in bridges.items()
        if interest.flows and bridge.fail_mode == SECURE and (bridge.ports or name in names)
    }
    if not asked:
        return bridges
    from xsagent.observed.flows import read_flow_lines  # noqa: PLC0415 - few hosts have a secure bridge

    kept = read_kept_flows(paths)
    return {
        name: replace(
            bridge,
            safety_flows=read_flow_lines(paths.ovs_rundir, name, SAFETY_COOKIE),
            kept_flows=kept.get(name, ()),
        )
        if name in asked
        else bridge
        for name, bridge in bridges.items()
    }


def _scripts(paths: Paths, interest: Interest) -> frozenset[str]:
    if not interest.network_scripts:
        return frozenset()
    found = (path for pattern in _SCRIPTS for path in paths.network_scripts.glob(pattern))
    return frozenset(f"/{path.relative_to(paths.root)}" for path in found)


def _dump_kernel(paths: Paths, interest: Interest, bridges: Mapping[str, Bridge]) -> KernelDump:
    """What the kernel lists, as far as it matters: beside 500 VLANs all of it takes ten times as long."""
    if interest.switch is None:
        return dump_kernel()
    clients = {device for device, _family in configured_clients(paths.state_dir)}
    dump = dump_kernel(devices_of(interest.switch, bridges) | vlan_netdevs() | clients, interest.destinations)
    if any(interest.macs.get(row.name, row.mac) != row.mac for row in dump.links):
        return dump_kernel()
    return dump


def _read_text(paths: Paths, path: str) -> str | None:
    try:
        return paths.below(path).read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return None
