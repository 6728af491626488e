"""Gateway -> does it answer ARP or neighbour discovery through this device? Effects, standard library alone.

Used by the deadman before and after a change, and by the DHCP hook. ICMP echo alone would tell less: routers may not
answer it, and another interface could carry it.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable
from functools import partial
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from xsagent.apply.frames import (
    ETH_P_ARP,
    ETH_P_IPV6,
    arp_request,
    is_arp_answer,
    is_neighbour_answer,
    neighbour_solicitation,
)
from xsagent.apply.packet_socket import device_mac, first_ipv4, packet_socket, require_device, usable_ipv6
from xsagent.topology.values import IpAddress

_EVERY_S: Final = 0.5
_FRAME: Final = 2048
_NO_IPV4: Final = IPv4Address(0)
"""An ARP probe's sender (RFC 5227 section 2.1.1): every host answers it."""


def probe_gateway(device: str, gateway: IpAddress, *, deadline_s: float, source: IpAddress | None = None) -> bool:
    """Ask for a gateway's MAC through a device, twice a second until it answers or the deadline passes.

    Blocking, at most `deadline_s`; at least one question is asked. Changes nothing: neither the kernel's neighbour
    table nor the device. Works on a bridge's internal port as on a NIC.

    Arguments:
        source: the address to ask from; by default the device's own (for IPv6 the one nearest to the gateway).

    Raises DeviceAbsentError without the device, NetlinkError when it takes no packets (it is down).
    """
    require_device(device)
    mac = device_mac(device)
    protocol = ETH_P_ARP if isinstance(gateway, IPv4Address) else ETH_P_IPV6
    with packet_socket(device, protocol) as raw:
        end = time.monotonic() + deadline_s
        while True:
            frame, is_answer = _question(device, mac, gateway, source)
            if frame is not None:
                raw.send(frame)
            if _heard(raw, is_answer, min(end, time.monotonic() + _EVERY_S)):
                return True
            if time.monotonic() >= end:
                return False


def _question(
    device: str, mac: bytes, gateway: IpAddress, source: IpAddress | None
) -> tuple[bytes | None, Callable[[bytes], bool]]:
    """Return the frame to send, None while the device has no usable address to ask from, and what answers it."""
    match gateway:
        case IPv4Address():
            own = source if isinstance(source, IPv4Address) else first_ipv4(device) or _NO_IPV4
            return arp_request(mac, own, gateway), partial(is_arp_answer, target=gateway)
        case IPv6Address():
            asker = source if isinstance(source, IPv6Address) else _asker(device, gateway)
            frame = neighbour_solicitation(mac, asker, gateway) if asker is not None else None
            return frame, partial(is_neighbour_answer, target=gateway)


def _asker(device: str, gateway: IPv6Address) -> IPv6Address | None:
    """Return the device's address of the gateway's scope, any usable one without it."""
    usable = usable_ipv6(device)
    same = [address for address in usable if address.is_link_local == gateway.is_link_local]
    return next(iter([*same, *usable]), None)


def _heard(raw: socket.socket, is_answer: Callable[[bytes], bool], end: float) -> bool:
    while (left := end - time.monotonic()) > 0:
        readable, _, _ = select.select([raw], [], [], left)
        if not readable:
            continue
        frame, address = raw.recvfrom(_FRAME)
        if address[2] != socket.PACKET_OUTGOING and is_answer(frame):
            return True
    return False
