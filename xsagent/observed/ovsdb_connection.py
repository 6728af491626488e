"""One connection to ovsdb-server: transactions and the schema of Open_vSwitch, with a deadline on every call. I/O.

`observed/ovsdb.py` reads through it, `apply/ovsdb.py` writes through it; a daemon keeps one open. There is no
replica of the database: one transaction of selects is one consistent snapshot, and a writer names exactly what it
relies on. Beside 1,000 ports that takes an eighth of the time of filling an IDL with few columns (DECISIONS.md).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from xsagent.errors import OvsdbError, OvsdbUnavailableError
from xsagent.log import get_logger
from xsagent.observed.jsonrpc import JsonRpcChannel, RemoteError, open_channel
from xsagent.observed.ovsdb_json import Row, Schema, as_list, as_object, parse_schema
from xsagent.topology.values import Json

DATABASE: Final = "Open_vSwitch"
_POLL_S: Final = 0.05
_MOST_BREAKS: Final = 2
"""In one call: a server that a request itself brings down is left alone."""
_READING: Final = frozenset({"select", "wait"})
_LOG = get_logger()
Operation = Mapping[str, Json]


class TransactionRefusedError(OvsdbError):
    """The database refused a transaction; nothing of it was done.

    Attributes:
        index: position of the operation that failed; the number of operations when the commit itself failed.
        word: OVSDB's error word (RFC 7047 section 4.1.3), for example ``constraint violation`` or ``timed out``.
    """

    def __init__(self, sentence: str, *, index: int, word: str) -> None:
        super().__init__(sentence)
        self.index = index
        self.word = word


class OvsdbConnection:
    """An open connection, as a context manager.

    Deadlines are times of ``time.monotonic()``. Opened with a wait, it outlives ovsdb-server, for a run that waits
    longer than a restart takes: what was not sent whole is sent to the next one, and what only reads is asked again.
    A writing transaction whose answer is missing is an error: who sent it looks what became of it. Opened without, it
    breaks with the server, and so does what hangs on its channel; then the caller opens a new one.

    Attributes:
        channel: the stream below, for a caller that polls it.
        socket_path: where ovsdb-server listens.
    """

    def __init__(self, channel: JsonRpcChannel, socket_path: Path, wait_s: float) -> None:
        self.channel = channel
        self.socket_path = socket_path
        self._wait_s = wait_s
        self._lost_at: float | None = None
        self._schema: Schema | None = None

    @classmethod
    def open(cls, socket_path: Path, wait_s: float) -> OvsdbConnection:
        """Connect.

        Args:
            socket_path: where ovsdb-server listens.
            wait_s: how long to wait for it, seconds, now and whenever it goes away later; 0 tries once, now alone.

        Raises:
            OvsdbUnavailableError: nobody answered on the socket.
        """
        try:
            channel = _open_channel(socket_path, time.monotonic() + wait_s)
        except PermissionError as error:
            raise OvsdbUnavailableError(
                f"ovsdb-server may not be asked on {socket_path} ({error.strerror}): run this as root; "
                "nothing was changed"
            ) from error
        except OSError as error:
            waited = f" within {wait_s:g} s" if wait_s else ""
            hint = ": `xsagent openvswitch restart` brings it back" if wait_s else ""
            raise OvsdbUnavailableError(
                f"ovsdb-server does not answer on {socket_path}{waited} ({error.strerror}){hint}; nothing was changed"
            ) from error
        return cls(channel, socket_path, wait_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; idempotent."""
        self.channel.close()

    def transact(self, operations: Sequence[Operation], deadline: float) -> list[Row]:
        """Run operations as one transaction and return the result of each.

        Raises:
            TransactionRefusedError: an operation or the commit failed; nothing was changed.
            OvsdbUnavailableError: no answer; whether a writing transaction was done is not known.
        """
        params: list[Json] = [DATABASE, *(dict(operation) for operation in operations)]
        reads = all(operation["op"] in _READING for operation in operations)
        answer = self._call("transact", params, deadline, reads=reads)
        results = as_list(answer)
        for index, result in enumerate(results):
            if isinstance(result, dict) and "error" in result:
                raise _refused(result, index)
        if len(results) != len(operations):
            raise OvsdbError(f"ovsdb-server answered {len(results)} results to {len(operations)} operations")
        return [as_object(result) for result in results]

    def schema(self, deadline: float) -> Schema:
        """The database's schema; asked for once per ovsdb-server (an upgrade restarts it)."""
        if self._schema is None:
            self._schema = parse_schema(self._call("get_schema", [DATABASE], deadline, reads=True))
        return self._schema

    def _call(self, method: str, params: list[Json], deadline: float, *, reads: bool) -> Json:
        begun, breaks = time.monotonic(), 0
        while True:
            sent = False
            try:
                number = self.channel.ask(method, _later(params, time.monotonic() - begun), deadline)
                sent = True
                answer = self.channel.await_answer(number, deadline)
            except RemoteError as error:
                raise OvsdbError(f"ovsdb-server refused {method}: {error}; nothing was changed") from error
            except OSError as error:
                breaks += 1
                repeatable = (reads or not sent) and breaks <= _MOST_BREAKS and not isinstance(error, TimeoutError)
                if not (repeatable and self._reopen(deadline)):
                    raise OvsdbUnavailableError(
                        f"ovsdb-server on {self.socket_path} stopped answering: {error.strerror or error}"
                    ) from error
            else:
                self._lost_at = None
                return answer

    def _reopen(self, deadline: float) -> bool:
        """Connect to the ovsdb-server that comes after the one that closed the stream; False when none does in time.

        A stream that we closed stays closed: its server may be there still, and have work of ours before it.
        """
        if not self._wait_s or self.channel.fileno() < 0:
            return False
        # of one absence, all calls together: a way back has more to do than to wait for the database
        self._lost_at = time.monotonic() if self._lost_at is None else self._lost_at
        try:
            channel = _open_channel(self.socket_path, min(deadline, self._lost_at + self._wait_s))
        except OSError:
            return False
        _LOG.warning("reopen_ovsdb", path=str(self.socket_path), waited_s=round(time.monotonic() - self._lost_at, 2))
        self.channel.close()
        self.channel, self._schema = channel, None
        return True


def _open_channel(socket_path: Path, deadline: float) -> JsonRpcChannel:
    """Try until the deadline, at least once, and while it may help; OSError of the last try."""
    while True:
        try:
            return open_channel(socket_path)
        except OSError as error:
            if isinstance(error, PermissionError) or time.monotonic() + _POLL_S > deadline:
                raise
        time.sleep(_POLL_S)


def _later(params: Sequence[Json], seconds: float) -> list[Json]:
    """The same, so much later: what a ``wait`` waits for has that much less time."""
    later: list[Json] = []
    for item in params:
        timeout = item.get("timeout") if isinstance(item, dict) else None
        if isinstance(item, dict) and isinstance(timeout, int):
            later.append({**item, "timeout": max(0, timeout - int(seconds * 1000))})
        else:
            later.append(item)
    return later


def rows_of(result: Row) -> list[Row]:
    """The rows in the result of a select."""
    return [as_object(row) for row in as_list(result.get("rows"))]


def _refused(result: Mapping[str, Json], index: int) -> TransactionRefusedError:
    word, details = str(result["error"]), result.get("details")
    text = f"{word}: {details}" if details else word
    return TransactionRefusedError(
        f"the Open vSwitch database refused the change ({text}); it is as it was", index=index, word=word
    )
