"""A plan with steps -> the host as it wants it and verified, or as it was: journal, deadman, steps, way back. Effects.

`reconfigure.py` comes here when something is to do, or when a run that died left something half done. After it the
caller tells the outcome.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from xsagent.apply.deadman import Deadman, arm_deadman, compute_window, late_updelay
from xsagent.apply.executor import Executed, Failed, execute, joined, roll_back, subject_of
from xsagent.apply.gateways import answers, silent_gateways
from xsagent.apply.interruption import going_back
from xsagent.apply.journal import Journal, JournalEntries, remove_journal
from xsagent.apply.locked_ports import LockedPorts
from xsagent.apply.orphans import end_orphans
from xsagent.apply.outcome import Applied, Outcome, RolledBack, Stuck, Unverified
from xsagent.apply.rdnss import forget_routers, learn_servers, wants_router_servers
from xsagent.apply.recovery import recover
from xsagent.apply.resolver import drop_forgotten
from xsagent.apply.room import release_room, room_for
from xsagent.apply.run_step import StepRunner
from xsagent.errors import XsagentError
from xsagent.log import log_reasons
from xsagent.plan.flushes import robbed_bridges
from xsagent.plan.follow_up import steps_to_follow
from xsagent.plan.steps import IfupStep, LinkStep, OvsdbStep, Plan, StartDhcpStep, Step
from xsagent.planning import Host, Operation, make_plan, plan_options
from xsagent.sources.host_files import read_boot_id
from xsagent.topology.desired import Desired
from xsagent.topology.values import Topology

_VERIFY_S = 10.0
_VERIFY_POLL_S = 0.1
_ADVERTISEMENT_S = 3.0
"""How long a router may take to answer a solicitation (it waits up to half a second: RFC 4861 section 10)."""
_UNDO_LEASE_S = 1.0
"""For the lease of a DHCP client that the way back starts again: a server that lives gives it at once. The address of
before is back without it, and the client keeps trying."""


def carry_out(operation: Operation, host: Host, observed: Topology, plan: Plan, *, retiring: bool) -> Outcome:
    """Carry out a plan, verify, and keep the result or take all of it back.

    Args:
        operation, host: what is to be done where; the caller holds the lock, and the switch lives.
        observed, plan: the host before, and what leads from it to the desired one.
        retiring: the former management interface has something to give up afterwards.
    """
    at_risk = operation.deadman and (retiring or any(step.management for step in plan.steps))
    window = _window(operation, host, observed) if at_risk else 0.0
    deadman = arm_deadman(
        operation.desired,
        observed,
        host.paths,
        window,
        probe=operation.probe,
        start_guardian=host.start_guardian,
    )
    journal = Journal(
        directory=host.paths.state_dir,
        boot=read_boot_id(host.paths),
        operation=operation.name,
        desired=operation.desired,
        answered=deadman.answered,
        configuration=operation.configuration,
        room=room_for(plan, host.paths, saves_cache=operation.saves_cache),
        go_on=partial(_go_on, host) if operation.at_boot else None,
    )
    with deadman:
        runner = host.runner(deadman.window_s if deadman.armed else operation.dhcp_wait_s)
        run = _Run(
            host=host,
            journal=journal,
            deadman=deadman,
            runner=runner,
            undoer=replace(runner, dhcp_wait_s=_UNDO_LEASE_S),
        )
        return _keep_or_take_back(run, operation, plan)


def _go_on(host: Host, problem: str) -> None:
    host.warn("go_on_without_journal", f"{problem}; the boot goes on without it")


def _window(operation: Operation, host: Host, observed: Topology) -> float:
    management = operation.desired.management
    return compute_window(
        host.settings.deadman_s,
        dhcp=management is not None and management.dhcp,
        high_availability=operation.high_availability,
        updelay_s=late_updelay(operation.desired, observed),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """What the parts of one run share.

    Attributes:
        journal, deadman: told of each step before its effect.
        runner, undoer: have the effects of the plans' steps, and of those of the way back. The guests that the one
            left unlocked are the other's too.
    """

    host: Host
    journal: Journal
    deadman: Deadman
    runner: StepRunner
    undoer: StepRunner

    def execute(self, plan: Plan) -> Executed | Failed:
        """Run a plan's steps."""
        return execute(plan, self.runner.run, self._begin, self.host.report)

    def roll_back(self, failed: Failed) -> RolledBack | Stuck:
        """Take back what was begun, lock the guests that this leaves unlocked, and see whether the gateway answers."""
        with going_back():
            ended = roll_back(failed, self.undoer.run, self.host.report, self._settle)
            _forget_stopped_clients(self.host)
            silent = self.deadman.look_back(lambda: self.host.observe(self.deadman.desired))
            return replace(ended, lost=(*ended.lost, *silent, *self.relock()))

    def relock(self) -> tuple[str, ...]:
        """Lock the guests whose flows the steps took away and did not put back; sentences as `relock_rest`."""
        return _relock(self.host, self.runner.unlocked)

    def end(self, done: Executed | RolledBack | Stuck) -> None:
        """Close the journal: emptied when nothing is left to take back, left for the next run otherwise."""
        if isinstance(done, Stuck):
            self.deadman.stuck = True
            self.journal.close()
            return
        try:
            self.journal.commit()
        except OSError as error:
            # the next run will find that the host verifies, or that everything was taken back
            self.host.logger.error("remove_journal_failed", reason=str(error))

    def _begin(self, step: Step) -> None:
        self.deadman.note(step)
        self.journal.begin(step)

    def _settle(self, undo: Sequence[Step]) -> Sequence[Step]:
        return self.host.settle(self.journal.give_room(undo))


def _keep_or_take_back(run: _Run, operation: Operation, plan: Plan) -> Outcome:
    """Run a plan, and that of the retirement; the host is as these want it afterwards, or as it was."""
    run.runner.prepare(plan.steps)
    try:
        done = _run_plan(run, operation, plan)
        second = operation.second()
        if isinstance(done, Executed) and second is not None:
            done = _retire(run, second, done)
        ended = done if isinstance(done, Executed) else run.roll_back(done)
        unlocked = run.relock() if isinstance(ended, Executed) else ()
    except BaseException as error:
        # whatever it was, the host must not stay half done (legacy-faults F11)
        run.end(run.roll_back(Failed(begun=tuple(run.journal.begun), cause=repr(error))))
        raise
    run.end(ended)
    if not isinstance(ended, Executed):
        return ended
    _learn_name_servers(operation, run.host)
    return _kept(run, operation, plan, ended, unlocked)


def _run_plan(run: _Run, operation: Operation, plan: Plan) -> Executed | Failed:
    """Run a plan's steps and see whether what they made may stay; nothing is taken back here."""
    done = run.execute(plan)
    # what a plan moved is there now: its VIF ports no longer speak against it
    again = replace(operation, keep_ports=False)
    if isinstance(done, Executed) and _may_tell_more(done, run.host):
        done = _follow_up(run, again, done)
    if isinstance(done, Failed):
        return done
    return _check(run, again, done) or done


def _may_tell_more(done: Executed, host: Host) -> bool:
    """Whether a lease may have come, or a device refused its MTU: what was refused before was not tried again."""
    if any(isinstance(step, StartDhcpStep | IfupStep) for step in done.begun):
        return True
    widths = [(step.device, step.mtu) for step in done.begun if isinstance(step, LinkStep) and step.mtu is not None]
    options = plan_options(host.paths, keep_ports=False)
    return any(options.refuses_mtu(device, mtu) for device, mtu in widths)


def _follow_up(run: _Run, operation: Operation, done: Executed) -> Executed | Failed:
    """Do what nobody could plan before the steps had run.

    Returns:
        With all that was begun, by the plan before too.
    """
    try:
        plan = steps_to_follow(make_plan(operation, run.host), operation.desired.topology.ip_devices)
    except XsagentError as error:
        return Failed(begun=done.begun, cause=str(error))
    for warning in plan.warnings:
        run.host.logger.warning("warn", operation=operation.name, reason=warning)
    return joined(done, run.execute(plan))


def _retire(run: _Run, second: Operation, done: Executed) -> Executed | Failed:
    """Take from the former management interface what the new one has now: a second plan, under the same deadman.

    Returns:
        With all that was begun, by the first plan too.
    """
    log_reasons(run.host.logger, second.desired.reasons)
    try:
        plan = make_plan(second, run.host)
    except XsagentError as error:
        return Failed(begun=done.begun, cause=str(error))
    return joined(done, _run_plan(run, second, plan))


def _learn_name_servers(operation: Operation, host: Host) -> None:
    """Take the name servers of routers, and no longer those of former ones and of former leases (pains.md 7).

    Best effort: a network without them is no failure.
    """
    device = wants_router_servers(operation.desired)
    try:
        forget_routers(operation.desired, host.paths)
        drop_forgotten(operation.desired.topology.resolver, host.paths)
        if device is None:
            return
        found = learn_servers(device, host.paths, _ADVERTISEMENT_S)
    except (XsagentError, OSError) as error:
        host.logger.warning("learn_name_servers_failed", subject=device or "", reason=str(error))
        return
    host.logger.info("learn_name_servers", subject=device, servers=" ".join(found.servers) if found else "")


def _forget_stopped_clients(host: Host) -> None:
    """Take out of resolv.conf what clients said that a way back has stopped; best effort."""
    try:
        drop_forgotten(None, host.paths)
    except (XsagentError, OSError) as error:
        host.logger.warning("forget_clients_failed", reason=str(error))


def _check(run: _Run, operation: Operation, done: Executed) -> Failed | None:
    """Why the change must be taken back; None when it may stay. A check that cannot be made counts as a failure."""
    left: list[Step] = []
    try:
        left = _await_result(operation, run.host, done)
        cause = _fault(run, operation, done, left)
    except (XsagentError, OSError) as error:
        cause = f"{operation.name}: the result could not be verified: {error}"
    return None if cause is None else Failed(begun=done.begun, cause=cause, subject=subject_of(left))


def _fault(run: _Run, operation: Operation, done: Executed, left: Sequence[Step]) -> str | None:
    """What is wrong where these steps are still to do; None when nothing is."""
    # a start that has nothing to take back is of a client that runs as wanted, and asks on
    lost = [step.device for step in left if isinstance(step, StartDhcpStep) and not step.undo]
    if len(lost) < len(left):
        kinds = ", ".join(sorted({type(step).__name__.removesuffix("Step") for step in left}))
        return f"{operation.name}: the host is not what was set ({kinds}: {left[0].reason})"
    silent = done.silent_dhcp or (f"the lease of {lost[0]} was lost again; its client keeps asking" if lost else None)
    return run.deadman.verify(silent, lambda: run.host.observe(run.deadman.desired))


def _kept(run: _Run, operation: Operation, plan: Plan, done: Executed, unlocked: tuple[str, ...]) -> Outcome:
    silent = done.silent_dhcp or run.deadman.unverified
    reason = "; ".join(unlocked) or silent
    if reason is not None:
        reason = f"{operation.name}: {reason}"
        return Unverified(reason=reason, path_works=silent is None, warnings=plan.warnings)
    return Applied(warnings=plan.warnings)


def _await_result(operation: Operation, host: Host, done: Executed) -> list[Step]:
    """What is still to do when the host should be what the plan set; nothing when it is. Observes at least once."""
    deadline = time.monotonic() + _VERIFY_S
    while True:
        left = [step for step in make_plan(operation, host).steps if step.required]
        left = [step for step in left if not _waits_for_lease(step, operation, done)]
        if not left or time.monotonic() >= deadline:
            return left
        time.sleep(_VERIFY_POLL_S)


def _waits_for_lease(step: Step, operation: Operation, done: Executed) -> bool:
    """Whether all that is missing is a lease: ifup has its own word on that, and a silent server was reported."""
    if isinstance(step, StartDhcpStep):
        return done.silent_dhcp is not None
    if not isinstance(step, IfupStep):
        return False
    device = operation.desired.topology.ip_devices.get(step.device)
    by_dhcp = device is not None and "dhcp" in {device.ipv4_mode, device.ipv6_mode}
    return by_dhcp and any(isinstance(begun, IfupStep) and begun.device == step.device for begun in done.begun)


def finish(entries: JournalEntries, host: Host) -> Applied | RolledBack | Stuck:
    """As `finish_earlier_run`, for a journal that is there."""
    release_room(host.paths)
    orphans = end_orphans(host.paths)
    if orphans:
        host.logger.warning("end_orphans", count=orphans)
    boot, runner = read_boot_id(host.paths), host.runner(_UNDO_LEASE_S)
    ended = recover(
        entries,
        boot=boot,
        observe=host.observe,
        run_step=runner.run,
        report=host.report,
        reachable=lambda desired: answers(desired, entries.answered, lambda: host.observe(desired)),
        options=plan_options(host.paths, keep_ports=False),
        settle=host.settle,
    )
    _forget_stopped_clients(host)
    if boot == entries.boot:
        ended = _with_guests_locked(ended, entries, runner.unlocked, host)
        ended = _with_gateway_asked(ended, entries, host)
    if entries.begun:
        lost = "" if isinstance(ended, Applied) else "; ".join(ended.lost)
        host.logger.warning("finish_earlier_run", operation=entries.operation, outcome=type(ended).__name__, lost=lost)
    if entries.begun and not isinstance(ended, Applied):
        host.remember(entries.configuration)
    if not isinstance(ended, Stuck):
        remove_journal(host.paths.state_dir)
    return ended


def _with_guests_locked(
    ended: Applied | RolledBack | Stuck, entries: JournalEntries, unlocked: LockedPorts, host: Host
) -> Applied | RolledBack | Stuck:
    """Lock guests where the dead run may have taken their flows away: it took along what it knew of them."""
    for step in entries.begun:
        if isinstance(step, OvsdbStep):
            unlocked.silent |= robbed_bridges(step)
    sentences = _relock(host, unlocked)
    if isinstance(ended, Applied):
        return replace(ended, warnings=(*ended.warnings, *sentences))
    return replace(ended, lost=(*ended.lost, *sentences))


def _with_gateway_asked(
    ended: Applied | RolledBack | Stuck, entries: JournalEntries, host: Host
) -> Applied | RolledBack | Stuck:
    """As the run itself would have done it after its way back."""
    if isinstance(ended, Applied) or not entries.begun:
        return ended
    desired = entries.desired or Desired(topology=Topology())
    silent = silent_gateways(desired.management, entries.answered, lambda: host.observe(desired))
    return replace(ended, lost=(*ended.lost, *silent))


def _relock(host: Host, unlocked: LockedPorts) -> tuple[str, ...]:
    if unlocked.is_back:
        return ()
    from xsagent.hotplug.relock import relock_rest  # noqa: PLC0415 - most runs take no guest's flows away

    return relock_rest(host.paths, host.settings, unlocked)
