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
from xsagent.topology.desired import Desired

DRIFT = "drift"
_MOST_NAMED = 3


def check_drift(facts: Facts) -> Iterator[Finding]:
    """PIFs that are not as their records say; what bringing one up mends on its way is not said of another again."""
    said: set[str] = set()
    for wanted in facts.wanted if facts.switch_read else ():
        if wanted.desired is None:
            continue
        try:
            changes = _changes(facts, wanted.desired)
        except XsagentError as error:
            yield _refused(wanted, error)
            continue
        if not said.issuperset(changes):
            yield _drift(facts, wanted, changes)
        said |= set(changes)


def _changes(facts: Facts, desired: Desired) -> list[str]:
    """What ``up`` would do, a clause each; nothing where a NIC is missing, which `check_links.py` names."""
    try:
        plan = build_plan(desired, facts.topology, facts.plan_options)
    except DeviceAbsentError:
        return []
    return [text for step in plan.steps if step.required for text in _words(step)]


def _refused(wanted: Wanted, error: XsagentError) -> Finding:
    return Finding(
        id="cannot-be-brought-up",
        severity=_severity(wanted),
        subject=label(wanted.pif),
        problem=str(error).removesuffix("; nothing was changed"),
        reason="interface-reconfigure refuses it",
        by_hand="remove what is in the way",
    )


def _drift(facts: Facts, wanted: Wanted, changes: list[str]) -> Finding:
    more = f"; and {len(changes) - _MOST_NAMED} more" if changes[_MOST_NAMED:] else ""
    return Finding(
        id=DRIFT,
        severity=_severity(wanted),
        subject=label(wanted.pif),
        problem=f"it is not as its records say: to do is {'; '.join(changes[:_MOST_NAMED])}{more}",
        reason="somebody changed it by hand, or it never came up",
        mend=(up(facts, wanted.pif),),
    )


def _severity(wanted: Wanted) -> Severity:
    return Severity.ERROR if wanted.pif.management else Severity.WARNING


def _words(step: Step) -> Iterator[str]:
    match step:
        case AnnounceStep() | UpdateIssueStep() | WaitCarrierStep():
            return
        case OvsdbStep(operations=operations):
            yield from (next(iter(describe_operation(operation))) for operation in operations)
        case _:
            yield describe_step(step)
