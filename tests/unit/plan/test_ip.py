"""plan/ip.py: an undo puts addresses back before the routes that need them; what may be refused breaks nothing."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

import pytest

from xsagent.plan.elsewhere import bring_back_displaced
from xsagent.plan.ip import diff_ip_device
from xsagent.plan.steps import AddressStep, IfdownStep, IfupStep, RouteStep, StartDhcpStep, Step, StopDhcpStep
from xsagent.topology.values import Address, DhcpClient, IpDevice, Origin, Route

OLD = Address(interface=ipaddress.ip_interface("192.0.2.10/24"))
NEW = Address(interface=ipaddress.ip_interface("198.51.100.10/24"))
LEASED = Address(interface=ipaddress.ip_interface("203.0.113.7/24"), origin=Origin.DHCP)
CLIENT = DhcpClient(family=4, configuration="text")


def route(destination: str, gateway: str | None, protocol: int = 158) -> Route:
    """A route of ours."""
    via = ipaddress.ip_address(gateway) if gateway else None
    return Route(destination=ipaddress.ip_network(destination), gateway=via, protocol=protocol)


def test_the_undo_of_an_exchanged_address_brings_the_old_routes_back_after_the_address() -> None:
    """The kernel drops routes with the last address, and refuses a gateway that no address reaches."""
    default, foreign = route("0.0.0.0/0", "192.0.2.1"), route("10.99.0.0/24", None, protocol=3)
    have = IpDevice(device="xenbr0", addresses=(OLD,), routes=(default, foreign))
    want = IpDevice(device="xenbr0", ipv4_mode="static", addresses=(NEW,), routes=(route("0.0.0.0/0", "198.51.100.1"),))

    addresses, routes, _ = diff_ip_device(want, have)

    assert isinstance(addresses, AddressStep)
    assert addresses.undo == (
        AddressStep(device="xenbr0", add=(OLD,), remove=(NEW,)),
        RouteStep(device="xenbr0", add=(default, foreign), restores=True),
    )
    assert isinstance(routes, RouteStep)
    assert [undo.add for undo in routes.undo if isinstance(undo, RouteStep)] == [()]


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


def test_the_undo_of_a_first_dhcp_client_leaves_nothing_of_its_lease() -> None:
    """What was there before is put back last: the lease may have been the same address."""
    have = IpDevice(device="xenbr0", addresses=(OLD,))
    want = IpDevice(device="xenbr0", ipv4_mode="dhcp", dhcp4=CLIENT)

    start = diff_ip_device(want, have)[0]

    assert start.undo == (
        StopDhcpStep(device="xenbr0", family=4, flush=True),
        AddressStep(device="xenbr0", add=(OLD,)),
    )


def test_a_client_that_only_waits_for_its_lease_is_not_stopped_by_an_undo() -> None:
    """It ran before the plan did."""
    have = IpDevice(device="xenbr0", dhcp4=CLIENT)
    want = IpDevice(device="xenbr0", ipv4_mode="dhcp", dhcp4=CLIENT)

    assert [step.undo for step in diff_ip_device(want, have)] == [()]


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


def test_the_undo_of_replacing_a_client_that_had_no_lease_takes_the_new_one_s_lease_off() -> None:
    """A client that was still asking had brought no address: what the other one got does not stay."""
    asking = replace(CLIENT, configuration="old", pid=7)
    have = IpDevice(device="xenbr0", dhcp4=asking)

    start = diff_ip_device(IpDevice(device="xenbr0", ipv4_mode="dhcp", dhcp4=CLIENT), have)[0]

    assert start.undo == (
        StopDhcpStep(device="xenbr0", family=4, flush=True),
        StartDhcpStep(device="xenbr0", client=asking),
    )
