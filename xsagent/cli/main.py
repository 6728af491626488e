"""The command `xsagent`: a process edge, thin. argv -> one verb's `run`, its exit code, one sentence on stderr.

The options of each verb are in `verbs.py`, what it does is in the module of its name, imported only when it is called,
so that `--help` and usage errors stay quick. What reconfigures a PIF is `interface_reconfigure.py`, not here.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from xsagent import __version__
from xsagent.cli.edge import end, run_edge
from xsagent.cli.parser import CommandParser
from xsagent.cli.verbs import add_verbs


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code: 0 done, 1 runtime error, 2 usage, 130 interrupted."""
    return run_edge("xsagent", lambda: _run(sys.argv[1:] if argv is None else argv))


def _run(argv: Sequence[str]) -> int:
    arguments = build_parser().parse_args(argv)
    code: int = arguments.run(arguments)
    return code


def build_parser() -> argparse.ArgumentParser:
    """The parser with every verb; pure."""
    parser = CommandParser(prog="xsagent", description="The dom0 network agent: what is there, and what would be done.")
    parser.add_argument("--version", action="version", version=f"xsagent {__version__}")
    add_verbs(parser)
    return parser


if __name__ == "__main__":
    end(main())
