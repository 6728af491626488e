"""A session with XAPI: opened or borrowed, kept through XAPI's bad moments, closed only when it is ours.

Gives the rest of `sources/` typed calls on which only final errors come out; how each of XAPI's error codes and each
failure of the connection is met is wire.md section 4's table. Blocks, never beyond the deadline.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

from xsagent.errors import XapiError, XapiUnavailableError
from xsagent.log import get_logger, hide
from xsagent.model.records import Ref
from xsagent.sources.xapi_transport import (
    ApiAnswerError,
    BrokenAnswerError,
    Deadline,
    Param,
    XapiConnection,
    is_listened_on,
)

ORIGINATOR: Final = "xsagent"
"""XAPI bounds the sessions of one originator, so a session that a crash of ours leaks ages out."""
_VERSION: Final = "1.0"
_LOCAL_LOGIN: Final = "slave_local_login_with_password"
_LOGOUT_S: Final = 2.0
"""A session that XAPI does not end in this time ages out there; nobody should wait for it."""
_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 2.0
_AWAY: Final = frozenset({"HOST_STILL_BOOTING", "HOST_OFFLINE", "HOST_HAS_NO_MANAGEMENT_IP", "CANNOT_CONTACT_HOST"})
"""XAPI or its coordinator is not ready; the same call may work later."""
UNKNOWN_METHOD: Final = frozenset({"MESSAGE_METHOD_UNKNOWN", "MESSAGE_DEPRECATED"})
"""The server is too old, or too new, for a call."""

RawRecord = Mapping[str, object]
Answer = TypeVar("Answer")

_LOG = get_logger()


class XapiSession:
    """Calls under one session; made by `open_session`. Not for several threads, `interrupt` apart."""

    def __init__(
        self,
        connection: XapiConnection,
        *,
        given: Ref | None,
        wait: bool,
        local: bool = False,
        lasting: bool = False,
    ) -> None:
        self._connection = connection
        self._is_local = local
        self._is_ours = given is None or lasting
        self._is_lasting = lasting
        self._is_open = given is not None and lasting
        self._wait = wait
        if given is not None:
            hide(given)
            connection.use_session(given)

    @property
    def ref(self) -> Ref:
        """The session's own reference, a secret."""
        return Ref(self._connection.session)

    def renew_deadline(self, seconds: float) -> None:
        """Give the following calls `seconds` from now (a daemon's session outlives its first deadline)."""
        self._connection.deadline.renew(seconds)

    def interrupt(self) -> None:
        """Let a call that another thread waits in fail at once, as when the connection breaks; the session lives on."""
        self._connection.interrupt()

    def call(self, method: str, *params: Param, repeatable: bool = True) -> object:
        """The value of one call; the session's reference is put in front of `params`.

        Args:
            method: for example ``VIF.get_all_records_where``.
            params: the call's own parameters.
            repeatable: whether a second run does no harm, so that the call may be sent again when the connection broke
                and nobody knows whether it ran.

        Raises:
            XapiUnavailableError: XAPI is away, is restarting or hangs, until the deadline or at once without `wait`.
            XapiError: it answered with an error that no retry mends; `code` says which.
        """
        return self._persist(method, lambda: self._connection.call(method, *params), repeatable=repeatable)

    def records(self, kind: str) -> dict[Ref, RawRecord]:
        """Every record of a class (get_all_records)."""
        return _records(kind, self.call(f"{kind}.get_all_records"))

    def records_where(self, kind: str, field: str, refs: Iterable[Ref], condition: str = "") -> dict[Ref, RawRecord]:
        """Records of a class of which `field` is one of `refs`, chosen by the server.

        For no refs there are none, without a call. A server without get_all_records_where is asked for all, and
        the choice is made here, by `field` alone.

        Args:
            kind: class.
            field: its field.
            refs: texts that it may have.
            condition: a filter that must hold too, asked first; what it leaves out need not be left out by a caller.
        """
        wanted = [ref for ref in refs if '"' not in ref]
        if not wanted:
            return {}
        expression = " or ".join(f'field "{field}"="{ref}"' for ref in wanted)
        if condition:
            expression = f"({condition}) and ({expression})"
        try:
            return _records(kind, self.call(f"{kind}.get_all_records_where", expression))
        except XapiError as error:
            if error.code not in UNKNOWN_METHOD:
                raise
        chosen = frozenset(wanted)
        return {ref: raw for ref, raw in self.records(kind).items() if str(raw.get(field)) in chosen}

    def log_in(self) -> None:
        """Open a session of our own; does nothing under one that is open."""
        if self._is_ours and not self._is_open:
            method = _LOCAL_LOGIN if self._is_local else "login_with_password"
            self._persist(f"session.{method}", self._log_in_once, repeatable=True)

    def close(self) -> None:
        """End our own session, however the work ended; another stays open. Never raises for XAPI's sake."""
        try:
            if self._is_ours and self._is_open and not self._is_lasting:
                self.renew_deadline(_LOGOUT_S)
                self._connection.logout()
        except (ApiAnswerError, BrokenAnswerError, TimeoutError) as error:
            _LOG.debug("leave_session_open", error=str(error))
        finally:
            self._is_open = False
            self._connection.close()

    def _log_in_once(self) -> None:
        try:
            if self._is_local:
                ref = self._connection.login("root", "", method=_LOCAL_LOGIN)
            else:
                ref = self._connection.login("root", "", _VERSION, ORIGINATOR)
        except ApiAnswerError as error:
            if self._is_local or error.code != "MESSAGE_PARAMETER_COUNT_MISMATCH":
                raise
            ref = self._connection.login("root", "")
        hide(ref)
        self._is_open = True

    def _persist(self, method: str, attempt: Callable[[], Answer], *, repeatable: bool) -> Answer:
        """Run `attempt` until it answers, its failure is final, or the deadline passes."""
        pause_s = _FIRST_PAUSE_S
        mended: set[str] = set()
        while True:
            try:
                return attempt()
            except TimeoutError as error:
                seconds = self._connection.deadline.seconds
                raise XapiUnavailableError(
                    f"XAPI did not answer {method} within {seconds:g} s; nothing was changed"
                ) from error
            except BrokenAnswerError as error:
                if not repeatable or not self._pause(pause_s):
                    raise XapiUnavailableError(
                        f"XAPI is not there or restarting ({method}: {error}); nothing was changed"
                    ) from error
            except ApiAnswerError as error:
                if self._mend(error, mended, repeatable=repeatable):
                    continue
                if error.code not in _AWAY or not self._pause(pause_s):
                    raise _final_error(method, error) from error
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _mend(self, error: ApiAnswerError, mended: set[str], *, repeatable: bool) -> bool:
        """Do what may help against an error answer, once for each code; whether to try again at once."""
        if error.code in mended:
            return False
        mended.add(error.code)
        if error.code == "SESSION_INVALID" and self._is_ours and self._is_open:
            self._is_open = False
            self.log_in()
            return True
        return error.code == "INTERNAL_ERROR" and repeatable

    def _pause(self, seconds: float) -> bool:
        """Wait before another try; False when the caller does not wait or the deadline leaves no time."""
        left = self._connection.deadline.left()
        if not self._wait or left <= seconds:
            return False
        time.sleep(seconds)
        return True


@contextmanager
def open_session(
    sockets: Sequence[Path],
    deadline_s: float,
    session_ref: Ref | None = None,
    *,
    wait: bool = True,
    local: bool = False,
    lasting: bool = False,
) -> Iterator[XapiSession]:
    """A session with the local XAPI for the time of a `with` block.

    Contract: a session that was given is used and never logged out; one of our own is logged out at the end, after
    errors too, unless it is to last. Logging out takes at most two seconds, also beyond the deadline.

    Args:
        sockets: where XAPI may listen (`Paths.xapi_sockets`); the first on which somebody does is used.
        deadline_s: seconds for everything in the block.
        session_ref: the session to use (``--session``); None logs in.
        wait: whether to wait for an XAPI that is away, until the deadline; False raises at once.
        local: log in with this host alone, which works though the coordinator is away, for the few calls that XAPI
            then takes; records cannot be read (wire.md section 4).
        lasting: leave our own session open for a caller that keeps its reference. `session_ref` is then one that was
            left open before, and is replaced where it is no longer valid.

    Raises:
        XapiUnavailableError: XAPI is away or hangs.
        XapiError: it refused the login.
    """
    connection = XapiConnection(sockets, Deadline(deadline_s))
    session = XapiSession(connection, given=session_ref, wait=wait, local=local, lasting=lasting)
    try:
        session.log_in()
        yield session
    finally:
        session.close()


def is_xapi_there(sockets: Sequence[Path]) -> bool:
    """Whether somebody listens where XAPI would: one connect, no call."""
    return is_listened_on(sockets)


def _final_error(method: str, error: ApiAnswerError) -> XapiError | XapiUnavailableError:
    if error.code in _AWAY or error.code == "HOST_IS_SLAVE":
        # HOST_IS_SLAVE names the coordinator, but credentials of ours never follow there (wire.md section 4)
        return XapiUnavailableError(
            f"XAPI or its pool's coordinator is away ({method}: {error.code}); nothing was changed"
        )
    if error.code == "SESSION_INVALID":
        # Its parameter is the session itself, which is a secret
        return XapiError("XAPI does not accept the session (SESSION_INVALID); nothing was changed", error.code)
    details = f" ({', '.join(error.params)})" if error.params else ""
    return XapiError(f"XAPI refused {method}: {error.code}{details}; nothing was changed", error.code)


def _records(kind: str, value: object) -> dict[Ref, RawRecord]:
    if not isinstance(value, dict):
        raise XapiError(f"XAPI's records of class {kind} are not a struct; nothing was changed")
    return {Ref(str(ref)): raw for ref, raw in value.items() if isinstance(raw, dict)}
