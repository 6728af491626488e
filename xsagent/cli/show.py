"""``xsagent show``: what is there, as a tree or as the JSON that ``xsagent plan --observed`` reads. Reads only.

Observes the host as a reconfigure does before it plans.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import replace

from xsagent.config import Paths
from xsagent.desired.ownership import ownership_of
from xsagent.errors import CacheError, OvsdbUnavailableError
from xsagent.observed.host import Interest, observe_host
from xsagent.observed.ovsdb_connection import OvsdbConnection
from xsagent.observed.switch_alive import is_switch_alive
from xsagent.sources.dbcache import read_dbcache
from xsagent.topology.codec import to_json
from xsagent.topology.desired import Ownership
from xsagent.topology.network_scripts import SYSCONFIG_NETWORK
from xsagent.topology.ownership import is_vlan_bridge
from xsagent.topology.render import render_topology
from xsagent.topology.values import Topology

_READ_S = 20.0
IPV6_SYSCTLS = ("disable_ipv6", "accept_ra", "autoconf", "accept_ra_defrtr")
"""What desired/ipv6.py sets."""


def run(arguments: argparse.Namespace) -> int:
    """Print what is there; 0 also where Open vSwitch is absent (said on stderr), since the rest is shown.

    Raises:
        XsagentError: the kernel could not be read.
    """
    paths = Paths.from_environ(arguments.root_prefix, os.environ)
    topology = observe(paths, Interest())
    if arguments.json:
        if topology.complete:
            topology = observe(paths, everything_planned_with(topology))
        sys.stdout.write(json.dumps(to_json(topology), indent=1, sort_keys=True) + "\n")
    else:
        sys.stdout.write(render_topology(topology, read_ownership(paths)))
    return 0


def read_ownership(paths: Paths) -> Ownership | None:
    """What the cache's records claim; None where there is no cache, and marks alone must tell."""
    try:
        return ownership_of(read_dbcache(paths.dbcache))
    except CacheError:
        return None


def everything_planned_with(topology: Topology) -> Interest:
    """What some plan for this host may compare beyond the bulk reads; the tree shows none of it, so only JSON asks."""
    ports = [port for bridge in topology.bridges.values() for port in bridge.ports.values()]
    nics = {link.name for link in topology.links.values() if link.physical}
    vlan_netdevs = {link.name for link in topology.links.values() if link.parent}
    vlan_bridges = {port.name for port in ports if is_vlan_bridge(port)}
    devices = nics | vlan_netdevs | vlan_bridges | set(topology.bridges)
    return Interest(
        ethtool=frozenset(nics),
        sysctls=frozenset(f"ipv6/conf/{device}/{name}" for device in devices for name in IPV6_SYSCTLS),
        files=frozenset({SYSCONFIG_NETWORK}),
        network_scripts=True,
        flows=True,
        virtual_functions=frozenset(nics),
    )


def observe(paths: Paths, interest: Interest) -> Topology:
    """The host as it is; where the database cannot be read, the rest, marked incomplete.

    Raises:
        XsagentError: the kernel could not be read.
    """
    deadline = time.monotonic() + _READ_S
    try:
        with OvsdbConnection.open(paths.ovsdb_socket, 0) as connection:
            topology = observe_host(paths, connection, interest, deadline)
        return replace(topology, switch_alive=is_switch_alive(paths.ovs_rundir, 1.0))
    except OvsdbUnavailableError as error:
        sys.stderr.write(f"xsagent: {error.cause}\n")
    return replace(observe_host(paths, None, interest, deadline), switch_alive=False, complete=False)
