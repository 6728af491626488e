"""dhclient's lease files, as they are, damaged, and written by a hostile server."""

from __future__ import annotations

import ipaddress

from hypothesis import given
from hypothesis import strategies as st

from xsagent.observed.dhclient_leases import Lease, parse_leases

FOUR = """\
lease {
  interface "xenbr0";
  fixed-address 192.0.2.50;
  option subnet-mask 255.255.255.0;
  option domain-name "one; fixed-address 203.0.113.1; }";
  renew 5 2026/11/20 13:00:00;
  expire epoch 1795000000; # Fri Nov 20 13:30:00 2026
}
lease {
  interface "xenbr0";
  fixed-address 192.0.2.51;
  option domain-name "with \\" quote and } brace";
}
"""

SIX = """\
default-duid "\\000\\003\\000\\001\\002\\000";
lease6 {
  interface "xenbr0";
  ia-na 00:00:5a:01 {
    starts 1795000000;
    iaaddr 2001:db8::100 {
      preferred-life 300;
    }
  }
  option dhcp6.name-servers 2001:db8::1;
}
"""


def lease(address: str, device: str = "xenbr0") -> Lease:
    """A lease."""
    return Lease(device=device, address=ipaddress.ip_address(address))


def test_leases_come_in_file_order_and_the_last_is_in_force() -> None:
    """Dhclient appends; what a server wrote between quotes is no statement, a comment neither."""
    assert parse_leases(FOUR) == [lease("192.0.2.50"), lease("192.0.2.51")]


def test_ipv6_leases_name_their_device_and_address() -> None:
    """The address stands in an ia-na block; name servers are no leases."""
    assert parse_leases(SIX) == [lease("2001:db8::100")]


def test_a_file_cut_off_in_the_middle_gives_what_is_whole() -> None:
    """A crash while dhclient writes leaves half a lease."""
    assert parse_leases(FOUR[: FOUR.index("option subnet-mask")]) == [lease("192.0.2.50")]


def test_what_is_no_address_is_passed_over() -> None:
    """A statement of the right name with nonsense in it gives nothing."""
    assert parse_leases('lease { interface "a"; fixed-address 192.0.2.999; fixed-address; }') == []


@given(st.text(alphabet='lease{};"\\ fixed-address 1.2interface#\n', max_size=200))
def test_any_text_is_read_without_an_error(text: str) -> None:
    """The parser is total."""
    assert all(isinstance(item, Lease) for item in parse_leases(text))
