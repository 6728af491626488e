"""apply/ovsdb.py on real ovsdb-server and ovs-vswitchd: one step, one transaction, done when the switch says so."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from database_relay import Relay
from host_state import ports_of, vsctl
from switch_values import XENBR0, bridge, nic

from xsagent.apply.ovsdb import OvsdbResult, apply_ovsdb
from xsagent.errors import OvsdbError, OvsdbUnavailableError, SwitchDeadError, SwitchRefusedError
from xsagent.observed.ovsdb import read_ovsdb
from xsagent.observed.ovsdb_connection import OvsdbConnection
from xsagent.plan.steps import (
    AddInterface,
    AddPort,
    CreateBridge,
    DeleteBridge,
    DeletePort,
    MovePort,
    OvsdbStep,
    RemoveInterface,
    SetColumns,
    SetKeys,
)
from xsagent.sandbox.dom0 import Sandbox
from xsagent.topology.values import Interface, Port

Runner = Callable[..., OvsdbResult]
Records = Callable[[], int]


# --- what a step does ------------------------------------------------------------------------------------


def test_bridge_with_a_nic_is_one_transaction_and_the_switch_runs_it(
    sandbox: Sandbox, run_step: Runner, rundir: Path
) -> None:
    """A bridge with its NIC is one record of ours in the log, and the step ends when the ports have numbers."""
    made = replace(bridge("xenbr0", nic("eth0")), fail_mode="standalone", hwaddr="00:16:3e:00:00:01")

    result = run_step(CreateBridge(bridge=made), ports=("eth0", "xenbr0"), reason="plug eth0")

    assert result.changed
    assert result.ofports["eth0"] == int(vsctl(sandbox, "get", "Interface", "eth0", "ofport")) > 0
    assert vsctl(sandbox, "get", "Bridge", "xenbr0", "other_config") == '{hwaddr="00:16:3e:00:00:01"}'
    assert vsctl(sandbox, "get-fail-mode", "xenbr0") == "standalone"
    assert ports_of(sandbox, "xenbr0") == ["eth0"]
    log = sandbox.run(["ovsdb-tool", "-m", "show-log", f"{rundir}/conf.db"]).stdout
    assert log.count('"xsagent: plug eth0"') == 1
    ours = next(record for record in log.split("\nrecord ") if '"xsagent: plug eth0"' in record)
    assert all(f"table {table} insert row" in ours for table in ("Bridge", "Port", "Interface"))


def test_step_that_has_nothing_to_do_leaves_no_record(
    connection: OvsdbConnection, run_step: Runner, records: Records
) -> None:
    """An empty step, reading, and a step that finds everything done already add no record to the log."""
    run_step(XENBR0, ports=("eth0",))
    before = records()

    empty = run_step()
    read_ovsdb(connection)
    again = run_step(AddPort(bridge="xenbr0", port=nic("eth0")), DeletePort(bridge="xenbr0", name="eth9"))

    assert not empty.changed
    assert not again.changed
    assert records() == before


def test_fake_bridge_and_bond_are_what_ovs_vsctl_makes_of_them(sandbox: Sandbox, run_step: Runner) -> None:
    """A VLAN bridge is known to ovs-vsctl with its parent and tag, a bond has its members."""
    internal = {"xapi1": Interface(name="xapi1", type="internal")}
    members = {name: Interface(name=name) for name in ("eth0", "eth1")}
    bond = Port(name="bond0", interfaces=members, bond_mode="active-backup", bond_updelay=200)

    run_step(
        CreateBridge(bridge=bridge("xenbr0", bond)),
        AddPort(bridge="xenbr0", port=Port(name="xapi1", interfaces=internal, fake_bridge=True, tag=25)),
        ports=("eth0", "eth1", "xapi1"),
    )

    assert vsctl(sandbox, "br-to-parent", "xapi1") == "xenbr0"
    assert vsctl(sandbox, "br-to-vlan", "xapi1") == "25"
    assert vsctl(sandbox, "list-ifaces", "xenbr0").split() == ["eth0", "eth1"]
    assert "bond_mode: active-backup" in sandbox.run(["ovs-appctl", "bond/show", "bond0"]).stdout


def test_members_join_and_leave_a_port_as_named_rows(sandbox: Sandbox, run_step: Runner) -> None:
    """AddInterface and RemoveInterface change the members of a bond and nothing else of the port."""
    members = {name: Interface(name=name) for name in ("eth0", "eth1")}
    run_step(CreateBridge(bridge=bridge("xenbr0", Port(name="bond0", interfaces=members))))
    row = vsctl(sandbox, "get", "Port", "bond0", "_uuid")

    run_step(RemoveInterface(port="bond0", name="eth1"))
    alone = vsctl(sandbox, "list-ifaces", "xenbr0").split()
    run_step(AddInterface(port="bond0", interface=Interface(name="eth1")), ports=("eth1",))

    assert alone == ["eth0"]
    assert vsctl(sandbox, "list-ifaces", "xenbr0").split() == ["eth0", "eth1"]
    assert vsctl(sandbox, "get", "Port", "bond0", "_uuid") == row


def test_moved_port_is_the_same_row_with_the_same_interface(sandbox: Sandbox, run_step: Runner) -> None:
    """MovePort keeps the rows of port and interface, also into a bridge that the same step creates."""
    run_step(XENBR0)
    rows = [vsctl(sandbox, "get", table, "eth0", "_uuid") for table in ("Port", "Interface")]

    run_step(
        CreateBridge(bridge=bridge("xenbr1")), MovePort(name="eth0", source="xenbr0", target="xenbr1"), ports=("eth0",)
    )

    assert ports_of(sandbox, "xenbr0") == []
    assert ports_of(sandbox, "xenbr1") == ["eth0"]
    assert [vsctl(sandbox, "get", table, "eth0", "_uuid") for table in ("Port", "Interface")] == rows


def test_name_that_one_operation_frees_another_takes(sandbox: Sandbox, run_step: Runner) -> None:
    """In one step a bridge goes and its ports' names come back elsewhere, a VLAN bridge's name as a real bridge."""
    members = {name: Interface(name=name) for name in ("eth0", "eth1")}
    fake = Port(name="xapi1", interfaces={"xapi1": Interface(name="xapi1", type="internal")}, fake_bridge=True, tag=5)
    run_step(CreateBridge(bridge=bridge("xenbr0", Port(name="bond0", interfaces=members), fake)))

    run_step(
        DeletePort(bridge="xenbr0", name="xapi1"),
        CreateBridge(bridge=bridge("xapi1", nic("eth9", tag=7))),
        DeleteBridge(name="xenbr0"),
        CreateBridge(bridge=bridge("xenbr0")),
        AddPort(bridge="xenbr0", port=nic("eth0")),
        AddPort(bridge="xapi1", port=nic("eth1")),
        SetKeys(table="Bridge", record="xapi1", column="external_ids", keys={"a": "1"}),
    )

    assert ports_of(sandbox, "xenbr0") == ["eth0"]
    assert ports_of(sandbox, "xapi1") == ["eth1", "eth9"]
    assert vsctl(sandbox, "br-to-parent", "xapi1") == "xapi1"
    assert vsctl(sandbox, "get", "Bridge", "xapi1", "external_ids") == '{a="1"}'


def test_keys_and_columns_of_others_stay(sandbox: Sandbox, run_step: Runner) -> None:
    """SetKeys touches the keys it names, SetColumns its columns; the Open_vSwitch record is reached as '.'."""
    run_step(XENBR0)
    vsctl(sandbox, "set", "Bridge", "xenbr0", "external_ids={sdn=1,mine=old,gone=1}", "protocols=OpenFlow13")

    run_step(
        SetKeys(
            table="Bridge", record="xenbr0", column="external_ids", keys={"mine": "new", "gone": None, "nil": None}
        ),
        SetColumns(table="Port", record="eth0", columns={"tag": 7, "trunks": ["set", [1, 2]], "mac": ["set", []]}),
        SetKeys(table="Open_vSwitch", record=".", column="other_config", keys={"max-idle": "5000"}),
    )

    assert vsctl(sandbox, "get", "Bridge", "xenbr0", "external_ids") == '{mine=new, sdn="1"}'
    assert vsctl(sandbox, "get", "Bridge", "xenbr0", "protocols") == "[OpenFlow13]"
    assert vsctl(sandbox, "get", "Port", "eth0", "tag", "trunks").split("\n") == ["7", "[1, 2]"]
    assert vsctl(sandbox, "get", "Open_vSwitch", ".", "other_config:max-idle") == '"5000"'
    assert vsctl(sandbox, "get", "Open_vSwitch", ".", "external_ids:system-id")


# --- refusals --------------------------------------------------------------------------------------------


def test_port_that_the_switch_refuses_is_an_error_with_its_reason(run_step: Runner) -> None:
    """A port without a device is refused with the switch's own words, also where it stood in the database before."""
    run_step(XENBR0)

    with pytest.raises(SwitchRefusedError, match=r"eth77.*could not open network device eth77"):
        run_step(AddPort(bridge="xenbr0", port=nic("eth77")), ports=("eth77",))
    with pytest.raises(SwitchRefusedError, match="eth77"):
        run_step(AddPort(bridge="xenbr0", port=nic("eth77")), ports=("eth77",))


def test_value_that_the_schema_refuses_is_an_error_with_the_constraint(run_step: Runner, records: Records) -> None:
    """The database's own reason reaches the reader, and nothing of the step is done."""
    run_step(XENBR0)
    before = records()

    with pytest.raises(OvsdbError, match=r"constraint violation.*4097"):
        run_step(
            SetKeys(table="Bridge", record="xenbr0", column="external_ids", keys={"mine": "1"}),
            SetColumns(table="Port", record="eth0", columns={"tag": 4097}),
        )

    assert records() == before


@pytest.mark.parametrize("how", ["pause", "kill"])
def test_switch_that_does_not_take_over_is_an_error(sandbox: Sandbox, connection: OvsdbConnection, how: str) -> None:
    """Where ovs-vswitchd hangs or died after it was seen alive, the step ends at its deadline and says so."""
    getattr(sandbox.vswitchd, how)()

    with pytest.raises(SwitchDeadError, match="database holds it"):
        apply_ovsdb(connection, OvsdbStep(operations=(XENBR0,)), time.monotonic() + 0.5)


def test_server_that_goes_away_during_the_transaction_leaves_open_what_was_done(
    sandbox: Sandbox, run_relayed: Runner, relay: Relay
) -> None:
    """Its answer is lost: the error says that its outcome is not known, and it is not sent again."""
    relay.mute = True

    with pytest.raises(OvsdbUnavailableError, match="whether the change was made is not known"):
        run_relayed(XENBR0)

    assert vsctl(sandbox, "list-br") == "xenbr0"
    assert relay.writes == 1


# --- size ------------------------------------------------------------------------------------------------


def test_beside_a_thousand_ports_one_more_is_plugged_and_all_stay(
    sandbox: Sandbox,
    connection: OvsdbConnection,
    run_step: Runner,
    record_testsuite_property: Callable[[str, object], None],
) -> None:
    """Reading and plugging touch nothing of 1,000 ports; what both cost is reported, not judged, here."""
    names = [f"vif{number}.0" for number in range(1000)]
    run_step(XENBR0)
    run_step(*(AddPort(bridge="xenbr0", port=nic(name)) for name in names))

    start = time.monotonic()
    observed = read_ovsdb(connection).bridges["xenbr0"]
    record_testsuite_property("ovsdb_read_1000_ports_ms", round((time.monotonic() - start) * 1000, 1))
    start = time.monotonic()
    run_step(AddPort(bridge="xenbr0", port=nic("eth1")), ports=("eth1",))
    record_testsuite_property("ovsdb_plug_1000_ports_ms", round((time.monotonic() - start) * 1000, 1))

    assert observed.ports.keys() == {*names, "eth0", "xenbr0"}
    assert ports_of(sandbox, "xenbr0") == sorted([*names, "eth0", "eth1"])
