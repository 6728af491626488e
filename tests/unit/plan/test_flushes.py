"""plan/flushes.py: which operations take flows away, and whose."""

from __future__ import annotations

import pytest

from xsagent.plan.flushes import deleted_guests, flushed_bridges, moved_ports, robbed_bridges
from xsagent.plan.steps import (
    AddPort,
    CreateBridge,
    DeleteBridge,
    DeletePort,
    MovePort,
    OvsdbOperation,
    OvsdbStep,
    SetColumns,
    SetKeys,
)
from xsagent.topology.values import Bridge, Interface, Port

MOVE = MovePort(name="vif1.0", source="xenbr0", target="xapi1")
FAIL_MODE = SetColumns(table="Bridge", record="xenbr2", columns={"fail_mode": "secure"})


@pytest.mark.parametrize("column", ["fail_mode", "controller"])
def test_another_fail_mode_or_controller_takes_all_flows_of_the_bridge(column: str) -> None:
    """Whatever else changes with it."""
    columns = {column: "x", "mcast_snooping_enable": True}

    assert flushed_bridges([SetColumns(table="Bridge", record="xenbr2", columns=columns)]) == {"xenbr2"}


@pytest.mark.parametrize(
    "operation",
    [
        SetColumns(table="Bridge", record="xenbr0", columns={"mcast_snooping_enable": True}),
        SetColumns(table="Port", record="xenbr0", columns={"fail_mode": "secure"}),
        SetKeys(table="Bridge", record="xenbr0", column="other_config", keys={"hwaddr": "00:00:00:00:00:01"}),
        MOVE,
    ],
)
def test_nothing_else_flushes_a_bridge(operation: OvsdbOperation) -> None:
    """Least of all a port that moves: the flows of the others stay."""
    assert flushed_bridges([operation]) == frozenset()


def test_a_port_that_moves_leaves_its_flows_where_it_was() -> None:
    """By the port's name."""
    assert moved_ports([FAIL_MODE, MOVE]) == {"vif1.0": "xenbr0"}


def vif(name: str) -> Port:
    """A VIF's port."""
    return Port(name=name, interfaces={name: Interface(name=name, external_ids={"xs-vif-uuid": "u"})})


def step(*operations: OvsdbOperation, undo: tuple[OvsdbOperation, ...] = ()) -> OvsdbStep:
    """A transaction with its undo."""
    return OvsdbStep(operations=operations, undo=(OvsdbStep(operations=undo),))


def test_a_guest_that_goes_comes_back_with_the_undo_and_without_its_flows() -> None:
    """With its bridge or alone; a NIC's port has no flows of ours."""
    bridge = Bridge(name="xapi5", ports={"vif5.0": vif("vif5.0"), "eth0": Port(name="eth0", interfaces={})})
    undo = (CreateBridge(bridge=bridge), AddPort(bridge="xenbr0", port=vif("vif6.0")))
    gone = step(DeletePort(bridge="xenbr0", name="vif6.0"), DeleteBridge(name="xapi5"), undo=undo)

    assert deleted_guests(gone) == {"vif5.0": "xapi5", "vif6.0": "xenbr0"}
    assert robbed_bridges(gone) == {"xapi5", "xenbr0"}


def test_bridges_lose_flows_by_either() -> None:
    """And no others."""
    assert robbed_bridges(step(FAIL_MODE, MOVE)) == {"xenbr0", "xenbr2"}
    assert robbed_bridges(step()) == frozenset()
