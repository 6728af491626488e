"""Connections to a sandbox's database, direct or through a relay that lets others act at the worst moment."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from database_relay import Relay

from xsagent.apply.ovsdb import OvsdbResult, apply_ovsdb
from xsagent.observed.ovsdb_connection import OvsdbConnection
from xsagent.plan.steps import OvsdbOperation, OvsdbStep, Relied
from xsagent.sandbox.dom0 import Sandbox

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
