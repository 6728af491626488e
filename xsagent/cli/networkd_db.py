"""The command `networkd_db`: a process edge, thin. -bridge or -iface -> ``key=value`` lines on stdout.

Same options, lines and exit codes as xcp-networkd's tool of that name (features.md section 22, Query tool), read from
the state that this host boots from. Reads only, asks no daemon and not XAPI.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from xsagent.cli.edge import end, run_edge
from xsagent.cli.parser import CommandParser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code: 0 done, 1 no such bridge or interface, 2 usage."""
    return run_edge("networkd_db", lambda: _run(_build_parser().parse_args(argv)))


def _build_parser() -> argparse.ArgumentParser:
    parser = CommandParser(
        prog="networkd_db", description="How a bridge is built, or how an interface gets its addresses."
    )
    parser.add_argument("-bridge", "--bridge", metavar="BRIDGE", default="", help="name of a bridge")
    parser.add_argument("-iface", "--iface", metavar="INTERFACE", default="", help="name of an IP device")
    parser.add_argument("--root-prefix", default="", metavar="DIR", help="every path lies below DIR")
    return parser


def _run(arguments: argparse.Namespace) -> int:
    from xsagent.config import Paths  # noqa: PLC0415 - usage errors need none of it
    from xsagent.model.networkd_query import query_bridge, query_interface  # noqa: PLC0415 - as above
    from xsagent.sources.boot import read_boot_state  # noqa: PLC0415 - as above

    snapshot = read_boot_state(Paths.from_environ(arguments.root_prefix, os.environ))
    lines = query_bridge(snapshot, arguments.bridge) if arguments.bridge else ()
    lines += query_interface(snapshot, arguments.iface) if arguments.iface else ()
    sys.stdout.write("".join(f"{key}={value}\n" for key, value in lines))
    return 0


if __name__ == "__main__":
    end(main())
