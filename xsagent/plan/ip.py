"""IP devices desired x observed -> steps for addresses, routes and DHCP clients (`ip_backend` netlink). Pure.

New addresses come before old ones go; a leased address stays while its client runs; foreign routes stay.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import assert_never

from xsagent.plan.learnt_routes import is_learnt, was_advertised
from xsagent.plan.steps import (
    AddressStep,
    AnnounceStep,
    CreateVlanLinkStep,
    DeleteLinkStep,
    FeaturesStep,
    FileStep,
    IfdownStep,
    IfupStep,
    IgmpQueryStep,
    LinkSettingsStep,
    LinkStep,
    OvsdbStep,
    ResolverStep,
    RouteStep,
    SafetyFlowsStep,
    StartDhcpStep,
    Step,
    StopDhcpStep,
    SysctlStep,
    UpdateIssueStep,
    VirtualFunctionsStep,
    WaitCarrierStep,
)
from xsagent.topology.values import (
    IPV4,
    IPV6,
    KEEP,
    ROUTE_PROTOCOL,
    Address,
    DhcpClient,
    IpAddress,
    IpDevice,
    Keep,
    Origin,
    Route,
)


def diff_ip_device(desired: IpDevice, observed: IpDevice | None) -> tuple[Step, ...]:
    """Steps that configure one IP device; none when it is right."""
    if desired.routes_only:
        return _diff_static_routes(desired, observed) if observed is not None else ()
    present = observed or IpDevice(device=desired.device)
    steps: list[Step] = []
    for family in (IPV4, IPV6):
        mode = _mode(desired, family)
        if mode is not KEEP:
            steps += _diff_family(desired, present, family, str(mode))
    if any(isinstance(step, AddressStep) and step.add for step in steps):
        steps.append(AnnounceStep(device=desired.device, reason="neighbours learn the address at once", required=False))
    return tuple(steps)


def mend_routes(desired: IpDevice, observed: IpDevice) -> tuple[Step, ...]:
    """Steps for wanted routes that are missing on a device that ifup configured, whatever metric it gives them.

    Best effort: ifup says nothing of a route that the kernel refuses, and an address without it is better than none.
    """
    there = {(route.destination, route.gateway) for route in observed.routes}
    missing = (route for route in desired.routes if (route.destination, route.gateway) not in there)
    return tuple(
        _static_route(route, desired.device, observed.routes, "route is missing")
        for route in sorted(missing, key=lambda route: route.gateway is not None)
        if not _depends_on_lease(route, desired) or _may_come_with_lease(route, desired, observed)
    )


def remove_ip_device(observed: IpDevice, reason: str) -> tuple[Step, ...]:
    """Steps that leave a device without DHCP client, addresses and routes of ours."""
    steps: list[Step] = [*stop_clients(observed, reason)]
    routes = tuple(route for route in observed.routes if not is_learnt(route))
    if routes:
        undo = RouteStep(device=observed.device, add=routes, restores=True)
        steps.append(RouteStep(device=observed.device, remove=routes, reason=reason, undo=(undo,)))
    addresses = tuple(address for address in observed.addresses if address.origin is not Origin.LINK_LOCAL)
    if addresses:
        undo_addresses = AddressStep(device=observed.device, add=addresses)
        steps.append(AddressStep(device=observed.device, remove=addresses, reason=reason, undo=(undo_addresses,)))
    return tuple(steps)


def stop_clients(observed: IpDevice, reason: str) -> tuple[Step, ...]:
    """Steps that stop a device's DHCP clients; what they were leased stays."""
    clients = (_client(observed, family) for family in (IPV4, IPV6))
    return tuple(_stop(observed.device, client, reason) for client in clients if client is not None and client.running)


def bring_back_displaced(step: Step, observed: Mapping[str, IpDevice]) -> Step:
    """The step whose undo also brings back what it, or its way back, takes away on other devices.

    The kernel has one route for a prefix and a metric: setting it here takes it away there (ip-route(8), replace). A
    DHCP client and ifup set default routes by themselves. With an address go the routes whose packets leave with it.
    Best effort: a device that this plan changes as well has its own undo.
    """
    set_here: Sequence[Route] = ()
    gone: Sequence[Address] = ()
    match step:
        case RouteStep(add=add):
            set_here = add
        case (
            StartDhcpStep(device=device)
            | StopDhcpStep(device=device)
            | IfupStep(device=device)
            | IfdownStep(device=device)
        ):
            set_here = _defaults(observed)
            gone = observed[device].addresses if device in observed else ()
        case AddressStep(remove=remove):
            gone = remove
        case (
            OvsdbStep()
            | SafetyFlowsStep()
            | VirtualFunctionsStep()
            | LinkStep()
            | CreateVlanLinkStep()
            | DeleteLinkStep()
            | WaitCarrierStep()
            | FeaturesStep()
            | LinkSettingsStep()
            | SysctlStep()
            | FileStep()
            | ResolverStep()
            | AnnounceStep()
            | IgmpQueryStep()
            | UpdateIssueStep()
        ):
            return step
        case _:
            assert_never(step)
    return replace(step, undo=(*step.undo, *put_back_elsewhere({step.device}, observed, gone, set_here)))


def put_back_elsewhere(
    besides: Collection[str],
    observed: Mapping[str, IpDevice],
    gone: Sequence[Address],
    set_here: Sequence[Route] = (),
) -> tuple[Step, ...]:
    """Best-effort steps that put back routes of other devices than these.

    Args:
        gone: addresses that these devices lose.
        set_here: routes that are set on these devices.
    """
    places = {(route.destination, metric_of(route)) for route in set_here}
    sources = {address.interface.ip for address in gone}
    steps: list[Step] = []
    for name in sorted(observed.keys() - besides):
        lost = tuple(
            route
            for route in observed[name].routes
            if ((route.destination, metric_of(route)) in places or route.source in sources) and not is_learnt(route)
        )
        if lost:
            steps.append(RouteStep(device=name, add=lost, required=False, restores=True))
    return tuple(steps)


def _defaults(observed: Mapping[str, IpDevice]) -> list[Route]:
    return [route for device in observed.values() for route in device.routes if _is_default(route)]


def _diff_family(desired: IpDevice, observed: IpDevice, family: int, mode: str) -> list[Step]:
    steps: list[Step] = []
    wanted, client = _client(desired, family), _client(observed, family)
    if wanted is not None:
        if client is None or not _client_is_right(wanted, client):
            undo = _undo_of_start(desired.device, observed, family, wanted)
            steps.append(StartDhcpStep(device=desired.device, client=wanted, reason=_why(client), undo=undo))
    elif client is not None and client.running:
        steps.append(_stop(desired.device, client, f"IPv{family} mode is {mode}"))
    addresses = _diff_addresses(desired, observed, family, mode, keep_leased=wanted is not None)
    steps += addresses
    steps += _diff_routes(desired, observed, family, keep_learnt=wanted is not None, with_addresses=bool(addresses))
    return steps


def _undo_of_start(device: str, observed: IpDevice, family: int, wanted: DhcpClient) -> tuple[Step, ...]:
    """The client that ran before runs again; where none did, what the lease brought goes and what was there stays."""
    client = _client(observed, family)
    if client is not None and client.running:
        if client.configuration == wanted.configuration:
            return ()
        again = StartDhcpStep(device=device, client=client)
        # one that was still asking had no lease: what the other one got does not stay
        return (again,) if client.leased else (StopDhcpStep(device=device, family=family, flush=True), again)
    undo: list[Step] = [StopDhcpStep(device=device, family=family, flush=True)]
    addresses = tuple(
        item
        for item in observed.addresses
        if item.interface.version == family and item.origin in {Origin.STATIC, Origin.DHCP}
    )
    if addresses:
        undo.append(AddressStep(device=device, add=addresses))
    if routes := _brought_back(observed, family):
        undo.append(RouteStep(device=device, add=routes, restores=True))
    return tuple(undo)


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
    undo: tuple[Step, ...] = (AddressStep(device=desired.device, add=remove, remove=add),)
    # with the last address of a family the kernel drops its routes; they need their address to come back
    if routes := _brought_back(observed, family):
        undo += (RouteStep(device=desired.device, add=routes, restores=True),)
    reason = "address is missing" if add else "address is not wanted"
    return [AddressStep(device=desired.device, add=add, remove=remove, reason=reason, undo=undo)]


def _brought_back(observed: IpDevice, family: int) -> tuple[Route, ...]:
    """Routes that an undo puts back."""
    return tuple(route for route in observed.routes if route.destination.version == family and not is_learnt(route))


def _stays(address: Address, mode: str, *, keep_leased: bool) -> bool:
    if address.origin is Origin.LINK_LOCAL:
        return True
    if address.origin is Origin.DHCP:
        return keep_leased
    return address.origin is Origin.ROUTER and mode in {"autoconf", "dhcp"}


def _diff_routes(
    desired: IpDevice, observed: IpDevice, family: int, *, keep_learnt: bool, with_addresses: bool
) -> list[Step]:
    """Static routes first, each for itself; then the default route, and what is no longer wanted goes with it."""
    add = _missing_routes(desired, observed, family)
    remove = tuple(
        route
        for route in observed.routes
        if route.destination.version == family
        and not _is_kept(route, desired)
        and (_goes(route, keep_learnt=keep_learnt) or was_advertised(route, desired, observed))
    )
    # beside addresses that change, the undo of those puts the old routes back: they need the old addresses
    back = () if with_addresses else _brought_back(observed, family)
    sure = tuple(route for route in add if not _depends_on_lease(route, desired))
    hoped = tuple(route for route in add if route not in sure and _may_come_with_lease(route, desired, observed))
    steps: list[Step] = [
        _static_route(route, desired.device, back, "route is missing") for route in sure if not _is_default(route)
    ]
    defaults = tuple(route for route in sure if _is_default(route))
    if defaults or remove:
        reason = "route is missing" if defaults else "route is not wanted"
        undo = RouteStep(device=desired.device, add=back, remove=defaults, restores=True)
        steps.append(RouteStep(device=desired.device, add=defaults, remove=remove, reason=reason, undo=(undo,)))
    reason = "route is missing; only a lease can tell whether its gateway is there"
    return [*steps, *(_static_route(route, desired.device, back, reason) for route in hoped)]


def _diff_static_routes(desired: IpDevice, observed: IpDevice) -> tuple[Step, ...]:
    """Steps for our static routes alone, all best effort: the device, its addresses and default route stay."""
    add = [route for family in (IPV4, IPV6) for route in _missing_routes(desired, observed, family)]
    remove = tuple(
        route
        for route in observed.routes
        if route.protocol == ROUTE_PROTOCOL and not _is_default(route) and not _is_kept(route, desired)
    )
    steps: list[Step] = [
        _static_route(route, desired.device, observed.routes, "route is missing")
        for route in add
        if _needs_no_subnet(route) or any(_is_on(route.gateway, address) for address in observed.addresses)
    ]
    if remove:
        undo = RouteStep(device=desired.device, add=remove, required=False, restores=True)
        step = RouteStep(device=desired.device, remove=remove, reason="route is not wanted", undo=(undo,))
        steps.append(replace(step, required=False))
    return tuple(steps)


def _missing_routes(desired: IpDevice, observed: IpDevice, family: int) -> tuple[Route, ...]:
    """Wanted routes that are not there, those without a gateway first: others may need them."""
    lasting = [route for route in observed.routes if not was_advertised(route, desired, observed)]
    there = {(route.destination, route.gateway, metric_of(route)) for route in lasting}
    missing = [
        route
        for route in desired.routes
        if route.destination.version == family and (route.destination, route.gateway, metric_of(route)) not in there
    ]
    return tuple(sorted(missing, key=lambda route: route.gateway is not None))


def _static_route(route: Route, device: str, present: tuple[Route, ...], reason: str) -> Step:
    """A step that the kernel may refuse without harm to the others (features.md section 7)."""
    displaced = tuple(
        other
        for other in present
        if (other.destination, metric_of(other)) == (route.destination, metric_of(route)) and not is_learnt(other)
    )
    undo = RouteStep(device=device, add=displaced, remove=(route,), required=False, restores=True)
    return RouteStep(device=device, add=(route,), reason=reason, required=False, undo=(undo,))


def _is_kept(route: Route, desired: IpDevice) -> bool:
    return any((route.destination, route.gateway) == (wanted.destination, wanted.gateway) for wanted in desired.routes)


def _is_default(route: Route) -> bool:
    return route.destination == _default(route.destination.version)


def _depends_on_lease(route: Route, desired: IpDevice) -> bool:
    """Whether none of our static addresses is on the gateway's subnet: the kernel may refuse it."""
    return not _needs_no_subnet(route) and not any(_is_on(route.gateway, address) for address in desired.addresses)


def _needs_no_subnet(route: Route) -> bool:
    return route.gateway is None or route.gateway.is_link_local


def _may_come_with_lease(route: Route, desired: IpDevice, observed: IpDevice) -> bool:
    """Whether trying makes sense: addresses are learnt, and there is none yet, or one on the gateway's subnet."""
    if _mode(desired, route.destination.version) not in {"dhcp", "autoconf"}:
        return False
    known = [item for item in observed.addresses if item.interface.version == route.destination.version]
    known = [item for item in known if item.origin is not Origin.LINK_LOCAL]
    return not known or any(_is_on(route.gateway, item) for item in known)


def _is_on(gateway: IpAddress | None, address: Address) -> bool:
    return gateway is not None and gateway.version == address.interface.version and gateway in address.interface.network


def metric_of(route: Route) -> int:
    """The kernel shows 1024 where an IPv6 route was given no metric."""
    return 1024 if route.destination.version == IPV6 and route.metric == 0 else route.metric


def _goes(route: Route, *, keep_learnt: bool) -> bool:
    """Ours, or a default route on this device of ours that nobody wants any more; never what is learnt."""
    if is_learnt(route):
        return False
    if route.protocol == ROUTE_PROTOCOL:
        return True
    return not keep_learnt and _is_default(route)


def _mode(device: IpDevice, family: int) -> str | Keep:
    return device.ipv4_mode if family == IPV4 else device.ipv6_mode


def _default(version: int) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_network("0.0.0.0/0" if version == IPV4 else "::/0")


def _client(device: IpDevice, family: int) -> DhcpClient | None:
    return device.dhcp4 if family == IPV4 else device.dhcp6
