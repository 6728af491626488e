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
from xsagent.observed.jsonrpc import JsonRpcChannel, RemoteError, open_channel
from xsagent.observed.ovsdb_json import Row, Schema, as_list, as_object, parse_schema
from xsagent.topology.values import Json

DATABASE: Final = "Open_vSwitch"
_POLL_S: Final = 0.05
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

    Deadlines are times of ``time.monotonic()``. After OvsdbUnavailableError the caller opens a new connection; after
    any other error this one stays usable.

    Attributes:
        channel: the stream below, for a caller that polls it.
        socket_path: where ovsdb-server listens.
    """

    def __init__(self, channel: JsonRpcChannel, socket_path: Path) -> None:
        self.channel = channel
        self.socket_path = socket_path
        self._schema: Schema | None = None

    @classmethod
    def open(cls, socket_path: Path, wait_s: float) -> OvsdbConnection:
        """Connect, waiting up to `wait_s` seconds for ovsdb-server; 0 tries once.

        Raises:
            OvsdbUnavailableError: nobody answered on the socket.
        """
        deadline = time.monotonic() + wait_s
        while True:
            try:
                return cls(open_channel(socket_path), socket_path)
            except OSError as error:
                if time.monotonic() + _POLL_S > deadline:
                    waited = f" within {wait_s:g} s" if wait_s else ""
                    raise OvsdbUnavailableError(
                        f"ovsdb-server does not answer on {socket_path}{waited} ({error.strerror}); nothing was changed"
                    ) from error
            time.sleep(_POLL_S)

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
        answer = self._call("transact", [DATABASE, *(dict(operation) for operation in operations)], deadline)
        results = as_list(answer)
        for index, result in enumerate(results):
            if isinstance(result, dict) and "error" in result:
                raise _refused(result, index)
        if len(results) != len(operations):
            raise OvsdbError(f"ovsdb-server answered {len(results)} results to {len(operations)} operations")
        return [as_object(result) for result in results]

    def schema(self, deadline: float) -> Schema:
        """The database's schema; asked for once per connection (an upgrade restarts ovsdb-server)."""
        if self._schema is None:
            self._schema = parse_schema(self._call("get_schema", [DATABASE], deadline))
        return self._schema

    def _call(self, method: str, params: list[Json], deadline: float) -> Json:
        try:
            return self.channel.call(method, params, deadline)
        except RemoteError as error:
            raise OvsdbError(f"ovsdb-server refused {method}: {error}; nothing was changed") from error
        except OSError as error:
            raise OvsdbUnavailableError(
                f"ovsdb-server on {self.socket_path} stopped answering: {error.strerror or error}"
            ) from error


def rows_of(result: Row) -> list[Row]:
    """The rows in the result of a select."""
    return [as_object(row) for row in as_list(result.get("rows"))]


def _refused(result: Mapping[str, Json], index: int) -> TransactionRefusedError:
    word, details = str(result["error"]), result.get("details")
    text = f"{word}: {details}" if details else word
    return TransactionRefusedError(
        f"the Open vSwitch database refused the change ({text}); it is as it was", index=index, word=word
    )
