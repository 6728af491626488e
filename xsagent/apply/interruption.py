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


@contextlib.contextmanager
def signals_end_the_run() -> Iterator[None]:
    """Turn the first of these signals into an ApplyError; further ones, and those while going back, do nothing."""
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
    if _going_back:
        return
    for each in _SIGNALS:
        # a function and not SIG_IGN, which the children of the way back would inherit
        signal.signal(each, _pass_over)
    raise ApplyError(f"the run was told to end ({signal.Signals(number).name})")


def _pass_over(_number: int, _frame: FrameType | None) -> None:
    """Nothing: the run is ending already."""
