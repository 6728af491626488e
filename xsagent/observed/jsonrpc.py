"""JSON-RPC 1.0 over a unix socket, as Open vSwitch's daemons speak it (RFC 7047 section 4). I/O.

Carries observed/ovsdb_connection.py (the database) and observed/switch_alive.py (ovs-vswitchd's control socket).
Only the standard library: on a switch of 1,000 ports ovs.jsonrpc takes 500 ms for the answer that this takes 60 for,
because its parser is Python, and importing it costs 20 ms more (DECISIONS.md).
"""

from __future__ import annotations

import contextlib
import json
import select
import socket
import time
from collections import deque
from pathlib import Path
from typing import Final

from xsagent.topology.values import Json
from xsagent.unix_socket import short_address

_CHUNK: Final = 1 << 18
_BLANKS: Final = 8
"""At most so many stand after a message; Open vSwitch sends none."""


class RemoteError(Exception):
    """The peer answered a call with an error; `error` is its JSON."""

    def __init__(self, error: Json) -> None:
        super().__init__(str(error))
        self.error = error


class JsonRpcChannel:
    """One open stream to a peer: calls out, echo requests answered, notifications kept.

    Every method that waits takes `deadline`, a time of ``time.monotonic()``, and raises TimeoutError when it passes
    and ConnectionError when the peer closes or sends what is no JSON-RPC; both are OSError. After a TimeoutError the
    channel stays usable, since a late answer is recognised by its id and dropped, unless half a request was sent:
    then it is closed, and each further call is a ConnectionError.

    Attributes:
        notifications: requests and notifications of the peer other than echo, oldest first.
    """

    def __init__(self, stream: socket.socket) -> None:
        stream.setblocking(False)
        self._stream = stream
        self._buffer = bytearray()
        self._answers: deque[dict[str, Json]] = deque()
        self._next_id = 0
        self.notifications: deque[dict[str, Json]] = deque()

    def fileno(self) -> int:
        """The socket's descriptor, for a loop that polls."""
        return self._stream.fileno()

    def close(self) -> None:
        """Close the stream; idempotent."""
        self._stream.close()

    def call(self, method: str, params: list[Json], deadline: float) -> Json:
        """Send one request and return the result of its answer.

        Raises:
            RemoteError: the peer answered with an error.
            OSError: no whole answer (class docstring); whether the peer acted on the request is not known.
        """
        return self.await_answer(self.ask(method, params, deadline), deadline)

    def ask(self, method: str, params: list[Json], deadline: float) -> int:
        """Send one request; returns its number, for `await_answer`. Raises OSError as `call`."""
        if self.fileno() < 0:
            raise ConnectionResetError("the connection is closed")
        self._next_id += 1
        self._send({"method": method, "params": params, "id": self._next_id}, deadline)
        return self._next_id

    def await_answer(self, number: int, deadline: float) -> Json:
        """The result of the answer to a request; what answers others meanwhile is dropped. Errors as `call`."""
        while True:
            while self._answers:
                answer = self._answers.popleft()
                if answer.get("id") == number:
                    return _result(answer)
            self.receive(deadline)

    def receive(self, deadline: float) -> None:
        """Wait until something arrives, then take in every whole message: echo is answered, the rest kept."""
        self._wait(select.POLLIN, deadline)
        closed = self._drain()
        messages = self._decode()
        if closed and not messages:
            raise ConnectionResetError("the peer closed the connection")
        for message in messages:
            if message.get("method") == "echo":
                self._send({"result": message.get("params"), "error": None, "id": message.get("id")}, deadline)
            elif "method" in message:
                self.notifications.append(message)
            else:
                self._answers.append(message)

    def _send(self, message: dict[str, Json], deadline: float) -> None:
        data = memoryview(json.dumps(message, separators=(",", ":")).encode())
        while data:
            try:
                data = data[self._stream.send(data, socket.MSG_NOSIGNAL) :]
            except BlockingIOError:
                self._wait_to_send(deadline)

    def _wait_to_send(self, deadline: float) -> None:
        try:
            self._wait(select.POLLOUT, deadline)
        except TimeoutError:
            self.close()
            raise

    def _drain(self) -> bool:
        """Read all there is; True when the peer closed after it."""
        with contextlib.suppress(BlockingIOError):
            while chunk := self._stream.recv(_CHUNK):
                self._buffer += chunk
            return True
        return False

    def _decode(self) -> list[dict[str, Json]]:
        """Take the whole messages off the buffer.

        The stream has no message boundaries. A message is an object, so a buffer that ends otherwise is not whole
        yet; one that ends in an inner brace is tried and found wanting, which is rare and costs only time.
        """
        messages: list[dict[str, Json]] = []
        if not self._buffer[-_BLANKS:].rstrip().endswith(b"}"):
            return messages
        text, start = self._text().strip(), 0
        while start < len(text):
            try:
                message, end = _DECODER.raw_decode(text, start)
            except json.JSONDecodeError:
                break
            if not isinstance(message, dict):
                raise ConnectionAbortedError("the peer sent something that is not a JSON-RPC message")
            messages.append(message)
            start = _skip_blanks(text, end)
        self._buffer[:] = text[start:].encode()
        return messages

    def _text(self) -> str:
        try:
            return self._buffer.decode()
        except UnicodeDecodeError as error:
            raise ConnectionAbortedError("the peer sent something that is not UTF-8") from error

    def _wait(self, event: int, deadline: float) -> None:
        poll = select.poll()
        poll.register(self._stream, event)
        remaining = max(0.0, deadline - time.monotonic())
        if not poll.poll(remaining * 1000):
            raise TimeoutError("no answer in time")


_DECODER: Final = json.JSONDecoder()


def _skip_blanks(text: str, start: int) -> int:
    while start < len(text) and text[start].isspace():
        start += 1
    return start


def _result(answer: dict[str, Json]) -> Json:
    error = answer.get("error")
    if error is not None:
        raise RemoteError(error)
    if "result" not in answer:
        raise ConnectionAbortedError("the peer sent an answer without a result")
    return answer["result"]


def open_channel(path: Path) -> JsonRpcChannel:
    """Connect to a unix socket, at once or not at all.

    Args:
        path: of any length: one that does not fit into a socket address is reached through its folder's descriptor.

    Raises:
        OSError: nobody listens there (FileNotFoundError, ConnectionRefusedError), or its queue is full.
    """
    stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    stream.setblocking(False)
    try:
        with short_address(path) as address:
            stream.connect(address)
    except OSError:
        stream.close()
        raise
    return JsonRpcChannel(stream)
