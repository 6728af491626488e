"""Kernel -> typed rows: one dump each of links, addresses and routes. Reads only; pyroute2's reading adapter.

Before it nothing; after it observed/links.py and observed/ip_devices.py make Link and IpDevice of the rows.
IPRoute only: NDB mirrors everything in SQL and has threads and roll-back rules of its own.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError as KernelError

from xsagent.errors import NetlinkError
from xsagent.topology.values import IpAddress, IpInterface, Route

IFF_UP: Final = 0x1
IFF_LOOPBACK: Final = 0x8
_MAIN_TABLE: Final = 254
_UNICAST: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkRow:
    """A netdev as the kernel lists it; `parent` is an ifindex, 0 when there is none."""

    ifindex: int
    name: str
    mac: str
    mtu: int
    flags: int
    carrier: bool
    kind: str
    parent: int
    vlan: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressRow:
    """An address as the kernel lists it.

    Attributes:
        flags: IFA_F_* bits.
        protocol: IFA_PROTO (linux/if_addr.h, kernel 5.18 and later); 0 when the kernel does not say.
    """

    ifindex: int
    interface: IpInterface
    flags: int
    protocol: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteRow:
    """A unicast route of the main table through one device."""

    ifindex: int
    route: Route


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelDump:
    """What the kernel lists: all netdevs, their addresses, the main table's routes."""

    links: tuple[LinkRow, ...]
    addresses: tuple[AddressRow, ...]
    routes: tuple[RouteRow, ...]


def dump_kernel() -> KernelDump:
    """Read links, addresses and routes of this network namespace in three requests.

    Blocking, a quarter of a millisecond a link. Raises NetlinkError when the kernel does not answer them.
    """
    try:
        # strict_check lets the kernel filter by table; older kernels list all tables, so rows are filtered below too.
        with IPRoute(strict_check=True) as kernel:
            return KernelDump(
                links=tuple(_link_row(message) for message in kernel.get_links()),
                addresses=tuple(_address_row(message) for message in kernel.get_addr()),
                routes=tuple(_route_rows(kernel.get_routes(family=0, table=_MAIN_TABLE))),
            )
    except (KernelError, OSError) as error:
        raise NetlinkError(f"cannot read links, addresses and routes from the kernel: {error}") from error


def _link_row(message: Any) -> LinkRow:  # noqa: ANN401 - pyroute2 publishes no types; its values end here
    information = message.get("IFLA_LINKINFO") or {}
    data = information.get("IFLA_INFO_DATA") if information else None
    kind = str(information.get("IFLA_INFO_KIND") or "") if information else ""
    return LinkRow(
        ifindex=int(message["index"]),
        name=str(message.get("IFLA_IFNAME")),
        mac=str(message.get("IFLA_ADDRESS") or "").lower(),
        mtu=int(message.get("IFLA_MTU") or 0),
        flags=int(message["flags"]),
        carrier=bool(message.get("IFLA_CARRIER")),
        kind=kind,
        parent=int(message.get("IFLA_LINK") or 0),
        vlan=int(data.get("IFLA_VLAN_ID")) if kind == "vlan" and data else None,
    )


def _address_row(message: Any) -> AddressRow:  # noqa: ANN401 - as _link_row
    # IFA_LOCAL is the own address of a point-to-point link, IFA_ADDRESS then the peer's; IPv6 has IFA_ADDRESS alone.
    address = message.get("IFA_LOCAL") or message.get("IFA_ADDRESS")
    flags = message.get("IFA_FLAGS")
    return AddressRow(
        ifindex=int(message["index"]),
        interface=ipaddress.ip_interface(f"{address}/{message['prefixlen']}"),
        flags=int(message["flags"] if flags is None else flags),
        protocol=int(message.get("IFA_PROTO") or 0),
    )


def _route_rows(messages: Iterable[Any]) -> Iterator[RouteRow]:
    for message in messages:
        if int(message.get("RTA_TABLE") or message["table"]) != _MAIN_TABLE or message["type"] != _UNICAST:
            continue
        hops = message.get("RTA_MULTIPATH")
        for hop in hops or (message,):
            ifindex = hop["oif"] if hops else message.get("RTA_OIF")
            if ifindex:
                yield RouteRow(ifindex=int(ifindex), route=_route(message, hop))


def _route(message: Any, hop: Any) -> Route:  # noqa: ANN401 - as _link_row
    # A default route has no RTA_DST; the address 0 of its family is meant.
    none = ipaddress.IPv4Address(0) if message["family"] == socket.AF_INET else ipaddress.IPv6Address(0)
    destination = message.get("RTA_DST") or none
    return Route(
        destination=ipaddress.ip_network(f"{destination}/{message['dst_len']}"),
        gateway=_gateway(hop),
        protocol=int(message["proto"]),
        metric=int(message.get("RTA_PRIORITY") or 0),
    )


def _gateway(hop: Any) -> IpAddress | None:  # noqa: ANN401 - as _link_row
    gateway = hop.get("RTA_GATEWAY")
    if not gateway:
        via = hop.get("RTA_VIA")  # an IPv4 route over an IPv6 gateway
        gateway = via.get("addr") if isinstance(via, Mapping) else None
    return ipaddress.ip_address(gateway) if gateway else None
