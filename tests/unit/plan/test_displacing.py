"""plan/displacing.py: no route of ours stands in the place of another, also where only a lease tells of the other."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

from xsagent.plan.diff import build_plan
from xsagent.plan.follow_up import steps_to_follow
from xsagent.plan.options import PlanOptions
from xsagent.plan.steps import FileStep, IfupStep, Plan, RouteStep, Step, UpdateIssueStep
from xsagent.topology.desired import Desired, ManagementPath
from xsagent.topology.network_scripts import ifcfg_path, ifcfg_paths
from xsagent.topology.values import Address, DhcpClient, IpDevice, Link, Origin, Route, Topology

SUBNET = ipaddress.ip_network("192.0.2.0/24")
ROUTE = Route(destination=ipaddress.ip_network("172.16.0.0/16"), gateway=None, protocol=158)
TO_SUBNET = Route(destination=SUBNET, gateway=ipaddress.ip_address("198.51.100.1"), protocol=158)
OWN = Route(destination=SUBNET, gateway=None, protocol=2)
ADDRESS = Address(interface=ipaddress.ip_interface("198.51.100.10/24"))
WANTED = IpDevice(device="xenbr1", ipv4_mode="static", addresses=(ADDRESS,), routes=(ROUTE, TO_SUBNET))
LEASE = Address(interface=ipaddress.ip_interface("192.0.2.50/24"), origin=Origin.DHCP)
CLIENT = DhcpClient(family=4, configuration="text", leased=(LEASE.interface,))
LEASED = IpDevice(device="xenbr0", addresses=(LEASE,), routes=(OWN,), dhcp4=CLIENT)
BY_DHCP = IpDevice(device="xenbr0", ipv4_mode="dhcp", dhcp4=CLIENT)
_, ROUTES, ROUTES6 = ifcfg_paths("xenbr1")
LINES = "172.16.0.0/16 dev xenbr1\n192.0.2.0/24 via 198.51.100.1 dev xenbr1\n"


def host(*devices: IpDevice, **files: str | None) -> Topology:
    """Both bridges' devices are up."""
    links = {name: Link(name=name, up=True) for name in ("xenbr0", "xenbr1")}
    return Topology(links=links, ip_devices={device.device: device for device in devices}, files=files)


def plan(observed: Topology, *devices: IpDevice, management: str = "xenbr0", **files: str | None) -> Plan:
    """The plan for these devices and files."""
    topology = Topology(ip_devices={device.device: device for device in devices}, files=files)
    desired = Desired(topology=topology, management=ManagementPath(device=management))
    return build_plan(desired, observed, PlanOptions())


def routes_set(made: Plan) -> list[tuple[str, tuple[Route, ...]]]:
    """By device."""
    return [(step.device, step.add) for step in made.steps if isinstance(step, RouteStep) and step.add]


def removed(made: Plan) -> list[tuple[str, tuple[Route, ...], bool]]:
    """By device, and whether the step is required."""
    steps = [step for step in made.steps if isinstance(step, RouteStep) and step.remove]
    return [(step.device, step.remove, step.required) for step in steps]


def test_a_route_to_a_subnet_that_the_host_is_on_is_left_out() -> None:
    """The kernel would put it in the place of its own: what is on that subnet would be asked through a gateway."""
    made = plan(host(replace(LEASED, dhcp4=None)), WANTED)

    assert routes_set(made) == [("xenbr1", (ROUTE,))]
    assert made.warnings == (
        "xenbr1 goes without the route to 192.0.2.0/24: this host is on that subnet through xenbr0",
    )


def test_one_route_on_two_devices_goes_to_management() -> None:
    """The kernel has one route for a prefix; verify would never find both."""
    names = ("xenbr0", "xenbr1")
    addresses = {
        name: Address(interface=ipaddress.ip_interface(f"192.0.2.{number}/24")) for number, name in enumerate(names, 1)
    }
    wanted = [
        IpDevice(device=name, ipv4_mode="static", addresses=(addresses[name],), routes=(ROUTE,)) for name in names
    ]
    observed = host(*(IpDevice(device=name, addresses=(addresses[name],)) for name in names))

    made = plan(observed, *wanted, management="xenbr1")

    assert routes_set(made) == [("xenbr1", (ROUTE,))]
    assert made.warnings == ("xenbr0 goes without the route to 172.16.0.0/16: xenbr1 has it",)


def test_a_route_that_a_lease_shows_to_be_in_the_place_of_a_subnet_goes_in_the_same_run() -> None:
    """Nobody could know of the subnet before; that it must go is never a reason to take a boot back."""
    before = plan(host(), WANTED, BY_DHCP)
    assert routes_set(before) == [("xenbr1", (ROUTE,)), ("xenbr1", (TO_SUBNET,))]
    present = IpDevice(device="xenbr1", addresses=(ADDRESS,), routes=(ROUTE, TO_SUBNET))

    after = plan(host(present, LEASED), WANTED, BY_DHCP)

    assert removed(after) == [("xenbr1", (TO_SUBNET,), False)]
    assert not any(step.required for step in after.steps)
    assert [type(step) for step in steps_to_follow(after, SPOKEN_ABOUT).steps] == [RouteStep]
    assert after.steps[0].undo == (RouteStep(device="xenbr1", add=(TO_SUBNET,), required=False, restores=True),)
    cleared = host(replace(present, routes=(ROUTE,)), LEASED)
    assert plan(cleared, WANTED, BY_DHCP).steps == ()


def test_a_route_of_ours_gives_way_to_the_subnet_of_an_address_that_comes() -> None:
    """The operation speaks about the other device alone; a route that somebody else set there is theirs."""
    address = Address(interface=ipaddress.ip_interface("192.0.2.10/24"))
    moved = IpDevice(device="xenbr0", ipv4_mode="static", addresses=(address,))

    def gone(protocol: int) -> list[tuple[str, tuple[Route, ...], bool]]:
        route = replace(TO_SUBNET, protocol=protocol)
        return removed(plan(host(IpDevice(device="xenbr1", addresses=(ADDRESS,), routes=(route,))), moved))

    assert gone(158) == [("xenbr1", (TO_SUBNET,), False)]
    assert gone(3) == []


SPOKEN_ABOUT = (WANTED.device, BY_DHCP.device)


def steps_of(made: Plan) -> list[Step]:
    """But for the note that addresses changed."""
    return [step for step in made.steps if not isinstance(step, UpdateIssueStep)]


def test_what_is_left_out_is_not_written_for_ifup() -> None:
    """Ifup would set it, before the subnet's own route where management comes last."""
    files = {ifcfg_path("xenbr1"): "BOOTPROTO=none\n", ROUTES: LINES}

    made = plan(host(replace(LEASED, dhcp4=None)), replace(WANTED, configured_by_ifcfg=True), **files)

    (written,) = [step for step in made.steps if isinstance(step, FileStep) and step.path == ROUTES]
    assert (written.text, written.required) == ("172.16.0.0/16 dev xenbr1\n", True)


def test_a_line_that_a_lease_shows_to_be_wrong_goes_without_ifdown() -> None:
    """Kernel and file lose the route, best effort; a device that is right does not flap for it."""
    ifcfg = {ifcfg_path("xenbr1"): "BOOTPROTO=none\n"}
    by_ifup = tuple(replace(route, protocol=3) for route in (ROUTE, TO_SUBNET))
    present = IpDevice(device="xenbr1", addresses=(ADDRESS,), routes=by_ifup)
    observed = host(present, LEASED, **ifcfg, **{ROUTES: LINES})

    made = plan(observed, replace(WANTED, configured_by_ifcfg=True), **ifcfg, **{ROUTES: LINES})

    assert not any(isinstance(step, IfupStep) for step in made.steps)
    assert removed(made) == [("xenbr1", (by_ifup[1],), False)]
    (written,) = [step for step in made.steps if isinstance(step, FileStep)]
    assert (written.text, written.required) == ("172.16.0.0/16 dev xenbr1\n", False)
    assert set(steps_to_follow(made, SPOKEN_ABOUT).steps) == set(steps_of(made))


def test_a_file_for_ipv6_routes_that_loses_its_last_line_goes() -> None:
    """It is there for its lines alone (`desired/ifcfg.py`)."""
    route = Route(destination=ipaddress.ip_network("2001:db8:7::/48"), gateway=ipaddress.ip_address("2001:db8::1"))
    both = [replace(WANTED, device=name, routes=(route,), configured_by_ifcfg=True) for name in ("xenbr0", "xenbr1")]
    line = "2001:db8:7::/48 via 2001:db8::1 dev xenbr1\n"

    made = plan(host(**{ROUTES6: line}), *both, **{ROUTES6: line})

    assert [(step.path, step.text) for step in made.steps if isinstance(step, FileStep)] == [(ROUTES6, None)]
