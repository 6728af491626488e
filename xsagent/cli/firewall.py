"""`xsagent firewall`: the host's firewall in step with its tunnels. A process edge, thin; see `xsagent/firewall.py`."""

from __future__ import annotations

import argparse
import os
import sys

from xsagent.config import Paths, read_settings
from xsagent.firewall import reconcile_firewall
from xsagent.log import configure
from xsagent.plan.firewall import render_change


def run(arguments: argparse.Namespace) -> int:
    """Reconcile, or say what that would change; returns 1 when something could not be read or done.

    Raises:
        XsagentError: the switch does not say which tunnels there are; nothing was changed.
    """
    paths = Paths.from_environ(arguments.root_prefix, os.environ)
    settings = read_settings(paths, os.environ)
    configure(syslog=True, level=settings.log_level, program="xsagent", device=paths.below("/dev/log"))
    result = reconcile_firewall(paths, settings, dry_run=arguments.dry_run)
    for change in result.changes:
        for line in render_change(change):
            print(line)
    for sentence in result.warnings:
        print(f"xsagent: {sentence}", file=sys.stderr)
    return 1 if result.warnings else 0
