"""What an operation is said to look at is enough: it is planned alike from it and from the whole switch."""

from __future__ import annotations

from dataclasses import replace

import pytest
from concerned import only_concerned
from hypothesis import given
from strategies import SCENARIOS, Scenario
from walk import TALLY, hosts, walk

from xsagent.plan.diff import build_plan
from xsagent.topology.concern import concern_of

pytestmark = pytest.mark.timeout(7200)
"""For the long profile; no example has a time limit of its own."""


@hosts()
@given(SCENARIOS)
def test_what_an_operation_looks_at_gives_the_same_plan_as_the_whole_switch(scenario: Scenario) -> None:
    """Steps, their undo, what they rely on and warnings; before the operation and when its result is verified."""
    for attempt in walk(scenario):
        whole = attempt.start.observe(frozenset(attempt.desired.topology.files))
        part = only_concerned(whole.bridges, concern_of(attempt.desired))
        TALLY["ports left out"] += sum(
            len(bridge.ports) - len(part[name].ports) for name, bridge in whole.bridges.items()
        )

        options = attempt.world.plan_options(attempt.event, attempt.start)
        assert build_plan(attempt.desired, replace(whole, bridges=part), options) == attempt.plan
