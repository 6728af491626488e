"""plan/elsewhere.py: what a step takes from other devices comes back with its undo."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ip_values import CLIENT, OLD, route

from xsagent.plan.elsewhere import bring_back_displaced
from xsagent.plan.steps import AddressStep, IfdownStep, IfupStep, RouteStep, StartDhcpStep, Step, StopDhcpStep
from xsagent.topology.values import IpDevice, Route


def test_the_undo_of_a_default_route_brings_back_the_one_that_it_replaced_on_another_device() -> None:
    """Else a run that is taken back would leave management without its gateway (rule 1)."""
    before = route("0.0.0.0/0", "192.0.2.1")
    step = RouteStep(device="xenbr1", add=(route("0.0.0.0/0", "198.51.100.1"),))
    observed = {"xenbr0": IpDevice(device="xenbr0", routes=(before,)), "xenbr2": IpDevice(device="xenbr2")}

    assert bring_back_displaced(step, observed).undo == (back(before),)


def back(*routes: Route) -> RouteStep:
    """What puts routes of xenbr0 back."""
    return RouteStep(device="xenbr0", add=routes, required=False, restores=True)


@pytest.mark.parametrize(
    "step",
    [AddressStep(device="xenbr1", remove=(OLD,)), IfdownStep(device="xenbr1")],
    ids=lambda step: type(step).__name__,
)
def test_routes_of_others_that_leave_with_an_address_come_back_with_it(step: Step) -> None:
    """The kernel drops them on every device when their source address goes (ip-route(8), src)."""
    sourced = replace(route("172.16.0.0/16", "192.0.2.3"), source=OLD.interface.ip)
    observed = {
        "xenbr0": IpDevice(device="xenbr0", routes=(sourced, route("172.17.0.0/16", "192.0.2.3"))),
        "xenbr1": IpDevice(device="xenbr1", addresses=(OLD,)),
    }

    assert bring_back_displaced(step, observed).undo == (back(sourced),)


@pytest.mark.parametrize(
    "step",
    [
        StartDhcpStep(device="xapi0", client=CLIENT),
        StopDhcpStep(device="xapi0", family=4, undo=(StartDhcpStep(device="xapi0", client=CLIENT),)),
        IfupStep(device="xapi0"),
        IfdownStep(device="xapi0", undo=(IfupStep(device="xapi0"),)),
    ],
    ids=lambda step: type(step).__name__,
)
def test_a_default_route_that_a_lease_or_ifup_replaces_comes_back(step: Step) -> None:
    """They set theirs by `replace`, on the way there or on the way back, whatever device had one."""
    default, other = route("0.0.0.0/0", "192.0.2.1"), route("172.16.0.0/16", "192.0.2.3")
    observed = {"xenbr0": IpDevice(device="xenbr0", routes=(default, other)), "xapi0": IpDevice(device="xapi0")}

    assert bring_back_displaced(step, observed).undo == (*step.undo, back(default))
