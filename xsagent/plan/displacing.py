"""Wanted routes that would stand in the place of another -> left out, and taken away where they are. Pure.

The kernel has one route for a prefix and a metric. `plan/diff.py` calls this before it compares IP devices; the flow
looks again once leases are there, since only they tell the subnets that come with them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from xsagent.plan.learnt_routes import is_learnt
from xsagent.plan.routes import metric_of
from xsagent.plan.steps import RouteStep, Step
from xsagent.topology.desired import Desired
from xsagent.topology.network_scripts import ifcfg_paths
from xsagent.topology.values import IPV4, ROUTE_PROTOCOL, IpDevice, IpNetwork, ObjectKind, Route, Topology

LeftOut = Mapping[str, tuple[Route, ...]]
"""Routes by the device that goes without them."""


def leave_out_routes(
    desired: Desired, observed: Topology, going: frozenset[str]
) -> tuple[Desired, LeftOut, tuple[str, ...]]:
    """The desired state without routes whose place is taken, in devices and files; those routes; a warning for each.

    Two devices that want one route would take it from each other: management has it, or the first by name. One to a
    subnet that a device is on would cut the host off from that device's neighbours. So would one that an earlier
    operation set, on a device that this one does not speak about: where it is ours, it is among them.

    Args:
        going: devices that the transaction takes away.
    """
    topology = desired.topology
    subnets = _subnets(topology, observed, going)
    taken = {(subnet, 0): f"this host is on that subnet through {holder}" for subnet, holder in subnets.items()}
    management = desired.management.device if desired.management is not None else ""
    warnings: list[str] = []
    devices: dict[str, IpDevice] = {}
    left_out: dict[str, tuple[Route, ...]] = {}
    for name in sorted(topology.ip_devices, key=lambda name: (name != management, name)):
        device = topology.ip_devices[name]
        lost = tuple(route for route in device.routes if (route.destination, route.metric) in taken)
        warnings += [_warning(name, route, taken[route.destination, route.metric]) for route in lost]
        kept = tuple(route for route in device.routes if route not in lost)
        taken |= {(route.destination, route.metric): f"{name} has it" for route in kept}
        devices[name] = replace(device, routes=kept)
        left_out[name] = lost
    own = {subnet for subnet, holder in subnets.items() if holder in devices}
    for name in sorted(observed.ip_devices.keys() - devices.keys() - going - _absent(topology)):
        left_out[name] = tuple(route for route in observed.ip_devices[name].routes if _is_ours_to(route, own))
        warnings += [_warning(name, route, taken[route.destination, 0]) for route in left_out[name]]
    files = _without_lines(topology.files, left_out)
    return replace(desired, topology=replace(topology, ip_devices=devices, files=files)), left_out, tuple(warnings)


def _warning(name: str, route: Route, reason: str) -> str:
    return f"{name} goes without the route to {route.destination}: {reason}"


def _is_ours_to(route: Route, subnets: set[IpNetwork]) -> bool:
    return route.protocol == ROUTE_PROTOCOL and route.metric == 0 and route.destination in subnets


def without_left_out(observed: Topology, left_out: LeftOut) -> Topology:
    """The host as it is once these routes are gone from the kernel and from the network scripts' files."""
    devices = dict(observed.ip_devices)
    for name, device in observed.ip_devices.items():
        gone = _present(left_out.get(name, ()), device)
        devices[name] = replace(device, routes=tuple(route for route in device.routes if route not in gone))
    return replace(observed, ip_devices=devices, files=_without_lines(observed.files, left_out))


def take_away(left_out: LeftOut, observed: Topology) -> tuple[Step, ...]:
    """Steps that remove these routes where they are; best effort, they are a slip in a record at worst."""
    steps: list[Step] = []
    for name in sorted(left_out.keys() & observed.ip_devices.keys()):
        gone = _present(left_out[name], observed.ip_devices[name])
        if gone:
            undo = RouteStep(device=name, add=gone, required=False, restores=True)
            reason = "route is in the place of another"
            steps.append(RouteStep(device=name, remove=gone, reason=reason, required=False, undo=(undo,)))
    return tuple(steps)


def _subnets(topology: Topology, observed: Topology, going: frozenset[str]) -> dict[IpNetwork, str]:
    """IPv4 subnets with a device that is on each afterwards; IPv6 routes to them have a metric of their own."""
    set_anew = {name for name, device in topology.ip_devices.items() if device.ipv4_mode in {"static", "none"}}
    found: dict[IpNetwork, str] = {}
    for name in sorted(observed.ip_devices.keys() - going - _absent(topology) - set_anew):
        found |= {route.destination: name for route in observed.ip_devices[name].routes if is_learnt(route)}
    for name, device in sorted(topology.ip_devices.items()):
        found |= {address.interface.network: name for address in device.addresses}
    return {subnet: name for subnet, name in found.items() if subnet.version == IPV4}


def _absent(topology: Topology) -> set[str]:
    return {key.name for key in topology.absent if key.kind is ObjectKind.IP_DEVICE}


def _present(routes: Iterable[Route], device: IpDevice) -> tuple[Route, ...]:
    """Those of a device's routes that are among these, whoever set them: ifup gives them its own protocol."""
    places = {(route.destination, route.gateway, metric_of(route)) for route in routes}
    return tuple(
        route
        for route in device.routes
        if (route.destination, route.gateway, metric_of(route)) in places and not is_learnt(route)
    )


def _without_lines(files: Mapping[str, str | None], left_out: LeftOut) -> dict[str, str | None]:
    """Files without the lines of these routes in route-DEV, and in route6-DEV, which is there for its lines alone."""
    reduced = dict(files)
    for name, routes in left_out.items():
        destinations = {str(route.destination) for route in routes}
        _, path, path6 = ifcfg_paths(name)
        for each in {path, path6} & reduced.keys():
            lines = (reduced[each] or "").splitlines(keepends=True)
            kept = "".join(line for line in lines if not destinations & set(line.split()[:1]))
            if len(kept) != len(reduced[each] or ""):
                reduced[each] = kept if each == path else kept or None
    return reduced
