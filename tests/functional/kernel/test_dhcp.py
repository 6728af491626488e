"""What our dhclient's leases do, from a real dnsmasq: set, renewed, run out, hostile."""

from __future__ import annotations

from itertools import islice

import pytest
from kernel_dom0 import (
    ADDRESS_ALONE,
    RENEWING,
    SIX,
    Dom0,
    Monitor,
    address,
    client,
    dnsmasq,
    gateway_segment,
    route,
    running_dom0,
    start_dhcp,
    stop_dhcp,
    wait_until,
)

from xsagent.plan.steps import AddressStep, ResolverStep, RouteStep
from xsagent.topology.values import Origin, Resolver


def test_a_lease_gives_address_route_and_servers(dom0: Dom0) -> None:
    """Everything that was asked for is set: the address, the default route with the kernel's DHCP mark, resolv.conf."""
    dom0.sandbox.far("gateway").dhcp.start()

    done = dom0.run(start_dhcp())

    device = done.devices["eth0"]
    (address,) = [item for item in device.addresses if item.interface.version == 4]
    assert done.error is None
    assert dom0.addresses("eth0") == [str(address.interface)]
    assert address.origin is Origin.DHCP
    assert (client(device).running, client(device).leased) == (True, (address.interface,))
    default = route("0.0.0.0/0", "192.0.2.1", protocol=16)
    assert [item for item in device.routes if item.destination.prefixlen == 0] == [default]
    assert "nameserver 192.0.2.1\n" in dom0.text("etc/resolv.conf")
    assert "search gateway.example\n" in dom0.text("etc/resolv.conf")


def test_a_lease_takes_over_the_route_of_the_static_configuration_before(dom0: Dom0) -> None:
    """With the gateway of before, the default route is the lease's and stays when the static one is taken away."""
    dom0.sandbox.far("gateway").dhcp.start()
    former, gateway = address("192.0.2.10/24"), route("0.0.0.0/0", "192.0.2.1")
    dom0.run(AddressStep(device="eth0", add=(former,)), RouteStep(device="eth0", add=(gateway,)))

    done = dom0.run(
        start_dhcp(), AddressStep(device="eth0", remove=(former,)), RouteStep(device="eth0", remove=(gateway,))
    )

    assert done.error is None
    assert "192.0.2.10/24" not in dom0.addresses("eth0")
    shown = dom0.ip("-N", "route", "show", "default")
    assert [(item["gateway"], item["protocol"]) for item in shown] == [("192.0.2.1", "16")]


def test_a_device_that_is_neither_gateway_nor_dns_takes_the_address_alone(dom0: Dom0) -> None:
    """The server forces router and servers on everybody; what the configuration does not request is not used."""
    forced = [f"--dhcp-option-force={option},192.0.2.1" for option in ("option:router", "option:dns-server")]
    leases = f"--dhcp-leasefile={dom0.sandbox.log}/forced.leases"
    dnsmasq(dom0, "--dhcp-range=192.0.2.10,192.0.2.20,255.255.255.0,600", *forced, leases)
    before = dom0.text("etc/resolv.conf")

    done = dom0.run(start_dhcp(configuration=ADDRESS_ALONE))

    assert len(dom0.addresses("eth0")) == 1
    assert dom0.ip("route", "show", "default") == []
    assert dom0.text("etc/resolv.conf") == before
    assert done.error is None


def test_an_address_that_was_taken_away_comes_back(dom0: Dom0) -> None:
    """The client runs and has a lease, but somebody removed the address: starting it again mends that."""
    dom0.sandbox.far("gateway").dhcp.start()
    dom0.run(start_dhcp())
    (before,) = dom0.addresses("eth0")
    dom0.sandbox.run(["ip", "address", "flush", "dev", "eth0", "scope", "global"])

    assert client(dom0.run().devices["eth0"]).leased == ()
    dom0.run(start_dhcp())

    assert dom0.addresses("eth0") == [before]


def test_neighbours_are_told_of_a_leased_address_at_once(dom0: Dom0) -> None:
    """Another host may have had it before; the address is announced thrice, on the wire for all to hear."""
    far = dom0.sandbox.far("gateway")
    far.dhcp.start()
    listener = far.spawn(["tcpdump", "--immediate-mode", "-l", "-n", "-i", "wire0", "arp"])
    assert listener.stderr
    assert any("listening on" in line for line in listener.stderr), "tcpdump ended"

    dom0.run(start_dhcp())

    (leased,) = dom0.addresses("eth0")
    ip = leased.split("/", maxsplit=1)[0]
    assert listener.stdout
    announced = (
        line
        for line in listener.stdout
        if f"Announcement {ip}" in line or (f"who-has {ip}" in line and f"tell {ip}" in line)
    )
    assert len(list(islice(announced, 3))) == 3


def test_a_renewal_does_not_touch_address_or_routes(dom0: Dom0) -> None:
    """While the lease is renewed several times ``ip monitor`` prints nothing about the device."""
    dom0.sandbox.far("gateway").dhcp.start()
    dom0.run(start_dhcp(configuration=RENEWING))
    monitor = Monitor(dom0.sandbox, "monitor", "address", "route")
    requests = dom0.server_log().count("DHCPACK")

    wait_until(lambda: dom0.server_log().count("DHCPACK") >= requests + 3, "three renewals")

    assert monitor.lines() == []
    assert len(dom0.addresses("eth0")) == 1


def test_a_renewal_mends_what_somebody_removed(dom0: Dom0) -> None:
    """The script compares with the kernel, not with what it remembers."""
    dom0.sandbox.far("gateway").dhcp.start()
    dom0.run(start_dhcp(configuration=RENEWING))
    dom0.sandbox.run(["ip", "route", "delete", "default"])

    wait_until(lambda: dom0.ip("route", "show", "default"), "the default route after a renewal")


def test_classless_routes_come_instead_of_the_router() -> None:
    """Option 121 (RFC 3442) wins over the router option, and carries its own default route."""
    option = "option:classless-static-route,198.18.0.0/16,192.0.2.77,0.0.0.0/0,192.0.2.88"
    with running_dom0(gateway_segment(option)) as dom0:
        done = dom0.run(start_dhcp())

        routes = {str(route.destination): str(route.gateway) for route in done.devices["eth0"].routes if route.gateway}
        assert routes == {"198.18.0.0/16": "192.0.2.77", "0.0.0.0/0": "192.0.2.88"}


@pytest.mark.parametrize(
    "option", ["option:domain-name,a`touch /tmp/x`", "option:domain-name,$(reboot)", "15,evil;rm -rf /", "15,..;"]
)
def test_a_hostile_domain_is_dropped(option: str) -> None:
    """A server's text that is no domain reaches no file; the servers beside it are used."""
    with running_dom0(gateway_segment(option)) as dom0:
        done = dom0.run(start_dhcp())

        assert done.error is None
        text = dom0.text("etc/resolv.conf")
        assert "nameserver 192.0.2.1" in text
        assert not any(word in text for word in ("touch", "reboot", "evil", ";", "`", "$"))


def test_another_address_takes_the_place_of_the_former(dom0: Dom0) -> None:
    """The server moved to another range while the client was away: one address, the new one, with its route."""
    dom0.sandbox.far("gateway").dhcp.start()
    dom0.run(start_dhcp())
    (before,) = dom0.addresses("eth0")
    dom0.run(stop_dhcp())
    dom0.sandbox.far("gateway").dhcp.stop()
    (dom0.sandbox.log / "gateway.leases").unlink()
    leases = f"--dhcp-leasefile={dom0.sandbox.log}/other.leases"
    dnsmasq(dom0, "--dhcp-authoritative", "--dhcp-range=192.0.2.10,192.0.2.10,255.255.255.0,600", leases)

    done = dom0.run(start_dhcp())

    assert done.error is None
    assert before != "192.0.2.10/24"
    assert dom0.addresses("eth0") == ["192.0.2.10/24"]
    assert [item["gateway"] for item in dom0.ip("route", "show", "default")] == ["192.0.2.1"]


def test_ipv6_leases_are_set_and_the_duid_outlives_a_rebuild(dom0: Dom0) -> None:
    """A DHCPv6 lease is observed as such; without the lease file the client is still known by the same DUID."""
    leases = f"--dhcp-leasefile={dom0.sandbox.log}/six.leases"
    servers = "--dhcp-option=option6:dns-server,2001:db8::1"
    dnsmasq(dom0, "--dhcp-range=2001:db8::100,2001:db8::1ff,64,600", servers, leases)

    first = dom0.run(start_dhcp(configuration=SIX, family=6))
    dom0.run(stop_dhcp(family=6))
    (dom0.sandbox.root / "var/lib/xsagent/dhclient6-eth0.leases").unlink()
    second = dom0.run(start_dhcp(configuration=SIX, family=6))

    assert (first.error, second.error) == (None, None)
    found = [item for item in second.devices["eth0"].addresses if item.interface.version == 6]
    assert [item.origin for item in found if not item.interface.ip.is_link_local] == [Origin.DHCP]
    assert "nameserver 2001:db8::1\n" in dom0.text("etc/resolv.conf")
    mac = dom0.ip("link", "show", "dev", "eth0")[0]["address"]
    assert dom0.server_log().count(f"DHCPSOLICIT(wire0) 00:03:00:01:{mac}") >= 2


def test_static_servers_stand_before_leased_ones_of_the_other_family(dom0: Dom0) -> None:
    """A ResolverStep puts ours first and keeps what DHCP gave for the family it does not speak about."""
    (dom0.sandbox.root / "etc/resolv.conf").write_text("# mine\noptions timeout:1\n", encoding="utf-8")
    dom0.sandbox.far("gateway").dhcp.start()
    dom0.run(start_dhcp())

    dom0.run(ResolverStep(resolver=Resolver(servers=("2001:db8::53",), search=("lab.example",))))

    assert dom0.text("etc/resolv.conf") == (
        "# mine\noptions timeout:1\nsearch lab.example\nnameserver 2001:db8::53\nnameserver 192.0.2.1\n"
    )


def test_a_renewal_keeps_search_domains_of_the_record(dom0: Dom0) -> None:
    """They came from no lease, so a lease does not replace them, today or after the next start."""
    dom0.sandbox.far("gateway").dhcp.start()
    (dom0.sandbox.root / "etc/resolv.conf").write_text("search lease.example\n", encoding="utf-8")
    dom0.run(start_dhcp(configuration=RENEWING))
    dom0.run(ResolverStep(resolver=Resolver(search=("record.example",))))
    acknowledged = dom0.server_log().count("DHCPACK")

    wait_until(lambda: dom0.server_log().count("DHCPACK") >= acknowledged + 2, "two renewals")

    assert "search record.example\n" in dom0.text("etc/resolv.conf")
    assert "nameserver 192.0.2.1\n" in dom0.text("etc/resolv.conf")


def test_a_lease_that_ran_out_takes_its_address_along(dom0: Dom0) -> None:
    """Dhclient says EXPIRE: the address must not be used any more, others on the device stay."""
    dom0.sandbox.far("gateway").dhcp.start()
    dom0.run(start_dhcp())
    (leased,) = dom0.addresses("eth0")
    dom0.sandbox.run(["ip", "address", "add", "203.0.113.10/24", "dev", "eth0"])
    index = dom0.ip("link", "show", "dev", "eth0")[0]["ifindex"]
    told = {"interface": "eth0", "XSAGENT_IFINDEX": str(index), "XSAGENT_ROOT": str(dom0.sandbox.root)}
    old = {"old_ip_address": leased.split("/", maxsplit=1)[0], "old_subnet_mask": "255.255.255.0"}
    script = str(dom0.sandbox.root / "var/lib/xsagent/dhclient-script")

    dom0.sandbox.run([script], env={**told, **old, "reason": "FAIL", "XSAGENT_IFINDEX": "999"})
    assert leased in dom0.addresses("eth0"), "a script of another netdev touches nothing"
    dom0.sandbox.run([script], env={**told, **old, "reason": "EXPIRE"})

    assert dom0.addresses("eth0") == ["203.0.113.10/24"]


@pytest.mark.parametrize(("router", "status"), [("192.0.2.1", 0), ("192.0.2.77", 1)])
def test_an_old_lease_is_used_only_where_its_router_is(dom0: Dom0, router: str, status: int) -> None:
    """No server answered and a recorded lease is still valid: a host that was moved must not take it up."""
    dom0.run(start_dhcp(), wait_s=0)
    index = dom0.ip("link", "show", "dev", "eth0")[0]["ifindex"]
    told = {"interface": "eth0", "XSAGENT_IFINDEX": str(index), "XSAGENT_ROOT": str(dom0.sandbox.root)}
    lease = {"new_ip_address": "192.0.2.50", "new_subnet_mask": "255.255.255.0", "new_routers": router}
    script = str(dom0.sandbox.root / "var/lib/xsagent/dhclient-script")

    done = dom0.sandbox.run([script], env={**told, **lease, "reason": "TIMEOUT"}, check=False)

    assert done.returncode == status
    assert dom0.addresses("eth0") == (["192.0.2.50/24"] if status == 0 else [])
