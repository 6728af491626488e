"""plan/learnt_routes.py: what a router set goes with the mode that listened to it, and nothing else goes with it."""

from __future__ import annotations

import ipaddress

import pytest

from xsagent.plan.ip import diff_ip_device
from xsagent.plan.steps import RouteStep
from xsagent.topology.values import Address, IpDevice, Origin, Route

ROUTER = ipaddress.ip_address("fe80::1")


def route(destination: str, protocol: int, gateway: ipaddress.IPv6Address | None = None, metric: int = 256) -> Route:
    """A route as the kernel shows it."""
    return Route(destination=ipaddress.ip_network(destination), gateway=gateway, protocol=protocol, metric=metric)


def address(text: str, origin: Origin) -> Address:
    """An address as it is observed."""
    return Address(interface=ipaddress.ip_interface(text), origin=origin)


DEFAULT = route("::/0", 9, ROUTER, 1024)
SUBNET = route("2001:db8::/64", 2)
OTHERS = (route("fe80::/64", 2), route("2001:db8::5", 2), route("2001:db8:9::/64", 3), route("2001:db8:7::/64", 2))
STATIC = address("2001:db8:7::5/64", Origin.STATIC)
LINK_LOCAL = address("fe80::2/64", Origin.LINK_LOCAL)
LEASED = address("2001:db8::5/128", Origin.DHCP)
MADE = address("2001:db8::2/64", Origin.ROUTER)


def have(*routes: Route) -> IpDevice:
    """A device that followed routers, by either mode, beside what others set."""
    return IpDevice(device="xenbr0", addresses=(STATIC, LINK_LOCAL, LEASED, MADE), routes=routes)


def routes_that_go(desired: IpDevice, observed: IpDevice) -> list[Route]:
    """What the plan removes."""
    steps = diff_ip_device(desired, observed)
    return [route for step in steps if isinstance(step, RouteStep) for route in step.remove]


@pytest.mark.parametrize("mode", ["none", "static"])
def test_a_device_that_follows_no_router_keeps_none_of_its_routes(mode: str) -> None:
    """Without autoconf or DHCPv6 the kernel takes no new ones, and keeps those that it has for their lifetime."""
    desired = IpDevice(device="xenbr0", ipv6_mode=mode, addresses=(STATIC,))

    assert routes_that_go(desired, have(DEFAULT, SUBNET, *OTHERS)) == [DEFAULT, SUBNET]
    assert routes_that_go(desired, have(*OTHERS)) == []


@pytest.mark.parametrize("mode", ["autoconf", "dhcp"])
def test_a_device_that_follows_routers_keeps_what_they_say(mode: str) -> None:
    """It comes and goes by itself."""
    assert routes_that_go(IpDevice(device="xenbr0", ipv6_mode=mode), have(DEFAULT, SUBNET, *OTHERS)) == []


def test_the_subnet_of_an_address_that_stays_is_its_own() -> None:
    """A router's word for it as well makes one route."""
    own = address("2001:db8::10/64", Origin.STATIC)
    desired = IpDevice(device="xenbr0", ipv6_mode="static", addresses=(own,))

    assert routes_that_go(desired, have(DEFAULT, SUBNET)) == [DEFAULT]


def test_a_static_gateway_that_the_router_named_too_gets_a_route_that_lasts() -> None:
    """The router's own would end with its lifetime."""
    wanted = route("::/0", 158, ROUTER, 0)
    desired = IpDevice(device="xenbr0", ipv6_mode="static", addresses=(STATIC,), routes=(wanted,))

    steps = [step for step in diff_ip_device(desired, have(DEFAULT)) if isinstance(step, RouteStep)]

    assert [(step.add, step.remove) for step in steps] == [((wanted,), ())]
