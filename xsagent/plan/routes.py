"""Routes of one device desired x observed -> steps. Pure.

Ours are told by their protocol number (ROUTE_PROTOCOL); foreign ones stay, and so does what the kernel or a router set
(`learnt_routes.py`). Used by `ip.py`, and by `ifcfg.py` for routes that ifup did not set.
"""

from __future__ import annotations

from dataclasses import replace

from xsagent.plan.learnt_routes import is_learnt, was_advertised
from xsagent.plan.steps import RouteStep, Step
from xsagent.topology.values import IPV4, IPV6, ROUTE_PROTOCOL, Address, IpAddress, IpDevice, Origin, Route


def diff_routes(
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
    back = () if with_addresses else routes_to_restore(observed, family)
    sure = tuple(route for route in add if not _depends_on_lease(route, desired))
    hoped = tuple(route for route in add if route not in sure and _may_come_with_lease(route, desired, observed))
    steps: list[Step] = [
        _static_route(route, desired.device, back, "route is missing") for route in sure if not is_default(route)
    ]
    defaults = tuple(route for route in sure if is_default(route))
    if defaults or remove:
        reason = "route is missing" if defaults else "route is not wanted"
        undo = RouteStep(device=desired.device, add=back, remove=defaults, restores=True)
        steps.append(RouteStep(device=desired.device, add=defaults, remove=remove, reason=reason, undo=(undo,)))
    reason = "route is missing; only a lease can tell whether its gateway is there"
    return [*steps, *(_static_route(route, desired.device, back, reason) for route in hoped)]


def diff_static_routes(desired: IpDevice, observed: IpDevice) -> tuple[Step, ...]:
    """Steps for our static routes alone, all best effort: the device, its addresses and default route stay."""
    add = [route for family in (IPV4, IPV6) for route in _missing_routes(desired, observed, family)]
    remove = tuple(
        route
        for route in observed.routes
        if route.protocol == ROUTE_PROTOCOL and not is_default(route) and not _is_kept(route, desired)
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


def routes_to_restore(observed: IpDevice, family: int) -> tuple[Route, ...]:
    """Routes that an undo puts back."""
    return tuple(route for route in observed.routes if route.destination.version == family and not is_learnt(route))


def metric_of(route: Route) -> int:
    """The kernel shows 1024 where an IPv6 route was given no metric."""
    return 1024 if route.destination.version == IPV6 and route.metric == 0 else route.metric


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


def is_default(route: Route) -> bool:
    """Whether it is a default route."""
    return route.destination.prefixlen == 0


def _is_kept(route: Route, desired: IpDevice) -> bool:
    return any((route.destination, route.gateway) == (wanted.destination, wanted.gateway) for wanted in desired.routes)


def _goes(route: Route, *, keep_learnt: bool) -> bool:
    """Ours, or a default route on this device of ours that nobody wants any more; never what is learnt."""
    if is_learnt(route):
        return False
    if route.protocol == ROUTE_PROTOCOL:
        return True
    return not keep_learnt and is_default(route)


def _depends_on_lease(route: Route, desired: IpDevice) -> bool:
    """Whether none of our static addresses is on the gateway's subnet: the kernel may refuse it."""
    return not _needs_no_subnet(route) and not any(_is_on(route.gateway, address) for address in desired.addresses)


def _needs_no_subnet(route: Route) -> bool:
    return route.gateway is None or route.gateway.is_link_local


def _may_come_with_lease(route: Route, desired: IpDevice, observed: IpDevice) -> bool:
    """Whether trying makes sense: addresses are learnt, and there is none yet, or one on the gateway's subnet."""
    if desired.mode_of(route.destination.version) not in {"dhcp", "autoconf"}:
        return False
    known = [item for item in observed.addresses if item.interface.version == route.destination.version]
    known = [item for item in known if item.origin is not Origin.LINK_LOCAL]
    return not known or any(_is_on(route.gateway, item) for item in known)


def _is_on(gateway: IpAddress | None, address: Address) -> bool:
    return gateway is not None and gateway.version == address.interface.version and gateway in address.interface.network
