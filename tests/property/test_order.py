"""The order of steps over generated hosts, and how little a plan does where little is to be done."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from host_model import HostModel
from hypothesis import given
from strategies import SCENARIOS, Scenario
from tally import TALLY
from walk import Attempt, hosts, run_plan, walk

from xsagent.plan.steps import (
    AddPort,
    AnnounceStep,
    FileStep,
    IgmpQueryStep,
    LinkStep,
    OvsdbStep,
    Plan,
    SafetyFlowsStep,
    SetColumns,
    Step,
    SysctlStep,
    UpdateIssueStep,
    WaitCarrierStep,
)
from xsagent.topology.values import Origin


@hosts()
@given(SCENARIOS)
def test_management_is_never_down_while_something_else_is_done(scenario: Scenario) -> None:
    """Rule 1: the path to management comes last to break and first to restore, within what each step stands on."""
    for attempt in walk(scenario):
        model = attempt.start.copy()
        after = attempt.start.copy()
        run_plan(attempt.plan, after)
        if not (_management_works(attempt, model) and _management_works(attempt, after)):
            continue
        TALLY["management watched"] += 1
        for step in attempt.plan.steps:
            assert _management_works(attempt, model) or _may_run_meanwhile(step), step
            run_plan(Plan(steps=(step,)), model)


@hosts()
@given(SCENARIOS)
def test_one_fact_touched_by_hand_is_one_fact_mended(scenario: Scenario) -> None:
    """Rule 2: minimal change. Each fact of the applied state in turn is changed, and the plan speaks of it alone."""
    for attempt in walk(scenario):
        applied = attempt.start.copy()
        run_plan(attempt.plan, applied)
        applied.answer_dhcp()
        if attempt.plan_for(applied).steps:
            continue  # no server answered, or a route waits for a lease
        for subject, touched in _touched(attempt, applied):
            TALLY["facts touched"] += 1
            for step in attempt.plan_for(touched).steps:
                assert _is_about(step, subject), f"{subject}: {step}"


def _management_works(attempt: Attempt, model: HostModel) -> bool:
    """Whether its device is up with an address, over a NIC that is up."""
    path = attempt.desired.management
    if path is None or path.device not in model.links:
        return False
    addresses = [item for item in model.addresses.get(path.device, ()) if item.origin is not Origin.LINK_LOCAL]
    nics = [name for name in path.ports if name in model.links and model.links[name].physical]
    plugged = {name for bridge in model.bridges.values() for port in bridge.ports.values() for name in port.interfaces}
    device_up = model.links[path.device].up is True
    return device_up and bool(addresses) and any(model.links[name].up and name in plugged for name in nics)


def _may_run_meanwhile(step: Step) -> bool:
    """Steps on the way of management, the transaction, and what must follow it at once."""
    return step.management or isinstance(step, OvsdbStep | SafetyFlowsStep | SysctlStep | FileStep)


def _touched(attempt: Attempt, applied: HostModel) -> Iterator[tuple[str, HostModel]]:
    """The host with one fact changed by hand, and the name of the object that it belongs to."""
    topology = attempt.desired.topology
    for name, link in topology.links.items():
        if link.up is True and name in applied.links:
            touched = applied.copy()
            touched.take_down(name)
            yield name, touched
        if isinstance(link.mtu, int) and name in applied.links and applied.links[name].parent is None:
            touched = applied.copy()
            touched.set_mtu(name, link.mtu + 4)
            yield name, touched
    for name, device in topology.ip_devices.items():
        for address in device.addresses:
            touched = applied.copy()
            left = tuple(item for item in touched.addresses[name] if item.interface != address.interface)
            touched.set_addresses(name, left)
            yield name, touched
    for name, bridge in topology.bridges.items():
        touched = applied.copy()
        touched.bridges[name] = replace(touched.bridges[name], fail_mode=None)
        yield name, touched
        for port in bridge.ports.values():
            if port.name in attempt.desired.ownership.devices:
                touched = applied.copy()
                kept = {key: row for key, row in touched.bridges[name].ports.items() if key != port.name}
                touched.bridges[name] = replace(touched.bridges[name], ports=kept)
                yield port.name, touched


def _is_about(step: Step, subject: str) -> bool:
    """Whether a step speaks of this object alone."""
    match step:
        case OvsdbStep(operations=(AddPort(port=port),)):
            return port.name == subject
        case OvsdbStep(operations=(SetColumns(record=record, columns=columns),)):
            return record == subject and list(columns) == ["fail_mode"]
        case SafetyFlowsStep() | UpdateIssueStep() | AnnounceStep() | IgmpQueryStep() | WaitCarrierStep():
            return True  # they follow from the others
        case LinkStep(device=device):
            # VLAN netdevs go down with the device below
            return device == subject or device.startswith(f"{subject}.")
    return getattr(step, "device", "") == subject or getattr(step, "device", "").startswith(f"{subject}.")
