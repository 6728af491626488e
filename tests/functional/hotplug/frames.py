"""Ethernet frames built by hand, as a guest would send them, and a sender and receiver for a namespace.

Run in a guest as ``python frames.py send eth0`` (hex frames on stdin) or ``python frames.py receive eth0 LAST``
(prints each frame that arrives until the frame LAST does). Standard library alone.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
import sys
import time

ETH_P_ALL = 3
DEADLINE_S = 20.0
ALL_NODES = "33:33:00:00:00:01"


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def _sum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    padded = data + b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def ethernet(source: str, target: str, kind: int, payload: bytes) -> bytes:
    """A frame, padded to 60 bytes."""
    return (_mac(target) + _mac(source) + struct.pack("!H", kind) + payload).ljust(60, b"\0")


def arp(source: str, sender_mac: str, sender_ip: str, *, operation: int = 1, target_ip: str = "192.0.2.1") -> bytes:
    """An ARP request or reply, sent to everyone."""
    addresses = _mac(sender_mac) + ipaddress.IPv4Address(sender_ip).packed + bytes(6)
    body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, operation) + addresses + ipaddress.IPv4Address(target_ip).packed
    return ethernet(source, "ff:ff:ff:ff:ff:ff", 0x0806, body)


def ipv4(source: str, sender_ip: str, protocol: int, payload: bytes, *, target: str = "02:00:00:00:00:99") -> bytes:
    """An IPv4 packet."""
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 7, 0, 64, protocol, 0)
    ends = ipaddress.IPv4Address(sender_ip).packed + ipaddress.IPv4Address("192.0.2.99").packed
    head = head[:10] + struct.pack("!H", _sum(head + ends)) + ends
    return ethernet(source, target, 0x0800, head + payload)


def udp(source_port: int, target_port: int, data: bytes) -> bytes:
    """A UDP datagram without checksum."""
    return struct.pack("!HHHH", source_port, target_port, 8 + len(data), 0) + data


def ipv6(
    source: str, sender_ip: str, protocol: int, payload: bytes, *, target: str = ALL_NODES, to: str = "ff02::1"
) -> bytes:
    """An IPv6 packet with hop limit 255."""
    ends = ipaddress.IPv6Address(sender_ip).packed + ipaddress.IPv6Address(to).packed
    return ethernet(source, target, 0x86DD, struct.pack("!IHBB", 6 << 28, len(payload), protocol, 255) + ends + payload)


def icmpv6(source: str, sender_ip: str, kind: int, body: bytes, *, to: str = "ff02::1") -> bytes:
    """An ICMPv6 message with a right checksum."""
    ends = ipaddress.IPv6Address(sender_ip).packed + ipaddress.IPv6Address(to).packed
    pseudo = ends + struct.pack("!II", 4 + len(body), 58)
    message = struct.pack("!BBH", kind, 0, _sum(pseudo + bytes([kind, 0, 0, 0]) + body)) + body
    return ipv6(source, sender_ip, 58, message, to=to)


def solicitation(source: str, sender_ip: str, target_ip: str, link_address: str = "") -> bytes:
    """A neighbour solicitation, with a source link-layer address option unless it is empty."""
    option = b"\1\1" + _mac(link_address) if link_address else b""
    return icmpv6(source, sender_ip, 135, bytes(4) + ipaddress.IPv6Address(target_ip).packed + option)


def advertisement(source: str, sender_ip: str, target_ip: str, link_address: str) -> bytes:
    """A neighbour advertisement."""
    body = bytes([0x20, 0, 0, 0]) + ipaddress.IPv6Address(target_ip).packed + b"\2\1" + _mac(link_address)
    return icmpv6(source, sender_ip, 136, body)


def router_advertisement(source: str, sender_ip: str) -> bytes:
    """A router advertisement that offers a default route."""
    return icmpv6(source, sender_ip, 134, struct.pack("!BBHII", 64, 0, 1800, 0, 0))


def _open(interface: str) -> socket.socket:
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    raw.bind((interface, ETH_P_ALL))
    return raw


def _send(interface: str) -> None:
    with _open(interface) as raw:
        for line in sys.stdin:
            raw.send(bytes.fromhex(line.strip()))
            time.sleep(0.001)


def _say(line: str) -> None:
    """Tell the test, which reads lines as they come."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _receive(interface: str, last: str) -> None:
    """Print what arrives; ends with the frame `last`, or fails when it does not come."""
    with _open(interface) as raw:
        raw.settimeout(DEADLINE_S)
        _say("listening")
        while True:
            data, address = raw.recvfrom(65536)
            if address[2] == socket.PACKET_OUTGOING:
                continue
            _say(data.hex())
            if data.hex() == last:
                return


if __name__ == "__main__":
    if sys.argv[1] == "send":
        _send(sys.argv[2])
    else:
        _receive(sys.argv[2], sys.argv[3])
