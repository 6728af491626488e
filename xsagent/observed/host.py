"""The host's word, joined: OVSDB, kernel and files -> one observed Topology.

I/O, reads only. Called by the flow before planning and again after applying; `Interest` keeps it cheap: what costs a
system call per device or file is read only for those that the desired topology speaks about.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from xsagent.config import Paths
from xsagent.observed.ip_devices import read_ip_devices
from xsagent.observed.links import read_links
from xsagent.observed.netlink import dump_kernel
from xsagent.observed.ovsdb import read_ovsdb
from xsagent.observed.ovsdb_connection import OvsdbConnection
from xsagent.observed.resolver import read_resolver
from xsagent.topology.desired import Desired
from xsagent.topology.values import Bridge, Topology


@dataclass(frozen=True, slots=True, kw_only=True)
class Interest:
    """What to read beyond the bulk reads.

    Attributes:
        ethtool: devices whose offloads and link settings matter.
        sysctls: paths below /proc/sys/net.
        files: absolute paths without root prefix.
    """

    ethtool: frozenset[str] = frozenset()
    sysctls: frozenset[str] = frozenset()
    files: frozenset[str] = frozenset()


def interest_of(desired: Desired) -> Interest:
    """What must be read to compare the host with this desired state."""
    links = desired.topology.links.values()
    return Interest(
        ethtool=frozenset(link.name for link in links if link.features or link.settings),
        sysctls=frozenset(path for link in links for path in link.sysctls),
        files=frozenset(desired.topology.files),
    )


def observe_host(paths: Paths, connection: OvsdbConnection | None, interest: Interest, deadline: float) -> Topology:
    """The host as it is now.

    Arguments:
        connection: None where no OVSDB is to be read (a bridgeless host, `show` without Open vSwitch).
        deadline: monotonic time by which the database must have answered.

    Raises:
        OvsdbUnavailableError, NetlinkError: a part could not be read; nothing was changed.
    """
    bridges: Mapping[str, Bridge] = read_ovsdb(connection, deadline).bridges if connection is not None else {}
    dump = dump_kernel()
    return Topology(
        bridges=bridges,
        links=read_links(
            dump, sysfs=paths.sys, proc=paths.proc, ethtool=interest.ethtool, sysctls=interest.sysctls
        ),
        ip_devices=read_ip_devices(dump, state=paths.state_dir, run=paths.run_dir, proc=paths.proc),
        resolver=read_resolver(paths.resolv_conf),
        files={path: _read_text(paths, path) for path in sorted(interest.files)},
    )


def _read_text(paths: Paths, path: str) -> str | None:
    try:
        return paths.below(path).read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return None
