"""A fixed sample of the generated hosts that can be built on a real switch: start, plan, what the model makes of it.

Left out are DHCP (no server is there) and VLAN netdevs (8021q is not on every machine).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from host_model import HostModel
from hypothesis import HealthCheck, Phase, given, settings
from strategies import SCENARIOS, Scenario
from walk import Attempt, run_plan, walk

from xsagent.plan.steps import (
    AddressStep,
    CreateVlanLinkStep,
    DeleteLinkStep,
    LinkStep,
    OvsdbStep,
    Plan,
    RouteStep,
    StartDhcpStep,
    SysctlStep,
)
from xsagent.topology.values import Topology

REPLAYED = (OvsdbStep, LinkStep, SysctlStep, AddressStep, RouteStep)
_SEARCHED = 20
"""Scenarios looked through for one sample."""


@dataclass(frozen=True)
class Sample:
    """One plan to replay.

    Attributes:
        plan: the steps of kinds REPLAYED.
        start, after: the host by the model.
    """

    title: str
    start: Topology
    plan: Plan
    after: Topology


def samples(count: int) -> list[Sample]:
    """The first `count` samples of one fixed sequence, at most one of a scenario."""
    found: list[Sample] = []

    @settings(
        max_examples=count * _SEARCHED,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(SCENARIOS)
    def search(scenario: Scenario) -> None:
        if len(found) < count:
            scenario = replace(scenario, has_bond_devices=False, datapath_type="netdev", ipv6_available=True)
            usable = [attempt for attempt in walk(scenario) if _is_usable(attempt)]
            # three in four start from what earlier operations made
            late = [attempt for attempt in usable if attempt.start.transactions]
            found.extend(map(_sample, (usable if len(found) % 4 == 0 else late)[-1:]))

    search()
    return found


def _is_usable(attempt: Attempt) -> bool:
    plan, start = attempt.plan, attempt.start
    without = (StartDhcpStep, CreateVlanLinkStep, DeleteLinkStep)
    return (
        any(isinstance(step, OvsdbStep) for step in plan.steps)
        and not any(isinstance(step, without) for step in plan.steps)
        and not start.clients
        and not any(link.kind == "vlan" for link in start.links.values())
    )


def _sample(attempt: Attempt) -> Sample:
    steps = tuple(step for step in attempt.plan.steps if isinstance(step, REPLAYED))
    plan = Plan(steps=steps)
    after: HostModel = attempt.start.copy()
    run_plan(plan, after)
    title = f"{attempt.event.what} {attempt.world.pif(attempt.event).uuid}"
    return Sample(title=title, start=attempt.start.observe(), plan=plan, after=after.observe())
