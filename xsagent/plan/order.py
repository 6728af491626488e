"""Changes of each kind -> one order that never breaks what it stands on. Pure.

Up: NICs first (a bond member that is down when the switch first looks waits `updelay`, features.md section 10), then
the one OVSDB transaction, then the devices it made, then addresses, then routes and DNS. What goes is taken away
before the transaction that deletes its bridge; NICs that are no longer used go down last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import assert_never

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
    Plan,
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
from xsagent.topology.desired import ManagementPath


@dataclass(slots=True)
class Phases:
    """Steps by the time at which they must run; `plan/diff.py` and its parts fill it."""

    before: list[Step] = field(default_factory=list)
    """NICs come up: link, MTU, offloads."""
    carrier: list[Step] = field(default_factory=list)
    """Waiting for the carrier of bond members that have just come up."""
    retire: list[Step] = field(default_factory=list)
    """IP devices that go: DHCP clients, addresses, ifdown."""
    files: list[Step] = field(default_factory=list)
    switch: list[Step] = field(default_factory=list)
    """The one OVSDB transaction."""
    devices: list[Step] = field(default_factory=list)
    """Devices that the transaction made: link, MTU, sysctls."""
    addresses: list[Step] = field(default_factory=list)
    """Addresses, routes, DHCP, ifup, DNS."""
    after: list[Step] = field(default_factory=list)
    """NICs that are no longer used go down."""


def order_steps(
    phases: Phases, management: ManagementPath | None, warnings: tuple[str, ...], *, is_up: bool = False
) -> Plan:
    """The plan: phases in order, management's steps marked, last within their phase.

    Args:
        is_up: management is up, here or where it moves away from, so that the transaction may break it: what restores
            it then waits for nothing else. Otherwise others need not wait for its lease; its static addresses are
            first even so: of two devices on one subnet the kernel sends by the one that has its address first.
    """
    devices, addresses = _marked(phases.devices, management), _marked(phases.addresses, management)
    first: list[Step] = []
    if is_up:
        first = [step for step in (*devices, *addresses) if step.management]
        # a port that the switch made below it, as a bond's own device, carries nothing
        first.sort(key=lambda step: management is not None and management.device not in devices_of(step))
        devices, addresses = ([step for step in part if not step.management] for part in (devices, addresses))
    else:
        addresses.sort(key=lambda step: not _gives_static_address(step, management))
    ordered: list[Step] = []
    for phase in (phases.before, phases.carrier, phases.retire, phases.files, phases.switch):
        ordered += _marked(phase, management)
    ordered += [*first, *devices, *addresses, *_marked(phases.after, management)]
    return Plan(steps=tuple(ordered), warnings=warnings)


def _gives_static_address(step: Step, management: ManagementPath | None) -> bool:
    """Whether it sets addresses of management, and waits for nobody on the wire."""
    if management is None or management.device not in devices_of(step):
        return False
    return isinstance(step, AddressStep) or (isinstance(step, IfupStep) and not management.dhcp)


def clients_last(undo: Sequence[Step]) -> tuple[Step, ...]:
    """The undo with its DHCP clients started after all else, each once: their links are up then, and nothing waits.

    A client that a later step stops again is started where it stands.
    """
    ordered: list[Step] = []
    late: dict[tuple[str, int], Step] = {}
    for place, step in enumerate(undo):
        if isinstance(step, StartDhcpStep) and not _is_stopped(step, undo[place + 1 :]):
            # of several, the last is for what was there before all of them
            late[step.device, step.client.family] = step
        else:
            ordered.append(step)
    return (*ordered, *late.values())


def _is_stopped(step: StartDhcpStep, later: Sequence[Step]) -> bool:
    return any(
        isinstance(other, StopDhcpStep) and (other.device, other.family) == (step.device, step.client.family)
        for other in later
    )


def _marked(phase: list[Step], management: ManagementPath | None) -> list[Step]:
    return sorted((_mark(step, management) for step in phase), key=lambda step: step.management)


def _mark(step: Step, management: ManagementPath | None) -> Step:
    if management is None:
        return step
    devices = {management.device, *management.ports}
    return replace(step, management=True) if devices_of(step) & devices else step


def devices_of(step: Step) -> frozenset[str]:
    """Devices that a step touches directly; the OVSDB step names the ports it must see working."""
    match step:
        case (
            LinkStep(device=device)
            | AddressStep(device=device)
            | RouteStep(device=device)
            | StartDhcpStep(device=device)
            | StopDhcpStep(device=device)
            | IfupStep(device=device)
            | IfdownStep(device=device)
            | CreateVlanLinkStep(device=device)
            | DeleteLinkStep(device=device)
            | FeaturesStep(device=device)
            | LinkSettingsStep(device=device)
            # some drivers reset the NIC for it
            | VirtualFunctionsStep(device=device)
            # after its device's addresses, not before: what is not there yet cannot be announced
            | AnnounceStep(device=device)
        ):
            return frozenset({device})
        case SysctlStep(values=values):
            # net/ipv6/conf/DEVICE/KEY, relative to /proc/sys/net
            return frozenset(path.split("/")[2] for path in values)
        case OvsdbStep(ports=ports):
            return frozenset(ports)
        case SafetyFlowsStep() | WaitCarrierStep() | FileStep() | ResolverStep() | IgmpQueryStep() | UpdateIssueStep():
            return frozenset()
        case _:
            assert_never(step)
