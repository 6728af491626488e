"""plan/ifcfg.py: ifdown leaves a link down and bare, so what undoes it brings back more than the file says."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

from xsagent.plan.ifcfg import diff_files, diff_ifcfg_device, missing_leases, remove_ifcfg_device
from xsagent.plan.steps import AddressStep, IfdownStep, IfupStep, LinkStep, RouteStep, Step
from xsagent.topology.network_scripts import ifcfg_path
from xsagent.topology.values import ROUTE_PROTOCOL, Address, IpDevice, Link, Origin, Route, Topology

RIDER = Link(name="xenbr0.7", kind="vlan", parent="xenbr0", vlan=7, up=True)
FOREIGN = Address(interface=ipaddress.ip_interface("203.0.113.5/24"))
ROUTE = Route(destination=ipaddress.ip_network("10.99.0.0/24"), gateway=None, protocol=3)
OLD, NEW = "BOOTPROTO=none\nMTU=1500\n", "BOOTPROTO=none\nMTU=1500\nDNS1=192.0.2.53\n"
DEVICE = IpDevice(device="xenbr0", ipv4_mode="none", configured_by_ifcfg=True)


def host(text: str | None, *, up: bool = True) -> Topology:
    """A host with an ifcfg file for xenbr0, which has an address and a route of an admin too."""
    return Topology(
        links={"xenbr0": Link(name="xenbr0", up=up)},
        ip_devices={"xenbr0": IpDevice(device="xenbr0", addresses=(FOREIGN,), routes=(ROUTE,))},
        files={ifcfg_path("xenbr0"): text},
    )


def test_the_undo_of_ifdown_runs_ifup_before_routes_come_back() -> None:
    """A route needs a link that is up; the steps between have nothing of their own to take back."""
    ifdown, *rest = remove_ifcfg_device("xenbr0", Topology(), host(OLD), "no longer wanted")

    assert [type(step) for step in ifdown.undo] == [IfupStep, AddressStep, RouteStep]
    assert [type(step) for step in rest] == [RouteStep, AddressStep]
    assert [step.undo for step in rest] == [(), ()]


def test_a_device_that_is_down_needs_no_ifdown() -> None:
    """Its undo would bring it up."""
    assert remove_ifcfg_device("xenbr0", Topology(), host(OLD, up=False), "no longer wanted") == ()


def test_another_mtu_and_another_wait_at_boot_restart_nothing() -> None:
    """The link gets its MTU live, and how long dhclient waits at boot changes nothing later."""
    for text in (OLD.replace("1500", "9000"), f"{OLD}DHCLIENTARGS='-T 240'\n"):
        wanted = Topology(files={ifcfg_path("xenbr0"): text})

        assert diff_ifcfg_device(DEVICE, wanted, host(OLD)) == ((), ())
        (step,) = diff_files(wanted, host(OLD), host(OLD))
        assert (step.text, step.required) == (text, True)


def test_the_undo_of_ifup_leaves_a_link_up_that_was_up() -> None:
    """Ifdown would leave it down, without what an admin had put there."""
    before, after = diff_ifcfg_device(DEVICE, Topology(files={ifcfg_path("xenbr0"): NEW}), host(OLD))

    assert [type(step) for step in before] == [IfdownStep]
    assert [type(step) for step in after[0].undo] == [IfdownStep, LinkStep, AddressStep, RouteStep]


def test_the_undo_of_ifup_keeps_the_address_of_a_link_that_was_down() -> None:
    """An admin's address on a link that is down is there before, and so it must be afterwards."""
    _, after = diff_ifcfg_device(DEVICE, Topology(files={ifcfg_path("xenbr0"): NEW}), host(None, up=False))

    assert [type(step) for step in after[0].undo] == [IfdownStep, AddressStep]


def test_a_nic_that_becomes_a_port_is_raised_again_after_ifdown() -> None:
    """Ifdown takes its link down: a bond or bridge over it would have no carrier."""
    wanted = Topology(links={"xenbr0": Link(name="xenbr0", up=True)})

    steps = remove_ifcfg_device("xenbr0", wanted, host(OLD), "no longer wanted")

    assert [type(step) for step in steps] == [IfdownStep, RouteStep, AddressStep, LinkStep]
    assert steps[-1].required


def test_what_rides_on_a_device_comes_back_after_ifdown_and_ifup() -> None:
    """The kernel drops routes of VLAN netdevs with the device below, and raises all of them again with it."""
    present = host(OLD)
    riders = {
        "xenbr0.7": RIDER,
        "xenbr0.8": Link(name="xenbr0.8", kind="vlan", parent="xenbr0", vlan=8, up=False),
    }
    present = replace(
        present,
        links={**present.links, **riders},
        ip_devices={**present.ip_devices, "xenbr0.7": IpDevice(device="xenbr0.7", routes=(ROUTE,))},
    )

    before, after = diff_ifcfg_device(DEVICE, Topology(files={ifcfg_path("xenbr0"): NEW}), present)

    assert [type(step) for step in after] == [IfupStep, RouteStep, LinkStep]
    assert [step.device for step in after[1:]] == ["xenbr0.7", "xenbr0.8"]
    assert [type(step) for step in before[0].undo] == [IfupStep, AddressStep, RouteStep, RouteStep, LinkStep]


def leased(*texts: str) -> Topology:
    """A host whose xenbr0 is up by its file with these leases."""
    items = tuple(Address(interface=ipaddress.ip_interface(text), origin=Origin.DHCP) for text in texts)
    return replace(host(OLD), ip_devices={"xenbr0": IpDevice(device="xenbr0", addresses=items)})


def test_a_lease_of_one_family_is_enough() -> None:
    """Rule 2: ifup for the second one would take the first one's lease away, and fails beside a client that runs."""
    both = replace(DEVICE, ipv4_mode="dhcp", ipv6_mode="dhcp")
    wanted = Topology(files={ifcfg_path("xenbr0"): OLD})

    def plan(device: IpDevice, *texts: str) -> tuple[list[type[Step]], list[str]]:
        before, after = diff_ifcfg_device(device, wanted, leased(*texts))
        assert before == ()
        said = [warning.split(";")[0] for warning in missing_leases(device, leased(*texts))]
        return [type(step) for step in after], said

    def nobody(family: str) -> list[str]:
        return [f"no DHCP server gave xenbr0 an {family} address"]

    assert plan(both) == ([IfupStep], [])
    assert plan(both, "192.0.2.50/24") == ([], nobody("IPv6"))
    assert plan(both, "2001:db8::50/128") == ([], nobody("IPv4"))
    assert plan(both, "192.0.2.50/24", "2001:db8::50/128") == ([], [])
    static = replace(both, ipv4_mode="static", addresses=(Address(interface=ipaddress.ip_interface("192.0.2.10/24")),))
    assert plan(static, "192.0.2.10/24") == ([], nobody("IPv6"))
    assert plan(static, "192.0.2.11/24") == ([IfupStep], [])
    by_router = replace(both, ipv6_mode="autoconf")
    assert plan(by_router, "fe80::1/64") == ([IfupStep], [])


def test_a_missing_route_comes_back_without_ifup() -> None:
    """With whatever metric ifup gave it, it counts as there; best effort, as ifup itself is with routes."""
    default, static = (
        Route(destination=ipaddress.ip_network(text), gateway=ipaddress.ip_address(gateway), protocol=ROUTE_PROTOCOL)
        for text, gateway in (("::/0", "2001:db8::1"), ("10.6.0.0/16", "192.0.2.3"))
    )
    addresses = tuple(Address(interface=ipaddress.ip_interface(text)) for text in ("192.0.2.10/24", "2001:db8::10/64"))
    device = replace(DEVICE, addresses=addresses, routes=(default, static))
    wanted = Topology(files={ifcfg_path("xenbr0"): OLD})

    def after(*routes: Route) -> list[tuple[str, bool]]:
        present = IpDevice(device="xenbr0", addresses=addresses, routes=routes)
        before, after = diff_ifcfg_device(device, wanted, replace(host(OLD), ip_devices={"xenbr0": present}))
        assert before == ()
        routes = [step for step in after if isinstance(step, RouteStep)]
        assert len(routes) == len(after)
        return [(step.add[0].destination.compressed, step.required) for step in routes]

    by_ifup = replace(default, protocol=3, metric=1)
    assert after(by_ifup, static) == []
    assert after(by_ifup) == [("10.6.0.0/16", False)]
    assert after(static) == [("::/0", False)]


def test_a_route_that_no_address_can_ever_justify_is_not_tried_again_beside_ifup() -> None:
    """The device learns no addresses of the gateway's family: each run would be refused anew, and be no empty plan."""
    route = Route(
        destination=ipaddress.ip_network("172.18.0.0/16"),
        gateway=ipaddress.ip_address("10.0.0.3"),
        protocol=ROUTE_PROTOCOL,
    )
    address = Address(interface=ipaddress.ip_interface("2001:db8::10/64"))
    device = replace(DEVICE, ipv6_mode="static", addresses=(address,), routes=(route,))
    have = replace(host(OLD), ip_devices={"xenbr0": IpDevice(device="xenbr0", addresses=(address,))})

    assert diff_ifcfg_device(device, Topology(files={ifcfg_path("xenbr0"): OLD}), have) == ((), ())


def test_a_route_that_another_device_holds_is_taken_from_it_after_ifup() -> None:
    """Ifup adds static routes, which the kernel refuses then; only default ones it replaces (ip-route(8))."""
    default = replace(ROUTE, destination=ipaddress.ip_network("0.0.0.0/0"))
    other = IpDevice(device="xenbr1", routes=(ROUTE, default))
    observed = replace(host(None), ip_devices={"xenbr1": other})
    wanted = Topology(files={ifcfg_path("xenbr0"): NEW})

    _, after = diff_ifcfg_device(replace(DEVICE, routes=(ROUTE, default)), wanted, observed)

    assert [type(step) for step in after] == [IfupStep, RouteStep]
    assert isinstance(after[1], RouteStep)
    assert (after[1].device, after[1].add, after[1].required) == ("xenbr0", (ROUTE,), False)
