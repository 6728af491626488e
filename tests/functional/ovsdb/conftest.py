"""Connections to a sandbox's database, direct or through a relay that lets others act at the worst moment."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from xsagent.apply.ovsdb import OvsdbResult, apply_ovsdb
from xsagent.observed.ovsdb_connection import OvsdbConnection
from xsagent.plan.steps import OvsdbOperation, OvsdbStep, Relied
from xsagent.sandbox.dom0 import Sandbox

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


Runner = Callable[..., OvsdbResult]


def apply_to(connection: OvsdbConnection) -> Runner:
    """A function that applies operations as one step within 10 s."""

    def run(
        *operations: OvsdbOperation, relied: tuple[Relied, ...] = (), ports: tuple[str, ...] = (), reason: str = ""
    ) -> OvsdbResult:
        step = OvsdbStep(operations=operations, relied=relied, ports=ports, reason=reason)
        return apply_ovsdb(connection, step, time.monotonic() + 10)

    return run


@pytest.fixture
def rundir(sandbox: Sandbox) -> Path:
    """OVS_RUNDIR of the sandbox as seen from here."""
    return sandbox.root / "run/openvswitch"


@pytest.fixture
def connection(rundir: Path) -> Iterator[OvsdbConnection]:
    """A connection to the sandbox's database."""
    with OvsdbConnection.open(rundir / "db.sock", 5) as opened:
        yield opened


@pytest.fixture
def run_step(connection: OvsdbConnection) -> Runner:
    """Applies operations as one step."""
    return apply_to(connection)


@pytest.fixture
def relay(rundir: Path) -> Iterator[Relay]:
    """A relay in front of the sandbox's ovsdb-server."""
    running = Relay(rundir / "relay.sock", rundir / "db.sock")
    yield running
    running.close()


@pytest.fixture
def run_relayed(relay: Relay) -> Iterator[Runner]:
    """Applies operations as one step through the relay."""
    with OvsdbConnection.open(relay.path, 5) as opened:
        yield apply_to(opened)


@pytest.fixture
def records(sandbox: Sandbox, rundir: Path) -> Callable[[], int]:
    """Counts the records in the database's log."""

    def count() -> int:
        text = sandbox.run(["ovsdb-tool", "show-log", f"{rundir}/conf.db"]).stdout
        return sum(line.startswith("record ") for line in text.splitlines())

    return count
