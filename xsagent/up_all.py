"""`--force-interface all`: the boot set -> up, but for what this host cannot have; no PIF's fault is another's.

One plan and one transaction where nothing is wrong (features.md section 23). What cannot be planned for is found member
by member and left out. What the host then refuses is left out too; management comes up before the others do then.
Called by `cli/reconfigure_run.py`, which tells how it ended.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

from xsagent.apply.outcome import Outcome, RolledBack, Stuck, Unverified
from xsagent.desired.boot import BootDesired
from xsagent.desired.boot_groups import BootGroups
from xsagent.desired.kind import label
from xsagent.errors import DeviceAbsentError, ForeignObjectError, InUseError
from xsagent.model.records import Pif, Ref
from xsagent.model.snapshot import Snapshot
from xsagent.operations import build_boot_operation
from xsagent.plan.steps import Plan
from xsagent.planning import Host, Operation, make_plan
from xsagent.reconfigure import apply_operation, give_up
from xsagent.topology.desired import Desired
from xsagent.topology.values import Topology

_REFUSALS: Final = (DeviceAbsentError, ForeignObjectError, InUseError)
"""What planning raises about a host that cannot have what is wanted; nothing was changed then."""
_TRIES: Final = 24
"""Runs after the first, before what is left is given up: a boot has its time. Two faults that name nobody are found
among hundreds of PIFs."""

_LISTED: Final = 8
"""PIFs that a sentence names of those with one reason; the log names all."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class BootOutcome:
    """How a boot's bring-up ended.

    Attributes:
        outcome: of what was brought up; RolledBack where nothing was.
        left_out: members of the boot set that are not up, with the reason.
        management_up: management's interface came up, whatever did not.
    """

    outcome: Outcome
    left_out: tuple[tuple[Pif, str], ...]
    management_up: bool

    def as_sentence(self) -> str:
        """What is not up and why, for a person; empty when nothing is."""
        by_reason: dict[str, list[str]] = {}
        for pif, reason in self.left_out:
            name = label(pif)
            by_reason.setdefault(reason.removeprefix(f"{name}: "), []).append(name)
        return "; ".join(f"{_listed(names)} could not be brought up: {reason}" for reason, names in by_reason.items())


def up_all(snapshot: Snapshot, host: Host) -> BootOutcome:
    """Bring up the boot set; the caller holds the lock.

    Raises:
        XsagentError: a peer is absent, found before the first effect; nothing was changed.
    """
    run = _Run(snapshot=snapshot, host=host)
    outcome = run.attempt(())
    if isinstance(outcome, RolledBack):
        outcome = _in_parts(run, outcome)
    left_out = tuple((snapshot.pifs[ref], why) for ref, why in run.left_out.items())
    return BootOutcome(outcome=outcome, left_out=left_out, management_up=run.management_up)


def plan_all(snapshot: Snapshot, host: Host) -> tuple[Desired, Plan]:
    """What `up_all` would do; nothing is changed.

    Raises:
        XsagentError: a peer is absent, or there is no plan at all.
    """
    run = _Run(snapshot=snapshot, host=host)
    plan = run.without_refused((), lambda operation: make_plan(operation, host))
    return run.boot.desired, plan


@dataclass(slots=True, kw_only=True)
class _Run:
    """Attempts, and what they found that this host cannot have.

    Attributes:
        boot: what the last attempt wanted.
        management_up: one that brought management's interface up was not taken back.
    """

    snapshot: Snapshot
    host: Host
    left_out: dict[Ref, str] = field(default_factory=dict)
    boot: BootDesired = field(init=False)
    management_up: bool = False

    def attempt(self, postponed: Collection[Ref]) -> Outcome:
        """Bring up all but what was left out, and what is postponed."""
        try:
            outcome = self.without_refused(postponed, lambda operation: apply_operation(operation, self.host))
        except _REFUSALS as error:
            outcome = RolledBack(cause=error.cause)
        if isinstance(outcome, Stuck):
            give_up(outcome, self.host)
            outcome = RolledBack(cause=outcome.cause, lost=outcome.lost)
        if isinstance(outcome, RolledBack):
            self.host.logger.warning("take_back_boot", reason=outcome.cause, lost="; ".join(outcome.lost))
        elif self.boot.desired.brings_up_management:
            self.management_up = True
        return outcome

    def without_refused(self, postponed: Collection[Ref], act: Callable[[Operation], _T]) -> _T:
        """Act on the operation, without members of which the planner says that this host cannot have them.

        Raises:
            DeviceAbsentError, ForeignObjectError, InUseError: it cannot have them together, though each by itself.
        """
        while True:
            self.boot, operation = build_boot_operation(self.snapshot, self.host, self.left_out, postponed)
            self.left_out.update(self.boot.left_out)
            try:
                return act(operation)
            except _REFUSALS:
                refused = find_refused(self.boot, self._planner(operation))
                if not refused:
                    raise
                self.left_out.update(refused)

    def _planner(self, operation: Operation) -> Callable[[Desired], object]:
        observed = self.host.observe(operation.desired)
        return lambda part: make_plan(replace(operation, desired=part), self.host, observed)

    def blame(self, group: Collection[Ref], ended: RolledBack) -> bool:
        """Leave out those of the group that want what the failure was about; returns whether there are any."""
        members = [pif for pif in self.boot.members if pif.ref in group]
        parts = {pif.ref: self.boot.part(pif).topology for pif in members}
        guilty = [ref for ref, part in parts.items() if not part.ip_devices.keys().isdisjoint(ended.subject.ip_devices)]
        if not guilty:
            # an address that must go, for example, off a port that is nobody's IP device
            named = ended.subject.things | ended.subject.ip_devices
            guilty = [ref for ref, part in parts.items() if not _wanted(part).isdisjoint(named)]
        self.left_out.update(dict.fromkeys(guilty, ended.cause))
        return bool(guilty)


def _in_parts(run: _Run, failed: RolledBack) -> Outcome:
    """After a run that was taken back: management by itself, then the others, in ever smaller groups where need be."""
    members = [pif.ref for pif in run.boot.members]
    run.blame(members, failed)
    ended: Outcome = failed
    groups, cause = BootGroups([members[:1], members[1:]]), failed.cause
    for _ in range(_TRIES):
        if not groups.take(run.left_out):
            return ended
        outcome = run.attempt(groups.postponed)
        if not isinstance(outcome, RolledBack):
            # a gateway that did not answer is not asked again where nothing changes any more
            ended = ended if isinstance(ended, Unverified) else outcome
            groups.came_up()
            continue
        cause = outcome.cause
        if run.blame(groups.tried, outcome):
            groups.found()
        elif len(groups.tried) == 1:
            run.left_out[groups.tried[0]] = cause
            groups.found()
        else:
            groups.failed()
    untried = f"not tried by itself after {_TRIES} runs; the last that was taken back: {cause}"
    run.left_out.update({ref: untried for ref in groups.postponed if ref not in run.left_out})
    return ended


def find_refused(boot: BootDesired, plan: Callable[[Desired], object]) -> dict[Ref, str]:
    """Members that the planner refuses also by themselves, each with the reason.

    Args:
        boot: that it refuses as a whole.
        plan: makes a plan for one of its parts.
    """
    refused: dict[Ref, str] = {}
    for member in boot.members:
        try:
            plan(boot.part(member))
        except _REFUSALS as error:
            refused[member.ref] = error.cause
    return refused


def _wanted(topology: Topology) -> set[str]:
    """The names of all that is wanted."""
    wanted = {*topology.bridges, *topology.links, *topology.ip_devices, *topology.files}
    for bridge in topology.bridges.values():
        for port in bridge.ports.values():
            wanted |= {port.name, *port.interfaces}
    return wanted


def _listed(names: list[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more
