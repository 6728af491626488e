"""What was configured on devices that the switch makes anew or takes away, and of which nothing was asked. Pure.

`plan/diff.py` calls it after the devices that the operation does speak about: a bond member's bridge goes, for example,
and a VLAN bridge on it moves to the bond's; its address is to be there again, though nobody reconfigured the VLAN.
"""

from __future__ import annotations

from dataclasses import replace

from xsagent.plan.elsewhere import bring_back_displaced
from xsagent.plan.ifcfg import move_ifcfg_client
from xsagent.plan.ip import stop_clients
from xsagent.plan.order import Phases
from xsagent.plan.remade import restore_ip, restore_link
from xsagent.plan.routes import metric_of
from xsagent.plan.steps import RouteStep, Step
from xsagent.topology.text import describe_route
from xsagent.topology.values import ObjectKind, Topology


def move_along(
    desired: Topology, observed: Topology, lost: frozenset[str], remaining: frozenset[str], phases: Phases
) -> tuple[str, ...]:
    """Put into the phases what those devices had, unless this operation says what they are to have.

    Args:
        lost: devices that the transaction takes away, or makes anew.
        remaining: devices of the switch that are there afterwards.

    Returns:
        Warnings of what cannot be kept.
    """
    gone = {key.name for key in desired.absent if key.kind is ObjectKind.IP_DEVICE}
    settable = _without_encapsulating(observed)
    warnings: list[str] = []
    for name in sorted(lost):
        remains = name in remaining
        if remains and name not in desired.links:
            phases.devices += restore_link(name, observed)
        if name in desired.ip_devices or name in gone:
            continue
        before, after = move_ifcfg_client(name, observed, remains=remains)
        if not remains and name in observed.ip_devices:
            before += stop_clients(observed.ip_devices[name], "its device goes")
        phases.retire += (bring_back_displaced(step, observed.ip_devices) for step in before)
        phases.addresses += (bring_back_displaced(step, observed.ip_devices) for step in after)
        if remains:
            restored = restore_ip(name, settable, leased=not after)
            steps = (_without_displaced(step, desired) for step in restored)
            phases.addresses += (step for step in steps if step is not None)
            warnings += _lost_routes(name, observed)
    return tuple(warnings)


def _lost_routes(name: str, observed: Topology) -> list[str]:
    """Routes that the kernel drops with a device which the switch makes anew, and that nobody can set again."""
    device = observed.ip_devices.get(name)
    return [
        f"the route to {describe_route(route)} goes with {name}, which the switch makes anew; set it again by hand"
        for route in (device.routes if device is not None else ())
        if route.encapsulates
    ]


def _without_encapsulating(observed: Topology) -> Topology:
    """The host without routes that wrap packets: those of a device that is made anew nobody can set again."""
    devices = {
        name: replace(device, routes=tuple(route for route in device.routes if not route.encapsulates))
        for name, device in observed.ip_devices.items()
    }
    return replace(observed, ip_devices=devices)


def _without_displaced(step: Step, desired: Topology) -> Step | None:
    """A step that restores routes, without those in whose place this operation sets others elsewhere."""
    if not isinstance(step, RouteStep):
        return step
    devices = desired.ip_devices.values()
    wanted = {(route.destination, metric_of(route)) for device in devices for route in device.routes}
    leased = any(device.dhcp4 is not None and "routers" in device.dhcp4.configuration for device in devices)
    kept = tuple(
        route
        for route in step.add
        if (route.destination, metric_of(route)) not in wanted and not (leased and route.destination.prefixlen == 0)
    )
    return replace(step, add=kept) if kept else None
