"""``xsagent network create|remove``: the bridge of an internal network, on request (features.md section 3). Effects.

The flow of ``interface-reconfigure --pif-uuid`` for a network that no PIF is on, always in this process: the cache is
not written, since a boot brings up PIFs alone. What is wanted is `desired/internal.py`'s.
"""

from __future__ import annotations

import argparse
import os
from functools import partial
from typing import Final

from xsagent.apply.interruption import signals_end_the_run
from xsagent.apply.lock import hold_lock
from xsagent.apply.outcome import Stuck
from xsagent.cli.begin import begin
from xsagent.cli.outcome import answer, say, tell_earlier, warn
from xsagent.cli.waiting import LOOK_WAIT_S, open_database, tell_wait
from xsagent.config import Paths, Settings
from xsagent.observed.ovsdb_connection import OvsdbConnection
from xsagent.operations import Asked, build_internal_operation, read_for_admin
from xsagent.plan.render import render_plan
from xsagent.planning import Host, Operation, make_plan
from xsagent.reconfigure import apply_operation, make_way
from xsagent.sources.host_files import check_backend

_PROGRAM: Final = "xsagent"


def run(arguments: argparse.Namespace) -> int:
    """Make or remove the bridge, or print the plan; returns the exit code.

    Raises:
        XsagentError: it failed before the first effect; the sentence is for the user.
    """
    paths = Paths.from_environ(arguments.root_prefix, os.environ)
    settings = begin("xsagent-network", paths, os.environ, syslog=not arguments.no_syslog)
    check_backend(paths)
    if arguments.dry_run:
        return _print_plan(arguments, paths, settings)
    owner = f"xsagent network {arguments.action} {arguments.network}"
    with (
        signals_end_the_run(),
        hold_lock(paths.lock, owner, settings.lock_wait_s),
        open_database(_PROGRAM, paths, settings) as connection,
    ):
        host = Host(paths, settings, connection)
        earlier = make_way(host)
        if isinstance(earlier, Stuck):
            return answer(_PROGRAM, earlier)
        tell_earlier(_PROGRAM, earlier)
        return answer(_PROGRAM, apply_operation(_decide(arguments, host), host))


def _print_plan(arguments: argparse.Namespace, paths: Paths, settings: Settings) -> int:
    with OvsdbConnection.open(paths.ovsdb_socket, LOOK_WAIT_S) as connection:
        host = Host(paths, settings, connection)
        operation = _decide(arguments, host)
        print(render_plan(make_plan(operation, host), operation.desired.reasons), end="")
    return 0


def _decide(arguments: argparse.Namespace, host: Host) -> Operation:
    snapshot, _ = tell_wait(
        _PROGRAM,
        "XAPI",
        host.settings.xapi_deadline_s,
        lambda: read_for_admin(host, partial(say, _PROGRAM), wait=not arguments.dry_run),
    )
    warn(snapshot.warnings)
    asked = Asked(
        action="up" if arguments.action == "create" else "down",
        origin="pif-uuid",
        even_if_in_use=arguments.action == "remove" and arguments.even_if_in_use,
    )
    network = snapshot.network_named(arguments.network)
    return build_internal_operation(asked, snapshot, network, host)
