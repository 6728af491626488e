"""Each PIF that should be up x the host -> what ``up`` would change: drift from what was asked for. Pure.

The planner itself says it, so whatever a reconfigure would set is seen. What another check has named already, with the
same command, is not said twice (`examine.py`).
"""

from __future__ import annotations

from collections.abc import Iterator

from xsagent.desired.kind import label
from xsagent.doctor.facts import Facts, Wanted
from xsagent.doctor.findings import Finding, Severity
from xsagent.doctor.mend import up
from xsagent.errors import DeviceAbsentError, XsagentError
from xsagent.plan.describe_operation import describe_operation
from xsagent.plan.diff import build_plan
from xsagent.plan.render import describe_step
from xsagent.plan.steps import AnnounceStep, OvsdbStep, Step, UpdateIssueStep, WaitCarrierStep

DRIFT = "drift"
_MOST_NAMED = 3


def check_drift(facts: Facts) -> Iterator[Finding]:
    """PIFs that are not as their records say."""
    if not facts.switch_read:
        return
    for wanted in facts.wanted:
        yield from _drift(facts, wanted)


def _drift(facts: Facts, wanted: Wanted) -> Iterator[Finding]:
    if wanted.desired is None:
        return
    severity = Severity.ERROR if wanted.pif.management else Severity.WARNING
    try:
        plan = build_plan(wanted.desired, facts.topology, facts.plan_options)
    except DeviceAbsentError:  # `check_links.py` names it
        return
    except XsagentError as error:
        yield Finding(
            id="cannot-be-brought-up",
            severity=severity,
            subject=label(wanted.pif),
            problem=str(error).removesuffix("; nothing was changed"),
            reason="interface-reconfigure refuses it",
            by_hand="remove what is in the way",
        )
        return
    changes = [text for step in plan.steps if step.required for text in _words(step)]
    if changes:
        named = "; ".join(changes[:_MOST_NAMED]) + (
            f"; and {len(changes) - _MOST_NAMED} more" if changes[_MOST_NAMED:] else ""
        )
        yield Finding(
            id=DRIFT,
            severity=severity,
            subject=label(wanted.pif),
            problem=f"it is not as its records say: to do is {named}",
            reason="somebody changed it by hand, or it never came up",
            mend=(up(facts, wanted.pif),),
        )


def _words(step: Step) -> Iterator[str]:
    match step:
        case AnnounceStep() | UpdateIssueStep() | WaitCarrierStep():
            return
        case OvsdbStep(operations=operations):
            yield from (next(iter(describe_operation(operation))) for operation in operations)
        case _:
            yield describe_step(step)
