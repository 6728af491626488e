"""observed/ovsdb.py and observed/switch_alive.py on real ovsdb-server and ovs-vswitchd."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from host_state import vsctl

from xsagent.errors import OvsdbError, OvsdbUnavailableError, SwitchDeadError
from xsagent.observed.ovsdb import read_ovsdb
from xsagent.observed.ovsdb_connection import OvsdbConnection
from xsagent.observed.switch_alive import SwitchPulse, is_switch_alive, wait_for_switch
from xsagent.sandbox.dom0 import Sandbox
from xsagent.topology.values import Json

Records = Callable[[], int]


NETDEV = ("--", "set", "Bridge", "xenbr0", "datapath_type=netdev")


def test_what_ovs_vsctl_made_is_read_as_values(sandbox: Sandbox, connection: OvsdbConnection) -> None:
    """Bridge, port, bond, VLAN bridge and interface columns arrive in their fields, hwaddr in lower case and apart."""
    vsctl(sandbox, "add-br", "xenbr0", *NETDEV, "--", "add-br", "xapi1", "xenbr0", "25")
    vsctl(sandbox, "add-bond", "xenbr0", "bond0", "eth0", "eth1", "bond_mode=active-backup", "bond_updelay=200")
    vsctl(sandbox, "set", "Bridge", "xenbr0", "fail_mode=secure", 'other_config={hwaddr="00:16:3E:00:00:0A",a=b}')
    vsctl(sandbox, "set", "Bridge", "xenbr0", "external_ids:xs-network-uuids=u1;u2", "mcast_snooping_enable=true")
    vsctl(sandbox, "set", "Interface", "eth0", "mtu_request=1400", "external_ids:k=v", "--", "add-br", "xenbr1")
    vsctl(sandbox, "set", "Open_vSwitch", ".", "other_config:max-idle=5000", "--", "set-manager", "ptcp:6640:127.0.0.1")
    vsctl(sandbox, "add-port", "xenbr0", "gone0", "--", "set", "Port", "gone0", "trunks=9,3")

    found = read_ovsdb(connection)

    assert list(found.bridges) == ["xenbr0", "xenbr1"]
    bridge = found.bridges["xenbr0"]
    assert (bridge.fail_mode, bridge.hwaddr, bridge.other_config) == ("secure", "00:16:3e:00:00:0a", {"a": "b"})
    assert (bridge.datapath_type, bridge.mcast_snooping) == ("netdev", True)
    assert bridge.external_ids == {"xs-network-uuids": "u1;u2"}
    assert list(bridge.ports) == ["bond0", "gone0", "xapi1", "xenbr0"]
    bond = bridge.ports["bond0"]
    assert (bond.bond_mode, bond.bond_updelay, bond.bond_downdelay, bond.lacp) == ("active-backup", 200, 0, None)
    eth0 = bond.interfaces["eth0"]
    assert (eth0.mtu_request, eth0.external_ids, eth0.error) == (1400, {"k": "v"}, None)
    assert eth0.ofport is not None
    assert eth0.ofport > 0
    vlan_bridge = bridge.ports["xapi1"]
    assert (vlan_bridge.fake_bridge, vlan_bridge.tag, vlan_bridge.trunks) == (True, 25, ())
    assert vlan_bridge.interfaces["xapi1"].type == "internal"
    gone = bridge.ports["gone0"]
    assert (gone.trunks, gone.tag, gone.interfaces["gone0"].ofport) == ((3, 9), None, -1)
    assert "gone0" in (gone.interfaces["gone0"].error or "")
    assert found.other_config["max-idle"] == "5000"
    assert found.managers == ("ptcp:6640:127.0.0.1",)
    assert found.external_ids["system-id"]
    assert found.cur_cfg == found.next_cfg > 0


def test_plain_rows_have_nothing_extra_and_foreign_ones_carry_their_rows(
    sandbox: Sandbox, connection: OvsdbConnection
) -> None:
    """Defaults never stand in `extra`; a controller stands there as a row, a mirror with its ports by name."""
    vsctl(sandbox, "add-br", "xenbr0", *NETDEV, "--", "add-port", "xenbr0", "eth0")
    plain = read_ovsdb(connection).bridges["xenbr0"]
    vsctl(sandbox, "set-controller", "xenbr0", "tcp:192.0.2.9:6653")
    vsctl(
        sandbox, "--id=@p", "get", "Port", "eth0", "--", "--id=@m", "create", "Mirror", "name=m", "output_port=@p",
        "--", "set", "Bridge", "xenbr0", "mirrors=@m",
    )  # fmt: skip

    bridge = read_ovsdb(connection).bridges["xenbr0"]

    assert (plain.extra, plain.ports["eth0"].extra, plain.ports["eth0"].interfaces["eth0"].extra) == ({}, {}, {})
    assert bridge.controllers == ("tcp:192.0.2.9:6653",)
    controller, mirror = bridge.extra["controller"], bridge.extra["mirrors"]
    assert isinstance(controller, dict)
    assert (controller["table"], controller["row"]) == ("Controller", {"target": "tcp:192.0.2.9:6653"})
    assert isinstance(mirror, dict)
    assert mirror["row"] == {"name": "m", "output_port": {"table": "Port", "name": "eth0"}}
    assert bridge.ports["eth0"].extra == {"@mirrors": [[mirror["uuid"], "output_port"]]}


def test_database_of_an_older_schema_is_read_and_written(sandbox: Sandbox, rundir: Path, tmp_path: Path) -> None:
    """Columns and tables that the schema lacks are no error; what it has is read."""
    schema = tmp_path / "old.ovsschema"
    schema.write_text(OLD_SCHEMA, encoding="utf-8")
    database, socket_path = tmp_path / "old.db", rundir / "old.sock"
    sandbox.run(["ovsdb-tool", "create", str(database), str(schema)])
    sandbox.run(
        ["ovsdb-server", str(database), f"--remote=punix:{socket_path}", "--detach", f"--pidfile={rundir}/old.pid",
         f"--unixctl={rundir}/old.ctl", "-vconsole:emer", "-vsyslog:off"]
    )  # fmt: skip

    with OvsdbConnection.open(socket_path, 5) as connection:
        with pytest.raises(OvsdbError, match="never initialised"):
            read_ovsdb(connection)
        rows: dict[str, dict[str, Json]] = {
            "Open_vSwitch": {"bridges": ["named-uuid", "Bridge"]},
            "Bridge": {"name": "br", "ports": ["named-uuid", "Port"]},
            "Port": {"name": "p", "interfaces": ["named-uuid", "Interface"]},
            "Interface": {"name": "p", "external_ids": ["map", [["a", "1"]]]},
        }
        inserts: list[dict[str, Json]] = [
            {"op": "insert", "table": table, "row": row, "uuid-name": table} for table, row in rows.items()
        ]
        connection.transact(inserts, time.monotonic() + 5)
        found = read_ovsdb(connection)

    assert found.bridges["br"].ports["p"].interfaces["p"].external_ids == {"a": "1"}


OLD_SCHEMA = """{"name": "Open_vSwitch", "version": "1.0.0", "tables": {
  "Open_vSwitch": {"columns": {
    "bridges": {"type": {"key": {"type": "uuid", "refTable": "Bridge"}, "min": 0, "max": "unlimited"}},
    "other_config": {"type": {"key": "string", "value": "string", "min": 0, "max": "unlimited"}},
    "external_ids": {"type": {"key": "string", "value": "string", "min": 0, "max": "unlimited"}},
    "manager_options": {"type": {"key": {"type": "uuid", "refTable": "Manager"}, "min": 0, "max": "unlimited"}},
    "next_cfg": {"type": "integer"}, "cur_cfg": {"type": "integer"}}, "isRoot": true, "maxRows": 1},
  "Manager": {"columns": {"target": {"type": "string"}}},
  "Bridge": {"columns": {"name": {"type": "string", "mutable": false},
    "ports": {"type": {"key": {"type": "uuid", "refTable": "Port"}, "min": 0, "max": "unlimited"}}}},
  "Port": {"columns": {"name": {"type": "string", "mutable": false},
    "interfaces": {"type": {"key": {"type": "uuid", "refTable": "Interface"}, "min": 1, "max": "unlimited"}}}},
  "Interface": {"columns": {"name": {"type": "string", "mutable": false},
    "external_ids": {"type": {"key": "string", "value": "string", "min": 0, "max": "unlimited"}},
    "ofport": {"type": {"key": "integer", "min": 0, "max": 1}}}}}}
"""


def test_absent_server_is_named_at_once_or_after_the_wait(tmp_path: Path, sandbox: Sandbox, rundir: Path) -> None:
    """No socket, or one that nobody listens on: OvsdbUnavailableError with the path; a late server is waited for."""
    with pytest.raises(OvsdbUnavailableError, match=r"absent\.sock"):
        OvsdbConnection.open(tmp_path / "absent.sock", 0)
    sandbox.ovsdb_server.kill()
    with pytest.raises(OvsdbUnavailableError, match=r"db\.sock within 0\.2 s"):
        OvsdbConnection.open(rundir / "db.sock", 0.2)
    sandbox.spawn(["sh", "-c", f"sleep 0.5; exec ovsdb-server {rundir}/conf.db --remote=punix:{rundir}/db.sock"])

    with OvsdbConnection.open(rundir / "db.sock", 20) as connection:
        assert read_ovsdb(connection).bridges == {}


def test_hanging_server_costs_the_deadline_and_no_more(sandbox: Sandbox, connection: OvsdbConnection) -> None:
    """An ovsdb-server that is stopped answers nothing; the call ends, and works again once the server goes on."""
    sandbox.ovsdb_server.pause()
    with pytest.raises(OvsdbUnavailableError, match="stopped answering"):
        read_ovsdb(connection, time.monotonic() + 0.2)
    sandbox.ovsdb_server.resume()

    assert read_ovsdb(connection, time.monotonic() + 10).bridges == {}


def test_connection_that_idles_answers_the_servers_probes(sandbox: Sandbox, rundir: Path) -> None:
    """ovsdb-server drops a peer that does not answer its echo requests; ours stays, and later calls find it open."""
    target = f'target="punix:{rundir}/probed.sock"'
    vsctl(sandbox, "--", "--id=@m", "create", "Manager", target, "inactivity_probe=1000",
          "--", "add", "Open_vSwitch", ".", "manager_options", "@m")  # fmt: skip

    with OvsdbConnection.open(rundir / "probed.sock", 5) as connection:
        schema = connection.schema(time.monotonic() + 5)
        connection.channel.receive(time.monotonic() + 10)

        assert read_ovsdb(connection).managers
        assert "Bridge" in schema
        assert not connection.channel.notifications


# --- is the switch alive ---------------------------------------------------------------------------------


def test_living_switch_is_found_alive_without_a_record(rundir: Path, records: Records) -> None:
    """Asking leaves the database's log as it was, and needs no pid file of this pid namespace."""
    before = records()

    alive = is_switch_alive(rundir, 5)
    (rundir / "ovs-vswitchd.pid").unlink()

    assert alive
    assert is_switch_alive(rundir, 5)
    assert records() == before


@pytest.mark.parametrize("how", ["pause", "kill", "stop"])
def test_switch_that_hangs_or_is_gone_is_dead(sandbox: Sandbox, rundir: Path, how: str) -> None:
    """A stopped (SIGSTOP), killed or ended ovs-vswitchd is dead, whatever files it left."""
    getattr(sandbox.vswitchd, how)()

    assert not is_switch_alive(rundir, 0.2)
    with pytest.raises(SwitchDeadError, match="nothing was changed"):
        wait_for_switch(rundir, 0.3)


def test_switch_that_comes_back_in_time_is_waited_for(sandbox: Sandbox, rundir: Path) -> None:
    """A hanging ovs-vswitchd that goes on, and one that is started late, end the wait."""
    sandbox.vswitchd.pause()
    sandbox.spawn(["sh", "-c", f"sleep 0.3; kill -CONT $(cat {rundir}/ovs-vswitchd.pid)"])
    wait_for_switch(rundir, 20)
    sandbox.vswitchd.kill()
    sandbox.vswitchd.start()

    wait_for_switch(rundir, 20)


def test_other_daemon_on_a_stale_socket_is_not_the_switch(sandbox: Sandbox, rundir: Path) -> None:
    """A process id that was given to another daemon of Open vSwitch does not count as ovs-vswitchd."""
    sandbox.vswitchd.kill()
    for stale in rundir.glob("ovs-vswitchd.*.ctl"):
        stale.unlink()
    server = next(rundir.glob("ovsdb-server.*.ctl"))
    (rundir / "ovs-vswitchd.7777.ctl").symlink_to(server)

    assert not is_switch_alive(rundir, 0.2)


@pytest.mark.parametrize("how", ["pause", "kill", "stop"])
def test_an_answer_from_before_says_nothing(sandbox: Sandbox, rundir: Path, how: str) -> None:
    """A question that was asked ahead and answered, but not waited for, does not make a dead switch a living one."""
    pulse = SwitchPulse(rundir)
    pulse.ask()
    wait_for_switch(rundir, 20)
    getattr(sandbox.vswitchd, how)()

    pulse.ask()

    with pytest.raises(SwitchDeadError, match=r"within 0\.3 s .*; nothing was changed"):
        pulse.wait(0.3)
    pulse.close()


def test_the_kept_connection_outlives_the_switch(sandbox: Sandbox, rundir: Path) -> None:
    """A switch that was started anew, before the question or after it, is found alive."""
    pulse = SwitchPulse(rundir)
    pulse.wait(20)
    sandbox.vswitchd.kill()
    sandbox.vswitchd.start()

    pulse.ask()
    pulse.wait(20)
    pulse.ask()
    sandbox.vswitchd.kill()
    sandbox.vswitchd.start()
    pulse.wait(20)

    pulse.close()
