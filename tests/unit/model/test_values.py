"""Strict readers: what they take, and that they take nothing else."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xsagent.errors import InputError
from xsagent.model.values import (
    parse_device_name,
    parse_domains,
    parse_host_list,
    parse_integer,
    parse_ipv4,
    parse_ipv4_host,
    parse_ipv4_interface,
    parse_ipv4_netmask,
    parse_ipv6,
    parse_ipv6_interface,
    parse_mac,
    parse_vlan_tag,
    shown,
)

Parser = Callable[[str], object]


def parse_mtu(text: str) -> int:
    """An MTU's range, as an example."""
    return parse_integer(text, 68, 65535)


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (parse_mtu, "1500", 1500),
        (parse_mtu, "68", 68),
        (parse_mtu, "65535", 65535),
        (lambda text: parse_integer(text, -5, 5), "-5", -5),
        (lambda text: parse_integer(text, 0, 5), "0", 0),
        (parse_vlan_tag, "0", 0),
        (parse_vlan_tag, "4094", 4094),
        (parse_ipv4, "192.0.2.10", ipaddress.IPv4Address("192.0.2.10")),
        (parse_ipv4_netmask, "255.255.255.0", 24),
        (parse_ipv4_netmask, "255.255.255.255", 32),
        (parse_ipv4_netmask, "128.0.0.0", 1),
        (parse_ipv6, "2001:DB8::1", ipaddress.IPv6Address("2001:db8::1")),
        (parse_ipv6_interface, "2001:db8::11/64", ipaddress.IPv6Interface("2001:db8::11/64")),
        (parse_mac, "00:1B:21:0a:0b:FF", "00:1b:21:0a:0b:ff"),
        (parse_mac, "fe:ff:ff:ff:ff:ff", "fe:ff:ff:ff:ff:ff"),
        (parse_device_name, "xenbr0", "xenbr0"),
        (parse_device_name, "a_b-c.d@2=x~", "a_b-c.d@2=x~"),
        (parse_device_name, "x" * 15, "x" * 15),
        (parse_host_list, "", ()),
        (
            parse_host_list,
            " 192.0.2.2, 2001:db8::2\n192.0.2.2 ",
            (ipaddress.IPv4Address("192.0.2.2"), ipaddress.IPv6Address("2001:db8::2")),
        ),
        (parse_domains, "", ()),
        (parse_domains, "example.com, lab.example.com example.com", ("example.com", "lab.example.com")),
        (parse_domains, "local", ("local",)),
        (parse_domains, "example.com.", ("example.com.",)),
    ],
)
def test_good_text_is_taken(parse: Parser, text: str, value: object) -> None:
    """And becomes the value that it says."""
    assert parse(text) == value


@pytest.mark.parametrize(
    ("parse", "texts"),
    [
        (
            parse_mtu,
            [" 1_500 ", "1_500", " 1500", "1500 ", "+1500", "01500", "0x5dc", "1500.0", "", "٣٠٠٠", "67", "65536"],
        ),
        (parse_mtu, ["9" * 5000, "-1500", "--1", "-", "1e3", "1500\n"]),
        (parse_vlan_tag, ["4095", "-1", "-0", "", "x", "1 0"]),
        (parse_ipv4, ["", "192.0.2", "192.0.2.256", "192.0.2.010", "192.0.2.1/24", " 192.0.2.1", "1", "::1", "x"]),
        (parse_ipv4_host, ["0.0.0.0", "224.0.0.1", "127.0.0.1", "255.255.255.255", "240.0.0.1"]),  # noqa: S104 - no socket binds here
        (parse_ipv4_netmask, ["255.0.255.0", "0.0.0.0", "0.0.0.255", "24", "255.255.255.0/24", "", "x"]),  # noqa: S104 - as above
        (parse_ipv6, ["", "192.0.2.1", "2001:db8::1/64", "fe80::1%eth0", ":::", "x"]),
        (parse_ipv6_interface, ["2001:db8::1", "2001:db8::1/", "2001:db8::1/0", "2001:db8::1/129", "2001:db8::1/ff::"]),
        (parse_ipv6_interface, ["::/64", "ff02::1/64", "::1/128", "192.0.2.1/24", "2001:db8::1/+4", ""]),
        (
            parse_mac,
            ["", "x", "00:1b:21:0a:0b", "00-1b-21-0a-0b-01", "01:00:5e:00:00:01", "00:00:00:00:00:00", "0:1:2:3:4:5"],
        ),
        (
            parse_device_name,
            ["", "x" * 16, ".", "..", "a/b", "a b", "a\tb", "-a", "a:1", "a;b", "a'b", "é", "a\n", "a\0"],
        ),
        (parse_host_list, ["x", "192.0.2.1;192.0.2.2", "192.0.2.300", "2001:db8::/64"]),
        (
            parse_domains,
            ['example.com" reboot "', "$(x)", "a;b", "-a.b", "a-.b", "a..b", ".", "x" * 64, "a.b" * 90, "é"],
        ),
    ],
)
def test_bad_text_is_refused(parse: Parser, texts: list[str]) -> None:
    """With an InputError that shows it on one line (legacy-faults.md F02 to F04)."""
    for text in texts:
        with pytest.raises(InputError) as caught:
            parse(text)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 200


def test_an_address_must_be_one_that_a_host_on_its_subnet_can_have() -> None:
    """Not the subnet's own and not its broadcast address, except where a subnet has none (RFC 3021)."""
    assert str(parse_ipv4_interface("192.0.2.10", "255.255.255.0")) == "192.0.2.10/24"
    assert str(parse_ipv4_interface("192.0.2.0", "255.255.255.254")) == "192.0.2.0/31"
    assert str(parse_ipv4_interface("192.0.2.0", "255.255.255.255")) == "192.0.2.0/32"
    for address in ("192.0.2.0", "192.0.2.255"):
        with pytest.raises(InputError, match=r"network or broadcast address of 192\.0\.2\.0/24"):
            parse_ipv4_interface(address, "255.255.255.0")


@given(st.text())
def test_any_text_is_taken_or_refused(text: str) -> None:
    """No reader raises anything but InputError; an error shows its text short and printable."""
    readers = [parse_mtu, parse_vlan_tag, parse_ipv4_host, parse_ipv4_netmask, parse_ipv6_interface, parse_mac]
    for parse in (*readers, parse_device_name, parse_host_list, parse_domains):
        try:
            parse(text)
        except InputError as error:
            assert str(error).isprintable()  # noqa: PT017 - most texts are refused, not all


def test_long_text_is_shown_short() -> None:
    """An error is one sentence."""
    assert shown("x" * 100) == repr("x" * 57 + "...")
    assert shown("a'\n") == '"a\'\\n"'
