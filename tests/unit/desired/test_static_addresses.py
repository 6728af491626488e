"""Static addresses of a PIF's record, and the record without some of them."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

import pytest
from records_builder import Records, static

from xsagent.desired.static_addresses import static_addresses, without_addresses
from xsagent.model.records import IpMode, Ipv6Mode, Pif
from xsagent.topology.values import IpAddress

V6 = {"ipv6_mode": "Static", "ipv6": ("2001:db8::1/64", "2001:db8:1::2/64"), "ipv6_gateway": "2001:db8::ffff"}


def pif(**fields: object) -> Pif:
    """A NIC's with these fields."""
    records = Records()
    return records.pifs[records.nic(0, **fields)]


def addresses(*texts: str) -> tuple[IpAddress, ...]:
    """These addresses."""
    return tuple(ipaddress.ip_address(text) for text in texts)


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({**static(), **V6}, ("192.0.2.10", "2001:db8::1", "2001:db8:1::2")),
        ({**V6, "ipv6": ("fe80::1/64", "2001:DB8:0::1/64")}, ("2001:db8::1",)),
        ({**static(), "ip_mode": "DHCP"}, ()),
        ({**V6, "ipv6_mode": "Autoconf"}, ()),
        (static("192.0.2"), ()),
        ({**static(), **V6, "ipv6": ("2001:db8::1/64", "none")}, ("192.0.2.10",)),
    ],
    ids=["both", "link-local", "dhcp", "autoconf", "no address", "no address of one family"],
)
def test_static_addresses_are_those_of_families_that_are_static(
    fields: dict[str, object], found: tuple[str, ...]
) -> None:
    """Without prefixes; each link has link-local ones of its own, and what is no address is for others to refuse."""
    assert static_addresses(pif(**fields)) == addresses(*found)


def test_a_family_that_loses_its_last_address_has_no_mode() -> None:
    """The other one stays as it is."""
    both = pif(**static(), **V6)

    left = without_addresses(both, addresses("192.0.2.10"))
    assert left == replace(both, ip_mode=IpMode.NONE)
    left = without_addresses(both, addresses("2001:db8::1", "2001:db8:1::2"))
    assert left == replace(both, ipv6=(), ipv6_mode=Ipv6Mode.NONE, ipv6_gateway="")


def test_the_gateway_goes_with_the_address_whose_subnet_it_is_on() -> None:
    """It stays where another address reaches it."""
    both = pif(**V6)

    assert without_addresses(both, addresses("2001:db8:1::2")) == replace(both, ipv6=("2001:db8::1/64",))
    left = without_addresses(both, addresses("2001:db8::1"))
    assert (left.ipv6, left.ipv6_gateway) == (("2001:db8:1::2/64",), "")


def test_a_record_without_those_addresses_is_the_same() -> None:
    """Also where what it holds is no address."""
    for fields in ({**static(), **V6}, {"ip_mode": "DHCP"}, static("192.0.2"), {**V6, "ipv6": ("none",)}):
        whole = pif(**fields)
        assert without_addresses(whole, addresses("192.0.2.99", "2001:db8::99")) is whole
