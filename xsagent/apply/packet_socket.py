"""A device's packet socket, MAC and first addresses, by plain sockets and ioctls. Effects, standard library alone.

Used by apply/announce.py (sends) and apply/probe.py (sends and listens), which must work without pyroute2.
"""

from __future__ import annotations

import contextlib
import fcntl
import socket
import struct
import threading
import time
from collections.abc import Iterator
from ipaddress import IPv6Address
from pathlib import Path
from typing import Final

from xsagent.errors import DeviceAbsentError, NetlinkError

_SIOCGIFFLAGS: Final = 0x8913
_SIOCGIFHWADDR: Final = 0x8927
_IFREQ: Final = struct.Struct("16s24s")
_IF_INET6: Final = Path("/proc/self/net/if_inet6")
"""Of this process's network namespace, whatever the root prefix is."""

_IFF_RUNNING: Final = 0x40
_TENTATIVE: Final = 0x40
_POLL_S: Final = 0.05


@contextlib.contextmanager
def packet_socket(device: str, protocol: int) -> Iterator[socket.socket]:
    """Open a raw packet socket on a device for one ethertype.

    Raises:
        DeviceAbsentError: there is no such device.
        NetlinkError: the kernel refuses the socket.
    """
    require_device(device)
    try:
        with sending_socket() as raw:
            raw.bind((device, protocol))
            yield raw
    except OSError as error:
        raise NetlinkError(f"cannot send or hear packets on {device}: {error.strerror or error}") from error


@contextlib.contextmanager
def sending_socket() -> Iterator[socket.socket]:
    """Open a raw packet socket that hears nothing: of protocol 0 until it is bound (packet(7)).

    OSError: the kernel refuses it.
    """
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    try:
        yield raw
    finally:
        # close(2) waits until no processor can still hand it a packet, some ms (net/packet/af_packet.c,
        # packet_release()): nobody who has his answer need wait for that
        threading.Thread(target=raw.close).start()


def require_device(device: str) -> int:
    """Return the ifindex of a device; DeviceAbsentError when there is none of that name."""
    try:
        return socket.if_nametoindex(device)
    except OSError as error:
        raise DeviceAbsentError(f"the device {device} is not on this host; it was not configured") from error


def device_mac(device: str) -> bytes:
    """Return the device's MAC; OSError without such a device."""
    return _ioctl(device, _SIOCGIFHWADDR)[2:8]


def has_carrier(device: str) -> bool:
    """Return whether the device is up and has carrier; False without such a device."""
    try:
        (flags,) = struct.unpack_from("=H", _ioctl(device, _SIOCGIFFLAGS))
    except OSError:
        return False
    return bool(flags & _IFF_RUNNING)


def usable_ipv6(device: str) -> list[IPv6Address]:
    """Return the device's IPv6 addresses that are not tentative, link-local ones first."""
    try:
        text = _IF_INET6.read_text(encoding="ascii")
    except OSError:  # a kernel without IPv6
        return []
    found: list[IPv6Address] = []
    for line in text.splitlines():
        address, _index, _prefix, _scope, flags, name = line.split()
        if name == device and not int(flags, 16) & _TENTATIVE:
            found.append(IPv6Address(bytes.fromhex(address)))
    return sorted(found, key=lambda item: (not item.is_link_local, item))


def await_link_local(device: str, deadline_s: float) -> None:
    """Wait until the device has a usable link-local address, at most `deadline_s`; returns either way.

    DHCPv6 speaks from it, and it is not usable before duplicate detection has ended.
    """
    end = time.monotonic() + deadline_s
    while not any(address.is_link_local for address in usable_ipv6(device)) and time.monotonic() < end:
        time.sleep(_POLL_S)


def _ioctl(device: str, request: int) -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        answer = fcntl.ioctl(control, request, _IFREQ.pack(device.encode()[:15], b""))
    return bytes(_IFREQ.unpack(answer)[1])
