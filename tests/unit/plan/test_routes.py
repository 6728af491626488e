"""plan/routes.py: what may be refused breaks nothing, and nothing is tried in vain."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

from ip_values import CLIENT, OLD, route

from xsagent.plan.ip import diff_ip_device
from xsagent.plan.steps import RouteStep
from xsagent.topology.values import Address, DhcpClient, IpDevice, Origin

LEASED = Address(interface=ipaddress.ip_interface("203.0.113.7/24"), origin=Origin.DHCP)


def test_a_route_that_only_a_lease_can_justify_is_best_effort() -> None:
    """One bad static route must not take the whole interface back (features.md section 7)."""
    wanted = (route("172.16.0.0/16", "203.0.113.1"),)
    want = IpDevice(device="xenbr0", ipv4_mode="dhcp", dhcp4=CLIENT, routes=wanted)

    steps = [step for step in diff_ip_device(want, None) if isinstance(step, RouteStep)]

    assert [step.required for step in steps] == [False]


def test_a_route_that_the_lease_does_not_justify_is_not_tried_again() -> None:
    """A second run sends nothing (rule 2)."""
    have = IpDevice(
        device="xenbr0",
        addresses=(LEASED,),
        dhcp4=DhcpClient(family=4, configuration="text", leased=(LEASED.interface,)),
    )
    want = IpDevice(device="xenbr0", ipv4_mode="dhcp", dhcp4=CLIENT, routes=(route("172.16.0.0/16", "10.0.0.3"),))

    assert diff_ip_device(want, have) == ()


def test_each_static_route_is_best_effort_and_the_default_route_is_not() -> None:
    """A route that the kernel refuses costs neither the others nor the interface (features.md section 7)."""
    static = (route("172.16.0.0/16", "192.0.2.3"), route("172.17.0.0/16", None))
    default = route("0.0.0.0/0", "192.0.2.1")
    want = IpDevice(device="xenbr0", ipv4_mode="static", addresses=(OLD,), routes=(default, *static))

    steps = [step for step in diff_ip_device(want, None) if isinstance(step, RouteStep)]

    assert [(step.add, step.required) for step in steps] == [
        ((static[1],), False),
        ((static[0],), False),
        ((default,), True),
    ]


def test_rewrite_changes_our_static_routes_and_nothing_else() -> None:
    """Addresses, clients, the default route and routes of others are not spoken about; a far gateway is not tried."""
    default, gone, foreign = (
        route("0.0.0.0/0", "192.0.2.1"),
        route("172.16.0.0/16", None),
        route("10.9.0.0/24", None, 3),
    )
    near, far = route("172.17.0.0/16", "192.0.2.3"), route("172.18.0.0/16", "203.0.113.3")
    have = IpDevice(
        device="xenbr0", addresses=(OLD,), routes=(default, gone, foreign), dhcp4=replace(CLIENT, running=True)
    )
    want = IpDevice(device="xenbr0", routes=(near, far), routes_only=True)

    steps = [
        (step.add, step.remove, step.required) for step in diff_ip_device(want, have) if isinstance(step, RouteStep)
    ]

    assert steps == [((near,), (), False), ((), (gone,), False)]
    assert len(diff_ip_device(want, have)) == len(steps)
    assert diff_ip_device(want, None) == ()
