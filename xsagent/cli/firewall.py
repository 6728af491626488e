"""`xsagent firewall`, and xsagentd's worker command ``firewall``: process edges, thin; see `xsagent/firewall.py`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence

from xsagent.cli.begin import begin
from xsagent.config import Paths, Settings
from xsagent.errors import XsagentError
from xsagent.firewall import FirewallResult, plan_firewall, reconcile_firewall
from xsagent.plan.firewall import render_change


def run(arguments: argparse.Namespace) -> int:
    """Reconcile, or say what that would change; returns 1 when something could not be read or done.

    Raises:
        XsagentError: the switch does not say which tunnels there are; nothing was changed.
    """
    paths = Paths.from_environ(arguments.root_prefix, os.environ)
    result = _run(paths, plan_firewall if arguments.dry_run else reconcile_firewall)
    for change in result.changes:
        for line in render_change(change):
            print(line)
    return _complain(*result.warnings)


def main(words: Sequence[str]) -> int:
    """Reconcile once for the daemon; prints what it cost, seconds of a processor, as JSON."""
    began = sum(os.times()[:4])
    try:
        result = _run(Paths.from_environ("".join(words[:1]), os.environ), reconcile_firewall)
    except (XsagentError, OSError) as error:
        return _complain(str(error))
    sys.stdout.write(json.dumps({"cpu_s": sum(os.times()[:4]) - began}))
    return _complain(*result.warnings)


def _run(paths: Paths, flow: Callable[[Paths, Settings], FirewallResult]) -> FirewallResult:
    return flow(paths, begin("xsagent-firewall", paths, os.environ, goes_on=True))


def _complain(*sentences: str) -> int:
    for sentence in sentences:
        print(f"xsagent: {' '.join(sentence.split())}", file=sys.stderr)
    return 1 if sentences else 0
