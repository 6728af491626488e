"""Device -> frames that tell neighbours where its addresses are, and that ask routers for an advertisement. Effects.

Comes after addresses or sysctls were applied. Standard library alone. Nothing to undo: whoever has the address
afterwards announces it again.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from xsagent.apply.frames import (
    ETH_P_ARP,
    ETH_P_IPV6,
    UNSPECIFIED,
    arp_request,
    neighbour_advertisement,
    router_solicitation,
)
from xsagent.apply.packet_socket import device_mac, packet_socket, require_device, usable_ipv6
from xsagent.errors import DeviceAbsentError, NetlinkError
from xsagent.topology.values import IpAddress

_TIMES: Final = 3
_PAUSE_S: Final = 0.02
"""Between repetitions: switches along the way learn from any one of them."""


def announce(device: str, addresses: Iterable[IpAddress]) -> None:
    """Send gratuitous ARP and unsolicited neighbour advertisements for addresses of a device.

    The first of each is out on return; repetitions follow aside, so that devices do not wait for one another's.

    Raises:
        DeviceAbsentError: there is no such device.
        NetlinkError: it takes no packets (it is down, for example).
    """
    require_device(device)
    frames = list(_frames(device, addresses))
    if frames:
        _send(device, frames)
        threading.Thread(target=_repeat, args=(device, frames)).start()


def _repeat(device: str, frames: Sequence[tuple[int, bytes]]) -> None:
    # the device may be gone or down again by now
    with contextlib.suppress(DeviceAbsentError, NetlinkError):
        for _ in range(_TIMES - 1):
            time.sleep(_PAUSE_S)
            _send(device, frames)


def _send(device: str, frames: Sequence[tuple[int, bytes]]) -> None:
    for protocol in {protocol for protocol, _frame in frames}:
        with packet_socket(device, protocol) as raw:
            for kind, frame in frames:
                if kind == protocol:
                    raw.send(frame)


def _frames(device: str, addresses: Iterable[IpAddress]) -> Iterable[tuple[int, bytes]]:
    mac = device_mac(device)
    for address in addresses:
        match address:
            case IPv4Address():
                yield ETH_P_ARP, arp_request(mac, address, address)
            case IPv6Address():
                yield ETH_P_IPV6, neighbour_advertisement(mac, address)


def solicit_routers(device: str) -> None:
    """Ask routers to advertise at once, so that autoconfiguration need not wait for the next periodic one.

    The kernel asks only when a link comes up. Errors as `announce`.
    """
    require_device(device)
    sources = [address for address in usable_ipv6(device) if address.is_link_local]
    with packet_socket(device, ETH_P_IPV6) as raw:
        raw.send(router_solicitation(device_mac(device), sources[0] if sources else UNSPECIFIED))
