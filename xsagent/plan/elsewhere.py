"""What a step takes from other devices than its own -> its undo brings that back too. Pure.

The kernel has one route for a prefix and a metric, whichever device it is on. Called for the steps of IP devices
(`ip_devices.py`, `moved_along.py`), and for a transaction that takes devices away (`switch.py`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import assert_never

from xsagent.plan.learnt_routes import is_learnt
from xsagent.plan.routes import is_default, metric_of
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
from xsagent.topology.values import Address, IpDevice, Route


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
    return [route for device in observed.values() for route in device.routes if is_default(route)]
