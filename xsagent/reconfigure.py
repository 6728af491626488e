"""One reconfigure through the whole pipeline: desired -> observed -> plan -> apply -> verify -> commit.

The main path of xsagent, called by `cli/interface_reconfigure.py` and by the daemon with what `sources/` and `desired/`
made. Everything that decides is pure and elsewhere; everything that acts is in `apply/`; here they are put in order.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from xsagent.apply.deadman import Deadman, answers, arm_deadman, compute_window, late_updelay
from xsagent.apply.executor import Executed, Failed, execute, roll_back
from xsagent.apply.guardian import StartGuardian, start_guardian
from xsagent.apply.journal import Journal, read_journal, remove_journal
from xsagent.apply.orphans import end_orphans
from xsagent.apply.outcome import Applied, Outcome, RolledBack, Stuck, Unverified
from xsagent.apply.rdnss import learn_servers, wants_router_servers
from xsagent.apply.recovery import recover
from xsagent.apply.refusals import read_refusals
from xsagent.apply.rolled_back import remember_rolled_back
from xsagent.apply.room import release_room, room_for
from xsagent.apply.run_step import StepRunner
from xsagent.config import Paths, Settings
from xsagent.errors import VerifyError, XsagentError
from xsagent.log import Logger, get_logger, log_reasons
from xsagent.model.keep_out import PifConfiguration
from xsagent.observed.host import Interest, observe_host
from xsagent.observed.ovsdb import read_ovsdb
from xsagent.observed.ovsdb_connection import OvsdbConnection
from xsagent.observed.switch_alive import wait_for_switch
from xsagent.plan.diff import build_plan
from xsagent.plan.options import PlanOptions
from xsagent.plan.secure_bridge import secure_management_bridge
from xsagent.plan.settle import settle_undo
from xsagent.plan.steps import IfupStep, Plan, StartDhcpStep, Step
from xsagent.sources.host_files import read_boot_id
from xsagent.topology.concern import concern_of
from xsagent.topology.desired import Desired
from xsagent.topology.network_scripts import SCRIPTS
from xsagent.topology.values import Topology

if TYPE_CHECKING:
    from xsagent.sources.xapi_memory import XapiMemory

_READ_S = 20.0
_VERIFY_S = 10.0
_VERIFY_POLL_S = 0.1
_CONFLICTS = 5
_ADVERTISEMENT_S = 3.0
"""How long a router may take to answer a solicitation (it waits up to half a second: RFC 4861 section 10)."""
_UNDO_LEASE_S = 10.0
"""For the lease of a DHCP client that the way back starts again; it keeps trying after that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What to do, decided and named.

    Attributes:
        name: for the lock, the journal and messages, for example ``up xenbr0``.
        keep_vif_ports: as PlanOptions.keep_vif_ports.
        dhcp_wait_s: how long a DHCP client may take before the run goes on without a lease, seconds.
        deadman: whether a change of the management path is taken back when the gateway no longer answers.
        high_availability: HA's heartbeats bound the deadman's window.
        configuration: of the PIF that is brought up: kept out of the cache when it was taken back.
        probe: look for the gateway afterwards, and say so when it does not answer.
        retirement: what the former management interface gives up once the new path was seen to work (pains.md 1).
    """

    name: str
    desired: Desired
    keep_vif_ports: bool = True
    dhcp_wait_s: float = 60.0
    deadman: bool = False
    high_availability: bool = False
    configuration: PifConfiguration | None = None
    probe: bool = True
    retirement: Desired | None = None


@dataclass(slots=True)
class Host:
    """The host an operation runs on: its places, its settings, its open connection to OVSDB.

    Attributes:
        memory: of XAPI's records, in a worker of the daemon.
        start_guardian: how a guardian is started.
    """

    paths: Paths
    settings: Settings
    connection: OvsdbConnection
    logger: Logger = field(default_factory=get_logger)
    memory: XapiMemory | None = None
    start_guardian: StartGuardian = start_guardian

    def observe(self, desired: Desired) -> Topology:
        """The host now, as far as this desired state is concerned."""
        return observe_host(self.paths, self.connection, interest_of(desired), time.monotonic() + _READ_S)

    def runner(self, dhcp_wait_s: float) -> StepRunner:
        """What has the effects of steps here."""
        return StepRunner(
            paths=self.paths,
            settings=self.settings,
            connection=self.connection,
            dhcp_wait_s=dhcp_wait_s,
            logger=self.logger,
        )

    def settle(self, undo: Sequence[Step]) -> Sequence[Step]:
        """Undo steps without what the switch's database shows as done; all of them when it cannot be read."""
        try:
            return settle_undo(undo, read_ovsdb(self.connection, time.monotonic() + _READ_S).bridges)
        except XsagentError as error:
            self.logger.warning("settle_undo_failed", reason=str(error))
            return undo

    def report(self, event: str, step: Step, text: str) -> None:
        """Log what the executor does."""
        self.logger.info(event, step=type(step).__name__, subject=getattr(step, "device", ""), reason=text)


def interest_of(desired: Desired) -> Interest:
    """What must be read to compare the host with this desired state."""
    links = desired.topology.links.values()
    secure = secure_management_bridge(desired)
    return Interest(
        ethtool=frozenset(link.name for link in links if link.features or link.settings),
        sysctls=frozenset(path for link in links for path in link.sysctls),
        files=frozenset(desired.topology.files),
        network_scripts=any(path.startswith(SCRIPTS) for path in desired.topology.files),
        flows=frozenset() if secure is None else frozenset({secure}),
        virtual_functions=desired.virtual_functions,
        switch=concern_of(desired),
        destinations=frozenset(
            route.destination for device in desired.topology.ip_devices.values() for route in device.routes
        ),
        macs={link.name: link.expected_mac for link in links if link.expected_mac is not None},
    )


def make_plan(operation: Operation, host: Host, observed: Topology | None = None) -> Plan:
    """The plan for an operation; nothing is changed (a dry run prints it and stops).

    Raises:
        DeviceAbsentError, ForeignObjectError, InUseError: it cannot be done without harm.
    """
    refusals = read_refusals(host.paths)
    options = PlanOptions(
        keep_vif_ports=operation.keep_vif_ports,
        refused_features=refusals.features,
        refused_settings=refusals.settings,
    )
    return build_plan(operation.desired, observed or host.observe(operation.desired), options)


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
    observed = host.observe(operation.desired)
    plan = make_plan(operation, host, observed)
    wait_for_switch(host.paths.ovs_rundir, host.settings.vswitchd_wait_s)
    retiring = operation.retirement is not None and bool(
        make_plan(_second(operation, operation.retirement), host).steps
    )
    if not plan.steps and not retiring:
        return Applied(changed=False, warnings=plan.warnings)
    at_risk = operation.deadman and (retiring or any(step.management for step in plan.steps))
    window = _window(operation, host, observed) if at_risk else 0.0
    deadman = arm_deadman(
        operation.desired, observed, host.paths, window, probe=operation.probe, guard=host.start_guardian
    )
    journal = Journal(
        directory=host.paths.state_dir,
        boot=read_boot_id(host.paths),
        operation=operation.name,
        desired=operation.desired,
        armed=deadman.armed,
        configuration=operation.configuration,
        room=room_for(plan, host.paths),
    )
    with deadman:
        return _run(operation, host, plan, journal, deadman)


def _window(operation: Operation, host: Host, observed: Topology) -> float:
    management = operation.desired.management
    return compute_window(
        host.settings.deadman_s,
        dhcp=management is not None and management.dhcp,
        high_availability=operation.high_availability,
        updelay_s=late_updelay(operation.desired, observed),
    )


def _run(operation: Operation, host: Host, plan: Plan, journal: Journal, deadman: Deadman) -> Outcome:
    runner = host.runner(deadman.window_s if deadman.armed else operation.dhcp_wait_s)
    undoer = host.runner(_UNDO_LEASE_S)

    def begin(step: Step) -> None:
        deadman.note(step)
        journal.begin(step)

    def settle(undo: Sequence[Step]) -> Sequence[Step]:
        return host.settle(journal.give_room(undo))

    runner.prepare(plan.steps)
    try:
        done = _carry_out(operation, host, plan, runner, begin, deadman)
        if isinstance(done, Executed) and operation.retirement is not None:
            done = _retire(operation, operation.retirement, host, runner, begin, done, deadman)
        ended = done if isinstance(done, Executed) else roll_back(done, undoer.run, host.report, settle)
    except BaseException as error:
        # whatever it was, the host must not stay half done (legacy-faults F11)
        failed = Failed(begun=tuple(journal.begun), cause=repr(error))
        _end(roll_back(failed, undoer.run, host.report, settle), host, journal, deadman)
        raise
    _end(ended, host, journal, deadman)
    if not isinstance(ended, Executed):
        return ended
    _learn_name_servers(operation, host)
    return _kept(operation, ended, plan, deadman)


def _carry_out(
    operation: Operation,
    host: Host,
    plan: Plan,
    runner: StepRunner,
    begin: Callable[[Step], None],
    deadman: Deadman,
) -> Executed | Failed:
    """Run a plan's steps and see whether what they made may stay; nothing is taken back here."""
    done = execute(plan, runner.run, begin, host.report)
    if isinstance(done, Failed):
        return done
    cause = _check(operation, host, done, deadman)
    return done if cause is None else Failed(begun=done.begun, cause=cause)


def _learn_name_servers(operation: Operation, host: Host) -> None:
    """Take the name servers of routers (pains.md 7); best effort: a network without them is no failure."""
    device = wants_router_servers(operation.desired)
    if device is None:
        return
    try:
        found = learn_servers(device, host.paths, _ADVERTISEMENT_S)
    except (XsagentError, OSError) as error:
        host.logger.warning("learn_name_servers_failed", subject=device, reason=str(error))
        return
    host.logger.info("learn_name_servers", subject=device, servers=" ".join(found.servers) if found else "")


def _end(done: Executed | RolledBack | Stuck, host: Host, journal: Journal, deadman: Deadman) -> None:
    """Close the journal: emptied when nothing is left to take back, left for the next run otherwise."""
    if isinstance(done, Stuck):
        deadman.stuck = True
        journal.close()
        return
    try:
        journal.commit()
    except OSError as error:
        # the next run will find that the host verifies, or that everything was taken back
        host.logger.error("remove_journal_failed", reason=str(error))


def _retire(
    operation: Operation,
    retirement: Desired,
    host: Host,
    runner: StepRunner,
    begin: Callable[[Step], None],
    done: Executed,
    deadman: Deadman,
) -> Executed | Failed:
    """Take from the former management interface what the new one has now: a second plan, under the same deadman.

    Returns:
        With all that was begun, by the first plan too.
    """
    log_reasons(host.logger, retirement.reasons)
    second = _second(operation, retirement)
    try:
        plan = make_plan(second, host)
    except XsagentError as error:
        return Failed(begun=done.begun, cause=str(error))
    retired = _carry_out(second, host, plan, runner, begin, deadman)
    begun = (*done.begun, *retired.begun)
    return replace(retired, begun=begun) if isinstance(retired, Failed) else replace(done, begun=begun)


def _second(operation: Operation, retirement: Desired) -> Operation:
    return Operation(name=f"{operation.name}: retire", desired=retirement, keep_vif_ports=False)


def _check(operation: Operation, host: Host, done: Executed, deadman: Deadman) -> str | None:
    """Why the change must be taken back; None when it may stay. A check that cannot be made counts as a failure."""
    try:
        return _verify(operation, host, done) or deadman.verify(
            done.silent_dhcp, lambda: host.observe(operation.desired)
        )
    except (XsagentError, OSError) as error:
        return f"{operation.name}: the result could not be verified: {error}"


def _kept(operation: Operation, done: Executed, plan: Plan, deadman: Deadman) -> Outcome:
    reason = done.silent_dhcp or deadman.unverified
    if reason is not None:
        return Unverified(reason=f"{operation.name}: {reason}", warnings=plan.warnings)
    return Applied(warnings=plan.warnings)


def _verify(operation: Operation, host: Host, done: Executed) -> str | None:
    """Why the host is not what the plan set; None when it is. Observes at least once."""
    # what a plan moved is there now: its VIF ports no longer speak against it
    again = replace(operation, keep_vif_ports=False)
    deadline = time.monotonic() + _VERIFY_S
    while True:
        left = [step for step in make_plan(again, host).steps if step.required]
        left = [step for step in left if not _waits_for_lease(step, operation, done)]
        if not left:
            return None
        if time.monotonic() >= deadline:
            kinds = ", ".join(sorted({type(step).__name__.removesuffix("Step") for step in left}))
            return f"{operation.name}: the host is not what was set ({kinds}: {left[0].reason})"
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


def finish_earlier_run(host: Host) -> Applied | RolledBack | Stuck | None:
    """Take back what a run that died left half done, or keep it where it verifies; the caller holds the lock.

    Returns:
        None when there was nothing to do. After Stuck the journal stays, for the next run.
    """
    entries = read_journal(host.paths.state_dir)
    if entries is None:
        return None
    release_room(host.paths)
    orphans = end_orphans(host.paths)
    if orphans:
        host.logger.warning("end_orphans", count=orphans)
    ended = recover(
        entries,
        read_boot_id(host.paths),
        host.observe,
        host.runner(_UNDO_LEASE_S).run,
        host.report,
        lambda desired: answers(desired, lambda: host.observe(desired)),
        host.settle,
    )
    if entries.begun:
        host.logger.warning("finish_earlier_run", operation=entries.operation, outcome=type(ended).__name__)
    if entries.begun and not isinstance(ended, Applied):
        remember(entries.configuration, host)
    if not isinstance(ended, Stuck):
        remove_journal(host.paths.state_dir)
    return ended


def remember(configuration: PifConfiguration | None, host: Host) -> None:
    """Keep a configuration that was taken back out of the cache; never fails the operation."""
    try:
        if configuration is not None:
            remember_rolled_back(host.paths, configuration)
    except (XsagentError, OSError) as error:
        host.logger.error("remember_failed", reason=str(error))
