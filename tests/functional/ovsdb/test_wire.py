"""observed/jsonrpc.py against peers that cut, glue, garble and hang, on real sockets."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from xsagent.errors import OvsdbError, OvsdbUnavailableError
from xsagent.observed.jsonrpc import JsonRpcChannel, RemoteError, open_channel
from xsagent.observed.ovsdb_connection import OvsdbConnection

ANSWER = b'{"id":1,"result":[{"rows":[{"name":"\xc3\xa9}"}]}],"error":null}'
ECHO = b'{"id":"echo","method":"echo","params":[7]}'
Peer = Callable[[socket.socket], None]


def soon() -> float:
    """A deadline that is never reached in a test that passes."""
    return time.monotonic() + 10


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[Peer], Path]]:
    """Starts a peer for one connection and gives its socket; the peer begins when a request has come."""
    with socket.socket(socket.AF_UNIX) as listener:
        path = tmp_path / "peer.sock"
        listener.bind(str(path))
        listener.listen()

        def start(peer: Peer) -> Path:
            def run() -> None:
                stream, _ = listener.accept()
                with stream:
                    stream.recv(1 << 16)
                    peer(stream)

            threading.Thread(target=run, daemon=True).start()
            return path

        yield start


def pieces(*parts: bytes) -> Peer:
    """A peer that sends the parts with a pause between, then waits for the other side to close."""

    def peer(stream: socket.socket) -> None:
        for part in parts:
            stream.sendall(part)
            time.sleep(0.02)
        while stream.recv(1 << 16):
            pass

    return peer


@pytest.mark.parametrize(
    "parts",
    [
        (ANSWER,),
        (ANSWER[:1], ANSWER[1:30], ANSWER[30:33], ANSWER[33:]),
        tuple(bytes([byte]) for byte in ANSWER),
        (ECHO + ANSWER,),
        (ECHO, ECHO + ANSWER[:20], ANSWER[20:] + ECHO),
        (b'{"id":99,"result":"late","error":null}' + ANSWER,),
        (b" \n" + ANSWER + b"\n",),
    ],
    ids=["whole", "cut", "bytes", "glued", "cut-and-glued", "late-answer", "blanks"],
)
def test_answer_is_the_same_however_it_is_cut(serve: Callable[[Peer], Path], parts: tuple[bytes, ...]) -> None:
    """Pieces, messages in one piece, late answers to earlier calls: the result is that of the call."""
    channel = open_channel(serve(pieces(*parts)))

    assert channel.call("transact", [], soon()) == [{"rows": [{"name": "é}"}]}]
    channel.close()


def test_echo_is_answered_and_other_requests_are_kept(serve: Callable[[Peer], Path]) -> None:
    """An echo request is answered with its own parameters; an update notification is kept for whoever polls."""
    heard: list[object] = []

    def peer(stream: socket.socket) -> None:
        stream.sendall(b'{"id":null,"method":"update","params":[1]}' + ECHO)
        heard.append(json.loads(stream.recv(1 << 16)))
        stream.sendall(ANSWER)

    channel = open_channel(serve(peer))
    channel.call("transact", [], soon())

    assert heard == [{"id": "echo", "result": [7], "error": None}]
    assert [message["method"] for message in channel.notifications] == ["update"]


@pytest.mark.parametrize(
    "parts", [(), (ANSWER[:25],), (b"\xff}",), (b"[1]{}",), (b'{"id":1}',)],
    ids=["nothing", "truncated", "no-utf8", "no-object", "no-result"],
)  # fmt: skip
def test_peer_that_breaks_off_or_sends_nonsense_is_unavailable(
    serve: Callable[[Peer], Path], parts: tuple[bytes, ...]
) -> None:
    """Closing early, half a message, bytes that are no JSON-RPC: OvsdbUnavailableError names the socket."""

    def peer(stream: socket.socket) -> None:
        for part in parts:
            stream.sendall(part)

    path = serve(peer)
    with OvsdbConnection.open(path, 0) as connection, pytest.raises(OvsdbUnavailableError, match=r"peer\.sock"):
        connection.schema(soon())


@pytest.mark.parametrize("part", [b"", ANSWER[:25], b"nonsense}"], ids=["nothing", "half", "garbage"])
def test_peer_that_hangs_costs_the_deadline(serve: Callable[[Peer], Path], part: bytes) -> None:
    """A peer that sends nothing more ends the call at the deadline."""
    channel = open_channel(serve(pieces(part)))

    with pytest.raises(TimeoutError):
        channel.call("transact", [], time.monotonic() + 0.2)


def test_peer_that_does_not_read_costs_the_deadline() -> None:
    """A request larger than the socket's buffer to a peer that reads nothing ends the call and the channel."""
    ours, theirs = socket.socketpair()
    channel = JsonRpcChannel(ours)
    with theirs, pytest.raises(TimeoutError):
        channel.call("transact", ["x" * (1 << 24)], time.monotonic() + 0.2)
    with pytest.raises(ConnectionError):
        channel.call("transact", [], soon())


def test_channel_outlives_a_late_answer(serve: Callable[[Peer], Path]) -> None:
    """After a call that timed out, the next one gets its own answer and not the late one."""

    def peer(stream: socket.socket) -> None:
        stream.recv(1 << 16)
        stream.sendall(ANSWER + b'{"id":2,"result":"second","error":null}')

    channel = open_channel(serve(peer))
    with pytest.raises(TimeoutError):
        channel.call("transact", [], time.monotonic() + 0.1)

    assert channel.call("transact", [], soon()) == "second"


def test_large_answer_arrives_whole(serve: Callable[[Peer], Path]) -> None:
    """An answer of several megabytes, as of a switch with thousands of ports, is one result."""
    rows = [{"name": f"vif{number}.0", "external_ids": {}} for number in range(50_000)]
    whole = json.dumps({"id": 1, "error": None, "result": rows}).encode()
    channel = open_channel(serve(pieces(whole)))

    assert channel.call("transact", [], soon()) == rows


def test_error_answer_is_told_from_a_result(serve: Callable[[Peer], Path]) -> None:
    """An error of the peer is RemoteError for the channel and OvsdbError with the text for the database."""
    error = b'{"id":1,"result":null,"error":{"error":"unknown database","details":"none of that name"}}'
    path = serve(pieces(error))
    with OvsdbConnection.open(path, 0) as connection, pytest.raises(OvsdbError, match="none of that name"):
        connection.schema(soon())
    with pytest.raises(RemoteError):
        open_channel(serve(pieces(error))).call("get_schema", [], soon())


def test_answer_with_too_few_results_is_refused(serve: Callable[[Peer], Path]) -> None:
    """A transaction's answer has one result for each operation, or it is no answer."""
    path = serve(pieces(b'{"id":1,"result":[],"error":null}'))
    with OvsdbConnection.open(path, 0) as connection, pytest.raises(OvsdbError, match="0 results to 1"):
        connection.transact([{"op": "abort"}], soon())


def test_path_longer_than_a_socket_address_is_reached(tmp_path: Path) -> None:
    """A database below a long root prefix is reached although its path does not fit into sockaddr_un."""
    folder = tmp_path / ("d" * 120)
    folder.mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        descriptor = folder.resolve()
        short = tmp_path / "s"
        short.symlink_to(descriptor)
        listener.bind(str(short / "db.sock"))
        listener.listen()

        channel = open_channel(folder / "db.sock")

        assert channel.fileno() > 0
        channel.close()
