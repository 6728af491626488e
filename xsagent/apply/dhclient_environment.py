"""Environment that dhclient gives its script -> a checked lease. Pure, standard library alone.

Everything here was written by a DHCP server, whom nobody vouches for: addresses must be addresses, domains must be
domains, and the rest is dropped. After it apply/dhclient_script.py.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from xsagent.errors import InputError
from xsagent.observed.lease_results import LeaseResult
from xsagent.topology.values import IPV4, IpAddress, IpInterface, Resolver, Route

PROTOCOL_DHCP: Final = 16
"""RTPROT_DHCP of linux/rtnetlink.h."""

_LABEL: Final = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", re.IGNORECASE | re.ASCII)
_LONGEST_DOMAIN: Final = 253
_REQUEST: Final = re.compile(r"^\s*(?:also\s+)?request\s+([^;]*);", re.MULTILINE)
_MAX_SERVERS: Final = 6
_MAX_DOMAINS: Final = 6
_MAX_ROUTES: Final = 256
_LEAST_MTU: Final = 68
_DEFAULT_V4: Final = ipaddress.IPv4Network("0.0.0.0/0")
_BYTE: Final = 255


def requested_options(configuration: str) -> frozenset[str]:
    """Return the options that our dhclient.conf asks for.

    A server may send what nobody asked for: what is not requested is not used (features.md section 5), so the
    configuration alone says whether a device is the gateway or the DNS interface.
    """
    text = re.sub(r"#[^\n]*", "", configuration)
    return frozenset(
        option.removeprefix("dhcp6.") for match in _REQUEST.finditer(text) for option in re.split(r"[\s,]+", match[1])
    )


def parse_lease4(environment: Mapping[str, str], requested: frozenset[str], which: str = "new") -> LeaseResult:
    """Return the IPv4 lease with that which was requested.

    Args:
        which: ``new`` or ``old``, as dhclient's variables begin (dhclient-script(8)).

    Raises:
        InputError: the lease names no usable address.
    """
    values = {key.removeprefix(f"{which}_"): value for key, value in environment.items()}
    address, mask = values.get("ip_address", ""), values.get("subnet_mask", "")
    try:
        interface = ipaddress.IPv4Interface(f"{address}/{mask}" if mask else address)
    except ValueError as error:
        raise InputError(f"the DHCP server leased {address!r} with mask {mask!r}, which is not an address") from error
    if interface.ip.is_multicast or interface.ip.is_unspecified or interface.ip.is_loopback:
        raise InputError(f"the DHCP server leased {address!r}, which no host can have")
    return LeaseResult(
        interface=interface,
        routes=tuple(_routes(values, requested)),
        resolver=_resolver(values, requested, "domain-name-servers", ("domain-search", "domain-name")),
        mtu=_mtu(values.get("interface_mtu", "")),
    )


def parse_lease6(environment: Mapping[str, str], requested: frozenset[str], which: str = "new") -> LeaseResult:
    """Return the IPv6 lease; DHCPv6 names no router. Arguments and errors as `parse_lease4`."""
    values = {key.removeprefix(f"{which}_"): value for key, value in environment.items()}
    address, length = values.get("ip6_address", ""), values.get("ip6_prefixlen", "128")
    try:
        interface = ipaddress.IPv6Interface(f"{address}/{length}")
    except ValueError as error:
        raise InputError(f"the DHCP server leased {address!r} of {length!r} bits, which is not an address") from error
    values |= {key.removeprefix("dhcp6_"): value for key, value in values.items()}
    return LeaseResult(interface=interface, resolver=_resolver(values, requested, "name-servers", ("domain-search",)))


def _resolver(
    values: Mapping[str, str], requested: frozenset[str], server_option: str, domain_options: Iterable[str]
) -> Resolver:
    if server_option not in requested:
        return Resolver()
    servers = tuple(_addresses(values.get(server_option.replace("-", "_"), "")))
    search: tuple[str, ...] = ()
    for option in domain_options:
        search = search or tuple(_domains(values.get(option.replace("-", "_"), "")))
    return Resolver(servers=tuple(map(str, servers))[:_MAX_SERVERS], search=search[:_MAX_DOMAINS])


def _addresses(text: str) -> Iterator[IpAddress]:
    for word in text.split():
        try:
            address = ipaddress.ip_address(word)
        except ValueError:
            continue
        if not (address.is_unspecified or address.is_multicast):
            yield address


def _domains(text: str) -> Iterator[str]:
    for word in text.replace(",", " ").split():
        domain = word.rstrip(".")
        if is_domain(domain):
            yield domain


def is_domain(text: str) -> bool:
    """Return whether a text is a domain name of letters, digits, hyphens and underscores."""
    return len(text) <= _LONGEST_DOMAIN and all(_LABEL.fullmatch(label) for label in text.split("."))


def _mtu(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[0-9]{2,5}", text) and int(text) >= _LEAST_MTU else None


def _routes(values: Mapping[str, str], requested: frozenset[str]) -> Iterator[Route]:
    """Yield the lease's routes; only the gateway interface requests routers.

    A client that understands classless routes ignores the router option beside them (RFC 3442).
    """
    if "routers" not in requested:
        return
    text = values.get("rfc3442_classless_static_routes") or values.get("classless_static_routes") or ""
    classless = list(parse_classless_routes(text))
    if classless:
        yield from classless[:_MAX_ROUTES]
        return
    for router in _addresses(values.get("routers", "")):
        yield Route(destination=_DEFAULT_V4, gateway=router, protocol=PROTOCOL_DHCP)
        return


def parse_classless_routes(text: str) -> list[Route]:
    """Return the routes of option 121: for each prefix length, the octets that it covers, the gateway's four.

    Args:
        text: numbers separated by blanks, dots or commas, which covers what ISC dhclient and its patched forms write.

    An option that does not come out even is dropped whole: what it means is unknown.
    """
    words = re.split(r"[\s.,]+", text.strip()) if text.strip() else []
    if not all(re.fullmatch(r"[0-9]{1,3}", word) and int(word) <= _BYTE for word in words):
        return []
    octets = [int(word) for word in words]
    routes: list[Route] = []
    while octets:
        route, used = _classless_route(octets)
        if route is None:
            return []
        routes.append(route)
        octets = octets[used:]
    return routes


def _classless_route(octets: list[int]) -> tuple[Route | None, int]:
    length = octets[0]
    covered = (length + 7) // 8
    used = 1 + covered + 4
    if length > ipaddress.IPV4LENGTH or len(octets) < used:
        return None, 0
    network = bytes(octets[1 : 1 + covered]) + bytes(4 - covered)
    gateway = ipaddress.IPv4Address(bytes(octets[1 + covered : used]))
    destination = ipaddress.IPv4Network((network, length), strict=False)
    route = Route(destination=destination, gateway=None if gateway.is_unspecified else gateway, protocol=PROTOCOL_DHCP)
    return route, used


def leased_interface(environment: Mapping[str, str], family: int, which: str) -> IpInterface | None:
    """Return the address that dhclient's ``new`` or ``old`` variables name; None when they name none."""
    try:
        parse = parse_lease4 if family == IPV4 else parse_lease6
        return parse(environment, frozenset(), which).interface
    except InputError:
        return None
