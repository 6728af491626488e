"""Ethernet frames for neighbours and routers: ARP, neighbour discovery, router solicitation. Pure.

Formats: RFC 826, RFC 5227 (announcements), RFC 4861. Sent and read by apply/announce.py and apply/probe.py.
"""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address
from typing import Final

ETH_P_IP: Final = 0x0800
ETH_P_ARP: Final = 0x0806
ETH_P_IPV6: Final = 0x86DD

BROADCAST: Final = b"\xff" * 6
_ALL_HOSTS: Final = IPv4Address("224.0.0.1")
ALL_NODES: Final = IPv6Address("ff02::1")
ALL_ROUTERS: Final = IPv6Address("ff02::2")
UNSPECIFIED: Final = IPv6Address("::")

_ETHERNET: Final = struct.Struct("!6s6sH")
_ARP: Final = struct.Struct("!HHBBH6s4s6s4s")
_IPV4: Final = struct.Struct("!BBHHHBBH4s4s4s")
_IPV6: Final = struct.Struct("!IHBB16s16s")
_ARP_REQUEST: Final = 1
_ARP_REPLY: Final = 2
_IGMP: Final = 2
_MEMBERSHIP_QUERY: Final = 0x11
_ANSWER_WITHIN: Final = 50
"""Tenths of a second; xcp-networkd's choice."""
_ROUTER_ALERT: Final = b"\x94\x04\x00\x00"
_ICMPV6: Final = 58
_HOP_LIMIT: Final = 255
_ROUTER_SOLICITATION: Final = 133
_NEIGHBOUR_SOLICITATION: Final = 135
_NEIGHBOUR_ADVERTISEMENT: Final = 136
_SOLICITED: Final = 0x40000000
_OVERRIDE: Final = 0x20000000
_SOURCE_LINK_LAYER: Final = 1
_TARGET_LINK_LAYER: Final = 2
_VLAN_TAGS: Final = (0x8100, 0x88A8)


def arp_request(mac: bytes, source: IPv4Address, target: IPv4Address) -> bytes:
    """Return an ARP request; with `source` equal to `target` it announces the address (RFC 5227 section 2.3)."""
    body = _ARP.pack(1, 0x0800, 6, 4, _ARP_REQUEST, mac, source.packed, bytes(6), target.packed)
    return _ETHERNET.pack(BROADCAST, mac, ETH_P_ARP) + body


def is_arp_answer(frame: bytes, target: IPv4Address, asker: bytes) -> bool:
    """Return whether a frame is an ARP reply to the MAC `asker` in which `target` names its own.

    A request from the target, its announcement, or its reply to somebody else shows that it speaks, not that it hears
    us.
    """
    kind, body = split_frame(frame)
    if kind != ETH_P_ARP or len(body) < _ARP.size:
        return False
    _hardware, _protocol, _hlen, _plen, operation, mac, sender, target_mac, _target = _ARP.unpack_from(body)
    return operation == _ARP_REPLY and sender == target.packed and any(mac) and target_mac == asker


def sender_of(frame: bytes) -> bytes:
    """Return the MAC that a frame came from."""
    return frame[6:12]


def neighbour_solicitation(mac: bytes, source: IPv6Address, target: IPv6Address) -> bytes:
    """Return a question for the link-layer address of `target`, sent to its solicited-node group.

    From the unspecified address it names no link-layer address: the question of duplicate address detection.
    """
    group = _solicited_node(target)
    message = struct.pack("!BBHI16s", _NEIGHBOUR_SOLICITATION, 0, 0, 0, target.packed)
    if source != UNSPECIFIED:
        message += _link_layer(_SOURCE_LINK_LAYER, mac)
    return _icmpv6_frame(mac, source, group, message)


def neighbour_advertisement(mac: bytes, address: IPv6Address) -> bytes:
    """Return an unsolicited advertisement to all nodes that `address` is at `mac` now (RFC 4861 section 7.2.6)."""
    message = struct.pack("!BBHI16s", _NEIGHBOUR_ADVERTISEMENT, 0, 0, _OVERRIDE, address.packed)
    message += _link_layer(_TARGET_LINK_LAYER, mac)
    return _icmpv6_frame(mac, address, ALL_NODES, message)


def router_solicitation(mac: bytes, source: IPv6Address) -> bytes:
    """Return a solicitation to all routers; from the unspecified address it names no link-layer address."""
    message = struct.pack("!BBHI", _ROUTER_SOLICITATION, 0, 0, 0)
    if source != UNSPECIFIED:
        message += _link_layer(_SOURCE_LINK_LAYER, mac)
    return _icmpv6_frame(mac, source, ALL_ROUTERS, message)


def igmp_query(mac: bytes) -> bytes:
    """Return a general query for multicast groups (RFC 2236) to all hosts on the link.

    From the unspecified address: it is from no router, and no querier gives way to it (RFC 4541 section 2.1.1).
    """
    message = struct.pack("!BBH4s", _MEMBERSHIP_QUERY, _ANSWER_WITHIN, 0, bytes(4))
    message = message[:2] + struct.pack("!H", _checksum(message)) + message[4:]
    fields = (0x46, 0xC0, _IPV4.size + len(message), 0, 0, 1, _IGMP)
    ends = (bytes(4), _ALL_HOSTS.packed, _ROUTER_ALERT)
    header = _IPV4.pack(*fields, _checksum(_IPV4.pack(*fields, 0, *ends)), *ends)
    return _ETHERNET.pack(b"\x01\x00\x5e\x00\x00\x01", mac, ETH_P_IP) + header + message


def is_neighbour_answer(frame: bytes, target: IPv6Address, asker: bytes) -> bool:
    """Return whether a frame is a solicited neighbour advertisement for `target`, sent to the MAC `asker`.

    One that nobody solicited shows that the target speaks, not that it hears us (RFC 4861 section 4.4, flag S).
    """
    solicited = bool(int.from_bytes(_advertised(frame)[4:8], "big") & _SOLICITED)
    return is_neighbour_claim(frame, target) and solicited and frame[:6] == asker


def is_neighbour_claim(frame: bytes, target: IPv6Address) -> bool:
    """Return whether a frame is any neighbour advertisement for `target`: its sender has that address.

    To the question of duplicate address detection the answer goes to all nodes, unsolicited (RFC 4861 section 7.2.4).
    """
    message = _advertised(frame)
    return message[8:24] == target.packed


def _advertised(frame: bytes) -> bytes:
    """Return the ICMPv6 message of a neighbour advertisement from this link; empty for any other frame."""
    kind, body = split_frame(frame)
    if kind != ETH_P_IPV6 or len(body) < _IPV6.size + 24 or body[6] != _ICMPV6 or body[7] != _HOP_LIMIT:
        return b""
    message = body[_IPV6.size :]
    return message if message[0] == _NEIGHBOUR_ADVERTISEMENT else b""


def split_frame(frame: bytes) -> tuple[int, bytes]:
    """Return ethertype and payload, without a VLAN tag; 0 for what is no frame."""
    if len(frame) < _ETHERNET.size:
        return 0, b""
    kind, body = int.from_bytes(frame[12:14], "big"), frame[14:]
    if kind in _VLAN_TAGS:
        kind, body = int.from_bytes(frame[16:18], "big"), frame[18:]
    return kind, body


def _link_layer(kind: int, mac: bytes) -> bytes:
    return struct.pack("!BB6s", kind, 1, mac)


def _solicited_node(address: IPv6Address) -> IPv6Address:
    return IPv6Address(bytes.fromhex("ff0200000000000000000001ff") + address.packed[13:])


def _icmpv6_frame(mac: bytes, source: IPv6Address, group: IPv6Address, message: bytes) -> bytes:
    pseudo = source.packed + group.packed + struct.pack("!II", len(message), _ICMPV6)
    total = _checksum(pseudo + message)
    message = message[:2] + struct.pack("!H", total) + message[4:]
    header = _IPV6.pack(6 << 28, len(message), _ICMPV6, _HOP_LIMIT, source.packed, group.packed)
    return _ETHERNET.pack(b"\x33\x33" + group.packed[12:], mac, ETH_P_IPV6) + header + message


def has_right_checksum(packet: bytes) -> bool:
    """Return whether the ICMPv6 message of an IPv6 packet adds up (RFC 4443 section 2.3)."""
    message = packet[_IPV6.size : _IPV6.size + int.from_bytes(packet[4:6], "big")]
    return _checksum(packet[8:40] + struct.pack("!II", len(message), _ICMPV6) + message) == 0


def _checksum(data: bytes) -> int:
    """Return the Internet checksum (RFC 1071)."""
    words = data + bytes(len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(words) // 2}H", words))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
