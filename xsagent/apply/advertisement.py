"""Frame -> the name servers and search domains of a router advertisement (RFC 8106). Pure, standard library alone.

Anyone on the wire can send one, so what is no advertisement, address or domain is dropped. After it apply/rdnss.py.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import Final

from xsagent.apply.dhclient_environment import is_domain
from xsagent.apply.frames import ETH_P_IPV6, has_right_checksum, split_frame
from xsagent.topology.values import Resolver

_IPV6_HEADER: Final = 40
_ADVERTISEMENT: Final = 134
_FIXED: Final = 16
"""Octets of the advertisement before its options."""

_HOP_LIMIT: Final = 255
_ICMPV6: Final = 58
_RDNSS: Final = 25
_DNSSL: Final = 31
_OPTION_HEAD: Final = struct.Struct("!BBHI")
_ADDRESS: Final = 16
_MAX_SERVERS: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Advertisement:
    """A router's word; `resolver` is empty when it names no servers, or ones whose lifetime is over."""

    router: IPv6Address
    resolver: Resolver


def parse_advertisement(frame: bytes, device: str) -> Advertisement | None:
    """Return what a router advertises; None for any other frame.

    Checks what RFC 4861 section 6.1.2 asks for: link-local source, hop limit 255, code 0, checksum.

    Args:
        device: the scope of servers with a link-local address (``fe80::1%xenbr0``).
    """
    kind, packet = split_frame(frame)
    message = packet[_IPV6_HEADER:]
    if kind != ETH_P_IPV6 or len(message) < _FIXED or packet[6:8] != bytes([_ICMPV6, _HOP_LIMIT]):
        return None
    message = message[: int.from_bytes(packet[4:6], "big")]
    router = IPv6Address(packet[8:24])
    if message[:2] != bytes([_ADVERTISEMENT, 0]) or not router.is_link_local or not has_right_checksum(packet):
        return None
    servers: dict[str, None] = {}
    search: dict[str, None] = {}
    for option, body in _options(message[_FIXED:]):
        if option == _RDNSS:
            servers |= dict.fromkeys(_servers(body, device))
        elif option == _DNSSL:
            search |= dict.fromkeys(_domains(body))
    return Advertisement(router=router, resolver=Resolver(servers=tuple(servers)[:_MAX_SERVERS], search=tuple(search)))


def _options(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield kind and body of the options that have a lifetime left; a length of 0 ends the list."""
    while len(data) >= _OPTION_HEAD.size:
        kind, length, _reserved, lifetime = _OPTION_HEAD.unpack_from(data)
        if length == 0 or 8 * length > len(data):
            return
        if kind in {_RDNSS, _DNSSL} and lifetime:
            yield kind, data[_OPTION_HEAD.size : 8 * length]
        data = data[8 * length :]


def _servers(body: bytes, device: str) -> Iterator[str]:
    for place in range(0, len(body) - _ADDRESS + 1, _ADDRESS):
        address = IPv6Address(body[place : place + _ADDRESS])
        if not (address.is_unspecified or address.is_multicast or address.is_loopback):
            yield f"{address}%{device}" if address.is_link_local else str(address)


def _domains(body: bytes) -> Iterator[str]:
    """Yield domains in DNS's own form: labels with a length before each, 0 at the end, padded with zeros."""
    labels: list[str] = []
    while body:
        length, body = body[0], body[1:]
        if length:
            labels.append(body[:length].decode("ascii", "replace"))
            body = body[length:]
            continue
        domain = ".".join(labels)
        if labels and is_domain(domain):
            yield domain
        labels = []
