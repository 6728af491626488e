"""Our dhclient against a real dnsmasq: leases, renewals, silence, dead clients, strangers' pids, hostile servers."""

from __future__ import annotations

import pytest
from kernel_dom0 import Dom0, Monitor, address, dnsmasq, route, running_dom0, wait_until

from xsagent.plan.steps import AddressStep, ResolverStep, RouteStep, StartDhcpStep, StopDhcpStep
from xsagent.sandbox.spec import Segment
from xsagent.topology.values import DhcpClient, IpDevice, Origin, Resolver

QUICK = "timeout 60; retry 1; initial-interval 1; backoff-cutoff 2; reboot 2;\n"
EVERYTHING = (
    QUICK
    + "option rfc3442-classless-static-routes code 121 = array of unsigned integer 8;\n"
    + "request subnet-mask, broadcast-address, routers, domain-name, domain-name-servers, "
    + "domain-search, rfc3442-classless-static-routes;\n"
)
ADDRESS_ALONE = QUICK + "request subnet-mask, broadcast-address;\n"
RENEWING = EVERYTHING + "supersede dhcp-renewal-time 1; supersede dhcp-rebinding-time 100;\n"
SIX = "request dhcp6.name-servers, dhcp6.domain-search;\n"


def start(device: str = "eth0", configuration: str = EVERYTHING, family: int = 4) -> StartDhcpStep:
    """A client to start."""
    return StartDhcpStep(device=device, client=DhcpClient(family=family, configuration=configuration))


def stop(device: str = "eth0", family: int = 4) -> StopDhcpStep:
    """A client to stop."""
    return StopDhcpStep(device=device, family=family)


def client(device: IpDevice) -> DhcpClient:
    """The IPv4 client seen on a device."""
    assert device.dhcp4 is not None
    return device.dhcp4


def inner_pids(dom0: Dom0) -> list[int]:
    """Process ids, as the sandbox counts, of every live dhclient."""
    shown = dom0.sandbox.run(["ps", "-e", "-o", "pid=,stat=,comm="]).stdout.splitlines()
    rows = [line.split() for line in shown]
    return [int(row[0]) for row in rows if row[2] == "dhclient" and not row[1].startswith("Z")]


def test_a_lease_gives_address_route_and_servers(dom0: Dom0) -> None:
    """Everything that was asked for is set: the address, the default route with the kernel's DHCP mark, resolv.conf."""
    dom0.sandbox.far("gateway").dhcp.start()

    done = dom0.run(start())

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

    done = dom0.run(start(), AddressStep(device="eth0", remove=(former,)), RouteStep(device="eth0", remove=(gateway,)))

    assert done.error is None
    assert "192.0.2.10/24" not in dom0.addresses("eth0")
    shown = dom0.ip("-N", "route", "show", "default")
    assert [(item["gateway"], item["protocol"]) for item in shown] == [("192.0.2.1", "16")]


def test_a_device_that_is_neither_gateway_nor_dns_takes_the_address_alone(dom0: Dom0) -> None:
    """The server sends router and servers unasked; what the configuration does not request is not used."""
    dom0.sandbox.far("gateway").dhcp.start()
    before = dom0.text("etc/resolv.conf")

    done = dom0.run(start(configuration=ADDRESS_ALONE))

    assert len(dom0.addresses("eth0")) == 1
    assert dom0.ip("route", "show", "default") == []
    assert dom0.text("etc/resolv.conf") == before
    assert done.error is None


def test_a_right_client_is_left_running(dom0: Dom0) -> None:
    """A second start with the same configuration keeps the process; with another it is exchanged, the address kept."""
    dom0.sandbox.far("gateway").dhcp.start()
    first = dom0.run(start())
    second = dom0.run(start())
    third = dom0.run(start(configuration=ADDRESS_ALONE))

    pids = [client(done.devices["eth0"]).pid for done in (first, second, third)]
    assert pids[0] == pids[1] != pids[2]
    assert len(inner_pids(dom0)) == 1
    assert len({client(done.devices["eth0"]).leased for done in (first, second, third)}) == 1


def test_an_address_that_was_taken_away_comes_back(dom0: Dom0) -> None:
    """The client runs and has a lease, but somebody removed the address: starting it again mends that."""
    dom0.sandbox.far("gateway").dhcp.start()
    dom0.run(start())
    (before,) = dom0.addresses("eth0")
    dom0.sandbox.run(["ip", "address", "flush", "dev", "eth0", "scope", "global"])

    assert client(dom0.run().devices["eth0"]).leased == ()
    dom0.run(start())

    assert dom0.addresses("eth0") == [before]


def test_silence_is_named_and_the_client_keeps_asking(dom0: Dom0) -> None:
    """No server: DhcpSilentError with the device's name; when one comes up later, the address appears by itself."""
    done = dom0.run(start(), wait_s=1)

    assert done.error == "DhcpSilentError"
    assert "eth0" in done.text
    assert client(done.devices["eth0"]).running is True
    assert client(done.devices["eth0"]).leased == ()
    dom0.sandbox.far("gateway").dhcp.start()
    wait_until(lambda: dom0.addresses("eth0"), "an address after the server came up")
    assert client(dom0.run(start()).devices["eth0"]).pid == client(done.devices["eth0"]).pid


def test_a_killed_client_is_found_dead_and_started_again(dom0: Dom0) -> None:
    """Its pid file stays behind; that alone is no running client."""
    dom0.sandbox.far("gateway").dhcp.start()
    dom0.run(start())
    (pid,) = inner_pids(dom0)
    dom0.sandbox.run(["kill", "-9", str(pid)])

    dead = client(dom0.run().devices["eth0"])
    alive = client(dom0.run(start()).devices["eth0"])

    assert (dead.running, dead.pid) == (False, None)
    assert dom0.text("run/xsagent/dhclient-eth0.pid").strip() == str(alive.pid)
    assert alive.running is True


def test_a_strangers_process_is_no_client_and_is_not_killed(dom0: Dom0) -> None:
    """A stale pid file names a number that another program has now: not ours, left alone, a client is started."""
    dom0.sandbox.far("gateway").dhcp.start()
    dom0.run(start())
    (pid,) = inner_pids(dom0)
    dom0.sandbox.run(["kill", "-9", str(pid)])
    stranger = dom0.sandbox.spawn(["sh", "-c", "echo $$; exec sleep 600"])
    number = stranger.stdout.readline().strip() if stranger.stdout else ""
    (dom0.sandbox.root / "run/xsagent/dhclient-eth0.pid").write_text(f"{number}\n")

    seen = client(dom0.run().devices["eth0"])
    started = client(dom0.run(start()).devices["eth0"])

    assert seen.running is False
    assert started.running is True
    assert started.pid != int(number)
    assert dom0.sandbox.run(["kill", "-0", number], check=False).returncode == 0


def test_a_client_of_a_device_that_was_made_again_is_dead(dom0: Dom0) -> None:
    """Its socket is bound to the old ifindex: it runs, but not for this device; a start exchanges it."""
    dom0.sandbox.run(["ip", "link", "add", "tmp0", "type", "veth", "peer", "name", "tmp1"])
    dom0.sandbox.run(["ip", "link", "set", "tmp0", "up"])
    dom0.run(start("tmp0"), wait_s=0)
    old = inner_pids(dom0)
    dom0.sandbox.run(["ip", "link", "delete", "tmp0"])
    dom0.sandbox.run(["ip", "link", "add", "tmp0", "type", "veth", "peer", "name", "tmp1"])
    dom0.sandbox.run(["ip", "link", "set", "tmp0", "up"])

    seen = client(dom0.run().devices["tmp0"])
    dom0.run(start("tmp0"), wait_s=0)

    assert seen.running is False
    assert len(inner_pids(dom0)) == 1
    assert inner_pids(dom0) != old


def test_a_lost_pid_file_leads_to_no_second_client(dom0: Dom0) -> None:
    """A client that nobody can name by its file is found by its command line and exchanged, not doubled."""
    dom0.sandbox.far("gateway").dhcp.start()
    dom0.run(start())
    (dom0.sandbox.root / "run/xsagent/dhclient-eth0.pid").unlink()

    dom0.run(start())

    assert len(inner_pids(dom0)) == 1


def test_stopping_waits_releases_nothing_and_leaves_the_address(dom0: Dom0) -> None:
    """After the step no process is left, the server heard of no release, the address stays for the next step."""
    dom0.sandbox.far("gateway").dhcp.start()
    dom0.run(start())
    before = dom0.addresses("eth0")

    done = dom0.run(stop(), stop())

    assert done.error is None
    assert inner_pids(dom0) == []
    assert "DHCPRELEASE" not in dom0.server_log()
    assert dom0.addresses("eth0") == before
    assert done.devices["eth0"].dhcp4 is None


def test_a_renewal_does_not_touch_address_or_routes(dom0: Dom0) -> None:
    """While the lease is renewed several times ``ip monitor`` prints nothing about the device."""
    dom0.sandbox.far("gateway").dhcp.start()
    dom0.run(start(configuration=RENEWING))
    monitor = Monitor(dom0.sandbox, "monitor", "address", "route")
    requests = dom0.server_log().count("DHCPACK")

    wait_until(lambda: dom0.server_log().count("DHCPACK") >= requests + 3, "three renewals")

    assert monitor.lines() == []
    assert len(dom0.addresses("eth0")) == 1


def test_a_renewal_mends_what_somebody_removed(dom0: Dom0) -> None:
    """The script compares with the kernel, not with what it remembers."""
    dom0.sandbox.far("gateway").dhcp.start()
    dom0.run(start(configuration=RENEWING))
    dom0.sandbox.run(["ip", "route", "delete", "default"])

    wait_until(lambda: dom0.ip("route", "show", "default"), "the default route after a renewal")


def segment(*options: str) -> Segment:
    """The gateway's segment with DHCP and these options in dnsmasq's form."""
    return Segment(name="gateway", nics=("eth0",), addresses=("192.0.2.1/24",), dhcp=True, dhcp_options=options)


def test_two_devices_have_clients_of_their_own() -> None:
    """Each has its own files and process; stopping one leaves the other."""
    other = Segment(name="far1", nics=("eth1",), addresses=("198.51.100.1/24",), dhcp=True)
    with running_dom0(segment(), other) as dom0:
        both = dom0.run(start("eth0"), start("eth1", ADDRESS_ALONE))
        one = dom0.run(stop("eth0"))

        assert both.error is None
        assert len(both.returned) == 2
        assert one.devices["eth0"].dhcp4 is None
        assert client(one.devices["eth1"]).running is True
        assert len(dom0.addresses("eth1")) == 1


def test_classless_routes_come_instead_of_the_router() -> None:
    """Option 121 (RFC 3442) wins over the router option, and carries its own default route."""
    option = "option:classless-static-route,198.18.0.0/16,192.0.2.77,0.0.0.0/0,192.0.2.88"
    with running_dom0(segment(option)) as dom0:
        done = dom0.run(start())

        routes = {str(route.destination): str(route.gateway) for route in done.devices["eth0"].routes if route.gateway}
        assert routes == {"198.18.0.0/16": "192.0.2.77", "0.0.0.0/0": "192.0.2.88"}


@pytest.mark.parametrize(
    "option", ["option:domain-name,a`touch /tmp/x`", "option:domain-name,$(reboot)", "15,evil;rm -rf /", "15,..;"]
)
def test_a_hostile_domain_is_dropped(option: str) -> None:
    """A server's text that is no domain reaches no file; the servers beside it are used."""
    with running_dom0(segment(option)) as dom0:
        done = dom0.run(start())

        assert done.error is None
        text = dom0.text("etc/resolv.conf")
        assert "nameserver 192.0.2.1" in text
        assert not any(word in text for word in ("touch", "reboot", "evil", ";", "`", "$"))


def test_another_address_takes_the_place_of_the_former(dom0: Dom0) -> None:
    """The server moved to another range while the client was away: one address, the new one, with its route."""
    dom0.sandbox.far("gateway").dhcp.start()
    dom0.run(start())
    (before,) = dom0.addresses("eth0")
    dom0.run(stop())
    dom0.sandbox.far("gateway").dhcp.stop()
    (dom0.sandbox.log / "gateway.leases").unlink()
    leases = f"--dhcp-leasefile={dom0.sandbox.log}/other.leases"
    dnsmasq(dom0, "--dhcp-authoritative", "--dhcp-range=192.0.2.10,192.0.2.10,255.255.255.0,600", leases)

    done = dom0.run(start())

    assert done.error is None
    assert before != "192.0.2.10/24"
    assert dom0.addresses("eth0") == ["192.0.2.10/24"]
    assert [item["gateway"] for item in dom0.ip("route", "show", "default")] == ["192.0.2.1"]


def test_ipv6_leases_are_set_and_the_duid_outlives_a_rebuild(dom0: Dom0) -> None:
    """A DHCPv6 lease is observed as such; without the lease file the client is still known by the same DUID."""
    leases = f"--dhcp-leasefile={dom0.sandbox.log}/six.leases"
    servers = "--dhcp-option=option6:dns-server,2001:db8::1"
    dnsmasq(dom0, "--dhcp-range=2001:db8::100,2001:db8::1ff,64,600", servers, leases)

    first = dom0.run(start(configuration=SIX, family=6))
    dom0.run(stop(family=6))
    (dom0.sandbox.root / "var/lib/xsagent/dhclient6-eth0.leases").unlink()
    second = dom0.run(start(configuration=SIX, family=6))

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
    dom0.run(start())

    dom0.run(ResolverStep(resolver=Resolver(servers=("2001:db8::53",), search=("lab.example",))))

    assert dom0.text("etc/resolv.conf") == (
        "# mine\noptions timeout:1\nsearch lab.example\nnameserver 2001:db8::53\nnameserver 192.0.2.1\n"
    )


def test_the_client_outlives_its_starter(dom0: Dom0) -> None:
    """It is in a session of its own and holds none of its starter's files open."""
    dom0.run(start(), wait_s=0)
    (pid,) = inner_pids(dom0)

    shown = dom0.sandbox.run(["sh", "-c", f"cut -d' ' -f4,6 /proc/{pid}/stat; readlink /proc/{pid}/fd/*"]).stdout
    parent, session = shown.split()[:2]
    assert parent == "1"
    assert session == str(pid)
    assert "memfd" not in shown
    assert "pipe" not in shown


@pytest.mark.parametrize("bus", ["works", "is away"])
def test_the_client_has_a_scope_of_its_own_where_systemd_runs(dom0: Dom0, bus: str) -> None:
    """It is started through systemd-run; where that fails it is started all the same, once."""
    (dom0.sandbox.root / "run/systemd/system").mkdir(parents=True)
    called = dom0.sandbox.root / "called"
    script = dom0.sandbox.bin / "systemd-run"
    rest = 'while [ "$1" != -- ]; do shift; done; shift; exec "$@"' if bus == "works" else "exit 1"
    script.write_text(f'#!/bin/sh\necho "$@" > {called}\n{rest}\n', encoding="utf-8")
    script.chmod(0o755)

    done = dom0.run(start(), wait_s=0)

    assert called.read_text(encoding="utf-8").startswith("--scope --quiet --collect -- ")
    assert done.error == "DhcpSilentError"
    assert len(inner_pids(dom0)) == 1


def test_a_renewal_keeps_search_domains_of_the_record(dom0: Dom0) -> None:
    """They came from no lease, so a lease does not replace them, today or after the next start."""
    dom0.sandbox.far("gateway").dhcp.start()
    (dom0.sandbox.root / "etc/resolv.conf").write_text("search lease.example\n", encoding="utf-8")
    dom0.run(start(configuration=RENEWING))
    dom0.run(ResolverStep(resolver=Resolver(search=("record.example",))))
    acknowledged = dom0.server_log().count("DHCPACK")

    wait_until(lambda: dom0.server_log().count("DHCPACK") >= acknowledged + 2, "two renewals")

    assert "search record.example\n" in dom0.text("etc/resolv.conf")
    assert "nameserver 192.0.2.1\n" in dom0.text("etc/resolv.conf")


def test_a_lease_that_ran_out_takes_its_address_along(dom0: Dom0) -> None:
    """Dhclient says EXPIRE: the address must not be used any more, others on the device stay."""
    dom0.sandbox.far("gateway").dhcp.start()
    dom0.run(start())
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
    dom0.run(start(), wait_s=0)
    index = dom0.ip("link", "show", "dev", "eth0")[0]["ifindex"]
    told = {"interface": "eth0", "XSAGENT_IFINDEX": str(index), "XSAGENT_ROOT": str(dom0.sandbox.root)}
    lease = {"new_ip_address": "192.0.2.50", "new_subnet_mask": "255.255.255.0", "new_routers": router}
    script = str(dom0.sandbox.root / "var/lib/xsagent/dhclient-script")

    done = dom0.sandbox.run([script], env={**told, **lease, "reason": "TIMEOUT"}, check=False)

    assert done.returncode == status
    assert dom0.addresses("eth0") == (["192.0.2.50/24"] if status == 0 else [])
