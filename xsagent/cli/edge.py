"""The edge of a command's process: what runs in it -> its exit code, its errors one sentence on stderr. I/O: streams.

Every command but XAPI's plugin ends here (`cli/xenapi_plugin.py` has that protocol's own edge). Imports next to nothing
before something goes wrong, since XAPI waits for each command.
"""

from __future__ import annotations

import os
import sys

MYPY = False
if MYPY:  # what typing.TYPE_CHECKING says, without importing typing
    from collections.abc import Callable
    from typing import NoReturn, TextIO

_RUNTIME_ERROR = 1
_INTERRUPTED = 130


def run_edge(program: str, run: Callable[[], int]) -> int:
    """Run a command; returns its exit code: what `run` returns, or what its error stands for.

    An error is one sentence on stderr, its last line but for a wrong command line's hint; no traceback. A reader of
    stdout that leaves (`xsagent show | head`) is exit code 1 without a word. Nothing is written to a closed stream, and
    nothing that is opened meanwhile takes its number.

    Args:
        program: what stands before the sentence.
        run: the command; what it prints is flushed here, and not by the interpreter's end, which could only complain.
    """
    open_closed_streams()
    try:
        code = run()
        sys.stdout.flush()
    except KeyboardInterrupt:
        return _INTERRUPTED
    except Exception as error:  # noqa: BLE001 - a process edge: no traceback at a user
        is_reader_gone = isinstance(error, BrokenPipeError) and _has_no_reader(1)
        _flush(sys.stdout)
        return _RUNTIME_ERROR if is_reader_gone else _explain(program, error)
    return code


def end(code: int) -> NoReturn:
    """End this process with a command's exit code, without the interpreter's own end.

    That frees each object by itself: after a reconfigure it takes 40 ms, for which XAPI waits. Precondition: what was
    opened or started is closed; nothing here is left to be done at exit.
    """
    for stream in (sys.stdout, sys.stderr):
        _flush(stream)
    os._exit(code)


def open_closed_streams() -> None:
    """Open /dev/null for each standard stream that the caller left closed: the next file would take its number."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w")
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w")


def _explain(program: str, error: Exception) -> int:
    """Say it; returns the exit code."""
    from xsagent.errors import UsageError, XsagentError  # noqa: PLC0415 - see the module's head

    if isinstance(error, UsageError):
        return _fail(f"{program}: {error}", error.exit_code, "For help use --help.")
    if isinstance(error, XsagentError):
        return _fail(f"{program}: {error}", error.exit_code)
    if isinstance(error, OSError):
        what = f"{error.filename}: " if error.filename else ""
        if isinstance(error, PermissionError) and os.geteuid() != 0:
            return _fail(f"{program}: {what}{error.strerror}: run this as root", _RUNTIME_ERROR)
        return _fail(
            f"{program}: {what}{error.strerror or error}; see the log for what was done before", _RUNTIME_ERROR
        )
    import traceback  # noqa: PLC0415 - as above

    from xsagent.log import get_logger  # noqa: PLC0415 - as above

    get_logger().error("internal_error", error=repr(error), trace="".join(traceback.format_exception(error)))
    sentence = f"{program}: internal error ({type(error).__name__}: {error}); the log has the details"
    return _fail(sentence, _RUNTIME_ERROR)


def _fail(sentence: str, code: int, *more: str) -> int:
    from xsagent.topology.text import printable  # noqa: PLC0415 - as above

    try:
        for line in (printable(" ".join(sentence.split())), *more):
            sys.stderr.write(f"{line}\n")
    except OSError:
        _flush(sys.stderr)
    return code


def _flush(stream: TextIO) -> None:
    """Have the stream write what it holds; one that cannot leads to nowhere then, so that our exit code counts."""
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _has_no_reader(descriptor: int) -> bool:
    """Whether it is a pipe that nobody reads: peers' sockets break too."""
    import select  # noqa: PLC0415 - as above

    poll = select.poll()
    poll.register(descriptor, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))
