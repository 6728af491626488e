"""A program that sends a ping every few milliseconds and counts the answers exactly. Effects; stdlib alone.

`traffic.PingStream` starts it inside a sandbox by its path. It writes ``started`` once the first ping is out, a
line of JSON (the fields of `traffic.StreamCounts`) for each line on its stdin, and a last one when stdin ends,
after waiting for answers that are under way.
"""

from __future__ import annotations

import argparse
import ipaddress
import json
import os
import select
import socket
import struct
import sys
import time

_ECHO = {socket.AF_INET: (8, 0), socket.AF_INET6: (128, 129)}
_HEADER = struct.Struct("!BBHHH")
_PAYLOAD = struct.Struct("!8sI")
_RECEIVE_BUFFER = 4 << 20


def _checksum(data: bytes) -> int:
    """Internet checksum (RFC 1071) of data of even length."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF - total


class _Stream:
    """Socket and counters of one stream; a packet is known by a random token and its number."""

    def __init__(self, target: str) -> None:
        self.address = ipaddress.ip_address(target)
        self.family = socket.AF_INET if self.address.version == 4 else socket.AF_INET6  # noqa: PLR2004 IP version
        protocol = socket.IPPROTO_ICMP if self.family == socket.AF_INET else socket.IPPROTO_ICMPV6
        self.socket = socket.socket(self.family, socket.SOCK_RAW, protocol)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        self.token = os.urandom(8)
        self.answers = bytearray()
        self.refused = 0

    def send(self) -> None:
        """Send the next ping; one that the kernel refuses (no route, no address) counts as sent."""
        number = len(self.answers)
        self.answers.append(0)
        kind, payload = _ECHO[self.family][0], _PAYLOAD.pack(self.token, number)
        identity = int.from_bytes(self.token[:2])
        packet = _HEADER.pack(kind, 0, 0, identity, number & 0xFFFF) + payload
        if self.family == socket.AF_INET:  # the kernel does it for ICMPv6
            packet = _HEADER.pack(kind, 0, _checksum(packet), identity, number & 0xFFFF) + payload
        try:
            self.socket.sendto(packet, (str(self.address), 0))
        except OSError:
            self.refused += 1

    def receive(self) -> None:
        """Count every answer that has arrived."""
        while True:
            try:
                packet = self.socket.recv(2048)
            except BlockingIOError:
                return
            except OSError:
                continue  # an ICMP error of an earlier packet
            start = (packet[0] & 15) * 4 if self.family == socket.AF_INET else 0
            body = packet[start + _HEADER.size :]
            if packet[start] == _ECHO[self.family][1] and len(body) >= _PAYLOAD.size:
                token, number = _PAYLOAD.unpack_from(body)
                if token == self.token and number < len(self.answers):
                    self.answers[number] = min(self.answers[number] + 1, 255)

    def report(self) -> None:
        """Write the counts so far as one line of JSON."""
        gaps = bytes(min(answer, 1) for answer in self.answers).split(b"\x01")
        counts = {
            "sent": len(self.answers),
            "answered": sum(1 for answer in self.answers if answer),
            "duplicates": sum(answer - 1 for answer in self.answers if answer),
            "refused": self.refused,
            "longest_gap": max(len(gap) for gap in gaps),
        }
        sys.stdout.write(json.dumps(counts) + "\n")
        sys.stdout.flush()


def _send_all(stream: _Stream, interval_s: float) -> None:
    """Send until stdin ends; a line on stdin asks for the counts."""
    sys.stdout.write("started\n")
    sys.stdout.flush()
    due = time.monotonic()
    while True:
        now = time.monotonic()
        if now >= due:
            stream.send()
            due = max(due + interval_s, now)
        readable = select.select([stream.socket, sys.stdin], [], [], max(0.0, due - time.monotonic()))[0]
        stream.receive()
        if sys.stdin in readable:
            asked = os.read(sys.stdin.fileno(), 4096)
            if not asked:
                return
            for _line in asked.splitlines():
                stream.report()


def _await_answers(stream: _Stream, grace_s: float) -> None:
    """Receive until every ping is answered or `grace_s` have passed."""
    end = time.monotonic() + grace_s
    while not all(stream.answers) and time.monotonic() < end:
        select.select([stream.socket], [], [], max(0.0, end - time.monotonic()))
        stream.receive()


def main() -> int:
    """Run one stream."""
    parser = argparse.ArgumentParser()
    parser.add_argument("target")
    parser.add_argument("--interval-ms", type=float, default=5.0)
    parser.add_argument("--grace-s", type=float, default=1.0)
    arguments = parser.parse_args()
    stream = _Stream(arguments.target)
    _send_all(stream, arguments.interval_ms / 1000)
    _await_answers(stream, arguments.grace_s)
    stream.report()
    return 0


if __name__ == "__main__":
    sys.exit(main())
