"""static-routes of other_config -> routes; a bad element is skipped, the others apply (features.md section 7). Pure.

An element is ``net/mask/gateway``: the mask as a length or dotted, the gateway empty or the device's name for a route
without one; IPv6 likewise. Used by ip.py; ifcfg.py writes the result as files.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

from xsagent.desired.kind import label
from xsagent.desired.notes import Notes
from xsagent.errors import InputError
from xsagent.model.records import Network, Pif
from xsagent.model.values import parse_integer, parse_ipv4, parse_ipv4_netmask, parse_ipv6, shown
from xsagent.topology.values import IPV4, ROUTE_PROTOCOL, IpAddress, IpInterface, IpNetwork, Route

_KEY = "static-routes"


def static_routes(
    pif: Pif, network: Network, device: str, addresses: tuple[IpInterface, ...], notes: Notes
) -> tuple[Route, ...]:
    """Routes that the network's and the PIF's other_config ask for, sorted; the PIF wins on one prefix.

    Args:
        addresses: static addresses of the device: with any of a family, that family's gateways must be on their
            subnets, since the kernel refuses a gateway that it cannot reach.
    """
    routes: dict[IpNetwork, Route] = {}
    for owner, text in ((f"network {network.uuid}", network.other_config), (label(pif), pif.other_config)):
        here: dict[IpNetwork, Route] = {}
        for element in (part.strip() for part in text.get(_KEY, "").split(",")):
            try:
                route = _read_element(element, device, addresses, here) if element else None
            except InputError as error:
                notes.warn("skip_static_route", device, f"{_KEY} of {owner}: {error}")
                continue
            here |= {} if route is None else {route.destination: route}
        routes |= here
    return tuple(sorted(routes.values(), key=_order))


def _read_element(
    element: str, device: str, addresses: tuple[IpInterface, ...], known: Mapping[IpNetwork, Route]
) -> Route:
    route = _parse_route(element, device)
    _check_reachable(route, addresses)
    if route.destination in known:
        raise InputError(f"{shown(element)} has the prefix of an element before it")
    return route


def _order(route: Route) -> tuple[int, int, int]:
    return (route.destination.version, int(route.destination.network_address), route.destination.prefixlen)


def _parse_route(element: str, device: str) -> Route:
    match [part.strip() for part in element.split("/")]:
        case [net, mask, via]:
            return _checked_route(net, mask, via, element, device)
        case _:
            raise InputError(f"{shown(element)} is not net/mask/gateway")


def _checked_route(net: str, mask: str, via: str, element: str, device: str) -> Route:
    destination = _parse_network(net, mask, element)
    if destination.prefixlen == 0:
        raise InputError(f"{shown(element)} is a default route, which the PIF's gateway gives")
    gateway: IpAddress | None = None
    if via and via != device:
        gateway = parse_ipv6(via) if ":" in via else parse_ipv4(via)
        if gateway.version != destination.version:
            raise InputError(f"{shown(element)} mixes IPv4 and IPv6")
    return Route(destination=destination, gateway=gateway, protocol=ROUTE_PROTOCOL)


def _parse_network(net: str, mask: str, element: str) -> IpNetwork:
    try:
        if ":" in net:
            return ipaddress.IPv6Network((int(parse_ipv6(net)), parse_integer(mask, 0, 128)))
        length = parse_ipv4_netmask(mask) if "." in mask else parse_integer(mask, 0, 32)
        return ipaddress.IPv4Network((int(parse_ipv4(net)), length))
    except ValueError as error:
        raise InputError(f"{shown(element)}: the address has bits beyond its mask") from error


def _check_reachable(route: Route, addresses: tuple[IpInterface, ...]) -> None:
    gateway = route.gateway
    if gateway is None or (gateway.version != IPV4 and gateway.is_link_local):
        return
    subnets = [address.network for address in addresses if address.version == gateway.version]
    if subnets and not any(gateway in subnet for subnet in subnets):
        raise InputError(f"'{gateway}' is on no subnet of the device")
