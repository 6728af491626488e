"""The options of xsagent-setup. Pure; standard library alone."""

from __future__ import annotations

import argparse
from functools import partial

from xsagent import __version__
from xsagent.cli.parser import CommandParser
from xsagent.installation.layout import PROFILES


def build_parser() -> argparse.ArgumentParser:
    """The parser; pure."""
    parser = CommandParser(
        prog="xsagent-setup",
        description="Puts xsagent in the place of the host's network scripts, and gives their place back. Open "
        "vSwitch is never restarted.",
    )
    parser.add_argument("--version", action="version", version=f"xsagent-setup {__version__}")
    parser.add_argument("--root-prefix", default="", metavar="DIR", help="every path lies below DIR")
    parser.add_argument("--no-syslog", action="store_true", help="log to stderr")
    anywhere = CommandParser(add_help=False)  # behind the verb too, without undoing one before it
    anywhere.add_argument("--root-prefix", default=argparse.SUPPRESS, metavar="DIR", help=argparse.SUPPRESS)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    add = partial(verbs.add_parser, parents=[anywhere])
    check = add("check", help="whether a profile may be installed here; full writes the cache first")
    take = add("take-over", help="put our links in place, with the originals saved")
    for verb in (check, take):
        verb.add_argument("profile", nargs="?", choices=PROFILES, help="default: the one that is installed")
    check.add_argument("--upgrade", action="store_true", help="it is installed already: XAPI may be away")
    back = add("give-back", help="put every original back")
    back.add_argument("--purge", action="store_true", help="remove what we remember in /var/lib/xsagent too")
    add("status", help="the profile, and which paths are ours")
    add("restart-daemon", help="after an upgrade: a running xsagentd goes on with the new code")
    return parser
