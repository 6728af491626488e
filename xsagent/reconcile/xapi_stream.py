"""XAPI's events, followed in a thread: a long poll that waits at XAPI and hands on each batch. I/O: reads only.

`xapi_follower.py` starts one after each bulk read and gets everything it says through `deliver`, from the thread.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Final

from xsagent.config import Paths
from xsagent.errors import XapiError, XapiUnavailableError, XsagentError
from xsagent.log import get_logger
from xsagent.sources.xapi import XapiSession, open_session
from xsagent.sources.xapi_events import EventBatch, read_events

WAIT_S: Final = 60.0
"""One call's wait; what a quiet XAPI costs is a call as often."""
_GRACE_S: Final = 30.0
_PAUSE_S: Final = 1.0
"""Between two calls: a busy pool has many events, and a batch costs little more than one; a sick XAPI does not wait."""

Deliver = Callable[[EventBatch | XsagentError], None]
"""Takes a batch, or why there will be no more."""
_LOG = get_logger()


class XapiStream:
    """The thread; ends by itself after an error, which it delivers."""

    def __init__(self, paths: Paths, token: str, kinds: Sequence[str], deliver: Deliver) -> None:
        self._paths = paths
        self._token = token
        self._kinds = list(kinds)
        self._deliver = deliver
        self._stopping = threading.Event()
        self._session: XapiSession | None = None
        self._thread = threading.Thread(target=self._run, name="xapi-events", daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def follow(self, kinds: Sequence[str]) -> None:
        """Follow these instead, from the same token on, so that nothing is missed; returns at once."""
        if list(kinds) != self._kinds:
            self._kinds = list(kinds)
            self._interrupt()

    def stop(self) -> None:
        """End; waits for nobody. What comes now is not delivered."""
        self._stopping.set()
        self._interrupt()

    def _interrupt(self) -> None:
        session = self._session
        if session is not None:
            session.interrupt()

    def _run(self) -> None:
        try:
            with open_session(self._paths.xapi_sockets, WAIT_S, wait=False) as session:
                self._session = session
                while not self._stopping.is_set():
                    self._say(self._next(session))
        except XsagentError as error:
            self._say(error)
        except Exception as error:  # noqa: BLE001 - an edge: who is not told would wait for events for ever
            _LOG.error("internal_error", error=repr(error), trace=traceback.format_exc())
            self._say(XapiError(f"internal error ({type(error).__name__}: {error}); the log has the details"))
        finally:
            self._session = None

    def _next(self, session: XapiSession) -> EventBatch:
        """The next batch; a connection that broke while it was idle, or was interrupted, is made anew once."""
        began = time.monotonic()
        try:
            batch = self._read(session)
        except XapiUnavailableError:
            if time.monotonic() - began > WAIT_S or self._stopping.wait(_PAUSE_S):
                raise
            batch = self._read(session)
        self._token = batch.token
        return batch

    def _read(self, session: XapiSession) -> EventBatch:
        session.renew_deadline(WAIT_S + _GRACE_S)
        return read_events(session, self._kinds, self._token, WAIT_S)

    def _say(self, word: EventBatch | XsagentError) -> None:
        if self._stopping.is_set():
            return
        self._deliver(word)
        if isinstance(word, EventBatch):
            self._stopping.wait(_PAUSE_S)
