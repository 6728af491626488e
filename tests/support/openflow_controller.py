"""The least that Open vSwitch takes for a controller that rules it: ``python openflow_controller.py PORT``.

Listens on 127.0.0.1, agrees on OpenFlow 1.0, asks what the switch is, sends a barrier (from which on Open vSwitch
counts it as one that has taken the switch in) and answers each echo request. It installs no flow.
"""

from __future__ import annotations

import socketserver
import struct
import sys
from collections.abc import Iterator

_HEADER = struct.Struct("!BBHI")
_VERSION = 1
_HELLO, _ECHO_REQUEST, _ECHO_REPLY, _FEATURES_REQUEST, _BARRIER_REQUEST = 0, 2, 3, 5, 18


class Controller(socketserver.StreamRequestHandler):
    """One switch's connection."""

    def handle(self) -> None:
        """Greet it, then answer until it goes."""
        for number, kind in enumerate((_HELLO, _FEATURES_REQUEST, _BARRIER_REQUEST)):
            self._send(kind, number)
        for kind, number, body in self._messages():
            if kind == _ECHO_REQUEST:
                self._send(_ECHO_REPLY, number, body)

    def _messages(self) -> Iterator[tuple[int, int, bytes]]:
        while header := self.rfile.read(_HEADER.size):
            _, kind, length, number = _HEADER.unpack(header)
            yield kind, number, self.rfile.read(length - _HEADER.size)

    def _send(self, kind: int, number: int, body: bytes = b"") -> None:
        self.wfile.write(_HEADER.pack(_VERSION, kind, _HEADER.size + len(body), number) + body)


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


if __name__ == "__main__":
    with _Server(("127.0.0.1", int(sys.argv[1])), Controller) as server:
        server.serve_forever()
