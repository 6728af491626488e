"""The options of xe-switch-network-backend and xe-get-network-backend. Pure; standard library alone."""

from __future__ import annotations

import argparse
from typing import Final

from xsagent.cli.parser import CommandParser

BACKENDS: Final = "openvswitch|vswitch|bridge"


def build_parser() -> argparse.ArgumentParser:
    """The parser of xe-switch-network-backend; pure."""
    parser = CommandParser(
        prog="xe-switch-network-backend",
        description="Makes Open vSwitch this host's network backend, from the next boot on. The backend bridge is "
        "refused: xsagent does not drive it.",
    )
    # not argparse's choices: the peers' tool answers a wrong word with a message and exit 1
    parser.add_argument("backend", nargs="*", metavar=BACKENDS, help="one of them")
    parser.add_argument("--dry-run", action="store_true", help="print what would be written, and stop")
    _add_common(parser)
    return parser


def build_get_parser() -> argparse.ArgumentParser:
    """The parser of xe-get-network-backend; pure."""
    parser = CommandParser(prog="xe-get-network-backend", description="Prints this host's network backend.")
    _add_common(parser)
    return parser


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--root-prefix", default="", metavar="DIR", help="every path lies below DIR")
