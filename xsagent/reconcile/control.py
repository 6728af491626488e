"""A ControlChange -> the switch: one transaction, guests' flows put back by its step, under the deadman. Effects.

Called by `reconcile/manager.py`, which decides. Precondition: the caller holds the lock. Undo: the steps' own, run here
when a step fails or the gateway falls silent, and from the journal when this process dies.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from xsagent.apply.deadman import Deadman, arm_deadman, compute_window
from xsagent.apply.executor import Executed, Failed, execute, roll_back
from xsagent.apply.files import remove_file
from xsagent.apply.gateways import default_gateways
from xsagent.apply.interruption import going_back
from xsagent.apply.journal import Journal
from xsagent.apply.outcome import Applied, Outcome, RolledBack, Stuck, Unverified
from xsagent.apply.room import room_for
from xsagent.apply.run_step import StepRunner
from xsagent.config import Paths
from xsagent.errors import CommandError, ConflictError, InputError, XsagentError
from xsagent.hotplug.relock import relock_rest
from xsagent.observed.flows import read_flow_lines
from xsagent.observed.host import Interest, observe_host
from xsagent.observed.ovsdb_control import read_control
from xsagent.observed.switch_alive import wait_for_switch
from xsagent.plan.manager import ControlChange
from xsagent.plan.manager_ca import BOOTSTRAPPED_CA, KEPT_CA, ca_steps, is_kept_ca_done
from xsagent.plan.secure_bridge import build_safety_flows
from xsagent.plan.steps import FileStep, OvsdbStep, Plan, SafetyFlowsStep, SetColumns, Step
from xsagent.planning import Host
from xsagent.sources.host_files import is_high_availability_running, read_boot_id, read_mac
from xsagent.topology.control import DesiredControl, ManagerState, SwitchControl
from xsagent.topology.desired import Desired, ManagementPath
from xsagent.topology.values import SAFETY_COOKIE, SECURE, Bridge, Topology

_READ_S: Final = 20.0
_CONFLICTS: Final = 5

Decide = Callable[[SwitchControl], ControlChange]


class FlowsRefusedError(XsagentError):
    """The switch did not take the flows that keep management reachable; the change was taken back.

    Attributes:
        bridge: on which.
        flow: the first of them.
    """

    def __init__(self, sentence: str, *, bridge: str, flow: str) -> None:
        super().__init__(sentence)
        self.bridge = bridge
        self.flow = flow


class ControlRefusedError(XsagentError):
    """The change was taken back, or what is left of it is in the journal; the sentence says which, and why."""


def apply_control(host: Host, desired: DesiredControl, decide: Decide) -> ControlChange:
    """Make the switch what `decide` makes of it; a second run finds nothing to do.

    Args:
        decide: pure; may raise for what must not be changed. Called again when the database changed meanwhile.

    Raises:
        FlowsRefusedError, ControlRefusedError: it failed and was taken back.
        OvsdbUnavailableError, SwitchDeadError: a peer is away; nothing was changed.
    """
    for _ in range(_CONFLICTS):
        observed = read_control(host.connection, time.monotonic() + _READ_S)
        change = decide(observed)
        if change.step is None:
            return change
        wait_for_switch(host.paths.ovs_rundir, host.settings.vswitchd_wait_s)
        outcome = _Change(host, desired, observed, change, change.step).run()
        if not (isinstance(outcome, RolledBack) and outcome.conflict):
            _require_done(outcome, host)
            return change
        host.logger.info("plan_again", reason=outcome.cause)
    raise ConflictError("the switch's database kept changing under the plan; it is as it was")


def _require_done(outcome: Outcome, host: Host) -> None:
    match outcome:
        case RolledBack():
            raise ControlRefusedError(outcome.tell("the switch"))
        case Stuck():
            raise ControlRefusedError(outcome.tell())
        case Unverified(reason=reason):
            host.logger.warning("keep_unverified", reason=reason)
        case Applied():
            pass


@dataclass(slots=True)
class _Change:
    """One attempt at a change."""

    host: Host
    desired: DesiredControl
    observed: SwitchControl
    change: ControlChange
    step: OvsdbStep
    runner: StepRunner = field(init=False)
    refused_flows: SafetyFlowsStep | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.runner = self.host.runner(0.0)

    def run(self) -> Outcome:
        bridge = self._management_bridge()
        present = self._observe() if bridge else Topology()
        deadman = arm_deadman(self._with_gateways(bridge, present), present, self.host.paths, self._window(present))
        transaction = self._with_flows_back(bridge)
        plan = Plan(steps=(*_ca_steps(self.host.paths, self.change), transaction, *self._safety_steps(bridge)))
        journal = Journal(
            directory=self.host.paths.state_dir,
            boot=read_boot_id(self.host.paths),
            operation=self.step.reason,
            # no state of the host proves that this was done: a run that dies is taken back
            desired=None,
            answered=deadman.answered,
            room=room_for(plan, self.host.paths),
        )
        with deadman:
            ended = self._keep_or_take_back(plan, journal, deadman, present)
        if self.refused_flows is not None and isinstance(ended, RolledBack):
            raise self._flows_refused(self.refused_flows, ended)
        if not isinstance(ended, Executed):
            return ended
        unverified = "; ".join(self._relock()) or deadman.unverified
        return Applied() if unverified is None else Unverified(reason=unverified)

    def _keep_or_take_back(
        self, plan: Plan, journal: Journal, deadman: Deadman, present: Topology
    ) -> Executed | RolledBack | Stuck:
        """Run the plan, and take it back where a step fails or the gateway falls silent."""
        done = execute(plan, self._run_step, journal.begin, self.host.report)
        if isinstance(done, Executed):
            cause = deadman.verify(None, lambda: present)
            done = done if cause is None else Failed(begun=done.begun, cause=cause)
        ended = done if isinstance(done, Executed) else self._roll_back(done, journal, deadman)
        if isinstance(ended, Stuck):
            deadman.stuck = True
        else:
            journal.commit()
        journal.close()
        return ended

    def _roll_back(self, failed: Failed, journal: Journal, deadman: Deadman) -> RolledBack | Stuck:
        """Take back what was begun, lock the guests that this leaves unlocked, and see whether the gateway answers."""
        with going_back():
            ended = roll_back(failed, self._run_step, self.host.report, journal.give_room)
            return replace(ended, lost=(*ended.lost, *deadman.look_back(self._observe), *self._relock()))

    def _observe(self) -> Topology:
        """Links and addresses; the bridges are known."""
        return observe_host(self.host.paths, None, Interest(), time.monotonic() + _READ_S)

    def _relock(self) -> tuple[str, ...]:
        return relock_rest(self.host.paths, self.host.settings, self.runner.unlocked)

    @staticmethod
    def _flows_refused(step: SafetyFlowsStep, ended: RolledBack) -> FlowsRefusedError:
        flow = step.lines[0] if step.lines else ""
        return FlowsRefusedError(ended.tell("the switch"), bridge=step.bridge, flow=flow)

    def _run_step(self, step: Step) -> None:
        try:
            self.runner.run(step)
        except CommandError:
            if isinstance(step, SafetyFlowsStep) and step.lines:
                self.refused_flows = step
            raise

    # -- management ------------------------------------------------------------------------------------------

    def _management_bridge(self) -> Bridge | None:
        """The bridge below management, when this change flushes its flows."""
        bridge = find_bridge_of(self.observed.bridges, self.desired.management)
        return bridge if bridge is not None and bridge.name in self.change.flushed else None

    def _with_gateways(self, bridge: Bridge | None, present: Topology) -> Desired:
        device = present.ip_devices.get(self.desired.management)
        if bridge is None or device is None:
            return Desired(topology=Topology())
        gateways = default_gateways(device)
        return Desired(topology=Topology(), management=ManagementPath(device=device.device, gateways=gateways))

    def _window(self, present: Topology) -> float:
        device = present.ip_devices.get(self.desired.management)
        dhcp = device is not None and (device.dhcp4 is not None or device.dhcp6 is not None)
        high_availability = is_high_availability_running(self.host.paths)
        return compute_window(self.host.settings.deadman_s, dhcp=dhcp, high_availability=high_availability)

    def _with_flows_back(self, bridge: Bridge | None) -> OvsdbStep:
        """The transaction, with an undo that puts back the safety flows which it and its inverse flush."""
        if bridge is None or bridge.fail_mode != SECURE:
            return self.step
        lines = read_flow_lines(self.host.paths.ovs_rundir, bridge.name, SAFETY_COOKIE)
        if not lines:
            return self.step
        return replace(self.step, undo=(*self.step.undo, SafetyFlowsStep(bridge=bridge.name, lines=lines)))

    def _safety_steps(self, bridge: Bridge | None) -> tuple[SafetyFlowsStep, ...]:
        """The flows that let management through, where its bridge is secure after the change."""
        if bridge is None or _fail_mode_after(bridge, self.step) != SECURE:
            return ()
        device, ours = self.desired.management, self.desired.devices
        ports = {
            name: port
            for name, port in bridge.ports.items()
            if name in {device, bridge.name} or port.interfaces.keys() & ours
        }
        mac = self._mac(device) or bridge.hwaddr
        own = ports[device]
        ports[device] = replace(own, interfaces={name: replace(i, mac=mac) for name, i in own.interfaces.items()})
        shown = replace(bridge, ports=ports, fail_mode=SECURE, hwaddr=mac)
        nics = tuple(name for port in ports.values() for name in port.interfaces)
        flows = build_safety_flows(ManagementPath(device=device, ports=nics), {bridge.name: shown})
        if flows is None:
            self.host.logger.warning("pass_over_safety_flows", subject=bridge.name, reason="its MAC is not known")
            return ()
        return (SafetyFlowsStep(bridge=flows.bridge, lines=flows.lines, reason="a secure bridge forwards nothing"),)

    def _mac(self, device: str) -> str | None:
        try:
            return read_mac(self.host.paths, device)
        except (InputError, OSError):
            return None


def find_bridge_of(bridges: Mapping[str, Bridge], device: str) -> Bridge | None:
    """The real bridge that a device is a port of: itself, or a VLAN bridge's parent (legacy-faults F09)."""
    return next((bridge for bridge in bridges.values() if device in bridge.ports), None)


def _fail_mode_after(bridge: Bridge, step: OvsdbStep) -> object:
    for operation in step.operations:
        if isinstance(operation, SetColumns) and (operation.table, operation.record) == ("Bridge", bridge.name):
            return operation.columns.get("fail_mode", bridge.fail_mode)
    return bridge.fail_mode


def _ca_steps(paths: Paths, change: ControlChange) -> tuple[FileStep, ...]:
    return ca_steps(change, _read_ca(paths, BOOTSTRAPPED_CA), _read_ca(paths, KEPT_CA))


def _read_ca(paths: Paths, path: str) -> str | None:
    try:
        return paths.below(path).read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return None


def forget_kept_ca(paths: Paths, target: str, managers: Iterable[ManagerState]) -> None:
    """Remove the CA of an old manager once the one that is wanted now is connected; idempotent.

    Raises:
        FileError: it could not be removed.
    """
    if is_kept_ca_done(target, managers) and paths.below(KEPT_CA).exists():
        remove_file(paths.below(KEPT_CA))
