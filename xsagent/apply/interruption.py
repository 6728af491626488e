"""SIGTERM, SIGINT and SIGHUP -> the end of a run as a failed step would end it: what was begun is taken back.

Around a whole run at a process edge; the executor says when it is taking back already, which nothing may end but
SIGKILL (and then the journal counts).
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

from xsagent.errors import ApplyError

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_going_back: list[bool] = []
"""One entry for each `going_back` block that runs: signals are the process's, and so is this."""
_told: list[int] = []
"""The signal that ends the run, once there was one."""


@contextlib.contextmanager
def signals_end_the_run() -> Iterator[None]:
    """Turn the first of these signals into an ApplyError; further ones, and those while going back, do nothing."""
    _told.clear()
    before = {number: signal.signal(number, _end) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def going_back() -> Iterator[None]:
    """While the block runs no signal ends the run: it is ending already, in order."""
    _going_back.append(True)
    try:
        yield
    finally:
        _going_back.pop()


def _end(number: int, _frame: FrameType | None) -> None:
    # Noted and not masked: signal.signal would first run the handler of a second signal that waits, inside this one.
    if _told or _going_back:
        return
    _told.append(number)
    raise ApplyError(f"the run was told to end ({signal.Signals(number).name})")
