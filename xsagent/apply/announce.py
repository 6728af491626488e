"""Device -> frames that tell neighbours where its addresses are, and that ask routers for an advertisement. Effects.

Comes after addresses or sysctls were applied. Standard library alone. Nothing to undo: whoever has the address
afterwards announces it again.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
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
from xsagent.topology.values import IpAddress

_TIMES: Final = 3
_PAUSE_S: Final = 0.02
"""Between repetitions: switches along the way learn from any one of them."""


def announce(device: str, addresses: Iterable[IpAddress]) -> None:
    """Send gratuitous ARP and unsolicited neighbour advertisements for addresses of a device.

    Blocking for some 40 ms. Raises DeviceAbsentError without such a device, NetlinkError when it takes no packets
    (it is down, for example).
    """
    require_device(device)
    frames = list(_frames(device, addresses))
    for round_ in range(_TIMES):
        if round_:
            time.sleep(_PAUSE_S)
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
