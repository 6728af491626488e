"""One step -> its effect on this host: the table from step kinds to the writers of `apply/`.

Given to the executor by the flow. Knows no order and no undo; each writer stands being run twice.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import assert_never

from xsagent.apply import dhcp, ethtool, ifcfg, netlink, routes
from xsagent.apply.files import remove_file, replace_file
from xsagent.apply.locked_ports import LockedPorts, read_locked_ports, relock_ports
from xsagent.apply.multicast import query_groups
from xsagent.apply.ovsdb import apply_ovsdb
from xsagent.apply.released_members import release_members
from xsagent.apply.resolver import apply_resolver
from xsagent.apply.safety_flows import forget_safety_flows, replace_safety_flows
from xsagent.apply.virtual_functions import apply_virtual_functions
from xsagent.config import Paths, Settings
from xsagent.errors import ConflictError, NetlinkError, UnlockedError
from xsagent.log import Logger
from xsagent.observed.ovsdb_connection import OvsdbConnection
from xsagent.plan.lacp_off import bonds_without_lacp
from xsagent.plan.steps import (
    AddressStep,
    AnnounceStep,
    CreateVlanLinkStep,
    DeleteBridge,
    DeleteLinkStep,
    FeaturesStep,
    FileStep,
    IfdownStep,
    IfupStep,
    IgmpQueryStep,
    LinkSettingsStep,
    LinkStep,
    OvsdbStep,
    ResolverStep,
    RouteStep,
    SafetyFlowsStep,
    StartDhcpStep,
    Step,
    StopDhcpStep,
    SysctlStep,
    UpdateIssueStep,
    VirtualFunctionsStep,
    WaitCarrierStep,
)

_SWITCH_S = 20.0
"""How long the switch may take to report one transaction, as ovs-vsctl's --timeout of the peers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRunner:
    """Has the effects of steps on one host.

    Attributes:
        dhcp_wait_s: how long a DHCP client may take before DhcpSilentError, seconds; the client stays.
        unlocked: guests' locking flows that transactions took away and that are not back; the way back goes on with it.
    """

    paths: Paths
    settings: Settings
    connection: OvsdbConnection
    dhcp_wait_s: float
    logger: Logger
    unlocked: LockedPorts = field(default_factory=LockedPorts)

    def prepare(self, steps: Iterable[Step]) -> None:
        """Load what these steps need, before the first effect: none of them waits for it then.

        Raises:
            NetlinkError: the kernel cannot be asked; nothing was changed.
        """
        if any(isinstance(step, AddressStep | RouteStep) for step in steps):
            netlink.prepare_for_addresses()

    def run(self, step: Step) -> None:
        """Have the effect of one step.

        Raises:
            XsagentError, OSError: it failed; the executor takes back what was begun.
        """
        match step:
            case OvsdbStep():
                self._run_transaction(step)
            case SafetyFlowsStep() | IgmpQueryStep():
                self._follow_transaction(step)
            case VirtualFunctionsStep():
                apply_virtual_functions(step, self.paths)
            case LinkStep() | CreateVlanLinkStep() | DeleteLinkStep() | WaitCarrierStep() | SysctlStep():
                self._run_link(step)
            case FeaturesStep() | LinkSettingsStep():
                self._run_ethtool(step)
            case AddressStep() | RouteStep() | AnnounceStep():
                self._run_addresses(step)
            case StartDhcpStep() | StopDhcpStep() | ResolverStep():
                self._run_dhcp(step)
            case IfupStep() | IfdownStep() | UpdateIssueStep():
                self._run_scripts(step)
            case FileStep():
                self._run_file(step)
            case _:
                assert_never(step)

    def _run_transaction(self, step: OvsdbStep) -> None:
        taken = read_locked_ports(self.paths.ovs_rundir, self.connection, step, self.logger)
        try:
            apply_ovsdb(self.connection, step, time.monotonic() + _SWITCH_S)
        except ConflictError:
            # nothing was changed
            raise
        except BaseException:
            # it may have been taken over in part; what cannot be put back now is left to the way back
            self._put_right(step, taken)
            raise
        forget_safety_flows(self.paths, (item.name for item in step.operations if isinstance(item, DeleteBridge)))
        problem = self._put_right(step, taken)
        if problem is not None:
            raise UnlockedError(problem)

    def _put_right(self, step: OvsdbStep, taken: LockedPorts) -> str | None:
        """What the switch does not do by itself after a transaction; a sentence on guests that are not locked."""
        rundir = self.paths.ovs_rundir
        self.unlocked.add(taken)
        problem = relock_ports(rundir, self.connection, self.unlocked, self.logger)
        release_members(rundir, bonds_without_lacp(step.operations), self.logger)
        return problem

    def _follow_transaction(self, step: SafetyFlowsStep | IgmpQueryStep) -> None:
        match step:
            case SafetyFlowsStep():
                replace_safety_flows(self.paths, step)
            case IgmpQueryStep():
                for problem in query_groups(step, self.connection):
                    self._note(problem)
            case _:
                assert_never(step)

    def _run_link(self, step: LinkStep | CreateVlanLinkStep | DeleteLinkStep | WaitCarrierStep | SysctlStep) -> None:
        match step:
            case LinkStep(required=False, up=None, mac=None, mtu=int()):
                self._warn_of_refusals(step.device, netlink.try_mtu(step, self.paths))
            case LinkStep():
                netlink.apply_link(step)
            case CreateVlanLinkStep():
                netlink.create_vlan_link(step)
            case DeleteLinkStep():
                netlink.delete_link(step)
            case WaitCarrierStep():
                netlink.wait_carrier(step)
            case SysctlStep():
                netlink.apply_sysctls(step, self.paths.proc)
            case _:
                assert_never(step)

    def _run_ethtool(self, step: FeaturesStep | LinkSettingsStep) -> None:
        if isinstance(step, FeaturesStep):
            refused = ethtool.apply_features(step, self.paths)
        else:
            refused = ethtool.apply_link_settings(step, self.paths)
        self._warn_of_refusals(step.device, refused)

    def _warn_of_refusals(self, device: str, refused: tuple[str, ...]) -> None:
        for text in refused:
            self.logger.warning("refuse_setting", subject=device, reason=text)

    def _run_addresses(self, step: AddressStep | RouteStep | AnnounceStep) -> None:
        match step:
            case AddressStep():
                netlink.apply_addresses(self._without_leased(step), self.paths.proc)
            case RouteStep():
                self._run_routes(step)
            case AnnounceStep():
                netlink.announce_addresses(step)
            case _:
                assert_never(step)

    def _without_leased(self, step: AddressStep) -> AddressStep:
        """The step, which leaves what a lease gave since it was planned: a server may give the address of before."""
        if not step.remove:
            return step
        leased = dhcp.leased_interfaces(step.device, self.paths)
        return replace(step, remove=tuple(address for address in step.remove if address.interface not in leased))

    def _run_routes(self, step: RouteStep) -> None:
        """A static route that the kernel refuses is a warning (features.md section 7)."""
        try:
            routes.apply_routes(step)
        except NetlinkError as error:
            if step.required:
                raise
            self._warn_of_refusals(step.device, (str(error),))

    def _run_dhcp(self, step: StartDhcpStep | StopDhcpStep | ResolverStep) -> None:
        match step:
            case StartDhcpStep():
                dhcp.start_client(step, self.paths, self.dhcp_wait_s)
            case StopDhcpStep():
                dhcp.stop_client(step, self.paths)
            case ResolverStep():
                apply_resolver(step.resolver, self.paths)
            case _:
                assert_never(step)

    def _run_scripts(self, step: IfupStep | IfdownStep | UpdateIssueStep) -> None:
        match step:
            case IfupStep():
                ifcfg.run_ifup(step, self.paths, self.dhcp_wait_s)
            case IfdownStep():
                ifcfg.run_ifdown(step, self.paths)
            case UpdateIssueStep():
                self._note(ifcfg.update_issue(self.paths))
            case _:
                assert_never(step)

    def _note(self, problem: str | None) -> None:
        if problem is not None:
            self.logger.warning("pass_over", reason=problem)

    def _run_file(self, step: FileStep) -> None:
        path = self.paths.below(step.path)
        if step.text is None:
            remove_file(path)
        else:
            replace_file(path, step.text.encode("utf-8", errors="surrogateescape"))
