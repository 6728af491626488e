"""IP modes, addresses, gateways, name servers and search domains."""

from __future__ import annotations

import ipaddress

import pytest
from records_builder import IFCFG, Records, management, static, warnings

from xsagent.errors import InputError
from xsagent.topology.values import ROUTE_PROTOCOL, Address, IpDevice, Resolver, Route

_DEFAULT4 = ipaddress.ip_network("0.0.0.0/0")


def test_a_static_management_interface_has_address_and_default_route() -> None:
    """Both are ours to set and to compare."""
    records = Records()
    device = records.up(records.nic(0, **management(**static()))).topology.ip_devices["xenbr0"]
    assert device == IpDevice(
        device="xenbr0",
        ipv4_mode="static",
        ipv6_mode="none",
        addresses=(Address(interface=ipaddress.ip_interface("192.0.2.10/24")),),
        routes=(Route(destination=_DEFAULT4, gateway=ipaddress.ip_address("192.0.2.1"), protocol=ROUTE_PROTOCOL),),
    )


def test_f18_a_static_interface_without_gateway_needs_none() -> None:
    """F18: an empty gateway is no error."""
    records = Records()
    desired = records.up(records.nic(0, **management(**static(gateway=""))))
    assert desired.topology.ip_devices["xenbr0"].routes == ()
    assert desired.management is not None
    assert desired.management.gateways == ()


def test_only_the_gateway_interface_gets_the_default_route() -> None:
    """The storage interface's own gateway is left out, and the reason says so."""
    records = Records()
    records.nic(0, **management())
    desired = records.up(records.nic(1, **static("198.51.100.5", "198.51.100.1")))
    assert desired.topology.ip_devices["xenbr1"].routes == ()
    assert any(reason.event == "leave_out_gateway" for reason in desired.reasons)


def test_dhcp_wants_a_client_and_no_static_route() -> None:
    """The server names the gateway."""
    records = Records()
    desired = records.up(records.nic(0, **management()))
    device = desired.topology.ip_devices["xenbr0"]
    assert device.ipv4_mode == "dhcp"
    assert device.dhcp4 is not None
    assert (device.addresses, device.routes, device.dhcp6) == ((), (), None)
    assert desired.management is not None
    assert desired.management.dhcp


def test_no_mode_wants_nothing() -> None:
    """An IP device without configuration is still spoken about: addresses of before go."""
    records = Records()
    device = records.up(records.nic(0)).topology.ip_devices["xenbr0"]
    assert device == IpDevice(device="xenbr0", ipv4_mode="none", ipv6_mode="none")


@pytest.mark.parametrize(
    ("fields", "cause"),
    [
        ({"ip_mode": "Weird"}, "'Weird' is not an IP configuration mode"),
        ({"ipv6_mode": "static"}, "'static' is not an IPv6 configuration mode"),
        (static("192.0.2.300"), "'192.0.2.300' is not an IPv4 address"),
        (static(""), "'' is not an IPv4 address"),
        (static(netmask="255.0.255.0"), "'255.0.255.0' is not a netmask"),
        (static("192.0.2.255"), "network or broadcast address"),
        (static(gateway="nobody"), "its gateway: 'nobody' is not an IPv4 address"),
        (static(gateway="198.51.100.1"), "its gateway 198.51.100.1 is not on its subnet"),
        (static(gateway="192.0.2.10"), "is its own address"),
    ],
)
def test_what_is_asked_for_must_be_valid(fields: dict[str, str], cause: str) -> None:
    """Exit 1, named, nothing changed; with either backend."""
    records = Records()
    nic = records.nic(0, **management(**fields))
    for desire in (lambda: records.up(nic), lambda: records.up(nic, options=IFCFG)):
        with pytest.raises(InputError, match=r"^PIF uuid-eth0 \(eth0\): .*nothing was changed$") as caught:
            desire()
        assert cause in str(caught.value)


def test_forced_up_with_a_bad_gateway_keeps_the_address() -> None:
    """At boot an address without a gateway is better than no address."""
    records = Records()
    nic = records.nic(0, **management(**static(gateway="198.51.100.1")))
    desired = records.up(nic, origin="force")
    device = desired.topology.ip_devices["xenbr0"]
    assert [str(address.interface) for address in device.addresses] == ["192.0.2.10/24"]
    assert device.routes == ()
    assert any("198.51.100.1" in text for text in warnings(desired))


def test_static_servers_of_either_family_and_domains_go_into_the_resolver() -> None:
    """Blanks around commas are fine, and so is IPv6 beside IPv4."""
    records = Records()
    fields = static(dns="192.0.2.2, 2001:db8::53,192.0.2.2", other_config={"domain": "example.com,lab.example.com"})
    resolver = records.up(records.nic(0, **management(**fields))).topology.resolver
    assert resolver == Resolver(servers=("192.0.2.2", "2001:db8::53"), search=("example.com", "lab.example.com"))


def test_a_server_that_is_no_address_is_skipped_with_a_warning() -> None:
    """A typing error in DNS must not cost the host its network."""
    records = Records()
    desired = records.up(records.nic(0, **management(**static(dns="192.0.2.2,ns1"))))
    assert desired.topology.resolver == Resolver(servers=("192.0.2.2",))
    assert any("'ns1' is not an IPv4 address" in text for text in warnings(desired))


@pytest.mark.parametrize("mode", [static(dns=""), {"ip_mode": "DHCP"}])
def test_the_resolver_is_never_emptied(mode: dict[str, str]) -> None:
    """Without servers of our own nothing is said about resolv.conf (pains.md 7)."""
    records = Records()
    assert records.up(records.nic(0, **management(**mode))).topology.resolver is None


def test_dhcp_ignores_the_record_of_static_servers() -> None:
    """PIF.DNS is left over from a static time; the lease names the servers."""
    records = Records()
    assert records.up(records.nic(0, **management(dns="192.0.2.2"))).topology.resolver is None


def test_an_interface_without_the_dns_role_says_nothing_about_the_resolver() -> None:
    """Only one interface names servers."""
    records = Records()
    records.nic(0, **management())
    assert records.up(records.nic(1, **static(dns="192.0.2.2"))).topology.resolver is None


def test_f02_domains_that_are_none_are_dropped_one_by_one() -> None:
    """Quotes, command substitutions and newlines never pass; the good ones do."""
    records = Records()
    domain = "good.example,bad'quote,$(id),`id`,a\nb=c,fine.example"
    desired = records.up(records.nic(0, **management(other_config={"domain": domain})))
    assert desired.topology.resolver == Resolver(search=("good.example", "a", "fine.example"))
    assert len([text for text in warnings(desired) if "is not a domain name" in text]) == 4


def test_the_networks_offloads_are_the_bridge_devices() -> None:
    """PIF.other_config speaks for the NIC, network.other_config for the bridge's device."""
    records = Records()
    nic = records.nic(0, other_config={"ethtool-tx": "off"})
    records.change_network(nic, other_config={"ethtool-sg": "true", "ethtool-autoneg": "on"})
    links = records.up(nic).topology.links
    assert (links["xenbr0"].features, links["xenbr0"].settings) == ({"sg": True}, {"autoneg": "on"})
    assert links["eth0"].features == {"lro": False, "tx": False}
