"""Bytes on a unix socket -> HTTP requests -> calls and faults -> bytes: the wire side of the XAPI stand-in.

HTTP/1.1 with keep-alive on any path, one thread a connection. What a call means is `xapi_calls`' matter, what goes
wrong is `xapi_faults`'; this module keeps the call log and does to the socket what a fault says.
"""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
import xmlrpc.client
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from xml.parsers.expat import ExpatError

from xsagent.sandbox.xapi_calls import ApiFailure, Calls
from xsagent.sandbox.xapi_database import render_value
from xsagent.sandbox.xapi_faults import Fault, Faults
from xsagent.unix_socket import short_address

_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_CHUNK = 1 << 16


def listen(path: Path, backlog: int = 64) -> socket.socket:
    """A listening unix socket at `path`; a socket left there by a dead server is replaced."""
    path.unlink(missing_ok=True)
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with short_address(path) as address:
        server.bind(address)
    server.listen(backlog)
    return server


def serve_forever(server: socket.socket, handle: Callable[[socket.socket], None]) -> None:
    """Give each connection its own thread; returns when the socket is closed."""
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        threading.Thread(target=handle, args=(connection,), daemon=True).start()


@dataclass(frozen=True)
class LoggedCall:
    """One line of the call log; `failed` holds the error code of a Failure answer, `fault` the rule's kind."""

    method: str
    params: list[object]
    failed: str = ""
    fault: str = ""


class XapiServer:
    """Answers connections until the process ends.

    Attributes:
        log: every call received, in order.
        connections: how many connections were accepted.
    """

    def __init__(self, calls: Calls, faults: Faults, run_command: Callable[[dict[str, object]], object]) -> None:
        self.log: list[LoggedCall] = []
        self.connections = 0
        self._calls = calls
        self._faults = faults
        self._run_command = run_command

    def handle(self, connection: socket.socket) -> None:
        """Serve one connection to its end; a client that goes away is no error."""
        self.connections += 1
        with connection, contextlib.suppress(ConnectionError):
            while (body := _receive(connection)) is not None:
                method, params = _parse(body)
                fault = self._faults.take(method, params)
                if not self._serve(connection, method, params, fault):
                    return

    def _serve(self, connection: socket.socket, method: str, params: list[object], fault: Fault | None) -> bool:
        """Answer or misbehave; False when the connection is to end."""
        kind = fault.kind if fault else ""
        if fault is None or kind in {"error", "delay", "command", "drip", "truncate", "idle"}:
            if kind == "delay" and fault:
                time.sleep(fault.seconds)
            answer = self._answer(method, params, fault)
        else:
            self.log.append(LoggedCall(method, params, fault=kind))
            answer = b"this is not XML"
        if kind not in {"reset", "hang"}:
            _drain(connection)
        return _send(connection, answer, fault)

    def _answer(self, method: str, params: list[object], fault: Fault | None) -> bytes:
        kind, failed = (fault.kind if fault else ""), ""
        try:
            if fault and fault.command:
                self._run_command(fault.command)
            codes = fault.error if fault else []
            if kind == "idle":
                params = [*params[:-1], 0.0]
            status, name, value = "Success", "Value", self._calls.answer(method, params, codes)
        except ApiFailure as failure:
            failed = failure.description[0]
            status, name, value = "Failure", "ErrorDescription", render_value(list(failure.description))
        self.log.append(LoggedCall(method, params, failed=failed, fault=kind))
        return (
            '<?xml version="1.0"?><methodResponse><params><param><value><struct>'
            f"<member><name>Status</name><value>{status}</value></member>"
            f"<member><name>{name}</name>{value}</member>"
            "</struct></value></param></params></methodResponse>"
        ).encode()


def _send(connection: socket.socket, answer: bytes, fault: Fault | None) -> bool:
    """Send the answer as the fault wants it; whether the connection lives on."""
    match fault.kind if fault else "":
        case "hang":
            while connection.recv(_CHUNK):
                pass
            return False
        case "close" | "reset":
            return False
        case "http":
            status = int(fault.seconds) if fault else 500
            connection.sendall(f"HTTP/1.1 {status} Error\r\nContent-Length: 0\r\n\r\n".encode())
        case "drip":
            for byte in _head(answer) + answer:
                connection.sendall(bytes((byte,)))
                time.sleep(fault.seconds if fault else 1.0)
        case "truncate":
            connection.sendall(_head(answer) + answer[: len(answer) // 2])
            return False
        case _:
            connection.sendall(_head(answer))
            connection.sendall(answer)
    return True


def _head(answer: bytes) -> bytes:
    return (
        f"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Type: text/xml\r\nContent-Length: {len(answer)}\r\n\r\n"
    ).encode()


def _receive(connection: socket.socket) -> bytes | None:
    """A request's body; None at the end of the connection.

    The last byte stays in the socket: closing with unread bytes is what resets a unix connection (fault `reset`).
    """
    head = b""
    while b"\r\n\r\n" not in head:
        seen = connection.recv(_CHUNK, socket.MSG_PEEK)
        end = (head + seen).find(b"\r\n\r\n")
        taken = len(seen) if end < 0 else end + 4 - len(head)
        if not seen:
            return None
        head += connection.recv(taken)
    found = _LENGTH.search(head)
    body = b""
    wanted = int(found.group(1)) if found else 0
    while len(body) < wanted - 1:
        received = connection.recv(wanted - 1 - len(body))
        if not received:
            return None
        body += received
    return body + connection.recv(1, socket.MSG_PEEK) if wanted else body


def _drain(connection: socket.socket) -> None:
    """Take the request's last byte."""
    connection.recv(1)


def _parse(body: bytes) -> tuple[str, list[object]]:
    """Method and parameters of a request; an unreadable one counts as a call without a name."""
    try:
        params, method = xmlrpc.client.loads(body)
    except (ExpatError, xmlrpc.client.Error):
        return "", []
    return str(method), list(params)
