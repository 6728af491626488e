"""Method and parameters -> XAPI's value, through the XenAPI package over the local unix socket, within a deadline.

The only place that imports XenAPI; its untyped values leave as plain objects that `xapi_records` checks. One call is
one request, never more: retries are `xapi_session`'s.

XenAPI's own unix transport turns `_` in a path into `/` and knows no deadline, and the standard library's below it
repeats a request on a dropped connection without telling. Ours connects to the path as it is, gives every recv and
send what is left of the deadline (a server that sends a byte a second gains nothing), and repeats nothing.
"""

from __future__ import annotations

import errno
import http.client
import socket
import time
import xmlrpc.client
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import XenAPI

from xsagent.sources.xmlrpc_answer import parse_answer
from xsagent.unix_socket import short_address

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

_NOT_LOGGED_IN = 401
"""Fault code by which the XenAPI package reports SESSION_INVALID when it may not log in again by itself."""
_BUSY_S = 0.05
_PROBE_S = 1.0

Param = str | bool | float | Sequence[str] | Mapping[str, str]
"""What a call can be given; numbers that XAPI calls int64 go as decimal text."""


class Deadline:
    """A point of monotonic time by which everything must be over; can be set anew between two calls."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    def renew(self, seconds: float) -> None:
        """Begin again: `seconds` from now."""
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds that are left, 0 when it has passed."""
        return max(0.0, self._end - time.monotonic())

    def require(self) -> float:
        """Seconds that are left; TimeoutError when there are none."""
        left = self.left()
        if not left:
            raise TimeoutError("the deadline passed")
        return left


class ApiAnswerError(Exception):
    """XAPI answered with an error.

    Attributes:
        code: XAPI's error code.
        params: what goes with it.
    """

    def __init__(self, code: str, params: Sequence[str] = ()) -> None:
        super().__init__(code, *params)
        self.code = code
        self.params = tuple(params)


class BrokenAnswerError(Exception):
    """The connection could not be made or broke, or what came is no answer: XAPI is restarting or is not there."""


class _Socket(socket.socket):
    """A unix socket of which each operation gets what is left of the deadline."""

    def __init__(self, deadline: Deadline) -> None:
        super().__init__(socket.AF_UNIX, socket.SOCK_STREAM)
        self._deadline = deadline

    def recv_into(self, buffer: WriteableBuffer, nbytes: int = 0, flags: int = 0) -> int:
        self.settimeout(self._deadline.require())
        return super().recv_into(buffer, nbytes, flags)

    def sendall(self, data: ReadableBuffer, flags: int = 0) -> None:
        self.settimeout(self._deadline.require())
        super().sendall(data, flags)


class _Connection(http.client.HTTPConnection):
    """HTTP over the first of several unix sockets that somebody listens on."""

    def __init__(self, paths: Sequence[Path], deadline: Deadline) -> None:
        super().__init__("localhost")
        self._paths = paths
        self._deadline = deadline

    def connect(self) -> None:
        refusals: list[OSError] = []
        for path in self._paths:
            try:
                self.sock = _connect(path, self._deadline)
            except (FileNotFoundError, ConnectionRefusedError) as error:
                refusals.append(OSError(error.errno, f"{path}: {error.strerror}"))
            else:
                return
        # A socket that nobody listens on says more than an alias that is missing
        raise next((error for error in refusals if error.errno == errno.ECONNREFUSED), refusals[0])


class _Transport(xmlrpc.client.Transport):
    """xmlrpc.client's transport over our connection, without its hidden second try and its slow parser."""

    accept_gzip_encoding = False
    request = xmlrpc.client.Transport.single_request

    def __init__(self, paths: Sequence[Path], deadline: Deadline) -> None:
        super().__init__()
        self._paths = paths
        self._deadline = deadline
        self._http: _Connection | None = None

    def make_connection(self, host: object) -> _Connection:
        del host  # the host of the URL; the sockets are what counts
        if self._http is None:
            self._http = _Connection(self._paths, self._deadline)
        return self._http

    def parse_response(self, response: http.client.HTTPResponse) -> tuple[Any, ...]:
        return parse_answer(response.read())

    def close(self) -> None:
        if self._http is not None:
            self._http.close()
            self._http = None

    def interrupt(self) -> None:
        http = self._http
        connected: socket.socket | None = None if http is None else http.sock
        if connected is not None:
            # not closed: the number of its descriptor stays the waiting thread's
            with suppress(OSError):
                connected.shutdown(socket.SHUT_RDWR)


class XapiConnection:
    """One connection to XAPI and at most one session on it; not for several threads, `interrupt` apart.

    Each method raises ApiAnswerError for XAPI's error answers, BrokenAnswerError when the connection is broken (the
    next call makes a new one), TimeoutError when the deadline passed.

    Attributes:
        deadline: of everything this connection does.
    """

    def __init__(self, paths: Sequence[Path], deadline: Deadline) -> None:
        self.deadline = deadline
        self._transport = _Transport(paths, deadline)
        self._proxy = XenAPI.Session("http://localhost/", transport=self._transport)
        self._login_method = "login_with_password"

    def close(self) -> None:
        """Close the connection; the session, if any, lives on in XAPI."""
        self._transport.close()

    def interrupt(self) -> None:
        """Break the connection beneath a call of another thread; the next call makes a new one."""
        self._transport.interrupt()

    @property
    def session(self) -> str:
        """Reference of the session in use; a secret."""
        return str(self._proxy.handle)

    def use_session(self, ref: str) -> None:
        """Let the next calls go under this session, which somebody opened."""
        self._proxy._session = ref  # noqa: SLF001 - the package's documented way to take over a session

    def login(self, *params: str, method: str = "login_with_password") -> str:
        """Open a session and use it; its reference.

        Args:
            params: the call's own.
            method: ``login_with_password``, or ``slave_local_login_with_password`` for a session with this host alone.
        """
        with _plain_errors(self._transport):
            getattr(self._proxy, method)(*params)
        self._login_method = method
        # Else the package logs in again by itself on SESSION_INVALID, up to three times, and leaks sessions
        self._proxy.last_login_method = None
        return self.session

    def logout(self) -> None:
        """End the session in use: by session.local_logout when it is one with this host alone."""
        self._proxy.last_login_method = self._login_method
        with _plain_errors(self._transport):
            self._proxy.xenapi.session.logout()

    def call(self, method: str, *params: Param) -> object:
        """The value of one call under the session in use."""
        with _plain_errors(self._transport):
            value: object = self._proxy.xenapi_request(method, params)
        return value


def is_listened_on(paths: Sequence[Path]) -> bool:
    """Whether somebody listens on one of the sockets; no byte is sent."""
    connection = _Connection(paths, Deadline(_PROBE_S))
    try:
        connection.connect()
    except OSError:
        return False
    connection.close()
    return True


@contextmanager
def _plain_errors(transport: _Transport) -> Iterator[None]:
    """Turn what XenAPI, xmlrpc, http, expat and the socket raise into the errors that XapiConnection promises."""
    try:
        yield
    except XenAPI.Failure as failure:
        code, *params = [str(detail) for detail in failure.details] or ["INTERNAL_ERROR"]
        raise ApiAnswerError(code, params) from failure
    except xmlrpc.client.Fault as fault:
        # SESSION_INVALID in answer to a login has a Fault of its own, whose text alone tells it
        if fault.faultCode == _NOT_LOGGED_IN or "SESSION_INVALID" in str(fault.faultString):
            raise ApiAnswerError("SESSION_INVALID") from fault
        raise BrokenAnswerError(f"XML-RPC fault {fault.faultCode}: {fault.faultString}") from fault
    except TimeoutError:
        transport.close()
        raise
    except xmlrpc.client.ProtocolError as error:
        transport.close()
        raise BrokenAnswerError(f"HTTP status {error.errcode}") from error
    except (xmlrpc.client.Error, LookupError, TypeError, ValueError) as error:
        # LookupError, TypeError and ValueError: XML that is no answer, as our parser and XenAPI's put it
        transport.close()
        raise BrokenAnswerError(f"the answer is cut off or no XML-RPC ({error!r:.100})") from error
    except (OSError, http.client.HTTPException) as error:
        transport.close()
        raise BrokenAnswerError(str(getattr(error, "strerror", None) or error)) from error


def _connect(path: Path, deadline: Deadline) -> socket.socket:
    """A connected socket; OSError when nobody listens, TimeoutError when a listener's queue stays full."""
    connection = _Socket(deadline)
    try:
        with short_address(path) as address:
            while True:
                connection.settimeout(deadline.require())
                try:
                    connection.connect(address)
                except BlockingIOError:
                    # A unix socket with a full queue refuses at once instead of waiting (connect(2), EAGAIN)
                    time.sleep(min(_BUSY_S, deadline.left()))
                else:
                    return connection
    except OSError:
        connection.close()
        raise
