"""xenstored over its unix socket or /dev/xen/xenbus: reads, transactions, watches; each call with a deadline. I/O.

`vif_reader` reads a VIF through it; `apply/xenstore.py`, the only writer, sends its writes over the same
connection. One connection belongs to one thread. xenstored that is not there blocks its own tools for ever
(udev-xen.md): here every wait ends in XenstoreUnavailableError.
"""

from __future__ import annotations

import collections
import contextlib
import errno
import os
import select
import socket
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Never, Self, TypeVar

from xsagent.config import Paths
from xsagent.errors import XenstoreError, XenstoreUnavailableError
from xsagent.sources.xenstore_wire import Message, Operation, decode, encode, encode_path, split_strings
from xsagent.unix_socket import short_address

_T = TypeVar("_T")

REQUEST_DEADLINE_S: Final = 5.0
"""For one request. xenstored is one thread and answers within a millisecond; a busy dom0 may take more."""
TRANSACTION_DEADLINE_S: Final = 10.0
"""For one transaction with its repetitions after EAGAIN."""
_CHUNK: Final = 65536
_AT_ONCE: Final = 64
"""Requests under way together: their answers have to fit into the socket while we still write. The kernel's device
takes one: it passes a request on later, from the buffer into which the next is written (xenbus_dev_frontend.c)."""


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """Something changed at or below `path`, which was watched with `token`. Fired once when the watch is set."""

    path: str
    token: str


def open_xenstore(paths: Paths, deadline_s: float = REQUEST_DEADLINE_S) -> Xenstore:
    """A connection to xenstored: its socket, else the kernel's device (a xenstored in a domain of its own).

    Raises:
        XenstoreUnavailableError: neither is there, or nobody accepts.
    """
    try:
        return Xenstore(_open_socket(paths.xenstored_socket, deadline_s), deadline_s)
    except OSError as refusal:
        for name in () if paths.xenstored_override else ("/dev/xen/xenbus", "/proc/xen/xenbus"):
            with contextlib.suppress(OSError):
                return Xenstore(_open_device(paths.below(name)), deadline_s, at_once=1)
        raise XenstoreUnavailableError(
            f"xenstored cannot be reached at {paths.xenstored_socket}: {refusal.strerror or refusal}; "
            "nothing was read or written"
        ) from refusal


def _open_socket(path: Path, deadline_s: float) -> int:
    """Xenstored lets one or two wait for being accepted; a socket that does not block is refused at once then."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as connection:
        patience = struct.pack("@ll", int(deadline_s), int(deadline_s % 1 * 1e6))  # struct timeval
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, patience)
        with short_address(path) as address:
            connection.connect(address)
        connection.setblocking(False)
        return connection.detach()


def _open_device(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)


class Xenstore:
    """One connection. After a failed wait it is closed for good: the next use needs a new one.

    Attributes:
        deadline_s: seconds that one request may take.
    """

    def __init__(self, descriptor: int, deadline_s: float = REQUEST_DEADLINE_S, *, at_once: int = _AT_ONCE) -> None:
        self.deadline_s = deadline_s
        self._at_once = at_once
        self._descriptor = descriptor
        self._buffer = bytearray()
        self._events: collections.deque[WatchEvent] = collections.deque()
        self._last_request = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; xenstored drops its watches and transactions. Idempotent."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    @property
    def is_open(self) -> bool:
        """Whether requests can still be made."""
        return self._descriptor >= 0

    def fileno(self) -> int:
        """The descriptor to poll for watch events; `take_event` afterwards with a deadline of 0."""
        return self._descriptor

    def read(self, path: str, *, transaction: int = 0) -> bytes | None:
        """The node's value; None when there is no such node.

        Raises:
            XenstoreError: xenstored refused for another reason than absence.
            XenstoreUnavailableError: no answer in time.
        """
        return self.read_all([path], transaction=transaction)[0]

    def directory(self, path: str, *, transaction: int = 0) -> tuple[str, ...] | None:
        """Names of the node's children; None when there is no such node. Errors as `read`."""
        return self.directories([path], transaction=transaction)[0]

    def directories(self, paths: Sequence[str], *, transaction: int = 0) -> list[tuple[str, ...] | None]:
        """Names of the children of some nodes, None for each that is absent. Errors as `read`."""
        requests = [(Operation.DIRECTORY, encode_path(path)) for path in paths]
        answers = self.request_all(requests, transaction=transaction)
        found: list[tuple[str, ...] | None] = []
        for path, answer in zip(paths, answers, strict=True):
            if isinstance(answer, XenstoreError) and answer.code == "E2BIG":
                # 4 KiB of names: about 1,000 domains below backend/vif
                found.append(split_strings(self._directory_in_parts(path, transaction)))
            else:
                names = _or_absent(answer)
                found.append(None if names is None else split_strings(names))
        return found

    def _directory_in_parts(self, path: str, transaction: int) -> bytes:
        """All names of a long directory; begins again when it changes meanwhile."""
        names, generation, end = b"", b"", time.monotonic() + TRANSACTION_DEADLINE_S
        while time.monotonic() < end:
            offset = f"{len(names)}\0".encode()
            answer = self.request(Operation.DIRECTORY_PART, encode_path(path), offset, transaction=transaction)
            seen, _, part = answer.partition(b"\0")
            if names and seen != generation:
                names = b""
                continue
            generation, names = seen, names + part
            if not part or part == b"\0" or part.endswith(b"\0\0"):
                return names.rstrip(b"\0") + b"\0"
        raise XenstoreUnavailableError(f"{path} in xenstore changed without end while it was being listed")

    def watch(self, path: str, token: str) -> None:
        """Ask for events of a node and all below it. xenstored sends one at once. Errors as `read`."""
        self.request(Operation.WATCH, encode_path(path), token.encode("ascii") + b"\0")

    def take_event(self, deadline_s: float) -> WatchEvent | None:
        """The next watch event, waiting at most `deadline_s` seconds; None when there was none.

        Raises:
            XenstoreUnavailableError: xenstored closed the connection: all watches are lost.
        """
        end = time.monotonic() + deadline_s
        while not self._events:
            message = self._receive(end)
            if message is None:
                return None
            self._note(message)
        return self._events.popleft()

    def transact(self, body: Callable[[int], _T], deadline_s: float = TRANSACTION_DEADLINE_S) -> _T:
        """Run `body` with a transaction's id and commit it; all its reads see one state, all its writes go in at once.

        When another client came in between (EAGAIN), it is run again, so it must have no effect of its own.
        An error in `body` aborts the transaction: nothing of it is stored.

        Raises:
            XenstoreUnavailableError: it did not go through within `deadline_s` seconds.
        """
        end = time.monotonic() + deadline_s
        while True:
            transaction = self._start()
            with self._aborting(transaction):
                result = body(transaction)
            if self._end(transaction, b"T\0"):
                return result
            if time.monotonic() > end:
                raise XenstoreUnavailableError(
                    f"others kept changing what a xenstore transaction read, for {deadline_s:g} s; nothing was written"
                )

    def _start(self) -> int:
        answer = split_strings(self.request(Operation.TRANSACTION_START, b"\0"))
        if not answer or not answer[0].isdecimal():
            raise XenstoreError("xenstored answered a transaction start with no number; nothing was written")
        return int(answer[0])

    @contextlib.contextmanager
    def _aborting(self, transaction: int) -> Iterator[None]:
        """End the transaction without effect when the block raises."""
        try:
            yield
        except BaseException:
            with contextlib.suppress(XenstoreError, XenstoreUnavailableError):
                self._end(transaction, b"F\0")
            raise

    def _end(self, transaction: int, verdict: bytes) -> bool:
        """Whether xenstored took it; False when another client came in between."""
        try:
            self.request(Operation.TRANSACTION_END, verdict, transaction=transaction)
        except XenstoreError as error:
            if error.code == "EAGAIN":
                return False
            raise
        return True

    def request(self, operation: Operation, *parts: bytes, transaction: int = 0) -> bytes:
        """Send one request and wait for its answer; events that come meanwhile are kept for `take_event`.

        Raises:
            XenstoreError: xenstored refused it; `code` says why. The connection stays usable.
            XenstoreUnavailableError: no answer within `deadline_s` seconds, or the connection is gone.
        """
        answer = self.request_all([(operation, b"".join(parts))], transaction=transaction)[0]
        if isinstance(answer, XenstoreError):
            raise answer
        return answer

    def request_all(
        self, requests: Sequence[tuple[Operation, bytes]], *, transaction: int = 0
    ) -> list[bytes | XenstoreError]:
        """Send some requests, then wait for their answers: xenstored does them in order, and one wait costs as much.

        Returns the answer to each, or why it was refused. Errors as `request`, but for refusals.
        """
        found: list[bytes | XenstoreError] = []
        for start in range(0, len(requests), self._at_once):
            found += self._request_some(requests[start : start + self._at_once], transaction)
        return found

    def _request_some(
        self, requests: Sequence[tuple[Operation, bytes]], transaction: int
    ) -> list[bytes | XenstoreError]:
        end = time.monotonic() + self.deadline_s
        numbers: list[int] = []
        data = bytearray()
        for operation, payload in requests:
            self._last_request = (self._last_request + 1) & 0xFFFFFFFF
            number = self._last_request
            message = Message(operation=operation, request=number, transaction=transaction, payload=payload)
            data += encode(message)
            numbers.append(number)
        self._send(data, end)
        answers = self._await_answers(frozenset(numbers), end)
        return [_payload(*request, answers[number]) for request, number in zip(requests, numbers, strict=True)]

    def _await_answers(self, numbers: frozenset[int], end: float) -> dict[int, Message]:
        """The answer to each request, by its number."""
        answers: dict[int, Message] = {}
        while len(answers) < len(numbers):
            answer = self._receive(end)
            if answer is None:
                self._fail(f"xenstored did not answer a request within {self.deadline_s:g} s")
            if answer.operation == Operation.WATCH_EVENT:
                self._note(answer)
            elif answer.request in numbers:
                answers[answer.request] = answer
        return answers

    def read_all(self, paths: Sequence[str], *, transaction: int = 0) -> list[bytes | None]:
        """The values of some nodes, None for each that is absent. Errors as `read`."""
        answers = self.request_all([(Operation.READ, encode_path(path)) for path in paths], transaction=transaction)
        return [_or_absent(answer) for answer in answers]

    def _note(self, message: Message) -> None:
        """Keep a watch event; anything else that nobody waits for is dropped."""
        strings = split_strings(message.payload)
        if message.operation == Operation.WATCH_EVENT and len(strings) > 1:
            self._events.append(WatchEvent(strings[0], strings[1]))

    def _send(self, data: bytearray, end: float) -> None:
        """Write first, and wait only when that is refused: poll never says of the kernel's device that it takes any."""
        view = memoryview(data)
        while view:
            self._require_open()
            written = 0
            with self._translated():
                written = os.write(self._descriptor, view)
            view = view[written:]
            if not written and not self._wait(select.POLLOUT, end):
                self._fail(f"xenstored did not take a request within {self.deadline_s:g} s")

    def _receive(self, end: float) -> Message | None:
        """The next message; None when none is complete at `end`."""
        while True:
            try:
                found = decode(self._buffer)
            except XenstoreError:
                self.close()  # nobody knows where the next message begins
                raise
            if found is not None:
                del self._buffer[: found[1]]
                return found[0]
            if not self._wait(select.POLLIN, end):
                return None
            with self._translated():
                data = os.read(self._descriptor, _CHUNK)
                if not data:
                    self._fail("xenstored closed the connection")
                self._buffer += data

    def _wait(self, event: int, end: float) -> bool:
        """Whether the descriptor became ready before `end`; looked at least once."""
        self._require_open()
        poll = select.poll()
        poll.register(self._descriptor, event)
        return bool(poll.poll(max(0.0, end - time.monotonic()) * 1000))

    def _require_open(self) -> None:
        if self._descriptor < 0:
            raise XenstoreUnavailableError("the connection to xenstored is closed; nothing was read or written")

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn a failing system call into our error; EAGAIN means to wait once more."""
        try:
            yield
        except BlockingIOError:
            return
        except OSError as error:
            self._fail(f"the connection to xenstored broke: {error.strerror or errno.errorcode.get(error.errno or 0)}")

    def _fail(self, what: str) -> Never:
        """Close and raise: what was sent may or may not have been done."""
        self.close()
        raise XenstoreUnavailableError(f"{what}; the last request may not have been done")


def _payload(operation: Operation, payload: bytes, answer: Message) -> bytes | XenstoreError:
    """The answer's payload, or the refusal."""
    if answer.operation == Operation.ERROR:
        code = answer.payload.rstrip(b"\0").decode("ascii", "backslashreplace")
        path = payload.partition(b"\0")[0].decode("ascii", "backslashreplace")
        return XenstoreError(f"xenstored refused to {operation.name.lower()} {path}: {code}", code)
    if answer.operation != operation:
        return XenstoreError(f"xenstored answered {operation.name.lower()} with a message of type {answer.operation}")
    return answer.payload


def _or_absent(answer: bytes | XenstoreError) -> bytes | None:
    """The answer; None when the node is absent.

    Raises:
        XenstoreError: it was refused for another reason.
    """
    if not isinstance(answer, XenstoreError):
        return answer
    if answer.code == "ENOENT":
        return None
    raise answer
