"""Waits of a command for its peers, told to whoever sits at a terminal. I/O: stderr, a connection.

Beside the flows of `reconfigure_run.py` and `network.py`; how long each may wait is a setting (DESIGN.md section 5).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from threading import Timer
from typing import Final, TypeVar

from xsagent.cli.outcome import say
from xsagent.config import Paths, Settings
from xsagent.errors import ApplyError
from xsagent.observed.ovsdb_connection import OvsdbConnection

LOOK_WAIT_S: Final = 1.0
"""How long a dry run waits for ovsdb-server: its absence is an answer too."""
_PATIENCE_S: Final = 2.0
"""How long a terminal may say nothing before its user begins to wonder."""
_T = TypeVar("_T")


def open_database(program: str, paths: Paths, settings: Settings) -> OvsdbConnection:
    """Connect to ovsdb-server, waiting as the settings say. Errors as OvsdbConnection.open."""
    wait_s = settings.ovsdb_wait_s
    return tell_wait(program, "ovsdb-server", wait_s, lambda: OvsdbConnection.open(paths.ovsdb_socket, wait_s))


def tell_wait(program: str, peer: str, wait_s: float, call: Callable[[], _T]) -> _T:
    """Do what may wait for a peer, and say so on a terminal where it does.

    Args:
        program: what stands before the sentence.
        peer: who is waited for.
        wait_s: how long at most.
        call: what waits; its result is returned.
    """
    if not sys.stderr.isatty():
        return _uninterrupted(call)
    timer = Timer(_PATIENCE_S, say, (program, f"waiting up to {wait_s:g} s for {peer}"))
    timer.daemon = True
    timer.start()
    try:
        return _uninterrupted(call)
    finally:
        timer.cancel()


def _uninterrupted(call: Callable[[], _T]) -> _T:
    """What is waited for; a signal that ends the run meanwhile found nothing begun."""
    try:
        return call()
    except ApplyError as error:
        raise ApplyError(f"{error}; nothing was changed") from error
