"""plan/manager.py: whom the switch obeys x whom it is to obey -> one transaction, nothing for what is right."""

from __future__ import annotations

from dataclasses import replace

import pytest

from xsagent.observed.ovsdb_rows import COLLECTOR_SETS
from xsagent.plan.manager import ControlChange, diff_control, diff_emergency_reset, normalise_target
from xsagent.plan.ovsdb_model import model_operation
from xsagent.plan.steps import OvsdbOperation, Relied, SetColumns, SetKeys
from xsagent.topology.control import (
    BridgeControl,
    DesiredControl,
    ManagerState,
    ManagerTarget,
    SwitchControl,
    TlsFiles,
)
from xsagent.topology.values import Bridge, Interface, Port

TLS = TlsFiles(private_key="/pem", certificate="/pem", ca_cert="/ca", bootstrap=True)
WANTED = ManagerTarget(target="ssl:192.0.2.9:6640", label="192.0.2.9", tls=TLS)
EMPTY = ["set", []]
MESS = {
    "controller": {"table": "Controller", "uuid": "c", "row": {"target": "tcp:192.0.2.1:6653"}},
    "mirrors": {"table": "Mirror", "uuid": "m", "row": {"name": "m0"}},
    "netflow": {"table": "NetFlow", "uuid": "n", "row": {}},
    "sflow": {"table": "sFlow", "uuid": "s", "row": {}},
    "ipfix": {"table": "IPFIX", "uuid": "i", "row": {}},
    "flood_vlans": ["set", [3, 4]],
    COLLECTOR_SETS: [{"id": 7}],
}


def bridge(name: str = "xenbr0", **fields: object) -> Bridge:
    """A bridge over eth0."""
    ports = {port: Port(name=port, interfaces={port: Interface(name=port)}) for port in (name, "eth0")}
    return Bridge(**({"name": name, "ports": ports, "fail_mode": "standalone", "hwaddr": None} | fields))


def observed(*bridges: Bridge, targets: tuple[str, ...] = (), tls: TlsFiles | None = None) -> SwitchControl:
    """What the database says."""
    return SwitchControl(
        bridges={value.name: value for value in bridges or (bridge(),)},
        managers=tuple(ManagerState(target=target) for target in targets),
        tls=tls,
        columns={"manager_options": "old managers", "ssl": "old files"},
        stored={"bridges": ["uuid", "b"], "manager_options": EMPTY, "ssl": EMPTY},
    )


def desired(manager: ManagerTarget | None = None, **bridges: BridgeControl) -> DesiredControl:
    """What XAPI wants; xenbr0 standalone unless said otherwise."""
    return DesiredControl(manager=manager, bridges={"xenbr0": BridgeControl(fail_mode="standalone")} | bridges)


def operations(change: ControlChange) -> tuple[OvsdbOperation, ...]:
    """What the transaction does."""
    assert change.step is not None
    return change.step.operations


@pytest.mark.parametrize(
    ("target", "normal"),
    [
        ("ssl:192.0.2.9", "ssl:192.0.2.9:6640"),
        ("ssl:192.0.2.9:", "ssl:192.0.2.9:6640"),
        ("ssl:192.0.2.9:6632", "ssl:192.0.2.9:6632"),
        ("ssl:[2001:db8::9]", "ssl:[2001:db8::9]:6640"),
        ("pssl", "pssl:6640"),
        ("pssl:", "pssl:6640"),
        ("pssl:6640", "pssl:6640"),
        ("punix:/x", "punix:/x"),
    ],
)
def test_a_target_without_port_is_that_of_ovs(target: str, normal: str) -> None:
    """OVS takes 6640 where none is named; both spellings are one manager."""
    assert normalise_target(target) == normal


@pytest.mark.parametrize(
    ("wanted", "present"),
    [
        (None, ()),
        (WANTED, ("ssl:192.0.2.9:6640",)),
        (WANTED, ("ssl:192.0.2.9",)),
        (WANTED, ("ptcp:6642:127.0.0.1", "ssl:192.0.2.9:6640")),
    ],
)
def test_what_is_right_is_not_touched(wanted: ManagerTarget | None, present: tuple[str, ...]) -> None:
    """No step at all, whatever controllers and mirrors there are and whatever other managers an admin set."""
    there = observed(bridge(extra=MESS, other_config={"x": "y"}), targets=present, tls=TLS)

    change = diff_control(desired(wanted), there)

    assert (change.step, change.manager, change.new_ca) == (None, None, False)


@pytest.mark.parametrize("present", [(), ("ssl:192.0.2.8:6640",), ("ssl:192.0.2.9:6632",), ("a:1", "b:2")])
def test_another_manager_is_set_with_its_files_after_a_reset(present: tuple[str, ...]) -> None:
    """Managers and SSL rows are replaced, and everything that controllers configured goes, in one transaction."""
    change = diff_control(desired(WANTED), observed(bridge(extra=MESS), targets=present))

    assert (change.manager, change.new_ca, change.flushed) == ("set", True, {"xenbr0"})
    assert operations(change) == (
        SetColumns(table="Bridge", record="xenbr0", columns=dict.fromkeys(MESS, EMPTY)),
        SetColumns(
            table="Open_vSwitch",
            record=".",
            columns={
                "manager_options": [
                    "set",
                    [
                        {
                            "table": "Manager",
                            "uuid": "00000000-0000-0000-0000-000000000001",
                            "row": {"target": "ssl:192.0.2.9:6640"},
                        }
                    ],
                ],
                "ssl": [
                    "set",
                    [
                        {
                            "table": "SSL",
                            "uuid": "00000000-0000-0000-0000-000000000002",
                            "row": {
                                "private_key": "/pem",
                                "certificate": "/pem",
                                "ca_cert": "/ca",
                                "bootstrap_ca_cert": True,
                            },
                        }
                    ],
                ],
            },
        ),
    )


def test_no_manager_takes_the_present_one_and_its_files_away() -> None:
    """With a reset, as INSTALL.XenServer has it; an SSL row without manager is nobody's business."""
    change = diff_control(desired(), observed(targets=("ssl:192.0.2.8:6640",), tls=TLS))

    assert (change.manager, change.new_ca) == ("removed", True)
    assert operations(change) == (
        SetColumns(table="Open_vSwitch", record=".", columns={"manager_options": EMPTY, "ssl": EMPTY}),
    )
    assert diff_control(desired(), observed(tls=TLS)).step is None


def test_files_that_differ_are_set_without_a_reset() -> None:
    """Same manager, same CA; only the SSL row is right again."""
    there = observed(bridge(extra=MESS), targets=("ssl:192.0.2.9:6640",), tls=replace(TLS, ca_cert="/other"))

    change = diff_control(desired(WANTED), there)

    assert (change.manager, change.new_ca, change.flushed) == ("set", False, frozenset())
    (operation,) = operations(change)
    assert isinstance(operation, SetColumns)
    assert operation.columns.keys() == {"ssl"}


def test_a_reset_takes_what_ovs_vsctl_takes_and_puts_back_what_xapi_wants() -> None:
    """hwaddr, Open_vSwitch and Interface other_config stay; a value that XAPI wants as it is stays untouched."""
    interface = Interface(
        name="eth0", other_config={"mine": "1"}, extra={"ingress_policing_rate": 9, "ingress_policing_burst": 1}
    )
    port = Port(name="bond0", interfaces={"eth0": interface}, other_config={"bond-miimon-interval": "100", "junk": "1"})
    there = observed(
        bridge(
            ports={"bond0": port},
            fail_mode="secure",
            hwaddr="00:16:3e:00:00:01",
            other_config={"mac-table-size": "10000", "forward-bpdu": "true"},
        )
    )
    xenbr0 = BridgeControl(fail_mode="secure", disable_in_band="true", other_config={"mac-table-size": "10000"})
    ports = {"bond0": {"bond-miimon-interval": "100", "lacp-time": None, "bond-detect-mode": "carrier"}}

    change = diff_emergency_reset(DesiredControl(bridges={"xenbr0": xenbr0}, ports=ports), there)

    assert change.flushed == frozenset()
    assert (change.in_band, change.fail_mode, change.new_ca) == (True, False, False)
    assert operations(change) == (
        SetKeys(
            table="Bridge",
            record="xenbr0",
            column="other_config",
            keys={"disable-in-band": "true", "forward-bpdu": None},
        ),
        SetKeys(
            table="Port", record="bond0", column="other_config", keys={"bond-detect-mode": "carrier", "junk": None}
        ),
        SetColumns(
            table="Interface",
            record="eth0",
            columns={"ingress_policing_burst": EMPTY, "ingress_policing_rate": EMPTY},
        ),
    )


def test_a_bridge_that_xapi_does_not_know_is_only_reset() -> None:
    """An update passes it over; an emer-reset empties its fail mode, as ovs-vsctl does."""
    there = observed(bridge("admin0", fail_mode="secure", other_config={"disable-in-band": "true"}))

    assert diff_control(desired(), there).step is None
    change = diff_emergency_reset(desired(), there)
    assert (change.in_band, change.fail_mode) == (False, False)
    assert operations(change) == (
        SetColumns(table="Bridge", record="admin0", columns={"fail_mode": EMPTY}),
        SetKeys(table="Bridge", record="admin0", column="other_config", keys={"disable-in-band": None}),
    )


def test_fail_mode_and_in_band_follow_xapi_without_a_reset() -> None:
    """Two columns' worth, guarded by what was seen, and the switch will drop this bridge's flows."""
    there = observed(bridge(extra=MESS, other_config={"disable-in-band": "false", "x": "y"}))

    change = diff_control(desired(xenbr0=BridgeControl(fail_mode="secure")), there)

    assert (change.manager, change.in_band, change.fail_mode, change.flushed) == (None, True, True, {"xenbr0"})
    assert operations(change) == (
        SetColumns(table="Bridge", record="xenbr0", columns={"fail_mode": "secure"}),
        SetKeys(table="Bridge", record="xenbr0", column="other_config", keys={"disable-in-band": None}),
    )
    assert change.step is not None
    assert Relied(table="Bridge", record="xenbr0", column="fail_mode", value="standalone") in change.step.relied
    assert {entry.column for entry in change.step.relied} == {"bridges", "manager_options", "ssl", "fail_mode"}


def test_the_undo_brings_back_every_row() -> None:
    """The bridges are as they were after operations and undo, and the record's own columns too."""
    there = observed(
        bridge(extra=MESS, fail_mode="secure", other_config={"a": "1", "disable-in-band": "true"}),
        targets=("ssl:192.0.2.8:6640",),
    )
    step = diff_control(desired(WANTED), there).step
    assert step is not None
    (undo,) = step.undo

    bridges = dict(there.bridges)
    for operation in (*step.operations, *undo.operations):
        bridges = model_operation(operation, bridges)

    assert bridges == there.bridges
    assert undo.operations[-1] == SetColumns(
        table="Open_vSwitch", record=".", columns={"manager_options": "old managers", "ssl": "old files"}
    )


def test_the_ca_outlives_an_emergency_reset_only_for_its_own_manager() -> None:
    """The reset notes whose CA is there; the next manager keeps it only when it is the same."""
    target = "ssl:192.0.2.9:6640"
    note = SetKeys(table="Open_vSwitch", record=".", column="external_ids", keys={"xsagent-ca-of": target})
    reset = diff_emergency_reset(desired(WANTED), observed(targets=(target,), tls=TLS))
    assert note in operations(reset)
    assert reset.new_ca is False

    after = replace(observed(), external_ids={"xsagent-ca-of": target})
    again = diff_control(desired(WANTED), after)
    other = diff_control(desired(replace(WANTED, target="ssl:192.0.2.7:6640")), after)

    assert (again.new_ca, other.new_ca) == (False, True)
    forget = SetKeys(table="Open_vSwitch", record=".", column="external_ids", keys={"xsagent-ca-of": None})
    assert forget in operations(again)
    assert forget in operations(other)
    assert again.step is not None
    assert note in again.step.undo[0].operations
