"""What a DHCP server may say, and what is believed of it."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xsagent.apply.dhclient_environment import (
    is_domain,
    leased_interface,
    parse_classless_routes,
    parse_lease4,
    parse_lease6,
    requested_options,
)
from xsagent.errors import InputError
from xsagent.topology.values import Route

ALL = frozenset({"routers", "domain-name-servers", "domain-name", "domain-search", "name-servers"})
LEASE = {
    "new_ip_address": "192.0.2.50",
    "new_subnet_mask": "255.255.255.0",
    "new_routers": "192.0.2.1 192.0.2.2",
    "new_domain_name_servers": "192.0.2.53 192.0.2.54",
    "new_domain_name": "lab.example",
    "new_interface_mtu": "1400",
}


def route(destination: str, gateway: str | None) -> Route:
    """A route of a lease."""
    via = ipaddress.ip_address(gateway) if gateway else None
    return Route(destination=ipaddress.ip_network(destination), gateway=via, protocol=16)


def test_what_is_requested_is_read_from_our_own_configuration() -> None:
    """Blocks, line breaks and several statements; comments do not count; dhcp6 options lose their prefix."""
    text = 'interface "eth0" {\n  request subnet-mask,\n    routers;\n}\n# request nis-domain;\n'
    text += "also request dhcp6.name-servers;\n"

    assert requested_options(text) == {"subnet-mask", "routers", "name-servers"}


def test_a_lease_is_taken_as_far_as_it_was_requested() -> None:
    """On the gateway and DNS interface everything, elsewhere the address alone; one default route of several."""
    whole, bare = parse_lease4(LEASE, ALL), parse_lease4(LEASE, frozenset())

    assert whole.interface == bare.interface == ipaddress.ip_interface("192.0.2.50/24")
    assert whole.routes == (route("0.0.0.0/0", "192.0.2.1"),)
    assert whole.resolver.servers == ("192.0.2.53", "192.0.2.54")
    assert whole.resolver.search == ("lab.example",)
    assert whole.mtu == 1400
    assert (bare.routes, bare.resolver.servers, bare.resolver.search) == ((), (), ())


@pytest.mark.parametrize(
    "address", ["", "nonsense", str(ipaddress.IPv4Address(0)), "127.0.0.1", "224.0.0.1", "192.0.2.1; reboot"]
)
def test_an_address_that_no_host_can_have_is_refused(address: str) -> None:
    """The device keeps what it has."""
    with pytest.raises(InputError):
        parse_lease4(LEASE | {"new_ip_address": address}, ALL)


def test_a_lease_without_a_mask_is_one_address() -> None:
    """Nothing is assumed about the subnet."""
    lease = parse_lease4({"new_ip_address": "192.0.2.50"}, ALL)

    assert lease.interface == ipaddress.ip_interface("192.0.2.50/32")


@pytest.mark.parametrize("name", ["a b;c", "$(reboot)", "`x`", "a\nnameserver 203.0.113.1", "-a", "a..b", "x" * 64])
def test_hostile_domains_are_dropped(name: str) -> None:
    """Only whole domain names reach resolv.conf; parts of a text that is none may, if they are names."""
    search = parse_lease4(LEASE | {"new_domain_name": name}, ALL).resolver.search

    assert all(is_domain(domain) for domain in search)
    assert not any(character in domain for domain in search for character in "\n $`;()")


def test_servers_that_are_no_addresses_are_dropped() -> None:
    """The good ones beside them are used."""
    text = "192.0.2.53 evil 0.0.0.0 224.0.0.1 192.0.2.53#53"

    assert parse_lease4(LEASE | {"new_domain_name_servers": text}, ALL).resolver.servers == ("192.0.2.53",)


def test_classless_routes_hide_the_router_option() -> None:
    """RFC 3442: a client that understands option 121 ignores option 3 beside it."""
    lease = LEASE | {"new_rfc3442_classless_static_routes": "16 198 18 192 0 2 7"}

    assert parse_lease4(lease, ALL).routes == (route("198.18.0.0/16", "192.0.2.7"),)


@pytest.mark.parametrize(
    ("text", "routes"),
    [
        ("0 192 0 2 1", [route("0.0.0.0/0", "192.0.2.1")]),
        ("24 198 51 100 192 0 2 1", [route("198.51.100.0/24", "192.0.2.1")]),
        ("25 198 51 100 128 192 0 2 1", [route("198.51.100.128/25", "192.0.2.1")]),
        ("32 198 51 100 7 0 0 0 0", [route("198.51.100.7/32", None)]),
        ("16.198.18 192.0.2.7 0 192.0.2.1", [route("198.18.0.0/16", "192.0.2.7"), route("0.0.0.0/0", "192.0.2.1")]),
        ("24 198 51 100 192 0 2", []),
        ("33 198 51 100 1 1 192 0 2 1", []),
        ("24 198 51 100 192 0 2 1 8 10", []),
        ("24 198 51 300 192 0 2 1", []),
        ("", []),
        ("x", []),
    ],
)
def test_classless_routes_are_taken_whole_or_not_at_all(text: str, routes: list[Route]) -> None:
    """Numbers or dotted forms; one that does not come out even says nothing that can be trusted."""
    assert parse_classless_routes(text) == routes


@given(st.text(max_size=60))
def test_any_text_of_option_121_is_read_without_an_error(text: str) -> None:
    """The reader is total."""
    assert isinstance(parse_classless_routes(text), list)


def test_an_ipv6_lease_has_no_routes() -> None:
    """DHCPv6 names none; its servers come with the configuration's request."""
    environment = {
        "new_ip6_address": "2001:db8::100",
        "new_ip6_prefixlen": "64",
        "new_dhcp6_name_servers": "2001:db8::53",
        "new_dhcp6_domain_search": "lab.example. other.example.",
    }

    lease = parse_lease6(environment, ALL)

    assert (lease.interface, lease.routes) == (ipaddress.ip_interface("2001:db8::100/64"), ())
    assert lease.resolver.servers == ("2001:db8::53",)
    assert lease.resolver.search == ("lab.example", "other.example")


def test_an_expiry_names_the_old_address() -> None:
    """``old`` variables tell what goes; without them nothing does."""
    assert leased_interface({"old_ip_address": "192.0.2.50", "old_subnet_mask": "255.255.255.0"}, 4, "old") is not None
    assert leased_interface({}, 4, "old") is None
    assert leased_interface({}, 6, "old") is None
