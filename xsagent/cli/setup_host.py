"""The command `xsagent-setup`: a process edge, thin. What the package's scriptlets, and admins, install and remove by.

``check`` says whether a profile may be installed here, ``take-over`` puts our links in place with the originals saved,
``give-back`` restores them. Each can be run again after it was killed.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Sequence

from xsagent import __version__
from xsagent.errors import XsagentError
from xsagent.installation.layout import PROFILES


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code: 0 done, 1 refused or failed, 2 usage."""
    arguments = build_parser().parse_args(argv)
    try:
        return _run(arguments)
    except XsagentError as error:
        return _fail(str(error), error.exit_code)
    except OSError as error:
        what = f"{error.filename}: " if error.filename else ""
        return _fail(f"{what}{error.strerror or error}; run it again when that is mended", 1)
    except Exception as error:  # noqa: BLE001 - a process edge: no traceback at a user
        from xsagent.log import get_logger  # noqa: PLC0415 - only when needed

        get_logger().error("internal_error", error=repr(error), trace=traceback.format_exc())
        return _fail(f"internal error ({type(error).__name__}: {error}); the log has the details", 1)


def build_parser() -> argparse.ArgumentParser:
    """The parser; pure."""
    parser = argparse.ArgumentParser(
        prog="xsagent-setup",
        description="Puts xsagent in the place of the host's network scripts, and gives their place back. Nothing that "
        "runs is restarted.",
    )
    parser.add_argument("--version", action="version", version=f"xsagent-setup {__version__}")
    parser.add_argument("--root-prefix", default="", metavar="DIR", help="every path lies below DIR")
    parser.add_argument("--no-syslog", action="store_true", help="log to stderr")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    check = verbs.add_parser("check", help="whether a profile may be installed here; full writes the cache first")
    take = verbs.add_parser("take-over", help="put our links in place, with the originals saved")
    for verb in (check, take):
        verb.add_argument("profile", nargs="?", choices=PROFILES, help="default: the one that is installed")
    check.add_argument("--upgrade", action="store_true", help="it is installed already: XAPI may be away")
    back = verbs.add_parser("give-back", help="put every original back")
    back.add_argument("--purge", action="store_true", help="remove what we remember in /var/lib/xsagent too")
    verbs.add_parser("status", help="the profile, and which paths are ours")
    verbs.add_parser("restart-daemon", help="after an upgrade: a running xsagentd goes on with the new code")
    return parser


def _run(arguments: argparse.Namespace) -> int:
    from xsagent.cli.setup_host_run import VERBS  # noqa: PLC0415 - usage errors need none of it

    return VERBS[arguments.verb](arguments, os.environ)


def _fail(sentence: str, code: int) -> int:
    sys.stderr.write(f"xsagent-setup: {' '.join(sentence.split())}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
