"""Router advertisements: name servers and search domains, and everything that may be wrong with a frame."""

from __future__ import annotations

import struct
from ipaddress import IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xsagent.apply.advertisement import Advertisement, parse_advertisement
from xsagent.topology.values import Resolver

ROUTER = IPv6Address("fe80::1")
ALL_NODES = IPv6Address("ff02::1")


def checksum(packet: bytes, message: bytes) -> int:
    """The Internet checksum with IPv6's pseudo header."""
    data = packet[8:40] + struct.pack("!II", len(message), 58) + message + bytes(len(message) % 2)
    total = sum(int.from_bytes(data[place : place + 2], "big") for place in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def frame(*options: bytes, source: IPv6Address = ROUTER, hops: int = 255, kind: int = 134, spoil: int = 0) -> bytes:
    """An advertisement as a router sends it."""
    message = struct.pack("!BBHBBHII", kind, 0, 0, 64, 0, 1800, 0, 0) + b"".join(options)
    header = struct.pack("!IHBB", 6 << 28, len(message), 58, hops) + source.packed + ALL_NODES.packed
    total = checksum(header, message) ^ spoil
    message = message[:2] + struct.pack("!H", total) + message[4:]
    return bytes.fromhex("3333000000010200000000fe86dd") + header + message


def rdnss(*addresses: str, lifetime: int = 600) -> bytes:
    """RFC 8106 section 5.1."""
    body = b"".join(IPv6Address(address).packed for address in addresses)
    return struct.pack("!BBHI", 25, 1 + 2 * len(addresses), 0, lifetime) + body


def dnssl(*domains: str, lifetime: int = 600) -> bytes:
    """RFC 8106 section 5.2."""
    body = b"".join(
        b"".join(bytes([len(label)]) + label.encode() for label in domain.split(".")) + b"\0" for domain in domains
    )
    body += bytes(-len(body) % 8)
    return struct.pack("!BBHI", 31, 1 + len(body) // 8, 0, lifetime) + body


def test_servers_and_domains_are_taken_in_their_order() -> None:
    """A link-local server is named with its device; other options in between do not matter."""
    prefix = struct.pack("!BB30x", 3, 4)
    parsed = parse_advertisement(
        frame(rdnss("2001:db8::53", "fe80::53"), prefix, dnssl("a.example", "b.example"), rdnss("2001:db8::54")), "br0"
    )

    assert parsed == Advertisement(
        router=ROUTER,
        resolver=Resolver(servers=("2001:db8::53", "fe80::53%br0", "2001:db8::54"), search=("a.example", "b.example")),
    )


@pytest.mark.parametrize(
    "bad",
    [
        frame(rdnss("2001:db8::53"), source=IPv6Address("2001:db8::1")),
        frame(rdnss("2001:db8::53"), hops=254),
        frame(rdnss("2001:db8::53"), kind=136),
        frame(rdnss("2001:db8::53"), spoil=1),
        frame(rdnss("2001:db8::53"))[:60],
        b"",
    ],
)
def test_what_no_router_of_this_link_can_have_sent_is_dropped(bad: bytes) -> None:
    """RFC 4861 section 6.1.2."""
    assert parse_advertisement(bad, "br0") is None


@pytest.mark.parametrize(
    "option",
    [
        rdnss("2001:db8::53", lifetime=0),
        rdnss("::", "ff02::1", "::1"),
        dnssl("a b", "x;y", "-"),
        struct.pack("!BBHI", 25, 0, 0, 600),
        struct.pack("!BBHI", 25, 9, 0, 600),
        struct.pack("!BBHI", 31, 1, 0, 600),
    ],
)
def test_options_that_say_nothing_usable_are_passed_over(option: bytes) -> None:
    """Lifetimes that are over, addresses no server can have, no domains, lengths that lie."""
    parsed = parse_advertisement(frame(option), "br0")

    assert parsed is not None
    assert parsed.resolver == Resolver()


@given(st.lists(st.binary(max_size=64), max_size=3))
def test_any_options_are_read_without_an_error(options: list[bytes]) -> None:
    """The reader is total."""
    assert parse_advertisement(frame(*options), "br0") is not None


@given(st.binary(max_size=200))
def test_any_frame_is_read_without_an_error(data: bytes) -> None:
    """And none of them is an advertisement by chance."""
    assert parse_advertisement(data, "br0") is None
