"""A connection outlives ovsdb-server: what can have had no effect goes to the next one, which is waited for."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from host_state import ports_of, vsctl
from switch_values import XENBR0, nic

from xsagent.apply.ovsdb import OvsdbResult, apply_ovsdb
from xsagent.errors import ConflictError, OvsdbUnavailableError
from xsagent.observed.ovsdb import read_ovsdb
from xsagent.observed.ovsdb_connection import OvsdbConnection
from xsagent.plan.steps import AddPort, OvsdbStep
from xsagent.sandbox.dom0 import Sandbox

Runner = Callable[..., OvsdbResult]
PLUG = OvsdbStep(operations=(AddPort(bridge="xenbr0", port=nic("eth1")),), ports=("eth1",), reason="plug eth1")


@pytest.fixture
def brief(rundir: Path) -> Iterator[OvsdbConnection]:
    """A connection that was opened without a wait."""
    with OvsdbConnection.open(rundir / "db.sock", 0) as opened:
        yield opened


def restart(sandbox: Sandbox) -> None:
    """Another process on the same file."""
    sandbox.ovsdb_server.kill()
    sandbox.ovsdb_server.start()


def test_one_opened_without_a_wait_breaks_with_the_server(
    sandbox: Sandbox, brief: OvsdbConnection, run_step: Runner, rundir: Path
) -> None:
    """It fails at once and for good, as what is monitored through it would be lost; a new one carries the step."""
    run_step(XENBR0)
    sandbox.ovsdb_server.kill()

    with pytest.raises(OvsdbUnavailableError):
        apply_ovsdb(brief, PLUG, time.monotonic() + 10)
    sandbox.ovsdb_server.start()
    with pytest.raises(OvsdbUnavailableError):
        apply_ovsdb(brief, PLUG, time.monotonic() + 10)

    with OvsdbConnection.open(rundir / "db.sock", 0) as again:
        assert apply_ovsdb(again, PLUG, time.monotonic() + 10).ofports["eth1"] > 0


def test_reading_and_writing_go_on_with_the_next_server(
    sandbox: Sandbox, connection: OvsdbConnection, run_step: Runner, rundir: Path
) -> None:
    """The step is made once, on the bridge that is in the file; the schema is the new server's."""
    run_step(XENBR0)
    schema = connection.schema(time.monotonic() + 10)
    restart(sandbox)

    assert set(read_ovsdb(connection).bridges) == {"xenbr0"}
    assert connection.schema(time.monotonic() + 10) is not schema
    restart(sandbox)
    result = apply_ovsdb(connection, PLUG, time.monotonic() + 10)

    assert result.ofports["eth1"] == int(vsctl(sandbox, "get", "Interface", "eth1", "ofport"))
    log = sandbox.run(["ovsdb-tool", "-m", "show-log", f"{rundir}/conf.db"]).stdout
    assert log.count('"xsagent: plug eth1"') == 1


def test_a_transaction_not_sent_yet_goes_to_the_next_server(
    sandbox: Sandbox, connection: OvsdbConnection, run_step: Runner
) -> None:
    """Restarted between looking up and writing."""
    run_step(XENBR0)
    restarts = iter([restart])

    def before() -> None:
        for happen in restarts:
            happen(sandbox)

    apply_ovsdb(connection, PLUG, time.monotonic() + 10, before=before)

    assert ports_of(sandbox, "xenbr0") == ["eth0", "eth1"]


def test_a_transaction_for_another_database_is_not_made(
    sandbox: Sandbox, connection: OvsdbConnection, run_step: Runner, rundir: Path
) -> None:
    """Where the next server has an empty one, nothing that was looked up before counts."""
    run_step(XENBR0)

    def before() -> None:
        sandbox.ovsdb_server.kill()
        (rundir / "conf.db").unlink()
        sandbox.run(["ovsdb-tool", "create", f"{rundir}/conf.db", "/usr/share/openvswitch/vswitch.ovsschema"])
        sandbox.ovsdb_server.start()
        vsctl(sandbox, "--no-wait", "init")

    with pytest.raises(ConflictError, match="nothing was changed"):
        apply_ovsdb(connection, PLUG, time.monotonic() + 10, before=before)

    assert vsctl(sandbox, "list-br") == ""


def test_the_switch_s_report_is_waited_for_over_a_restart(
    sandbox: Sandbox, connection: OvsdbConnection, run_step: Runner
) -> None:
    """Restarted while the switch, which is slow, has yet to take over what the database holds."""
    run_step(XENBR0)
    sandbox.vswitchd.pause()

    def go_on() -> None:
        time.sleep(0.5)
        restart(sandbox)
        sandbox.vswitchd.resume()

    meanwhile = threading.Thread(target=go_on)
    result = apply_ovsdb(connection, PLUG, time.monotonic() + 20, meanwhile=meanwhile.start)
    meanwhile.join()

    assert result.ofports["eth1"] == int(vsctl(sandbox, "get", "Interface", "eth1", "ofport"))


def test_one_that_came_back_late_is_found_all_the_same(sandbox: Sandbox, rundir: Path) -> None:
    """After the wait each call tries once."""
    with OvsdbConnection.open(rundir / "db.sock", 0.2) as connection:
        sandbox.ovsdb_server.kill()
        with pytest.raises(OvsdbUnavailableError):
            read_ovsdb(connection)
        with pytest.raises(OvsdbUnavailableError):
            read_ovsdb(connection)
        sandbox.ovsdb_server.start()

        assert read_ovsdb(connection).bridges == {}


def test_a_call_that_brings_every_server_down_is_given_up(tmp_path: Path) -> None:
    """Whatever comes back after it is not brought down for ever."""
    connections = 0
    with socket.socket(socket.AF_UNIX) as listener:
        path = tmp_path / "peer.sock"
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            nonlocal connections
            with contextlib.suppress(OSError):  # the test has ended
                while True:
                    stream, _ = listener.accept()
                    connections += 1
                    with stream:
                        stream.recv(1 << 16)

        server = threading.Thread(target=serve, daemon=True)
        server.start()
        with OvsdbConnection.open(path, 60) as connection, pytest.raises(OvsdbUnavailableError):
            connection.schema(time.monotonic() + 60)
        listener.shutdown(socket.SHUT_RDWR)
        server.join()

    assert connections == 3


def test_a_closed_one_stays_closed(connection: OvsdbConnection) -> None:
    """Whoever closed it is done with it."""
    connection.close()

    with pytest.raises(OvsdbUnavailableError):
        read_ovsdb(connection)
