"""plan/lacp_off.py: which bonds speak LACP no longer after a transaction."""

from __future__ import annotations

import pytest

from xsagent.plan.lacp_off import bonds_without_lacp
from xsagent.plan.steps import SetColumns
from xsagent.topology.values import Json


@pytest.mark.parametrize("value", ["off", ["set", []]])
def test_a_bond_whose_lacp_is_switched_off_is_named(value: Json) -> None:
    """By the word or by an empty column, which means the same (ovs-vswitchd.conf.db(5))."""
    assert bonds_without_lacp([SetColumns(table="Port", record="bond0", columns={"lacp": value})]) == {"bond0"}


@pytest.mark.parametrize("columns", [{"lacp": "active"}, {"lacp": "passive"}, {"bond_mode": "balance-slb"}])
def test_a_bond_that_speaks_it_or_of_which_nothing_is_said_is_not(columns: dict[str, Json]) -> None:
    """Then the switch looks at its members by itself."""
    assert bonds_without_lacp([SetColumns(table="Port", record="bond0", columns=columns)]) == frozenset()
