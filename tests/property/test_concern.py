"""What an operation is said to look at is enough: it is planned alike from it and from the whole host."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from concerned import only_concerned, only_concerned_devices, with_holders
from hypothesis import given
from strategies import SCENARIOS, Scenario
from tally import TALLY
from walk import hosts, walk

from xsagent.plan.diff import build_plan
from xsagent.plan.steps import LinkStep, OvsdbStep, Plan, Step
from xsagent.planning import interest_of
from xsagent.topology.concern import concern_of
from xsagent.topology.values import Bridge


@hosts()
@given(SCENARIOS)
def test_what_an_operation_looks_at_gives_the_same_plan_as_the_whole_host(scenario: Scenario) -> None:
    """Steps, their undo, what they rely on and warnings.

    But for one thing: an MTU that somebody changed by hand on a port that is none of the operation's, which the switch
    itself sets right at its next change.
    """
    for attempt in walk(scenario):
        whole = attempt.start.observe(frozenset(attempt.desired.topology.files))
        interest = interest_of(attempt.desired)
        concern = with_holders(concern_of(attempt.desired), interest, whole)
        part = only_concerned(whole.bridges, concern)
        left_out = interfaces(whole.bridges) - interfaces(part)
        host = only_concerned_devices(replace(whole, bridges=part), concern, interest.destinations)
        TALLY["ports left out"] += len(left_out)
        TALLY["netdevs left out"] += len(whole.links) - len(host.links)

        plan = build_plan(attempt.desired, host, attempt.world.plan_options(attempt.event, attempt.start))

        assert plan == without_widths(attempt.plan, left_out)


def interfaces(bridges: Mapping[str, Bridge]) -> set[str]:
    """Names of all interfaces."""
    return {name for bridge in bridges.values() for port in bridge.ports.values() for name in port.interfaces}


def without_widths(plan: Plan, devices: set[str]) -> Plan:
    """The plan whose transaction does not bring back the MTU of these devices."""
    return replace(plan, steps=tuple(_without_widths(step, devices) for step in plan.steps))


def _without_widths(step: Step, devices: set[str]) -> Step:
    if not isinstance(step, OvsdbStep):
        return step
    kept = (
        undo
        for undo in step.undo
        if not (isinstance(undo, LinkStep) and undo.device in devices and (undo.up, undo.mac) == (None, None))
    )
    return replace(step, undo=tuple(kept))
