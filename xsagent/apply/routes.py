"""RouteStep -> the kernel: routes set, put back as they were, removed. Effects.

Run by apply/run_step.py after the addresses that gateways need. Requests go through apply/netlink.py; every step stands
being run twice.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any, Final

from xsagent.apply.netlink import kernel_request
from xsagent.apply.packet_socket import require_device
from xsagent.errors import DeviceAbsentError, NetlinkError, RouteLostError
from xsagent.observed.netlink import IFF_UP, dump_kernel
from xsagent.plan.learnt_routes import is_learnt
from xsagent.plan.routes import metric_of
from xsagent.plan.steps import RouteStep
from xsagent.topology.text import describe_route
from xsagent.topology.values import IPV4, ROUTE_PROTOCOL, IpNetwork, Route

_RT_SCOPE_LINK: Final = 253
_MAIN_TABLE: Final = 254
_RTNH_F_ONLINK: Final = 4
_NO_WAY: Final = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EINVAL})
"""How the kernel refuses a gateway that no address or route of the device leads to."""


def apply_routes(step: RouteStep) -> None:
    """Add or replace routes through a device, then remove others; what is gone already is fine.

    The kernel's own route to a subnet is never replaced: one of ours is refused then, one that restores comes after it.
    A route without a protocol number gets ROUTE_PROTOCOL. Routes through a gateway come after those without one,
    which they may need; one that is refused keeps no other from being set.

    Raises:
        DeviceAbsentError: there is no such device.
        RouteLostError: the same, or something else that a route needs, for a step that restores.
        NetlinkError: the kernel refuses routes (a gateway cannot be reached through the device).
    """
    try:
        index = require_device(step.device)
    except DeviceAbsentError as error:
        if not step.restores:
            raise
        raise RouteLostError(f"{_texts(step.add)} cannot come back: {step.device} is gone") from error
    refused: list[NetlinkError | RouteLostError] = []
    for hops in _with_one_destination(step.add):
        try:
            _set(hops, step, index)
        except (NetlinkError, RouteLostError) as error:
            refused.append(error)
    for route in step.remove:
        try:
            with kernel_request(f"cannot remove {_text(route)} from {step.device}", errno.ESRCH) as kernel:
                kernel.route("del", **_fields((route,), index))
        except NetlinkError as error:
            refused.append(error)
    _raise(refused)


def _raise(refused: Sequence[NetlinkError | RouteLostError]) -> None:
    """One error for all; what the kernel refuses counts for more than what nothing can bring back."""
    if refused:
        sentence = "; ".join(map(str, refused))
        is_lost = all(isinstance(error, RouteLostError) for error in refused)
        raise RouteLostError(sentence) if is_lost else NetlinkError(sentence)


def _set(hops: tuple[Route, ...], step: RouteStep, index: int) -> None:
    """Set one route; one that was there before also where the kernel no longer finds its gateway."""
    if any(hop.encapsulates for hop in hops):
        raise RouteLostError(f"{_texts(hops)} cannot come back: how it wraps packets is not known here")
    holder = _subnet_holder(hops[0])
    if holder and not step.restores:
        raise NetlinkError(f"{_texts(hops)} was not set: this host is on that subnet through {holder}")
    try:
        _put(hops, step.device, index, beside=holder)
    except NetlinkError as error:
        if not step.restores:
            raise
        if why := _what_it_lacks(hops[0], index):
            raise RouteLostError(f"{_texts(hops)} cannot come back: {why}") from error
        if getattr(error.__cause__, "code", 0) not in _NO_WAY or any(hop.gateway is None for hop in hops):
            raise
        _put(tuple(replace(hop, onlink=True) for hop in hops), step.device, index, beside=holder)


def _put(hops: tuple[Route, ...], device: str, index: int, *, beside: str) -> None:
    """Set one route in the place of any other, or after the one that the kernel set for a subnet of `beside`."""
    problem = f"cannot set {_texts(hops)} through {device}"
    if beside:
        with kernel_request(problem, errno.EEXIST) as kernel:
            kernel.route("append", **_fields(hops, index))
        return
    with kernel_request(problem) as kernel:
        kernel.route("replace", **_fields(hops, index))


def _subnet_holder(route: Route) -> str:
    """The device for whose address the kernel set a route of its own here, which does not come back; else empty."""
    if route.destination.prefixlen == 0 or metric_of(route):
        return ""
    present = dump_kernel(frozenset(), {route.destination})
    own = {row.ifindex for row in present.routes if row.route.destination == route.destination and is_learnt(row.route)}
    return next((row.name for row in present.links if row.ifindex in own), "")


def _what_it_lacks(route: Route, index: int) -> str:
    """What somebody took away meanwhile, and the kernel would have dropped the route with; empty when all is there."""
    present = dump_kernel()
    down = next((row.name for row in present.links if row.ifindex == index and not row.flags & IFF_UP), "")
    if down:
        return f"{down} is down"
    if route.source in {None, *(row.interface.ip for row in present.addresses)}:
        return ""
    return f"{route.source} is not an address of this host"


def _with_one_destination(routes: Sequence[Route]) -> list[tuple[Route, ...]]:
    """Routes in the order to set them, those with one destination and metric together: they are one to the kernel."""

    def destination(route: Route) -> tuple[bool, int, IpNetwork, int]:
        return route.gateway is not None, route.destination.version, route.destination, metric_of(route)

    return [tuple(group) for _, group in groupby(sorted(routes, key=destination), destination)]


def _fields(hops: Sequence[Route], index: int) -> dict[str, Any]:
    """A route in pyroute2's words."""
    route = hops[0]
    fields: dict[str, Any] = {
        "dst": str(route.destination),
        "table": _MAIN_TABLE,
        "proto": route.protocol or ROUTE_PROTOCOL,
        "family": _family(route.destination.version),
    }
    if metric := metric_of(route):
        fields["priority"] = metric
    if route.source is not None:
        fields["prefsrc"] = str(route.source)
    if route.preference:
        fields["pref"] = route.preference
    if route.options:
        fields["metrics"] = dict(route.options)
    if route.gateway is None and route.destination.version == IPV4:
        fields["scope"] = _RT_SCOPE_LINK
    if len(hops) == 1:
        return fields | {"oif": index, **_gateway(route)}
    several = [{"oif": index, "hops": hop.weight - 1, **_gateway(hop)} for hop in hops]
    return fields | {"multipath": several}


def _gateway(route: Route) -> dict[str, Any]:
    if route.gateway is None:
        return {}
    flags = {"flags": _RTNH_F_ONLINK} if route.onlink else {}
    if route.gateway.version == route.destination.version:
        return {"gateway": str(route.gateway), **flags}
    return {"via": {"family": _family(route.gateway.version), "addr": str(route.gateway)}, **flags}


def _family(version: int) -> int:
    return int(socket.AF_INET if version == IPV4 else socket.AF_INET6)


def _texts(routes: Sequence[Route]) -> str:
    return ", ".join(map(_text, routes))


def _text(route: Route) -> str:
    return f"the route to {describe_route(route)}"
