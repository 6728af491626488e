"""Everything that the doctor looks at, in one value. Pure.

Filled by `read.py`, which never fails: what could not be read is in `unread` with the reason, and is then a finding
itself. Each check takes the whole and looks at its part.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from xsagent.model.host import Inventory
from xsagent.model.keep_out import PifConfiguration
from xsagent.model.records import Pif
from xsagent.model.snapshot import Snapshot
from xsagent.model.vif import Vif
from xsagent.plan.options import PlanOptions
from xsagent.topology.control import DesiredControl, SwitchControl
from xsagent.topology.desired import Desired
from xsagent.topology.values import IpAddress, Resolver, Topology


class Peer:
    """Names of those that are asked; keys of Facts.unread."""

    OVSDB = "ovsdb-server"
    SWITCH = "ovs-vswitchd"
    XAPI = "XAPI"
    XENSTORE = "xenstored"
    KERNEL = "the kernel"
    SETTINGS = "xsagent.conf"
    INVENTORY = "the inventory"
    BACKEND = "network.conf"
    MANAGER = "the manager's records"


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """The toolstack's word.

    Attributes:
        snapshot: the best that there is: XAPI's, else what a boot would start from; None without any.
        from_xapi: it is XAPI's own.
        cached: what the cache file holds; None when it cannot be read.
        cache_path: where the cache is.
        cache_problem: why it cannot be read; empty when it can.
        inventory: as it was read; an empty one where it could not be.
    """

    snapshot: Snapshot | None = None
    from_xapi: bool = False
    cached: Snapshot | None = None
    cache_path: str = ""
    cache_problem: str = ""
    inventory: Inventory = field(default_factory=Inventory)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A PIF that should be up, and what bringing it up would want.

    Attributes:
        desired: None when the records cannot be followed; then `problem` says why.
    """

    pif: Pif
    desired: Desired | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchFacts:
    """What ovs-vswitchd's process and the database's reports say.

    Attributes:
        handler_threads: of the running ovs-vswitchd; None when it cannot be told.
        hung: daemons that have a process and do not answer.
        flow_restore_wait: the switch is told to wait for flows.
        lacp: by interface whether LACP is negotiated; only those that speak LACP.
    """

    handler_threads: int | None = None
    hung: frozenset[str] = frozenset()
    flow_restore_wait: bool = False
    lacp: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlFacts:
    """Who controls the switch, and who should; None for a side that could not be read."""

    observed: SwitchControl | None = None
    desired: DesiredControl | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFacts:
    """The files that the switch's database shows to its manager.

    Attributes:
        path: of the host's key and certificate.
        present: the file is there.
        problem: why it cannot be used; empty when it can.
        warnings: sentences on what peers may refuse.
    """

    path: str = ""
    present: bool = False
    problem: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Probes:
    """What was asked on the wire.

    Attributes:
        gateways: by device and gateway whether it answered ARP or neighbour discovery.
        holders: by device and address of ours the MAC of another host that answered for it.
    """

    gateways: Mapping[tuple[str, IpAddress], bool] = field(default_factory=dict)
    holders: Mapping[tuple[str, IpAddress], str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class DhcpFacts:
    """DHCP clients beyond what Topology says.

    Attributes:
        processes: by device and family (4, 6) pids of every dhclient there, ours among them.
        resolvers: what leases and routers named.
    """

    processes: Mapping[tuple[str, int], tuple[int, ...]] = field(default_factory=dict)
    resolvers: tuple[Resolver, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class VifFacts:
    """One guest's netdev that is there.

    Attributes:
        device: for example ``vif5.0``.
        vif: as the toolstack describes it; None when xenstore does not say, then `problem` may tell why.
        vm_uuid: under which xenopsd knows the VM now.
        backend: xenopsd's word for its backend; empty where it keeps no files.
        flows_missing: flows that its locking mode asks for and the switch lacks; None when that is not known.
        unlocked: why its locking flows hold nothing, whether they are there or not; empty when they do.
        error: ``hotplug-error``, for which the toolstack gives a VM up; empty for none.
    """

    device: str
    vif: Vif | None = None
    vm_uuid: str = ""
    backend: str = ""
    problem: str = ""
    flows_missing: int | None = None
    unlocked: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonFacts:
    """xsagentd and what may stand beside it.

    Attributes:
        answers: it answers on its socket.
        ready: its ready file is there.
        installed: its unit is installed on this host.
        failing: what its status says against single keys: key and sentence.
        processes: names of running processes.
        profile: of the installation, ``full`` or ``hotplug``; empty when no package took this host over.
        masked: units of ours that are installed and masked: systemd starts them no more.
        displaced: other paths that the installation took over and that are not ours any more.
        foreign_rules: a udev rules file that still runs the toolstack's vif script beside ours; empty for none.
    """

    answers: bool = False
    ready: bool = False
    installed: bool = False
    failing: tuple[tuple[str, str], ...] = ()
    processes: frozenset[str] = frozenset()
    profile: str = ""
    masked: tuple[str, ...] = ()
    displaced: tuple[str, ...] = ()
    foreign_rules: str = ""

    @property
    def networkd_runs(self) -> bool:
        """Whether xcp-networkd runs, which answers XAPI's calls about the topology (DESIGN.md section 0)."""
        return "xcp-networkd" in self.processes

    @property
    def topology_is_ours(self) -> bool:
        """Whether bridges, addresses and the cache are ours to keep, and not xcp-networkd's."""
        return self.profile == "full" or not self.networkd_runs


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftovers:
    """What earlier runs left.

    Attributes:
        journal: what the run that died was asked; None when there is no journal, or one with nothing in it.
        rolled_back: configurations that were taken back, by PIF uuid.
        refusals: by device what its driver refused.
        degraded: NIC that is gone, and the one that stands in for it.
        reset_requested: an emergency reset waits for XAPI.
    """

    journal: str | None = None
    rolled_back: Mapping[str, tuple[PifConfiguration, ...]] = field(default_factory=dict)
    refusals: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    degraded: tuple[str, str] | None = None
    reset_requested: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """Free room of a file system that we write to.

    Attributes:
        folder: which of ours lies there.
        free_bytes, free_files: for root.
        read_only: nothing can be written at all.
    """

    folder: str
    free_bytes: int
    free_files: int
    read_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """One host, as far as it could be read.

    Attributes:
        root: the root prefix; empty for none. Commands that mend carry it.
        paths: places by a short name (``ready``, ``settings``, ``reset``, ``resolv.conf``), below the root prefix.
        is_root: the doctor runs as root; peers that nobody else may ask are not said to be dead otherwise.
        unread: why a peer (Peer) or file could not be read.
        daemon_used: the settings let commands hand their work to the daemon.
        firewall: what is to be done to the host's firewall for the tunnels that there are, a clause each.
    """

    root: str = ""
    paths: Mapping[str, str] = field(default_factory=dict)
    is_root: bool = True
    unread: Mapping[str, str] = field(default_factory=dict)
    topology: Topology = field(default_factory=Topology)
    records: Records = field(default_factory=Records)
    wanted: tuple[Wanted, ...] = ()
    plan_options: PlanOptions = field(default_factory=PlanOptions)
    switch: SwitchFacts = field(default_factory=SwitchFacts)
    control: ControlFacts = field(default_factory=ControlFacts)
    certificate: CertificateFacts = field(default_factory=CertificateFacts)
    probes: Probes = field(default_factory=Probes)
    dhcp: DhcpFacts = field(default_factory=DhcpFacts)
    vifs: tuple[VifFacts, ...] = ()
    daemon: DaemonFacts = field(default_factory=DaemonFacts)
    daemon_used: bool = True
    firewall: tuple[str, ...] = ()
    leftovers: Leftovers = field(default_factory=Leftovers)
    rooms: tuple[Room, ...] = ()

    @property
    def switch_read(self) -> bool:
        """The database was read and a living switch stands behind it."""
        return Peer.OVSDB not in self.unread and Peer.SWITCH not in self.unread

    def management(self) -> Pif | None:
        """The management PIF by its record; None when no record says."""
        return self.records.snapshot.management_pif() if self.records.snapshot is not None else None

    def management_bridge(self) -> str:
        """The bridge that management's record names; empty without one."""
        pif, snapshot = self.management(), self.records.snapshot
        return snapshot.bridge_of(pif) if pif is not None and snapshot is not None else ""

    def management_device(self) -> str:
        """The device that has management's addresses; empty when unknown."""
        pif = self.management()
        if pif is None or self.records.snapshot is None:
            return self.records.inventory.management_interface
        return self.records.snapshot.bridge_of(pif) or pif.device
