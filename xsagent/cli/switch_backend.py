"""The commands `xe-switch-network-backend` and `xe-get-network-backend`: process edges, thin.

The peers' tools of these names (features.md section 25): one word, or a message and exit 1; what is written counts from
the next boot. Ours asks XAPI first whether guests, SR-IOV or the pool stand against it, and has a dry run.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from xsagent.cli.edge import end, run_edge
from xsagent.cli.switch_backend_options import BACKENDS, build_get_parser, build_parser
from xsagent.config import Paths, read_settings
from xsagent.errors import InputError, NotFoundError
from xsagent.installation.backend import apply_switch, check_switch, parse_backend_word, plan_switch
from xsagent.sources.host_files import read_backend


def main(argv: Sequence[str] | None = None) -> int:
    """Switch the backend; returns 0, or 1 with one sentence on stderr."""
    return run_edge("xe-switch-network-backend", lambda: _switch(build_parser().parse_args(argv)))


def main_of_get(argv: Sequence[str] | None = None) -> int:
    """Print the backend; returns 0, or 1 with one sentence on stderr."""
    return run_edge("xe-get-network-backend", lambda: _get(build_get_parser().parse_args(argv)))


def _switch(arguments: argparse.Namespace) -> int:
    if len(arguments.backend) != 1:
        raise InputError(f"one of {BACKENDS} is needed; nothing was changed")
    backend = parse_backend_word(arguments.backend[0])
    paths = Paths.from_environ(arguments.root_prefix, os.environ)
    changes = plan_switch(paths)
    if not changes:
        print(f"the backend is {backend} already")
        return 0
    check_switch(paths, read_settings(paths, os.environ))
    for change in changes:
        print(change.describe())
    if not arguments.dry_run:
        apply_switch(changes)
        sys.stderr.write(f"the backend is {backend} from the next boot on: this host must be rebooted\n")
    return 0


def _get(arguments: argparse.Namespace) -> int:
    paths = Paths.from_environ(arguments.root_prefix, os.environ)
    word = read_backend(paths)
    if word is None:
        raise NotFoundError(f"{paths.network_conf} does not exist: no backend was chosen")
    print(word)
    return 0


if __name__ == "__main__":
    end(main())
