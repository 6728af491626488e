"""SafetyFlowsStep -> the switch: one bundle that takes out our safety flows and puts in the wanted ones. Effects.

Run right after the OVSDB transaction that made a management bridge secure; what a controller installed stays.
"""

from __future__ import annotations

from pathlib import Path

from xsagent.apply.flows import FLOWS_DEADLINE_S
from xsagent.ofctl import run_ofctl
from xsagent.plan.steps import SafetyFlowsStep
from xsagent.topology.values import SAFETY_COOKIE


def replace_safety_flows(rundir: Path, step: SafetyFlowsStep) -> None:
    """Make the flows with our safety cookie exactly the step's; idempotent, whole or not at all.

    Raises:
        CommandError: ovs-ofctl failed or passed its deadline; the flows are as they were.
    """
    text = f"delete cookie={SAFETY_COOKIE:#x}/-1\n"
    text += "".join(f"add cookie={SAFETY_COOKIE:#x},{line}\n" for line in step.lines)
    run_ofctl(rundir, step.bridge, ["--names", "--bundle", "add-flows"], ["-"], FLOWS_DEADLINE_S, text)
