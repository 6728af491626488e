"""plan/diff.py: what the planner's one entry adds to its parts."""

from __future__ import annotations

from xsagent.plan.diff import build_plan
from xsagent.plan.options import PlanOptions
from xsagent.plan.steps import VirtualFunctionsStep
from xsagent.topology.desired import Desired
from xsagent.topology.values import Link, Topology


def test_virtual_functions_that_a_run_makes_go_with_it_where_nobody_holds_one() -> None:
    """Rule 5: every step has an undo; best effort, since a guest may have got one meanwhile."""
    desired = Desired(topology=Topology(), virtual_functions=frozenset({"eth2", "eth3"}))
    observed = Topology(
        links={name: Link(name=name, virtual_functions=int(name == "eth3")) for name in ("eth2", "eth3")}
    )

    (step,) = build_plan(desired, observed, PlanOptions()).steps

    assert step.undo == (VirtualFunctionsStep(device="eth2", remove=True, required=False),)
