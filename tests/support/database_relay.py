"""A relay in front of ovsdb-server, through which tests let others write at the worst moment, or nobody answer."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from pathlib import Path

WRITING = b'["next_cfg","+=",1]'


class Relay:
    """Passes bytes between one client and ovsdb-server, and acts before each writing transaction.

    Attributes:
        path: where it listens.
        before_write: called in turn, one for each writing transaction, before it reaches the server.
        writes: writing transactions passed on.
        mute: pass on no answers to a writing transaction, and close instead.
    """

    def __init__(self, path: Path, server: Path) -> None:
        self.path = path
        self.before_write: list[Callable[[], object]] = []
        self.writes = 0
        self.mute = False
        self._server = server
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._listener.close()

    def _serve(self) -> None:
        client, _ = self._listener.accept()
        with client, socket.socket(socket.AF_UNIX) as server:
            server.connect(str(self._server))
            threading.Thread(target=self._answers, args=(server, client), daemon=True).start()
            while data := client.recv(1 << 20):
                if WRITING in data:
                    self.writes += 1
                    if self.before_write:
                        self.before_write.pop(0)()
                server.sendall(data)

    def _answers(self, server: socket.socket, client: socket.socket) -> None:
        while data := server.recv(1 << 20):
            if self.mute and self.writes:
                client.shutdown(socket.SHUT_RDWR)
                return
            client.sendall(data)
