"""A plan that was made anew once its steps had run -> what of it only running them could tell. Pure.

A lease tells its subnet, and a driver that it refuses an MTU. `carry_out.py` runs these steps before it verifies: each
is best effort, so none of them is a reason to take anything back.
"""

from __future__ import annotations

from xsagent.plan.steps import FileStep, LinkStep, OvsdbStep, Plan, RouteStep, Step


def steps_to_follow(plan: Plan) -> Plan:
    """Routes to the subnets of leases go; what is wider than a NIC that refused its MTU is narrowed."""
    steps = tuple(step for step in plan.steps if not step.required and _may_follow(step))
    return Plan(steps=steps, warnings=plan.warnings if steps else ())


def _may_follow(step: Step) -> bool:
    return isinstance(step, FileStep | LinkStep | OvsdbStep) or (
        isinstance(step, RouteStep) and bool(step.remove) and not step.add
    )
