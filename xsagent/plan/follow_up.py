"""A plan made anew once the steps of the first have run -> those of its steps that only this could tell. Pure.

A lease tells its address and subnet, and a driver that it refuses an MTU. `carry_out.py` runs these steps before it
verifies. All are best effort, so none of them is a reason to take anything back, but for those that leave the address
to the device that was leased it.
"""

from __future__ import annotations

from collections.abc import Collection

from xsagent.plan.steps import (
    AddressStep,
    FileStep,
    IfdownStep,
    LinkStep,
    OvsdbStep,
    Plan,
    RouteStep,
    Step,
    StopDhcpStep,
)


def steps_to_follow(plan: Plan, spoken_about: Collection[str]) -> Plan:
    """Routes to the subnets of leases go; what is wider than a NIC that refused its MTU is narrowed.

    An address that a lease gave goes from other devices.

    Args:
        spoken_about: the operation's IP devices, which keep what they have.
    """
    steps = tuple(
        step for step in plan.steps if (not step.required and _may_follow(step)) or _gives_up(step, spoken_about)
    )
    return Plan(steps=steps, warnings=plan.warnings if steps else ())


def _may_follow(step: Step) -> bool:
    return isinstance(step, FileStep | LinkStep | OvsdbStep) or (
        isinstance(step, RouteStep) and bool(step.remove) and not step.add
    )


def _gives_up(step: Step, spoken_about: Collection[str]) -> bool:
    match step:
        case StopDhcpStep() | IfdownStep() | AddressStep(add=()) | RouteStep(add=()):
            return step.device not in spoken_about
        case FileStep(text=None):
            return True
    return False
