"""Plan -> effects: runs steps in order, journals each before its effect, stops where one fails.

Knows step kinds only through `run_step`, which the flow gives it (apply/run_step.py on a host, a model in the property
tests). Comes after `plan/`; the flow verifies afterwards, and calls `roll_back` when that or a step failed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from xsagent.apply.interruption import going_back
from xsagent.apply.outcome import RolledBack, Stuck, Subject
from xsagent.errors import (
    ApplyError,
    ConflictError,
    DeviceAbsentError,
    DhcpSilentError,
    RouteLostError,
    SwitchDeadError,
    SwitchRefusedError,
    UnlockedError,
    XsagentError,
)
from xsagent.plan.order import clients_last
from xsagent.plan.steps import (
    AddressStep,
    AnnounceStep,
    FileStep,
    IfdownStep,
    IfupStep,
    Plan,
    RouteStep,
    StartDhcpStep,
    Step,
    StopDhcpStep,
)

RunStep = Callable[[Step], None]
"""Has the effect of one step; raises XsagentError or OSError when it failed. Must stand being run twice."""

Report = Callable[[str, Step, str], None]
"""Told (event, step, text) for the log."""

Settle = Callable[[Sequence[Step]], Sequence[Step]]
"""Reduces undo steps to what is still to do: a transaction that failed may have changed nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Executed:
    """All steps were run.

    Attributes:
        begun: the steps, for an undo that comes later.
        silent_dhcp: the sentence of a DHCP client that found no server yet; it keeps trying.
    """

    begun: tuple[Step, ...]
    silent_dhcp: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """What was begun must be taken back.

    Attributes:
        begun: the steps, with the one that failed: its effect may have happened in part.
        conflict, subject: as those of RolledBack.
    """

    begun: tuple[Step, ...]
    cause: str
    conflict: bool = False
    subject: Subject = field(default_factory=Subject)


def execute(plan: Plan, run_step: RunStep, begin: Callable[[Step], None], report: Report) -> Executed | Failed:
    """Run a plan's steps, up to the first failure of a required one.

    Args:
        begin: puts a step on disk before its effect (Journal.begin).

    Returns:
        Executed when every required step succeeded. Never raises for a step's failure.
    """
    begun: list[Step] = []
    silent: str | None = None
    for step in plan.steps:
        try:
            begin(step)
            begun.append(step)
            report("run_step", step, step.reason)
            run_step(step)
        except DhcpSilentError as error:
            report("wait_for_lease", step, str(error))
            silent = str(error)
        except (XsagentError, OSError) as error:
            if step.required or isinstance(error, ApplyError):
                return Failed(
                    begun=tuple(begun),
                    cause=str(error),
                    conflict=isinstance(error, ConflictError),
                    subject=Subject(things=error.ports)
                    if isinstance(error, SwitchRefusedError)
                    else subject_of([step]),
                )
            report("pass_over", step, str(error))
    return Executed(begun=tuple(begun), silent_dhcp=silent)


def subject_of(steps: Iterable[Step]) -> Subject:
    """What steps are about; a transaction names nothing here, since it is about everything."""
    things: set[str] = set()
    ip_devices: set[str] = set()
    for step in steps:
        if isinstance(
            step, AddressStep | RouteStep | StartDhcpStep | StopDhcpStep | IfupStep | IfdownStep | AnnounceStep
        ):
            ip_devices.add(step.device)
        elif isinstance(step, FileStep):
            things.add(step.path)
        elif hasattr(step, "device"):
            things.add(step.device)
    return Subject(things=frozenset(things), ip_devices=frozenset(ip_devices))


def joined(done: Executed, more: Executed | Failed) -> Executed | Failed:
    """How two plans in one run ended: as the second did, with what both began."""
    begun = (*done.begun, *more.begun)
    return replace(more, begun=begun) if isinstance(more, Failed) else replace(done, begun=begun)


def roll_back(failed: Failed, run_step: RunStep, report: Report, settle: Settle = tuple) -> RolledBack | Stuck:
    """Take back steps that were begun, the last first; a failing undo does not stop the others."""
    undo = tuple(step for done in reversed(failed.begun) for step in done.undo)
    ended = run_undo(settle(undo), failed.cause, run_step, report)
    if isinstance(ended, Stuck):
        return ended
    return replace(ended, conflict=failed.conflict, subject=failed.subject)


def run_undo(undo: Sequence[Step], cause: str, run_step: RunStep, report: Report) -> RolledBack | Stuck:
    """Run undo steps in order, DHCP clients last; neither a signal nor a step that fails stops the others."""
    with going_back():
        return _run_undo(clients_last(undo), cause, run_step, report)


def _run_undo(undo: Sequence[Step], cause: str, run_step: RunStep, report: Report) -> RolledBack | Stuck:
    left: list[Step] = []
    problems: list[str] = []
    lost: list[str] = []
    for step in undo:
        report("undo_step", step, step.reason)
        try:
            run_step(step)
        except DhcpSilentError as error:
            # the client runs again, which is all that an undo can bring back
            report("wait_for_lease", step, str(error))
        except SwitchDeadError as error:
            # the database is as it was; a switch that comes up again reads it
            report("undo_unconfirmed", step, str(error))
        except UnlockedError as error:
            # the switch is as it was; who has the guests' flows in hand goes on with them
            report("undo_unlocked", step, str(error))
        except RouteLostError as error:
            # somebody took away what it needs; were it an error, no later run could ever finish
            report("undo_impossible", step, str(error))
            lost.append(str(error))
        except DeviceAbsentError as error:
            # nothing is left to bring back
            report("undo_needless", step, str(error))
        except (XsagentError, OSError) as error:
            report("undo_failed", step, str(error))
            if step.required:
                left.append(step)
                problems.append(str(error))
    gone = tuple(dict.fromkeys(lost))
    if left:
        return Stuck(cause=cause, left=tuple(left), problems=tuple(problems), lost=gone)
    return RolledBack(cause=cause, lost=gone)
