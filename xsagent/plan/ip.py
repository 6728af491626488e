"""IP devices desired x observed -> steps for addresses, routes and DHCP clients (`ip_backend` netlink). Pure.

New addresses come before old ones go; a leased address stays while its client runs; foreign routes stay.
"""

from __future__ import annotations

import ipaddress

from xsagent.plan.steps import AddressStep, AnnounceStep, RouteStep, StartDhcpStep, Step, StopDhcpStep
from xsagent.topology.values import IPV4, IPV6, KEEP, ROUTE_PROTOCOL, Address, DhcpClient, IpDevice, Origin, Route

_RTPROT_KERNEL = 2
_RTPROT_RA = 9


def diff_ip_device(desired: IpDevice, observed: IpDevice | None) -> tuple[Step, ...]:
    """Steps that configure one IP device; none when it is right."""
    present = observed or IpDevice(device=desired.device)
    steps: list[Step] = []
    for family in (IPV4, IPV6):
        mode = desired.ipv4_mode if family == IPV4 else desired.ipv6_mode
        if mode is not KEEP:
            steps += _diff_family(desired, present, family, str(mode))
    if any(isinstance(step, AddressStep) and step.add for step in steps):
        steps.append(AnnounceStep(device=desired.device, reason="neighbours learn the address at once", required=False))
    return tuple(steps)


def remove_ip_device(observed: IpDevice, reason: str) -> tuple[Step, ...]:
    """Steps that leave a device without DHCP client, addresses and routes of ours."""
    steps: list[Step] = []
    for family in (IPV4, IPV6):
        client = _client(observed, family)
        if client is not None and client.running:
            steps.append(_stop(observed.device, client, reason))
    routes = tuple(route for route in observed.routes if _is_ours(route))
    if routes:
        undo = RouteStep(device=observed.device, add=routes)
        steps.append(RouteStep(device=observed.device, remove=routes, reason=reason, undo=(undo,)))
    addresses = tuple(address for address in observed.addresses if address.origin is not Origin.LINK_LOCAL)
    if addresses:
        undo_addresses = AddressStep(device=observed.device, add=addresses)
        steps.append(AddressStep(device=observed.device, remove=addresses, reason=reason, undo=(undo_addresses,)))
    return tuple(steps)


def _diff_family(desired: IpDevice, observed: IpDevice, family: int, mode: str) -> list[Step]:
    steps: list[Step] = []
    wanted, client = _client(desired, family), _client(observed, family)
    if wanted is not None:
        if client is None or not _client_is_right(wanted, client):
            undo: tuple[Step, ...] = (StopDhcpStep(device=desired.device, family=family),)
            if client is not None and client.running and client.configuration != wanted.configuration:
                undo = (StartDhcpStep(device=desired.device, client=client),)
            steps.append(StartDhcpStep(device=desired.device, client=wanted, reason=_why(client), undo=undo))
    elif client is not None and client.running:
        steps.append(_stop(desired.device, client, f"IPv{family} mode is {mode}"))
    steps += _diff_addresses(desired, observed, family, mode, keep_leased=wanted is not None)
    steps += _diff_routes(desired, observed, family, keep_learnt=wanted is not None)
    return steps


def _why(client: DhcpClient | None) -> str:
    if client is None or not client.running:
        return "no DHCP client runs"
    return "no lease" if not client.leased else "what it asks for changed"


def _client_is_right(wanted: DhcpClient, present: DhcpClient) -> bool:
    return present.running and bool(present.leased) and present.configuration == wanted.configuration


def _stop(device: str, client: DhcpClient, reason: str) -> Step:
    undo = StartDhcpStep(device=device, client=client)
    return StopDhcpStep(device=device, family=client.family, reason=reason, undo=(undo,))


def _diff_addresses(desired: IpDevice, observed: IpDevice, family: int, mode: str, *, keep_leased: bool) -> list[Step]:
    wanted = {address.interface for address in desired.addresses if address.interface.version == family}
    present = [address for address in observed.addresses if address.interface.version == family]
    add = tuple(Address(interface=interface) for interface in sorted(wanted - {item.interface for item in present}))
    remove = tuple(
        address
        for address in present
        if address.interface not in wanted and not _stays(address, mode, keep_leased=keep_leased)
    )
    if not add and not remove:
        return []
    undo = AddressStep(device=desired.device, add=remove, remove=add)
    reason = "address is missing" if add else "address is not wanted"
    return [AddressStep(device=desired.device, add=add, remove=remove, reason=reason, undo=(undo,))]


def _stays(address: Address, mode: str, *, keep_leased: bool) -> bool:
    if address.origin is Origin.LINK_LOCAL:
        return True
    if address.origin is Origin.DHCP:
        return keep_leased
    return address.origin is Origin.ROUTER and mode in {"autoconf", "dhcp"}


def _diff_routes(desired: IpDevice, observed: IpDevice, family: int, *, keep_learnt: bool) -> list[Step]:
    wanted = tuple(route for route in desired.routes if route.destination.version == family)
    present = [route for route in observed.routes if route.destination.version == family]
    there = {(route.destination, route.gateway, _metric(route)) for route in present}
    add = tuple(route for route in wanted if (route.destination, route.gateway, _metric(route)) not in there)
    keep = {(route.destination, route.gateway) for route in wanted}
    remove = tuple(
        route
        for route in present
        if (route.destination, route.gateway) not in keep and _goes(route, keep_learnt=keep_learnt)
    )
    if not add and not remove:
        return []
    undo = RouteStep(device=desired.device, add=remove, remove=add)
    reason = "route is missing" if add else "route is not wanted"
    return [RouteStep(device=desired.device, add=add, remove=remove, reason=reason, undo=(undo,))]


def _metric(route: Route) -> int:
    """The kernel shows 1024 where an IPv6 route was given no metric."""
    return 1024 if route.destination.version == IPV6 and route.metric == 0 else route.metric


def _goes(route: Route, *, keep_learnt: bool) -> bool:
    """Ours, or a default route on this device of ours that nobody wants any more; never the kernel's or a router's."""
    if route.protocol in {_RTPROT_KERNEL, _RTPROT_RA}:
        return False
    if route.protocol == ROUTE_PROTOCOL:
        return True
    return not keep_learnt and route.destination == _default(route.destination.version)


def _default(version: int) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_network("0.0.0.0/0" if version == IPV4 else "::/0")


def _is_ours(route: Route) -> bool:
    return route.protocol not in {_RTPROT_KERNEL, _RTPROT_RA}


def _client(device: IpDevice, family: int) -> DhcpClient | None:
    return device.dhcp4 if family == IPV4 else device.dhcp6
