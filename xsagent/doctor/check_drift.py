"""Each PIF that should be up x the host -> what ``up`` would change: drift from what was asked for. Pure.

The planner itself says it, so whatever a reconfigure would set is seen. What another check has named already, with the
same command, is not said twice (`examine.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from xsagent.desired.kind import label
from xsagent.doctor.facts import Facts, Wanted
from xsagent.doctor.findings import Finding, Severity
from xsagent.doctor.mend import up
from xsagent.doctor.together import merge_desired
from xsagent.errors import DeviceAbsentError, XsagentError
from xsagent.plan.describe_operation import describe_operation
from xsagent.plan.diff import build_plan
from xsagent.plan.render import describe_step
from xsagent.plan.steps import (
    AddInterface,
    AddPort,
    AnnounceStep,
    CreateBridge,
    DeleteBridge,
    DeletePort,
    IgmpQueryStep,
    MovePort,
    OvsdbStep,
    RemoveInterface,
    SetColumns,
    SetKeys,
    Step,
    UpdateIssueStep,
    WaitCarrierStep,
)
from xsagent.topology.desired import Desired
from xsagent.topology.values import Topology

DRIFT = "drift"
_MOST_NAMED = 3


def check_drift(facts: Facts) -> Iterator[Finding]:
    """PIFs that are not as their records say; what bringing one up mends on its way is not said of another again."""
    if not facts.switch_read:
        return
    all_wanted = [one for one in facts.wanted if one.desired is not None]
    together = _plan_together(facts, all_wanted)
    said: set[str] = set()
    for wanted in all_wanted:
        if together is not None and (together.words <= said or not together.concerns(wanted)):
            continue
        try:
            changes = _changes(facts, wanted.desired or Desired(topology=Topology()))
        except XsagentError as error:
            yield _refused(wanted, error)
            continue
        if not said.issuperset(changes):
            yield _drift(facts, wanted, changes)
        said |= set(changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Together:
    """What bringing up all PIFs at once would do.

    Attributes:
        words: a clause each.
        subjects: objects that it is about; with an empty one among them it may be about any.
    """

    words: frozenset[str]
    subjects: frozenset[str]

    def concerns(self, wanted: Wanted) -> bool:
        """Whether this PIF can have a part in it."""
        topology = wanted.desired.topology if wanted.desired is not None else Topology()
        ports = [port for bridge in topology.bridges.values() for port in bridge.ports.values()]
        parts = {name for port in ports for name in (port.name, *port.interfaces)}
        gone = {key.name for key in topology.absent}
        names = {"", *topology.bridges, *parts, *topology.links, *topology.ip_devices, *gone}
        return not self.subjects.isdisjoint(names)


def _plan_together(facts: Facts, all_wanted: Sequence[Wanted]) -> _Together | None:
    """The one plan for all: on a host that is right it is empty, and nothing more is looked at; None: one by one."""
    desired = merge_desired(one.desired for one in all_wanted if one.desired is not None)
    if desired is None:
        return None
    try:
        steps = build_plan(desired, facts.topology, facts.plan_options).steps
    except XsagentError:
        return None
    required = [step for step in steps if step.required]
    return _Together(
        words=frozenset(text for step in required for text in _words(step)),
        subjects=frozenset(name for step in required for name in _subjects(step)),
    )


def _subjects(step: Step) -> Iterator[str]:
    if not isinstance(step, OvsdbStep):
        yield getattr(step, "device", "")
        return
    for operation in step.operations:
        match operation:
            case CreateBridge(bridge=bridge):
                yield bridge.name
            case AddPort(port=port):
                yield port.name
            case SetColumns(record=name) | SetKeys(record=name):
                yield name
            case AddInterface(port=name) | RemoveInterface(port=name):
                yield name
            case DeleteBridge(name=name) | DeletePort(name=name) | MovePort(name=name):
                yield name


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
        problem=error.cause,
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
        case AnnounceStep() | IgmpQueryStep() | UpdateIssueStep() | WaitCarrierStep():
            return
        case OvsdbStep(operations=operations):
            yield from (next(iter(describe_operation(operation))) for operation in operations)
        case _:
            yield describe_step(step)
