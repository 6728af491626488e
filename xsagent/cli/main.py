"""The command `xsagent`: a process edge, thin. argv -> one verb's `run`, its exit code, one sentence on stderr.

The options of each verb are in `verbs.py`, what it does is in the module of its name, imported only when it is called,
so that `--help` and usage errors stay quick. What reconfigures a PIF is `interface_reconfigure.py`, not here.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

from xsagent import __version__
from xsagent.cli.verbs import add_verbs
from xsagent.errors import UsageError, XsagentError

_RUNTIME_ERROR = 1
_INTERRUPTED = 130


class _Parser(argparse.ArgumentParser):
    """A parser whose complaints are a UsageError, and whose help ends quietly at a closed pipe."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{self.prog}: {message}")

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        sys.stdout.flush()
        super().exit(status, message)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code: 0 done, 1 runtime error, 2 usage, 130 interrupted."""
    try:
        arguments = build_parser().parse_args(sys.argv[1:] if argv is None else argv)
        return _run(arguments)
    except UsageError as error:
        return _fail(str(error), error.exit_code, "For help use --help.")
    except XsagentError as error:
        return _fail(f"xsagent: {error}", error.exit_code)
    except BrokenPipeError:
        return _reader_left()
    except OSError as error:
        what = f"{error.filename}: " if error.filename else ""
        return _fail(f"xsagent: {what}{error.strerror or error}", _RUNTIME_ERROR)
    except KeyboardInterrupt:
        return _INTERRUPTED
    except Exception as error:  # noqa: BLE001 - a process edge: no traceback at a user
        return _internal(error)


def build_parser() -> argparse.ArgumentParser:
    """The parser with every verb; pure."""
    parser: argparse.ArgumentParser = _Parser(
        prog="xsagent", description="The dom0 network agent: what is there, and what would be done."
    )
    parser.add_argument("--version", action="version", version=f"xsagent {__version__}")
    add_verbs(parser)
    return parser


def _run(arguments: argparse.Namespace) -> int:
    """Output is flushed here and not by the interpreter's exit, where a closed pipe would be a traceback."""
    code: int = arguments.run(arguments)
    sys.stdout.flush()
    return code


def _fail(sentence: str, code: int, *more: str) -> int:
    from xsagent.topology.text import printable  # noqa: PLC0415 - most runs end well and need it not

    for line in (printable(" ".join(sentence.split())), *more):
        sys.stderr.write(f"{line}\n")
    return code


def _reader_left() -> int:
    """`xsagent show | head`: quiet; stdout goes to nowhere so that the interpreter's last flush is quiet too."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return _RUNTIME_ERROR


def _internal(error: Exception) -> int:
    from xsagent.log import get_logger  # noqa: PLC0415 - as in _fail

    get_logger().error("internal_error", error=repr(error), trace=traceback.format_exc())
    return _fail(f"xsagent: internal error ({type(error).__name__}: {error}); the log has the details", _RUNTIME_ERROR)


if __name__ == "__main__":
    sys.exit(main())
