"""plan/follow_up.py: of a plan made after the steps have run, only what may fail without harm is run at once."""

from __future__ import annotations

import ipaddress

from xsagent.plan.follow_up import steps_to_follow
from xsagent.plan.steps import (
    FeaturesStep,
    FileStep,
    LinkStep,
    OvsdbStep,
    Plan,
    RouteStep,
    SetColumns,
    StartDhcpStep,
    Step,
)
from xsagent.topology.values import DhcpClient, Route

ROUTE = Route(destination=ipaddress.ip_network("192.0.2.0/24"), gateway=None)
NARROW = SetColumns(table="Interface", record="xapi5", columns={"mtu_request": 1500})
FOLLOWING: tuple[Step, ...] = (
    FileStep(path="/etc/x", text="MTU=1500\n", required=False),
    OvsdbStep(operations=(NARROW,), required=False),
    LinkStep(device="xapi5", mtu=1500, required=False),
    RouteStep(device="xapi5", remove=(ROUTE,), required=False),
)


def test_widths_and_routes_that_go_follow() -> None:
    """With their warnings, in their order."""
    plan = Plan(steps=FOLLOWING, warnings=("xapi5 gets MTU 1500",))

    assert steps_to_follow(plan, {"xapi5"}) == plan


def test_what_is_required_or_was_tried_already_does_not() -> None:
    """Verifying finds the one; a client that has no lease yet, a route or an offload would be tried twice."""
    others: tuple[Step, ...] = (
        LinkStep(device="eth0", up=True),
        OvsdbStep(operations=(NARROW,)),
        StartDhcpStep(device="xapi5", client=DhcpClient(family=4, configuration="")),
        RouteStep(device="xapi5", add=(ROUTE,), required=False),
        FeaturesStep(device="eth0", features={"lro": False}, required=False),
    )

    assert steps_to_follow(Plan(steps=others, warnings=("of these",)), {"xapi5"}) == Plan()
