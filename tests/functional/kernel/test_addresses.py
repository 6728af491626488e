"""AddressStep, RouteStep and AnnounceStep on a real kernel, seen through ip(8)."""

from __future__ import annotations

import ipaddress
import sys
from dataclasses import replace
from typing import Any

import pytest
from kernel_dom0 import Dom0, Monitor, address, dnsmasq, route

from xsagent.plan.steps import AddressStep, AnnounceStep, LinkStep, ResolverStep, RouteStep, SysctlStep
from xsagent.topology.values import ROUTE_PROTOCOL, Origin, Resolver

LEARN = """
import sys
from xsagent.apply.rdnss import learn_servers
from xsagent.config import Paths
print(learn_servers("eth0", Paths.from_environ(sys.argv[1], {}), 30))
"""
LIFETIME = ("valid_lft", "600", "preferred_lft", "600")
GATEWAY = route("0.0.0.0/0", "192.0.2.1")
KERNEL = 2
"""rt_protos number of the routes that come with addresses."""


def test_an_exchange_within_a_subnet_keeps_the_new_address_and_the_default_route(dom0: Dom0) -> None:
    """The kernel would drop every further address of a subnet with its first one, and the gateway's route."""
    dom0.run(AddressStep(device="eth0", add=(address("192.0.2.10/24"),)), RouteStep(device="eth0", add=(GATEWAY,)))

    done = dom0.run(
        AddressStep(device="eth0", add=(address("192.0.2.11/24"),), remove=(address("192.0.2.10/24"),)),
        sysctls=["ipv4/conf/eth0/promote_secondaries"],
    )

    assert dom0.addresses("eth0") == ["192.0.2.11/24"]
    assert [item["gateway"] for item in dom0.ip("route", "show", "default")] == ["192.0.2.1"]
    assert done.links["eth0"].sysctls == {"ipv4/conf/eth0/promote_secondaries": "0"}


def test_running_steps_twice_changes_nothing_the_second_time(dom0: Dom0) -> None:
    """What is there already is fine, what is gone already is fine, and the kernel tells of no change."""
    steps = (
        AddressStep(device="eth0", add=(address("192.0.2.10/24"),), remove=(address("192.0.2.99/24"),)),
        AddressStep(device="eth0", add=(address("2001:db8::10/64"),)),
    )
    dom0.run(*steps)

    done = dom0.run(*steps, RouteStep(device="eth0", remove=(GATEWAY,)))

    assert done.error is None
    assert dom0.addresses("eth0") == ["192.0.2.10/24"]
    assert dom0.addresses("eth0", "inet6") == ["2001:db8::10/64"]


def test_routes_carry_our_protocol_number_and_are_removed_by_it(dom0: Dom0) -> None:
    """A route of ours has protocol 158; one to the same place that another set is not removed with it."""
    ours = route("198.18.0.0/16", "192.0.2.1", metric=5)
    dom0.run(AddressStep(device="eth0", add=(address("192.0.2.10/24"),)), RouteStep(device="eth0", add=(ours,)))
    dom0.sandbox.run(["ip", "route", "add", "198.18.0.0/16", "via", "192.0.2.1", "metric", "7", "proto", "static"])

    shown = dom0.ip("-N", "route", "show", "198.18.0.0/16")
    done = dom0.run(RouteStep(device="eth0", remove=(ours,)))

    assert [item["protocol"] for item in shown if item["metric"] == 5] == [str(ROUTE_PROTOCOL)]
    assert done.error is None
    assert [item["metric"] for item in dom0.ip("route", "show", "198.18.0.0/16")] == [7]


def test_a_default_route_is_replaced_not_doubled(dom0: Dom0) -> None:
    """Another gateway of the same metric takes the place of the first."""
    other = route("0.0.0.0/0", "192.0.2.254")
    dom0.run(AddressStep(device="eth0", add=(address("192.0.2.10/24"),)), RouteStep(device="eth0", add=(GATEWAY,)))

    dom0.run(RouteStep(device="eth0", add=(other,)))

    assert [item["gateway"] for item in dom0.ip("route", "show", "default")] == ["192.0.2.254"]


def test_the_kernels_own_route_to_a_subnet_is_never_replaced(dom0: Dom0) -> None:
    """It would not come back: one of ours is refused, one that was there before comes after it; also run twice."""
    slip = route("192.0.2.0/24", "198.51.100.1")
    subnets = tuple(map(address, ("192.0.2.10/24", "198.51.100.10/24")))

    done = dom0.run(AddressStep(device="eth0", add=subnets), RouteStep(device="eth0", add=(slip,)))
    restored = dom0.run(*[RouteStep(device="eth0", add=(slip,), restores=True)] * 2)

    assert done.error == "NetlinkError"
    assert "192.0.2.0/24 via 198.51.100.1 was not set: this host is on that subnet through eth0" in done.text
    assert restored.error is None
    assert [item.get("gateway") for item in dom0.ip("route", "show", "192.0.2.0/24")] == [None, "198.51.100.1"]


def test_ipv6_routes_and_addresses_are_set_and_observed(dom0: Dom0) -> None:
    """An IPv6 default route has the kernel's metric 1024, and is observed with our protocol."""
    done = dom0.run(
        AddressStep(device="eth0", add=(address("2001:db8::10/64"),)),
        RouteStep(device="eth0", add=(route("::/0", "2001:db8::1"),)),
    )

    found = [item for item in done.devices["eth0"].routes if item.destination.prefixlen == 0]
    assert found == [route("::/0", "2001:db8::1", protocol=ROUTE_PROTOCOL, metric=1024)]
    assert dom0.addresses("eth0", "inet6") == ["2001:db8::10/64"]


def test_a_gateway_out_of_reach_is_named(dom0: Dom0) -> None:
    """A wrong netmask or gateway is one sentence with the route and the device."""
    done = dom0.run(
        AddressStep(device="eth0", add=(address("192.0.2.10/24"),)),
        RouteStep(device="eth0", add=(route("0.0.0.0/0", "203.0.113.1"),)),
    )

    assert done.error == "NetlinkError"
    assert "203.0.113.1" in done.text
    assert "eth0" in done.text


def test_routes_come_back_as_they_were_with_source_gateways_and_options(dom0: Dom0) -> None:
    """What `ip route` shows is the same after they were removed and put back, word by word."""
    for words in (
        ["address", "add", "192.0.2.10/24", "dev", "eth0"],
        ["address", "add", "192.0.2.11/24", "dev", "eth0"],
        ["address", "add", "2001:db8::10/64", "dev", "eth0", "nodad"],
        ["route", "add", "default", "via", "192.0.2.1", "dev", "eth0", "initcwnd", "20", "mtu", "lock", "1400"],
        ["route", "add", "10.6.0.0/16", "via", "192.0.2.2", "dev", "eth0", "src", "192.0.2.11"],
        ["route", "add", "10.7.0.0/16", "via", "203.0.113.9", "dev", "eth0", "onlink"],
        ["route", "add", "10.8.0.0/16", "via", "inet6", "fe80::1", "dev", "eth0"],
        ["route", "add", "10.9.0.0/16", "nexthop", "via", "192.0.2.3", "nexthop", "via", "192.0.2.4", "weight", "3"],
        ["-6", "route", "add", "2001:db8:7::/48", "via", "2001:db8:99::1", "dev", "eth0", "onlink"],
        ["-6", "route", "add", "2001:db8:9::/48", "via", "fe80::9", "dev", "eth0", "src", "2001:db8::10"],
        ["-6", "route", "add", "2001:db8:a::/48", "via", "fe80::9", "dev", "eth0", "pref", "low"],
    ):
        dom0.sandbox.run(["ip", *words])
    before = routes_of(dom0)
    routes = tuple(item for item in dom0.run().devices["eth0"].routes if item.protocol != KERNEL)

    bare = dom0.run(RouteStep(device="eth0", remove=routes))
    assert {item.protocol for item in bare.devices["eth0"].routes} == {KERNEL}
    done = dom0.run(RouteStep(device="eth0", add=routes, restores=True))

    assert (done.error, done.text) == (None, "")
    assert routes_of(dom0) == before


def routes_of(dom0: Dom0) -> list[dict[str, Any]]:
    """All routes of both families."""
    return dom0.ip("-details", "-4", "route") + dom0.ip("-details", "-6", "route")


def test_a_route_whose_gateway_s_subnet_has_gone_comes_back(dom0: Dom0) -> None:
    """The kernel keeps such a route and would not take it anew but as an onlink one; others come back beside it."""
    for words in (
        ["address", "add", "192.0.2.10/24", "dev", "eth0"],
        ["address", "add", "10.5.0.2/24", "dev", "eth0"],
        ["address", "add", "2001:db8:5::2/64", "dev", "eth0", "nodad"],
        ["route", "add", "10.6.0.0/16", "via", "10.5.0.1"],
        ["-6", "route", "add", "2001:db8:6::/48", "via", "2001:db8:5::1"],
        ["route", "add", "default", "via", "192.0.2.1"],
        ["address", "del", "10.5.0.2/24", "dev", "eth0"],
        ["address", "del", "2001:db8:5::2/64", "dev", "eth0"],
    ):
        dom0.sandbox.run(["ip", *words])
    routes = tuple(item for item in dom0.run().devices["eth0"].routes if item.protocol != KERNEL)
    assert len(routes) == 3
    dom0.run(RouteStep(device="eth0", remove=routes))

    done = dom0.run(RouteStep(device="eth0", add=routes, restores=True))

    assert done.error is None, done.text
    ways = [(item["dst"], item["gateway"]) for item in routes_of(dom0) if "gateway" in item]
    assert sorted(ways) == [("10.6.0.0/16", "10.5.0.1"), ("2001:db8:6::/48", "2001:db8:5::1"), ("default", "192.0.2.1")]


def test_a_route_that_cannot_come_back_is_named_and_the_others_come_back(dom0: Dom0) -> None:
    """Its source address is no more; or the device is down, or gone: a sentence with the route and the reason."""
    dom0.run(AddressStep(device="eth0", add=(address("192.0.2.10/24"),)))
    from_gone = replace(route("10.6.0.0/16", "192.0.2.2"), source=ipaddress.ip_address("192.0.2.99"))

    done = dom0.run(RouteStep(device="eth0", add=(from_gone, GATEWAY), restores=True))
    assert done.error == "RouteLostError"
    assert done.text == (
        "the route to 10.6.0.0/16 via 192.0.2.2 from 192.0.2.99 cannot come back: 192.0.2.99 is not an address of this "
        "host"
    )
    assert [item["gateway"] for item in dom0.ip("route", "show", "default")] == ["192.0.2.1"]

    dom0.sandbox.run(["ip", "link", "set", "eth0", "down"])
    done = dom0.run(RouteStep(device="eth0", add=(GATEWAY,), restores=True))
    assert done.text == "the route to default via 192.0.2.1 cannot come back: eth0 is down"

    dom0.sandbox.run(["ip", "link", "delete", "eth0"])
    done = dom0.run(RouteStep(device="eth0", add=(GATEWAY,), restores=True))
    assert done.error == "RouteLostError"
    assert done.text == "the route to default via 192.0.2.1 cannot come back: eth0 is gone"


def test_a_route_that_wraps_packets_is_named_when_it_cannot_come_back(dom0: Dom0) -> None:
    """Set without its encapsulation it would lead packets astray."""
    for words in (
        ["address", "add", "192.0.2.10/24", "dev", "eth0"],
        ["route", "add", "10.6.0.0/16", "encap", "ip", "id", "7", "dst", "192.0.2.77", "via", "192.0.2.1"],
    ):
        dom0.sandbox.run(["ip", *words])
    routes = tuple(item for item in dom0.run().devices["eth0"].routes if item.protocol != KERNEL)
    assert [item.encapsulates for item in routes] == [True]
    dom0.run(RouteStep(device="eth0", remove=routes))

    done = dom0.run(RouteStep(device="eth0", add=routes, restores=True))

    assert done.error == "RouteLostError"
    assert "the route to 10.6.0.0/16 via 192.0.2.1 encap cannot come back" in done.text
    assert dom0.ip("route", "show", "10.6.0.0/16") == []


def test_who_put_an_address_there_is_told(dom0: Dom0) -> None:
    """Static, the kernel's link-local one, one that a lifetime marks as leased, and a router's."""
    dom0.run(
        SysctlStep(values={"ipv6/conf/eth0/accept_ra": "2", "ipv6/conf/eth0/autoconf": "1"}),
        AddressStep(device="eth0", add=(address("192.0.2.10/24"),)),
    )
    dom0.sandbox.run(["ip", "address", "add", "192.0.2.20/24", "dev", "eth0", *LIFETIME])
    dnsmasq(dom0, "--enable-ra", "--dhcp-range=2001:db8::,ra-only,600")
    wait_for_router_address(dom0)

    origins = {str(item.interface): item.origin for item in dom0.run().devices["eth0"].addresses}
    assert origins["192.0.2.10/24"] is Origin.STATIC
    assert origins["192.0.2.20/24"] is Origin.DHCP
    assert {origin for text, origin in origins.items() if text.startswith("fe80:")} == {Origin.LINK_LOCAL}
    assert {origin for text, origin in origins.items() if text.startswith("2001:")} == {Origin.ROUTER}


def wait_for_router_address(dom0: Dom0) -> None:
    """Ask for an advertisement as apply does, until the address is there."""
    for _ in range(60):
        dom0.run(SysctlStep(values={"ipv6/conf/eth0/accept_ra": "0"}))
        dom0.run(SysctlStep(values={"ipv6/conf/eth0/accept_ra": "2"}))
        if dom0.addresses("eth0", "inet6"):
            return
    pytest.fail("no address from the router")


def test_neighbours_learn_a_moved_address_at_once(dom0: Dom0) -> None:
    """After an announcement the far host's entries for both families name the new MAC, though it asked for nothing."""
    far = dom0.sandbox.far("gateway")
    dom0.run(AddressStep(device="eth0", add=(address("192.0.2.10/24"), address("2001:db8::10/64"))))
    for target in ("192.0.2.10", "2001:db8::10"):
        assert far.run(["ping", "-c", "1", "-w", "10", target]).returncode == 0

    dom0.run(LinkStep(device="eth0", mac="02:00:00:00:00:99"), AnnounceStep(device="eth0"))

    entries = far.run(["ip", "neighbour", "show"]).stdout
    for target in ("192.0.2.10", "2001:db8::10"):
        line = next(line for line in entries.splitlines() if line.startswith(f"{target} "))
        assert "02:00:00:00:00:99" in line


def test_a_second_run_tells_the_kernel_nothing(dom0: Dom0) -> None:
    """``ip monitor`` prints nothing while right sysctls and addresses are set again."""
    steps = (
        AddressStep(device="eth0", add=(address("192.0.2.10/24"),)),
        SysctlStep(values={"ipv6/conf/eth0/accept_ra": "0"}),
    )
    dom0.run(*steps)
    monitor = Monitor(dom0.sandbox, "monitor", "link", "address", "route", "rule")
    dom0.run(*steps)

    assert monitor.lines() == []


def test_name_servers_of_routers_are_learnt(dom0: Dom0) -> None:
    """RDNSS fills resolv.conf where nothing better names servers, and a static list of the family hides it."""
    resolv_conf = dom0.sandbox.root / "etc/resolv.conf"
    resolv_conf.write_text("options timeout:1\n", encoding="utf-8")
    words = ["--dhcp-option=option6:dns-server,2001:db8::53", "--dhcp-option=option6:domain-search,radv.example"]
    dnsmasq(dom0, "--enable-ra", "--dhcp-range=2001:db8::,ra-stateless,600", *words)

    learn = [sys.executable, "-c", LEARN, str(dom0.sandbox.root)]
    assert "2001:db8::53" in dom0.sandbox.run(learn).stdout
    assert (
        resolv_conf.read_text(encoding="utf-8") == "options timeout:1\nsearch radv.example\nnameserver 2001:db8::53\n"
    )

    dom0.run(ResolverStep(resolver=Resolver(servers=("2001:db8::1",))))
    assert resolv_conf.read_text(encoding="utf-8").count("nameserver") == 1
    assert "nameserver 2001:db8::1\n" in resolv_conf.read_text(encoding="utf-8")
