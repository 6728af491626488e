"""Kernel -> typed rows: links, addresses and routes, of all devices or some. Reads only, standard library alone.

Before it observed/rtnetlink.py; after it observed/links.py and observed/ip_devices.py make Link and IpDevice of them.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
import struct
import sys
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

from xsagent.errors import NetlinkError
from xsagent.observed.rtnetlink import Attributes, Message, attribute, dump, get, open_rtnetlink, parse_attributes
from xsagent.topology.values import IPV4, IpAddress, IpInterface, IpNetwork, Route

IFF_UP: Final = 0x1
_MAIN_TABLE: Final = 254
_UNICAST: Final = 1
_RTPROT_KERNEL: Final = 2
_LONGEST_NAME: Final = 15
"""Bytes of a netdev's name (IFNAMSIZ without the final zero); the switch has ports with longer ones."""
_MOST_DEVICES: Final = 64
"""Beyond so many, listing all of them costs less than asking for each."""

# linux/rtnetlink.h, linux/if_link.h, linux/if_addr.h
_RTM_GETLINK: Final = 18
_RTM_GETADDR: Final = 22
_RTM_GETROUTE: Final = 26
_IFINFOMSG: Final = struct.Struct("=BxHiII")
_IFADDRMSG: Final = struct.Struct("=BBBBi")
_RTMSG: Final = struct.Struct("=BBBBBBBBI")
_NEXT_HOP: Final = struct.Struct("=HBBi")
_IFLA_ADDRESS: Final = 1
_IFLA_IFNAME: Final = 3
_IFLA_MTU: Final = 4
_IFLA_LINK: Final = 5
_IFLA_LINKINFO: Final = 18
_IFLA_EXT_MASK: Final = 29
_IFLA_CARRIER: Final = 33
_IFLA_INFO_KIND: Final = 1
_IFLA_INFO_DATA: Final = 2
_IFLA_VLAN_ID: Final = 1
_SKIP_STATISTICS: Final = 8
_IFA_ADDRESS: Final = 1
_IFA_LOCAL: Final = 2
_IFA_FLAGS: Final = 8
_IFA_PROTO: Final = 11
_RTA_DST: Final = 1
_RTA_OIF: Final = 4
_RTA_GATEWAY: Final = 5
_RTA_PRIORITY: Final = 6
_RTA_PREFSRC: Final = 7
_RTA_METRICS: Final = 8
_RTA_MULTIPATH: Final = 9
_RTA_TABLE: Final = 15
_RTA_VIA: Final = 18
_RTA_PREF: Final = 20
_RTA_ENCAP_TYPE: Final = 21
_RTNH_F_ONLINK: Final = 4
_RTAX: Final = (
    "", "lock", "mtu", "window", "rtt", "rttvar", "ssthresh", "cwnd", "advmss", "reordering", "hoplimit", "initcwnd",
    "features", "rto_min", "initrwnd", "quickack",
)  # fmt: skip
"""Names of the numbers in RTA_METRICS; those that are missing hold no number."""
_FAMILIES: Final = frozenset({int(socket.AF_INET), int(socket.AF_INET6)})
_OF_LINK: Final = frozenset({
    _IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU, _IFLA_LINK, _IFLA_LINKINFO, _IFLA_CARRIER,
})  # fmt: skip
_OF_ADDRESS: Final = frozenset({_IFA_ADDRESS, _IFA_LOCAL, _IFA_FLAGS, _IFA_PROTO})
_OF_ROUTE: Final = frozenset({
    _RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_PRIORITY, _RTA_PREFSRC, _RTA_METRICS, _RTA_MULTIPATH, _RTA_TABLE, _RTA_VIA,
    _RTA_PREF, _RTA_ENCAP_TYPE,
})  # fmt: skip


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
    """What the kernel lists: netdevs, their addresses, the main table's routes."""

    links: tuple[LinkRow, ...]
    addresses: tuple[AddressRow, ...]
    routes: tuple[RouteRow, ...]


def dump_kernel(
    devices: Collection[str] | None = None, destinations: Collection[IpNetwork] = frozenset()
) -> KernelDump:
    """Read links, addresses and routes of this network namespace.

    Blocking, some 30 microseconds a link.

    Args:
        devices: netdevs that matter; None: all. Another one is read all the same where a route leads through it that
            is not the kernel's own; what else there is, is left out with its addresses.
        destinations: netdevs with the kernel's own route to one of these are read, too.

    Raises:
        NetlinkError: the kernel does not answer.
    """
    table = attribute(_RTA_TABLE, struct.pack("=I", _MAIN_TABLE))
    try:
        with open_rtnetlink() as kernel:
            messages = dump(kernel, _RTM_GETROUTE, _RTMSG.pack(0, 0, 0, 0, 0, 0, 0, 0, 0), table, wanted=_OF_ROUTE)
            routes = [row for message in messages for row in _route_rows(message)]
            if devices is None or len(devices) > _MOST_DEVICES:
                links = _dump_links(kernel)
            else:
                through = {row.ifindex for row in routes if _is_set(row) or row.route.destination in destinations}
                links = _read_links(kernel, devices, through)
            addresses = _dump_addresses(kernel, 0)
    except OSError as error:
        raise NetlinkError(f"cannot read links, addresses and routes from the kernel: {error}") from error
    ifindexes = {row.ifindex for row in links}
    return KernelDump(
        links=tuple(links),
        addresses=tuple(row for row in addresses if row.ifindex in ifindexes),
        routes=tuple(row for row in routes if row.ifindex in ifindexes),
    )


def _is_set(row: RouteRow) -> bool:
    """Whether somebody set the route; the kernel has one for each address by itself."""
    return row.route.protocol != _RTPROT_KERNEL


def read_holders(addresses: Collection[IpAddress], devices: Collection[str]) -> frozenset[str]:
    """Read which netdevs have one of these addresses, or one that one of these devices has.

    Raises:
        NetlinkError: the kernel does not answer.
    """
    rows = _read_all_addresses()
    indexes = {_index_of(name) for name in devices}
    wanted = {*addresses, *(row.interface.ip for row in rows if row.ifindex in indexes)}
    holders = {row.ifindex for row in rows if row.interface.ip in wanted and not row.interface.ip.is_link_local}
    return frozenset(filter(None, map(_name_of, holders)))


def _index_of(device: str) -> int:
    """0 for a netdev that is not there."""
    try:
        return socket.if_nametoindex(device)
    except OSError:
        return 0


def _name_of(ifindex: int) -> str:
    """Empty for a netdev that went meanwhile."""
    try:
        return socket.if_indextoname(ifindex)
    except OSError:
        return ""


def _read_all_addresses() -> list[AddressRow]:
    try:
        with open_rtnetlink() as kernel:
            return _dump_addresses(kernel, 0)
    except OSError as error:
        raise NetlinkError(f"cannot read addresses from the kernel: {error}") from error


def read_device_towards(address: IpAddress) -> str:
    """Read which netdev the kernel would send to an address through; empty where it knows no way.

    Raises:
        NetlinkError: the kernel does not answer.
    """
    family = socket.AF_INET if address.version == IPV4 else socket.AF_INET6
    header = _RTMSG.pack(family, address.max_prefixlen, 0, 0, 0, 0, 0, 0, 0)
    try:
        with open_rtnetlink() as kernel:
            found = get(
                kernel, _RTM_GETROUTE, header, attribute(_RTA_DST, address.packed), wanted=frozenset({_RTA_OIF})
            )
        return "" if found is None else socket.if_indextoname(_number(found.attributes.get(_RTA_OIF)))
    except OSError as error:
        if error.errno in {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENXIO}:
            return ""
        raise NetlinkError(f"cannot ask the kernel for its way to {address}: {error}") from error


def read_addresses_of(device: str) -> tuple[AddressRow, ...]:
    """As `read_addresses`, by the device's name; a device that is not there has no addresses."""
    try:
        return read_addresses(socket.if_nametoindex(device))
    except OSError:
        return ()


def read_addresses(ifindex: int) -> tuple[AddressRow, ...]:
    """Read the addresses of one device; beside hundreds of others this costs a fraction of `dump_kernel`.

    A device that is gone has none.

    Raises:
        NetlinkError: the kernel does not answer.
    """
    try:
        with open_rtnetlink() as kernel:
            rows = _dump_addresses(kernel, ifindex)
    except OSError as error:
        if error.errno == errno.ENODEV:
            return ()
        raise NetlinkError(f"cannot read the addresses of a device from the kernel: {error}") from error
    # a kernel before 5.0 does not filter
    return tuple(row for row in rows if row.ifindex == ifindex)


def _dump_links(kernel: socket.socket) -> list[LinkRow]:
    header = _IFINFOMSG.pack(0, 0, 0, 0, 0)
    return [_link_row(message) for message in dump(kernel, _RTM_GETLINK, header, _no_statistics(), wanted=_OF_LINK)]


def _read_links(kernel: socket.socket, names: Collection[str], ifindexes: Collection[int]) -> list[LinkRow]:
    """These links, by name or ifindex, as far as they are there."""
    encoded = [name.encode("utf-8", "surrogateescape") for name in sorted(names)]
    asked = [(0, attribute(_IFLA_IFNAME, name + b"\0")) for name in encoded if len(name) <= _LONGEST_NAME]
    asked += [(ifindex, b"") for ifindex in sorted(ifindexes)]
    found = [_read_link(kernel, ifindex, name) for ifindex, name in asked]
    rows = {row.ifindex: row for row in found if row is not None}
    below = {row.parent for row in rows.values() if row.kind == "vlan"} - rows.keys()
    parents = [_read_link(kernel, ifindex) for ifindex in sorted(below)]
    return [*rows.values(), *(row for row in parents if row is not None)]


def _read_link(kernel: socket.socket, ifindex: int, name: bytes = b"") -> LinkRow | None:
    """One link by ifindex, or for 0 by the attribute of its name; None where there is none."""
    header = _IFINFOMSG.pack(0, 0, ifindex, 0, 0)
    message = get(kernel, _RTM_GETLINK, header, name + _no_statistics(), wanted=_OF_LINK)
    return None if message is None else _link_row(message)


def _no_statistics() -> bytes:
    return attribute(_IFLA_EXT_MASK, struct.pack("=I", _SKIP_STATISTICS))


def _dump_addresses(kernel: socket.socket, ifindex: int) -> list[AddressRow]:
    """The addresses of one device, or of all for ifindex 0."""
    messages = dump(kernel, _RTM_GETADDR, _IFADDRMSG.pack(0, 0, 0, 0, ifindex), wanted=_OF_ADDRESS)
    return [row for message in messages for row in _address_rows(message)]


def _link_row(message: Message) -> LinkRow:
    _family, _type, ifindex, flags, _change = _IFINFOMSG.unpack(message.header)
    attributes = message.attributes
    information = parse_attributes(attributes.get(_IFLA_LINKINFO, b""))
    kind = _text(information.get(_IFLA_INFO_KIND, b""))
    vlan = parse_attributes(information.get(_IFLA_INFO_DATA, b"")).get(_IFLA_VLAN_ID) if kind == "vlan" else None
    return LinkRow(
        ifindex=ifindex,
        name=_text(attributes.get(_IFLA_IFNAME, b"")),
        mac=attributes.get(_IFLA_ADDRESS, b"").hex(":"),
        mtu=_number(attributes.get(_IFLA_MTU)),
        flags=flags,
        carrier=bool(_number(attributes.get(_IFLA_CARRIER))),
        kind=kind,
        parent=_number(attributes.get(_IFLA_LINK)),
        vlan=None if vlan is None else _number(vlan),
    )


def _address_rows(message: Message) -> Iterator[AddressRow]:
    family, prefix_length, flags, _scope, ifindex = _IFADDRMSG.unpack(message.header)
    attributes = message.attributes
    # IFA_LOCAL is the own address of a point-to-point link, IFA_ADDRESS then the peer's; IPv6 has IFA_ADDRESS alone.
    raw = attributes.get(_IFA_LOCAL) or attributes.get(_IFA_ADDRESS)
    if family in _FAMILIES and raw:
        yield AddressRow(
            ifindex=ifindex,
            interface=ipaddress.ip_interface((raw, prefix_length)),
            flags=_number(attributes[_IFA_FLAGS]) if _IFA_FLAGS in attributes else flags,
            protocol=_number(attributes.get(_IFA_PROTO)),
        )


def _route_rows(message: Message) -> Iterator[RouteRow]:
    family, length, _source, _tos, table, protocol, _scope, kind, flags = _RTMSG.unpack(message.header)
    attributes = message.attributes
    table = _number(attributes.get(_RTA_TABLE)) or table
    if table != _MAIN_TABLE or kind != _UNICAST or family not in _FAMILIES:
        return
    # A default route has no RTA_DST; the address 0 of its family is meant.
    destination = attributes.get(_RTA_DST) or bytes(4 if family == socket.AF_INET else 16)
    source = attributes.get(_RTA_PREFSRC)
    for hop in _hops(attributes, flags):
        route = Route(
            destination=ipaddress.ip_network((destination, length)),
            gateway=_gateway(hop.attributes),
            protocol=protocol,
            metric=_number(attributes.get(_RTA_PRIORITY)),
            source=ipaddress.ip_address(source) if source else None,
            onlink=bool(hop.flags & _RTNH_F_ONLINK),
            weight=hop.weight,
            preference=_number(attributes.get(_RTA_PREF)),
            encapsulates=_RTA_ENCAP_TYPE in hop.attributes,
            options=_options(attributes),
        )
        yield RouteRow(ifindex=hop.ifindex, route=route)


@dataclass(frozen=True, slots=True)
class _Hop:
    """A next hop: the one of a route, or one of several."""

    ifindex: int
    flags: int
    weight: int
    attributes: Attributes


def _hops(attributes: Attributes, flags: int) -> Iterator[_Hop]:
    if _RTA_OIF in attributes:
        yield _Hop(_number(attributes[_RTA_OIF]), flags, 1, attributes)
    data = attributes.get(_RTA_MULTIPATH, b"")
    while len(data) >= _NEXT_HOP.size:
        length, hop_flags, weight, ifindex = _NEXT_HOP.unpack_from(data)
        if length < _NEXT_HOP.size:
            return
        # rtnetlink(7) counts weights from 0
        yield _Hop(ifindex, hop_flags, weight + 1, parse_attributes(data[_NEXT_HOP.size : length]))
        data = data[(length + 3) & ~3 :]


def _options(attributes: Attributes) -> dict[str, int]:
    found = parse_attributes(attributes.get(_RTA_METRICS, b""))
    return {name: _number(found[number]) for number, name in enumerate(_RTAX) if number in found}


def _gateway(hop: Attributes) -> IpAddress | None:
    raw = hop.get(_RTA_GATEWAY)
    if raw is None and _RTA_VIA in hop:  # an IPv4 route over an IPv6 gateway: two bytes of family come first
        raw = hop[_RTA_VIA][2:]
    return ipaddress.ip_address(raw) if raw else None


def _number(raw: bytes | None) -> int:
    """Return a number of the host's byte order; 0 when the kernel does not say."""
    return int.from_bytes(raw or b"", sys.byteorder)


def _text(raw: bytes) -> str:
    return raw.rstrip(b"\0").decode("utf-8", "surrogateescape")
