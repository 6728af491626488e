"""PIF's IPv6 configuration -> static addresses, gateway and kernel settings (features.md section 4). Pure.

Used by ip.py.
"""

from __future__ import annotations

import ipaddress

from xsagent.desired.kind import refusal
from xsagent.desired.scene import Scene, has_ip
from xsagent.errors import InputError
from xsagent.model.records import Ipv6Mode, Pif
from xsagent.model.values import parse_ipv6, parse_ipv6_interface, shown

_LINK_LOCAL_KEY = "ipv6-link-local"
"""PIF or network other_config: ``true`` keeps link-local addresses on a device without any IP mode."""


def parse_ipv6_mode(pif: Pif) -> Ipv6Mode:
    """The mode; InputError for a word that is none."""
    try:
        return Ipv6Mode(pif.ipv6_mode)
    except ValueError as error:
        raise refusal(pif, f"{shown(pif.ipv6_mode)} is not an IPv6 configuration mode") from error


def static_ipv6(pif: Pif) -> tuple[ipaddress.IPv6Interface, ...]:
    """The static addresses, in the record's order; InputError when one is none, or there is none."""
    try:
        addresses = tuple(dict.fromkeys(parse_ipv6_interface(text) for text in pif.ipv6))
    except InputError as error:
        raise refusal(pif, error) from error
    if not addresses:
        raise refusal(pif, "its IPv6 mode is Static but it has no IPv6 address")
    return addresses


def ipv6_gateway(pif: Pif, addresses: tuple[ipaddress.IPv6Interface, ...]) -> ipaddress.IPv6Address | None:
    """The static gateway; None for none. InputError when it is no address or cannot be reached."""
    if not pif.ipv6_gateway:
        return None
    try:
        gateway = parse_ipv6(pif.ipv6_gateway)
    except InputError as error:
        raise refusal(pif, f"its IPv6 gateway: {error}") from error
    reachable = gateway.is_link_local or any(gateway in address.network for address in addresses)
    if not reachable or any(gateway == address.ip for address in addresses):
        raise refusal(pif, f"its IPv6 gateway {gateway} is on none of its subnets, or is its own address")
    return gateway


def ipv6_sysctls(scene: Scene, pif: Pif, device: str, *, is_gateway: bool) -> dict[str, str]:
    """Kernel settings by path below /proc/sys/net; none on a host without IPv6.

    A device with neither family's mode gets no link-local address (xcp-ng/xcp-ng-release#42); XAPI's mode None beside
    an IPv4 mode means link-local only. DHCPv6 carries no router, so advertisements are taken in that mode too, but
    default routers only on the gateway's interface.
    """
    if not scene.host.ipv6_available:
        return {}
    if not has_ip(pif) and not _keeps_link_local(scene, pif):
        return _by_path(device, {"disable_ipv6": "1"})
    values = {"disable_ipv6": "0"}
    match parse_ipv6_mode(pif):
        case Ipv6Mode.AUTOCONF:
            values |= {"accept_ra": "1", "autoconf": "1", "accept_ra_defrtr": "1" if is_gateway else "0"}
        case Ipv6Mode.DHCP:
            values |= {"accept_ra": "1", "autoconf": "0", "accept_ra_defrtr": "1" if is_gateway else "0"}
        case Ipv6Mode.NONE | Ipv6Mode.STATIC:
            values |= {"accept_ra": "0", "autoconf": "0"}
    return _by_path(device, values)


def _by_path(device: str, values: dict[str, str]) -> dict[str, str]:
    return {f"ipv6/conf/{device}/{name}": value for name, value in values.items()}


def _keeps_link_local(scene: Scene, pif: Pif) -> bool:
    network = scene.network_of(pif)
    return "true" in {pif.other_config.get(_LINK_LOCAL_KEY), network.other_config.get(_LINK_LOCAL_KEY)}
