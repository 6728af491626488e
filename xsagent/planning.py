"""An operation and the host that it runs on -> the host observed, and the plan for it. Reads, but for `Host.remember`.

`operations.py` makes the operation; `reconfigure.py` plans it with this, and again to verify, and so does a dry run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from xsagent.apply.refusals import read_refusals
from xsagent.apply.rolled_back import remember_rolled_back
from xsagent.config import Paths, Settings
from xsagent.errors import XsagentError
from xsagent.log import Logger, get_logger
from xsagent.model.keep_out import PifConfiguration
from xsagent.observed.host import Interest, observe_host
from xsagent.observed.ovsdb import read_ovsdb
from xsagent.observed.ovsdb_connection import OvsdbConnection
from xsagent.plan.diff import build_plan
from xsagent.plan.options import PlanOptions
from xsagent.plan.settle import settle_undo
from xsagent.plan.steps import Plan, Step
from xsagent.topology.concern import concern_of
from xsagent.topology.desired import Desired
from xsagent.topology.network_scripts import SCRIPTS
from xsagent.topology.values import Topology

if TYPE_CHECKING:
    from xsagent.apply.guardian import StartGuardian
    from xsagent.apply.run_step import StepRunner
    from xsagent.sources.xapi_memory import XapiMemory

_READ_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What to do, decided and named.

    Attributes:
        name: for the lock, the journal and messages, for example ``up xenbr0``.
        keep_ports: as PlanOptions.keep_ports.
        dhcp_wait_s: how long a DHCP client may take before the run goes on without a lease, seconds.
        deadman: whether a change of the management path is taken back when the gateway no longer answers.
        high_availability: HA's heartbeats bound the deadman's window.
        configuration: of the PIF that is brought up: kept out of the cache when it was taken back.
        at_boot: a host without a network is worse than one that could not be brought back: the run goes on without a
            journal where that cannot be written.
        saves_cache: the caller writes network.dbcache when it has ended well.
        probe: look for the gateway afterwards, and say so when it does not answer.
        retirement: what the former management interface gives up once the new path was seen to work (pains.md 1).
    """

    name: str
    desired: Desired
    keep_ports: bool = True
    dhcp_wait_s: float = 60.0
    deadman: bool = False
    high_availability: bool = False
    configuration: PifConfiguration | None = None
    at_boot: bool = False
    saves_cache: bool = False
    probe: bool = True
    retirement: Desired | None = None

    def second(self) -> Operation | None:
        """The operation that comes after this one, under the same deadman: the retirement."""
        if self.retirement is None:
            return None
        return Operation(name=f"{self.name}: retire", desired=self.retirement, keep_ports=False)


@dataclass(slots=True)
class Host:
    """The host an operation runs on: its places, its settings, its open connection to OVSDB.

    Attributes:
        memory: of XAPI's records, in a worker of the daemon.
        start_guardian: for the deadman; None: a guardian is a program of its own.
        warnings: sentences for the caller, the first of each event.
    """

    paths: Paths
    settings: Settings
    connection: OvsdbConnection
    logger: Logger = field(default_factory=get_logger)
    memory: XapiMemory | None = None
    start_guardian: StartGuardian | None = None
    warnings: dict[str, str] = field(default_factory=dict)

    def warn(self, event: str, sentence: str) -> None:
        """Log a sentence and keep it for the caller."""
        self.logger.warning(event, reason=sentence)
        self.warnings.setdefault(event, sentence)

    def observe(self, desired: Desired) -> Topology:
        """The host now, as far as this desired state is concerned."""
        return observe_host(self.paths, self.connection, interest_of(desired), time.monotonic() + _READ_S)

    def runner(self, dhcp_wait_s: float) -> StepRunner:
        """What has the effects of steps here."""
        from xsagent.apply.run_step import StepRunner  # noqa: PLC0415 - a host that is as wanted runs no step

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
        log = self.logger.warning if event == "pass_over" else self.logger.info
        log(event, step=type(step).__name__, subject=getattr(step, "device", ""), reason=text)

    def remember(self, configuration: PifConfiguration | None) -> None:
        """Keep a configuration that was taken back out of the cache; never fails the operation."""
        try:
            if configuration is not None:
                remember_rolled_back(self.paths, configuration)
        except (XsagentError, OSError) as error:
            self.logger.error("remember_failed", reason=str(error))


MakeHost = Callable[[Paths, Settings, OvsdbConnection], Host]
"""`Host`, or one that is given more."""


def interest_of(desired: Desired) -> Interest:
    """What must be read to compare the host with this desired state."""
    links = desired.topology.links.values()
    return Interest(
        ethtool=frozenset(link.name for link in links if link.features or link.settings),
        sysctls=frozenset(path for link in links for path in link.sysctls),
        files=frozenset(desired.topology.files),
        network_scripts=any(path.startswith(SCRIPTS) for path in desired.topology.files),
        flows=True,
        virtual_functions=desired.virtual_functions | desired.released_functions,
        switch=concern_of(desired),
        destinations=frozenset(
            route.destination for device in desired.topology.ip_devices.values() for route in device.routes
        ),
        addresses=frozenset(
            address.interface.ip
            for device in desired.topology.ip_devices.values()
            for address in device.addresses
            if not address.interface.ip.is_link_local
        ),
        leased=frozenset(
            device.device
            for device in desired.topology.ip_devices.values()
            if "dhcp" in {device.ipv4_mode, device.ipv6_mode}
        ),
        macs={link.name: link.expected_mac for link in links if link.expected_mac is not None},
    )


def make_plan(operation: Operation, host: Host, observed: Topology | None = None) -> Plan:
    """The plan for an operation; nothing is changed (a dry run prints it and stops).

    Raises:
        DeviceAbsentError, ForeignObjectError, InUseError: it cannot be done without harm.
    """
    shared = operation.retirement.topology.ip_devices if operation.retirement is not None else ()
    options = replace(
        plan_options(host.paths, keep_ports=operation.keep_ports),
        shared=frozenset(shared),
        at_boot=operation.at_boot,
    )
    return build_plan(operation.desired, observed or host.observe(operation.desired), options)


def plan_options(paths: Paths, *, keep_ports: bool) -> PlanOptions:
    """What the planner is told: `keep_ports` as Operation has it, and what this host's drivers refused."""
    refusals = read_refusals(paths)
    return PlanOptions(keep_ports=keep_ports, refused_features=refusals.features, refused_settings=refusals.settings)
