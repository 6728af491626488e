"""The static addresses that a PIF's record names, and the record without some of them (pains.md 1). Pure.

Used by boot_set.py and retire.py, so that no address is on two devices.
"""

from __future__ import annotations

import dataclasses
import ipaddress
from collections.abc import Collection

from xsagent.desired.ipv6 import ipv6_gateway, static_ipv6
from xsagent.errors import InputError
from xsagent.model.records import IpMode, Ipv6Mode, Pif
from xsagent.model.values import parse_ipv4
from xsagent.topology.values import IpAddress


def static_addresses(pif: Pif) -> tuple[IpAddress, ...]:
    """The addresses of both families, without their prefixes; IPv6's link-local ones, which are each link's, apart."""
    return (*_ipv4(pif), *(address.ip for address in _ipv6(pif) if not address.is_link_local))


def without_addresses(pif: Pif, taken: Collection[IpAddress]) -> Pif:
    """The PIF without these static addresses; a family that loses its last one has no mode."""
    if any(address in taken for address in _ipv4(pif)):
        pif = dataclasses.replace(pif, ip_mode=IpMode.NONE)
    addresses = _ipv6(pif)
    left = tuple(address for address in addresses if address.ip not in taken)
    if len(left) == len(addresses):
        return pif
    if not left:
        return dataclasses.replace(pif, ipv6=(), ipv6_mode=Ipv6Mode.NONE, ipv6_gateway="")
    reduced = dataclasses.replace(pif, ipv6=tuple(str(address) for address in left))
    return reduced if _reaches_gateway(reduced, left) else dataclasses.replace(reduced, ipv6_gateway="")


def _ipv4(pif: Pif) -> tuple[ipaddress.IPv4Address, ...]:
    """The IPv4 address; none where the text is no address, which is for ip.py to refuse."""
    try:
        return (parse_ipv4(pif.ip),) if pif.ip_mode == IpMode.STATIC else ()
    except InputError:
        return ()


def _ipv6(pif: Pif) -> tuple[ipaddress.IPv6Interface, ...]:
    """As _ipv4."""
    try:
        return static_ipv6(pif) if pif.ipv6_mode == Ipv6Mode.STATIC else ()
    except InputError:
        return ()


def _reaches_gateway(pif: Pif, addresses: tuple[ipaddress.IPv6Interface, ...]) -> bool:
    try:
        return ipv6_gateway(pif, addresses) is not None
    except InputError:
        return False
