"""Run in a sandbox's dom0: multicasts events to udev's listeners in the form that udevd gives them.

Standard input: a JSON list of property tables. The form is libudev's own (struct monitor_netlink_header of
systemd's sd-device/device-monitor.c): a header in network byte order with a Murmur hash of the subsystem, then
KEY=VALUE strings, each with a zero byte.
"""

from __future__ import annotations

import json
import socket
import struct
import sys

NETLINK_KOBJECT_UEVENT = 15
UDEV_GROUP = 2
MAGIC = 0xFEEDCAFE
HEADER = struct.Struct("8sIIIIIIII")


def murmur2(data: bytes) -> int:
    """MurmurHash2 with seed 0, as libudev's string_hash32."""
    multiplier, length = 0x5BD1E995, len(data)
    value = length
    while len(data) >= 4:
        part = int.from_bytes(data[:4], "little") * multiplier & 0xFFFFFFFF
        part = (part ^ part >> 24) * multiplier & 0xFFFFFFFF
        value = (value * multiplier & 0xFFFFFFFF) ^ part
        data = data[4:]
    if data:
        value = (value ^ int.from_bytes(data, "little")) * multiplier & 0xFFFFFFFF
    value = (value ^ value >> 13) * multiplier & 0xFFFFFFFF
    return value ^ value >> 15


def render(properties: dict[str, str]) -> bytes:
    """The datagram of one event."""
    body = b"".join(f"{key}={value}".encode() + b"\0" for key, value in properties.items())
    subsystem = murmur2(properties["SUBSYSTEM"].encode())
    numbers = [socket.htonl(number) for number in (MAGIC,)]
    hashes = [socket.htonl(subsystem), 0, 0, 0]
    return HEADER.pack(b"libudev\0", numbers[0], HEADER.size, HEADER.size, len(body), *hashes) + body


def main() -> None:
    """Send them all."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_KOBJECT_UEVENT) as out:
        out.bind((0, 0))
        for number, properties in enumerate(json.load(sys.stdin), start=1):
            out.sendto(render({"SEQNUM": str(number), **properties}), (0, UDEV_GROUP))


if __name__ == "__main__":
    main()
