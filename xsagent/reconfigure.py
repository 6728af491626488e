"""One reconfigure through the whole pipeline: desired -> observed -> plan -> apply -> verify -> commit.

The main path of xsagent, called by `cli/interface_reconfigure.py` and by the daemon with what `sources/` and `desired/`
made. Everything that decides is pure and elsewhere; everything that acts is in `apply/`; here they are put in order, up
to the plan, and by `carry_out.py` from there, which most runs do not need: their host is as wanted.
"""

from __future__ import annotations

from contextlib import closing

from xsagent.apply.journal import NAME, read_journal, remove_journal
from xsagent.apply.outcome import Applied, Outcome, RolledBack, Stuck
from xsagent.errors import FileError, VerifyError
from xsagent.log import log_reasons
from xsagent.observed.switch_alive import SwitchPulse
from xsagent.plan.steps import SafetyFlowsStep
from xsagent.planning import Host, Operation, make_plan

_CONFLICTS = 5


def apply_operation(operation: Operation, host: Host) -> Outcome:
    """Apply an operation; the caller holds the lock.

    Returns:
        How it ended. A second run of the same operation ends in Applied(changed=False).

    Raises:
        XsagentError: bad input or an absent peer, found before the first effect; nothing was changed.
    """
    log_reasons(host.logger, operation.desired.reasons)
    for _ in range(_CONFLICTS):
        outcome = _apply_once(operation, host)
        if not (isinstance(outcome, RolledBack) and outcome.conflict):
            return outcome
        host.logger.info("plan_again", reason=outcome.cause)
    raise VerifyError(f"{operation.name}: the switch's database kept changing under the plan; the host is as it was")


def _apply_once(operation: Operation, host: Host) -> Outcome:
    with closing(SwitchPulse(host.paths.ovs_rundir)) as pulse:
        pulse.ask()
        observed = host.observe(operation.desired)
        plan = make_plan(operation, host, observed)
        pulse.wait(host.settings.vswitchd_wait_s)
    second = operation.second()
    retiring = second is not None and bool(make_plan(second, host).steps)
    if not plan.steps and not retiring:
        return Applied(changed=False, warnings=plan.warnings)
    from xsagent.carry_out import carry_out  # noqa: PLC0415 - see the module's head

    return carry_out(operation, host, observed, plan, retiring=retiring)


def finish_earlier_run(host: Host) -> Applied | RolledBack | Stuck | None:
    """Take back what a run that died left half done, or keep it where it verifies; the caller holds the lock.

    Returns:
        None when there was nothing to do. After Stuck the journal stays, for the next run.

    Raises:
        FileError: the journal cannot be read.
        OSError: it cannot be removed any more.
    """
    try:
        entries = read_journal(host.paths.state_dir)
    except OSError as error:
        path = host.paths.state_dir / NAME
        sentence = f"the journal {path} of an earlier run could not be read: {error.strerror}; nothing was changed"
        raise FileError(sentence) from error
    if entries is None:
        return None
    from xsagent.carry_out import finish  # noqa: PLC0415 - runs hardly ever die

    return finish(entries, host)


def make_way(host: Host, *, force: bool = False) -> Applied | RolledBack | Stuck | None:
    """As `finish_earlier_run`, for a run with work of its own: what it may leave undone is given up.

    That is all with `force`; otherwise flows alone, which stand in nobody's way: they are kept below /run for whoever
    sees the switch come back, and the next operation on their bridge plans them anew.

    Returns:
        Stuck where nothing may be done on top of what is left.
    """
    ended = finish_earlier_run(host)
    if not isinstance(ended, Stuck):
        return ended
    if not force and not all(isinstance(step, SafetyFlowsStep) for step in ended.left):
        return ended
    give_up(ended, host)
    return RolledBack(cause=ended.cause, lost=(*ended.problems, *ended.lost))


def give_up(stuck: Stuck, host: Host) -> None:
    """Drop what is left of a way back: at boot, and under ``--force``, a host with a network counts for more."""
    for step in stuck.left:
        subject = getattr(step, "device", getattr(step, "bridge", ""))
        host.logger.error("leave_undo", step=type(step).__name__, subject=subject)
    host.logger.error("give_up_earlier_run", reason=stuck.cause, left=len(stuck.left))
    try:
        remove_journal(host.paths.state_dir)
    except OSError as error:
        # on a disk that cannot be written it stays, and so does what it would restore: files
        host.logger.error("remove_journal_failed", reason=str(error))
