"""Gateway -> does it answer ARP or neighbour discovery through this device? Effects, standard library alone.

Used by the deadman before and after a change, by the DHCP hook and by the doctor, who also asks whether another host
has an address of ours. ICMP echo alone would tell less: routers may not answer it, and another interface could carry
it.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable, Collection
from functools import partial
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from xsagent.apply.frames import (
    ETH_P_ARP,
    ETH_P_IPV6,
    UNSPECIFIED,
    arp_request,
    is_arp_answer,
    is_neighbour_answer,
    is_neighbour_claim,
    neighbour_solicitation,
    sender_of,
)
from xsagent.apply.packet_socket import device_mac, packet_socket, require_device
from xsagent.observed.netlink import read_addresses
from xsagent.topology.values import IpAddress

_EVERY_S: Final = 0.5
_FRAME: Final = 2048
_TENTATIVE: Final = 0x40
"""IFA_F_TENTATIVE: duplicate address detection goes on; the address must not be used yet."""

_NO_IPV4: Final = IPv4Address(0)
"""An ARP probe's sender (RFC 5227 section 2.1.1): every host answers it."""


def probe_gateway(device: str, gateway: IpAddress, *, deadline_s: float, source: IpAddress | None = None) -> bool:
    """Ask for a gateway's MAC through a device, twice a second until it answers or the deadline passes.

    Only a reply to us counts: what a gateway sends of itself would pass a path that carries packets one way alone.

    Blocking, at most `deadline_s`; at least one question is asked. Changes nothing: neither the kernel's neighbour
    table nor the device. Works on a bridge's internal port as on a NIC.

    Args:
        source: the address to ask from; by default the device's own (for IPv6 the one nearest to the gateway).

    Raises:
        DeviceAbsentError: there is no such device.
        NetlinkError: it takes no packets (it is down).
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


def find_other_holder(device: str, address: IpAddress, *, deadline_s: float, ours: Collection[str]) -> str:
    """Ask whether another host answers for an address of this device; return its MAC, empty when none did in time.

    The questions are those of RFC 5227 (ARP probe) and RFC 4862 (duplicate address detection): they name no sender,
    so that they change nobody's neighbour table. Blocking, at most `deadline_s`.

    Args:
        ours: MACs of this host, lower case: Linux answers for an address on each of its devices.

    Raises:
        DeviceAbsentError, NetlinkError: as `probe_gateway`.
    """
    mac = device_mac(device)
    heard: list[str] = []

    def is_other(frame: bytes) -> bool:
        sender = sender_of(frame).hex(":")
        if not is_claim(frame) or sender in ours:
            return False
        heard.append(sender)
        return True

    protocol, frame, is_claim = _claim(mac, address)
    with packet_socket(device, protocol) as raw:
        end = time.monotonic() + deadline_s
        while not heard and (now := time.monotonic()) < end:
            raw.send(frame)
            _heard(raw, is_other, min(end, now + _EVERY_S))
    return heard[0] if heard else ""


def _question(
    device: str, mac: bytes, gateway: IpAddress, source: IpAddress | None
) -> tuple[bytes | None, Callable[[bytes], bool]]:
    """Return the frame to send, None while the device has no usable address to ask from, and what answers it."""
    asker = source or _own_address(device, gateway)
    match gateway:
        case IPv4Address():
            own = asker if isinstance(asker, IPv4Address) else _NO_IPV4
            return arp_request(mac, own, gateway), partial(is_arp_answer, target=gateway, asker=mac)
        case IPv6Address():
            frame = neighbour_solicitation(mac, asker, gateway) if isinstance(asker, IPv6Address) else None
            return frame, partial(is_neighbour_answer, target=gateway, asker=mac)


def _claim(mac: bytes, address: IpAddress) -> tuple[int, bytes, Callable[[bytes], bool]]:
    """Return ethertype and question of somebody who has no address yet, and what says that `address` is taken."""
    match address:
        case IPv4Address():
            is_claim = partial(is_arp_answer, target=address, asker=mac)
            return ETH_P_ARP, arp_request(mac, _NO_IPV4, address), is_claim
        case IPv6Address():
            question = neighbour_solicitation(mac, UNSPECIFIED, address)
            return ETH_P_IPV6, question, partial(is_neighbour_claim, target=address)


def _own_address(device: str, gateway: IpAddress) -> IpAddress | None:
    """Return the device's address in the gateway's subnet, else of its scope, else any usable one of its family.

    A router may not answer a sender that is in none of its subnets. Asked anew for each question: addresses come and
    become usable while a probe lasts.
    """
    usable = [
        row.interface
        for row in read_addresses(require_device(device))
        if row.interface.version == gateway.version and not row.flags & _TENTATIVE
    ]
    usable.sort(key=lambda item: (gateway not in item.network, item.ip.is_link_local != gateway.is_link_local))
    return usable[0].ip if usable else None


def _heard(raw: socket.socket, is_answer: Callable[[bytes], bool], end: float) -> bool:
    while (left := end - time.monotonic()) > 0:
        readable, _, _ = select.select([raw], [], [], left)
        if not readable:
            continue
        frame, address = raw.recvfrom(_FRAME)
        if address[2] != socket.PACKET_OUTGOING and is_answer(frame):
            return True
    return False
