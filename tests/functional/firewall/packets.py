"""One packet from a far host to dom0: does it come through dom0's firewall? Run by the interpreter on both sides.

``packets.py catch PROTOCOL PORT [4|6]`` prints ``listening``, then ``through`` or ``blocked``.
``packets.py send PROTOCOL PORT ADDRESS`` sends the packet and after it one to the control port, which the firewall
lets in. Packets on one wire stay in order, so a control packet without the other before it means that the other was
dropped: nobody waits for nothing.
Raw sockets see what passed the input hook, whoever listens there.
"""

from __future__ import annotations

import ipaddress
import select
import socket
import struct
import sys

CONTROL_PORT = 7000
NUMBERS = {"gre": 47, "esp": 50, "udp": 17, "tcp": 6}
_DEADLINE_S = 20
_SOURCE_PORT = 40000


def main() -> None:
    """One side of the test."""
    side, protocol, port, *rest = sys.argv[1:]
    if side == "send":
        _send(protocol, int(port), rest[0])
    else:
        sys.stdout.write("through\n" if _catch(protocol, int(port), *rest) else "blocked\n")


def _catch(protocol: str, port: int, family: str = "4") -> bool:
    kind = socket.AF_INET6 if family == "6" else socket.AF_INET
    wanted = socket.socket(kind, socket.SOCK_RAW, NUMBERS[protocol])
    control = socket.socket(kind, socket.SOCK_RAW, NUMBERS["udp"])
    _say_listening()
    seen = False
    while True:
        readable = select.select([wanted, control], [], [], _DEADLINE_S)[0]
        if not readable:
            raise SystemExit("no control packet arrived")
        if wanted in readable:  # looked at first: it was sent first
            arrived = _port_of(wanted.recv(2048), kind)
            seen = seen or port in {0, arrived}
        elif _port_of(control.recv(2048), kind) == CONTROL_PORT:
            return seen


def _say_listening() -> None:
    sys.stdout.write("listening\n")
    sys.stdout.flush()


def _port_of(packet: bytes, kind: int) -> int:
    """Destination port; raw IPv4 sockets give the IP header too."""
    start = (packet[0] & 15) * 4 if kind == socket.AF_INET else 0
    return int.from_bytes(packet[start + 2 : start + 4], "big")


def _send(protocol: str, port: int, address: str) -> None:
    _send_one(protocol, port, address)
    _send_one("udp", CONTROL_PORT, address)


def _send_one(protocol: str, port: int, address: str) -> None:
    kind = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(kind, socket.SOCK_RAW, NUMBERS[protocol]) as raw:
        raw.connect((address, 0))
        raw.send(_payload(protocol, port, raw.getsockname()[0], address))


def _payload(protocol: str, port: int, source: str, target: str) -> bytes:
    match protocol:
        case "udp":
            head = struct.pack("!HHHH", _SOURCE_PORT, port, 12, 0)
            return _with_sum(head + b"test", 6, 17, source, target)
        case "tcp":
            head = struct.pack("!HHIIBBHHH", _SOURCE_PORT, port, 1, 0, 5 << 4, 2, 1024, 0, 0)
            return _with_sum(head, 16, 6, source, target)
        case "gre":
            return struct.pack("!HH", 0, 0x6558) + bytes(60)
        case _:
            return struct.pack("!II", 0x1234, 1) + bytes(24)


def _with_sum(segment: bytes, place: int, number: int, source: str, target: str) -> bytes:
    """The segment with its checksum: a firewall that tracks connections drops what has none."""
    pseudo = ipaddress.ip_address(source).packed + ipaddress.ip_address(target).packed
    pseudo += struct.pack("!HH", number, len(segment)) if len(pseudo) == 8 else struct.pack("!II", len(segment), number)
    words = struct.unpack(f"!{len(pseudo + segment) // 2}H", pseudo + segment)
    total = sum(words)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return segment[:place] + struct.pack("!H", ~total & 0xFFFF) + segment[place + 2 :]


if __name__ == "__main__":
    main()
