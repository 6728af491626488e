"""Takes back what a run that died left half done, from its journal (DESIGN.md rule 5).

Called by the next run under the lock, by the guardian, and by the daemon. Idempotent: being killed in the middle of a
recovery leaves the journal, and the next recovery does it again.
"""

from __future__ import annotations

from collections.abc import Callable

from xsagent.apply.executor import Report, RunStep, Settle, run_undo
from xsagent.apply.journal import JournalEntries
from xsagent.apply.outcome import Applied, RolledBack, Stuck
from xsagent.errors import XsagentError
from xsagent.plan.diff import build_plan
from xsagent.plan.options import PlanOptions
from xsagent.topology.desired import Desired
from xsagent.topology.values import Topology


def recover(
    entries: JournalEntries,
    *,
    boot: str,
    observe: Callable[[Desired], Topology],
    run_step: RunStep,
    report: Report,
    reachable: Callable[[Desired], bool],
    options: PlanOptions,
    settle: Settle = tuple,
) -> Applied | RolledBack | Stuck:
    """Finish the undo of a dead run, or prove that what it wanted is there already.

    Args:
        entries: what the dead run left in its journal.
        boot: id of the present boot; after a reboot only files are restored.
        observe: reads the host, as far as a desired state is concerned.
        run_step, report, settle: as for the executor.
        reachable: whether the desired gateways answer; asked only when the run was under the deadman.
        options: what the planner is told.
    """
    same_boot = boot == entries.boot
    if same_boot and entries.desired is not None:
        observed = observe(entries.desired)
        if _verifies(entries.desired, observed, options) and (not entries.answered or reachable(entries.desired)):
            return Applied(changed=False)
    undo = entries.undo_steps(boot)
    cause = f"an earlier run ({entries.operation or 'unknown'}) was interrupted"
    return run_undo(settle(undo) if same_boot else undo, cause, run_step, report)


def _verifies(desired: Desired, observed: Topology, options: PlanOptions) -> bool:
    try:
        plan = build_plan(desired, observed, options)
    except XsagentError:
        # a device that the run relied on is gone, or a foreign object came into its way
        return False
    return not any(step.required for step in plan.steps)
