"""The verbs of `xsagent` with their options; pure but for the import of the verb that is called.

`main.py` parses with them and calls the chosen one's `run`. A new verb is a function here and a module of its name.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TypeAlias

from xsagent.cli import sandbox

Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - argparse names it no better


def add_verbs(parser: argparse.ArgumentParser) -> None:
    """Add every verb; the parsed arguments hold the chosen one's function as `run`."""
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    _add_show(verbs)
    _add_plan(verbs)
    sandbox.add_parser(verbs)
    verbs.choices["sandbox"].set_defaults(run=sandbox.run)


def _add_show(verbs: Subparsers) -> None:
    parser = verbs.add_parser(
        "show",
        help="what is there: bridges, ports, bonds, VLANs, NICs, addresses",
        description="Shows this host's network as a tree. What is not ours is marked foreign.",
    )
    parser.add_argument("--json", action="store_true", help="as JSON, for `xsagent plan --observed`")
    _add_root_prefix(parser)
    parser.set_defaults(run=_run_show)


def _add_plan(verbs: Subparsers) -> None:
    parser = verbs.add_parser(
        "plan",
        help="what bringing a PIF up or down would do, step by step",
        description="Prints what a reconfigure would do and why; changes nothing. With --from-dbcache and "
        "--observed it needs neither root nor Open vSwitch.",
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--force", "--force-interface", metavar="BRIDGE", help="the PIF on this bridge, from the cache")
    which.add_argument("--pif-uuid", metavar="UUID", help="the PIF with this uuid")
    parser.add_argument("--from-dbcache", metavar="FILE", type=Path, help="records from this network.dbcache")
    parser.add_argument("--observed", metavar="FILE", type=Path, help="a host as `xsagent show --json` writes it")
    parser.add_argument("--management", action="store_true", help="the PIF is about to become management")
    parser.add_argument("--even-if-in-use", action="store_true", help="plan although VIFs would be cut off")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.add_argument("--verbose", action="store_true", help="also what is relied on, and each step's undo")
    _add_root_prefix(parser)
    parser.add_argument("action", choices=("up", "down"))
    parser.set_defaults(run=_run_plan)


def _add_root_prefix(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--root-prefix", default="", metavar="DIR", help="every path lies below DIR")


def _run_show(arguments: argparse.Namespace) -> int:
    from xsagent.cli.show import run  # noqa: PLC0415 - other verbs must not pay for it

    return run(arguments)


def _run_plan(arguments: argparse.Namespace) -> int:
    from xsagent.cli.plan import run  # noqa: PLC0415 - other verbs must not pay for it

    return run(arguments)
