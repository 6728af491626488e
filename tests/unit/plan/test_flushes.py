"""plan/flushes.py: which operations take flows away, and whose."""

from __future__ import annotations

import pytest

from xsagent.plan.flushes import flushed_bridges, moved_ports, robbed_bridges
from xsagent.plan.steps import MovePort, OvsdbOperation, SetColumns, SetKeys

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


def test_bridges_lose_flows_by_either() -> None:
    """And no others."""
    assert robbed_bridges(iter([FAIL_MODE, MOVE])) == {"xenbr0", "xenbr2"}
    assert robbed_bridges([]) == frozenset()
