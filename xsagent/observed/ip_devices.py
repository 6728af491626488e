"""Rows of the kernel's dump and our DHCP clients -> IpDevice by name. Reads only.

Before it observed/netlink.py and observed/dhcp_clients.py; after it observed/ joins the parts into a Topology.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeVar

from xsagent.observed.dhcp_clients import FoundClient, read_dhcp_clients
from xsagent.observed.netlink import AddressRow, KernelDump, RouteRow
from xsagent.topology.values import IPV4, IPV6, KEEP, Address, DhcpClient, IpAddress, IpDevice, IpInterface, Origin

# linux/if_addr.h
_IFA_F_PERMANENT: Final = 0x80
_IFA_F_TEMPORARY: Final = 0x01
_IFA_F_MANAGETEMPADDR: Final = 0x100
_IFAPROT_KERNEL_RA: Final = 2
_IFAPROT_KERNEL_LL: Final = 3

_Row = TypeVar("_Row", AddressRow, RouteRow)


def read_ip_devices(dump: KernelDump, *, state: Path, run: Path, proc: Path) -> dict[str, IpDevice]:
    """Return every device that has an address, a route or a DHCP client of ours.

    Args:
        dump: from `dump_kernel`.
        state, run: /var/lib/xsagent and /run/xsagent below the root prefix: files of our DHCP clients.
        proc: /proc below the root prefix.
    """
    clients = read_dhcp_clients(
        state=state, run=run, proc=proc, ifindexes={row.name: row.ifindex for row in dump.links}
    )
    addresses, routes = _by_ifindex(dump.addresses), _by_ifindex(dump.routes)
    names = {row.name: row.ifindex for row in dump.links if row.ifindex in addresses or row.ifindex in routes}
    # A client whose device is gone, or has nothing else, is still a process and files of ours.
    names |= {device: 0 for device, _family in sorted(clients) if device not in names}
    return {
        name: _ip_device(name, addresses.get(ifindex, []), routes.get(ifindex, []), clients)
        for name, ifindex in names.items()
    }


def _by_ifindex(rows: Iterable[_Row]) -> dict[int, list[_Row]]:
    found: dict[int, list[_Row]] = {}
    for row in rows:
        found.setdefault(row.ifindex, []).append(row)
    return found


def _ip_device(
    name: str,
    addresses: list[AddressRow],
    routes: list[RouteRow],
    clients: Mapping[tuple[str, int], FoundClient],
) -> IpDevice:
    client4, client6 = clients.get((name, IPV4)), clients.get((name, IPV6))
    leased = frozenset[IpAddress]().union(*(client.addresses for client in (client4, client6) if client))
    return IpDevice(
        device=name,
        ipv4_mode=KEEP,
        ipv6_mode=KEEP,
        addresses=tuple(Address(interface=row.interface, origin=tell_origin(row, leased)) for row in addresses),
        routes=tuple(row.route for row in routes),
        dhcp4=_with_lease(client4, addresses),
        dhcp6=_with_lease(client6, addresses),
    )


def _with_lease(client: FoundClient | None, rows: Collection[AddressRow]) -> DhcpClient | None:
    if client is None:
        return None
    on_device: tuple[IpInterface, ...] = tuple(row.interface for row in rows)
    return replace(client.client, leased=tuple(i for i in on_device if i.ip == client.latest))


def tell_origin(row: AddressRow, leased: Collection[IpAddress]) -> Origin:
    """Return who put an address there.

    Our clients set addresses without a lifetime (apply/dhclient_script.py says why), so our lease files are asked
    before the kernel's flags. A lifetime without a router's mark is another DHCP client's doing, ifup's for example.
    """
    if row.interface.ip in leased:
        return Origin.DHCP
    is_v6 = row.interface.version == IPV6
    if row.protocol == _IFAPROT_KERNEL_LL or (is_v6 and row.interface.ip.is_link_local):
        return Origin.LINK_LOCAL
    if row.protocol == _IFAPROT_KERNEL_RA or row.flags & _IFA_F_MANAGETEMPADDR:
        return Origin.ROUTER
    if is_v6 and row.flags & _IFA_F_TEMPORARY:  # IPv4 has that bit on secondary addresses
        return Origin.ROUTER
    return Origin.STATIC if row.flags & _IFA_F_PERMANENT else Origin.DHCP
