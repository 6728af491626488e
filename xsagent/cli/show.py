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
from xsagent.errors import OvsdbUnavailableError
from xsagent.observed.host import Interest, observe_host
from xsagent.observed.ovsdb_connection import OvsdbConnection
from xsagent.observed.switch_alive import is_switch_alive
from xsagent.topology.codec import to_json
from xsagent.topology.render import render_topology
from xsagent.topology.values import Topology

_READ_S = 20.0


def run(arguments: argparse.Namespace) -> int:
    """Print what is there; 0 also where Open vSwitch is absent (said on stderr), since the rest is shown.

    Raises:
        XsagentError: the kernel could not be read.
    """
    topology = observe(Paths.from_environ(arguments.root_prefix, os.environ))
    if arguments.json:
        sys.stdout.write(json.dumps(to_json(topology), indent=1, sort_keys=True) + "\n")
    else:
        sys.stdout.write(render_topology(topology))
    return 0


def observe(paths: Paths) -> Topology:
    """The host as it is; where the database cannot be read, the rest, marked incomplete.

    Raises:
        XsagentError: the kernel could not be read.
    """
    deadline = time.monotonic() + _READ_S
    try:
        with OvsdbConnection.open(paths.ovsdb_socket, 0) as connection:
            topology = observe_host(paths, connection, Interest(), deadline)
        return replace(topology, switch_alive=is_switch_alive(paths.ovs_rundir, 1.0))
    except OvsdbUnavailableError as error:
        sys.stderr.write(f"xsagent: {error}\n")
    return replace(observe_host(paths, None, Interest(), deadline), switch_alive=False, complete=False)
