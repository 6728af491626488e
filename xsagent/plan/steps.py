"""The steps a plan is made of: frozen values that say what to do and how to undo it. Pure.

`plan/` builds and orders them, `xsagent plan` prints them, `apply/executor.py` runs them, the journal keeps
them as JSON (topology/codec.py). A step never says how: that is `apply/`'s part. `undo` holds the steps that
bring back what was observed before; they are run in the given order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from xsagent.topology.values import Address, Bridge, DhcpClient, Interface, Json, Port, Resolver, Route

Table = Literal["Open_vSwitch", "Bridge", "Port", "Interface"]


# --- operations of the one OVSDB transaction -------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateBridge:
    """Insert a bridge with all ports in its value. Maps hold plain keys; KEEP scalars take OVS's default."""

    bridge: Bridge


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteBridge:
    """Remove a bridge with all its ports."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AddPort:
    """Insert a port with its interfaces into a bridge."""

    bridge: str
    port: Port


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletePort:
    """Remove a port with its interfaces from a bridge."""

    bridge: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MovePort:
    """Move an existing Port row, as it is, from one bridge to another."""

    name: str
    source: str
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AddInterface:
    """Insert an interface into an existing port (a bond member joins)."""

    port: str
    interface: Interface


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveInterface:
    """Remove an interface from an existing port (a bond member leaves)."""

    port: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetColumns:
    """Set whole columns of one row.

    Attributes:
        record: the row's name ("." in table Open_vSwitch).
        columns: OVSDB JSON by column; an empty optional column is ``["set", []]``. A column that refers to rows without
            names (Manager, SSL, Controller ...) has them nested, as Bridge.extra has.
    """

    table: Table
    record: str
    columns: Mapping[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class SetKeys:
    """Set or remove (None) single keys of a map column, by mutation: other keys stay."""

    table: Table
    record: str
    column: str
    keys: Mapping[str, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class SetMirror:
    """Have a mirror on a bridge, or not; those of others that have its name, and none of its marks, stay.

    Attributes:
        columns: as Bridge.extra has them; the port that gets the frames must be there when the transaction ends.
        present: False removes it.
    """

    bridge: str
    columns: Mapping[str, Json]
    present: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveMirror:
    """Move an existing Mirror row, which is given as Bridge.extra has it, as it is; one that is gone stays so."""

    mirror: Json
    source: str
    target: str


OvsdbOperation = (
    CreateBridge
    | DeleteBridge
    | AddPort
    | DeletePort
    | MovePort
    | AddInterface
    | RemoveInterface
    | SetColumns
    | SetKeys
    | SetMirror
    | MoveMirror
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Relied:
    """Something observed that the transaction relies on (an OVSDB ``wait``).

    When it changed meanwhile the transaction fails and the caller plans afresh.

    Attributes:
        column: ``name`` relies on the row's existence (`value` True) or absence (`value` False); any other column on
            its OVSDB JSON value. For Bridge.ports and Port.interfaces the value is a sorted list of names that must be
            among the members; where the step deletes that bridge or port, they and what the step takes out of it must
            be all of them, so that nothing plugged in meanwhile goes with it.
    """

    table: Table
    record: str
    column: str
    value: Json


# --- steps -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """What every step has.

    Attributes:
        reason: why, one clause; printed beside the step.
        required: False for best effort: a refusal is logged and remembered, not rolled back.
        management: the step touches the path to the management interface.
        undo: steps that bring back what was observed; empty where nothing can or needs to be brought back.
    """

    reason: str = ""
    required: bool = True
    management: bool = False
    undo: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OvsdbStep(_Step):
    """One OVSDB transaction; done when the switch reports it (cur_cfg, ofport, error).

    Attributes:
        ports: interfaces whose ofport must be > 0 and error empty afterwards.
    """

    operations: tuple[OvsdbOperation, ...]
    relied: tuple[Relied, ...] = ()
    ports: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SafetyFlowsStep(_Step):
    """Make the flows with SAFETY_COOKIE on a bridge exactly these, in one bundle; other flows stay.

    Attributes:
        lines: as ``ovs-ofctl --names add-flows`` reads them, without cookie; empty takes them out.
    """

    bridge: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualFunctionsStep(_Step):
    """Give a NIC all its virtual functions, where it has none (sriov_numvfs is 0), or remove those that a step gave.

    That is refused while anybody may use one.
    """

    device: str
    remove: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkStep(_Step):
    """Set attributes of a netdev: MTU in bytes, IFF_UP, MAC; None leaves one alone."""

    device: str
    mtu: int | None = None
    up: bool | None = None
    mac: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateVlanLinkStep(_Step):
    """Make an 8021q netdev `device` with `tag` on `parent` (bridgeless VLANs)."""

    device: str
    parent: str
    tag: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteLinkStep(_Step):
    """Delete an 8021q netdev that we made."""

    device: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitCarrierStep(_Step):
    """Wait until every device has carrier, at most `seconds`; never fails."""

    devices: tuple[str, ...]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FeaturesStep(_Step):
    """Set offloads (ethtool -K) that differ."""

    device: str
    features: Mapping[str, bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSettingsStep(_Step):
    """Set link settings (ethtool -s, -G, -L, -A, -C) that differ."""

    device: str
    settings: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SysctlStep(_Step):
    """Write sysctls, paths relative to /proc/sys/net."""

    values: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressStep(_Step):
    """Add addresses to a device, then remove others from it."""

    device: str
    add: tuple[Address, ...] = ()
    remove: tuple[Address, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteStep(_Step):
    """Add or replace routes through a device, then remove others.

    Attributes:
        restores: those to add were there before. The kernel keeps a route whose gateway's subnet has gone, and takes it
            anew only as an onlink one.
    """

    device: str
    add: tuple[Route, ...] = ()
    remove: tuple[Route, ...] = ()
    restores: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StartDhcpStep(_Step):
    """Start a DHCP client of ours (after stopping one with another configuration) and wait for its lease."""

    device: str
    client: DhcpClient


@dataclass(frozen=True, slots=True, kw_only=True)
class StopDhcpStep(_Step):
    """Stop our DHCP client without releasing the lease; its addresses stay until an AddressStep removes them.

    Attributes:
        flush: take the lease's address and routes off at once: nobody could name them before (the undo of a start).
    """

    device: str
    family: int
    flush: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FileStep(_Step):
    """Replace a file atomically, or remove it (text None); its path is absolute, without root prefix."""

    path: str
    text: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolverStep(_Step):
    """Put our name servers and search domains into resolv.conf, merged with what DHCP and routers gave."""

    resolver: Resolver


@dataclass(frozen=True, slots=True, kw_only=True)
class IfupStep(_Step):
    """Run ifup for a device (ip_backend ifcfg); a DHCP device is waited for as StartDhcpStep does."""

    device: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IfdownStep(_Step):
    """Run ifdown for a device (ip_backend ifcfg)."""

    device: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnounceStep(_Step):
    """Send gratuitous ARP and unsolicited NA for the device's addresses (they moved here)."""

    device: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IgmpQueryStep(_Step):
    """Ask the guests on a real bridge for their multicast groups: the switch listens for them from now on."""

    bridge: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateIssueStep(_Step):
    """Run update-issue, if it is installed, so that /etc/issue shows the address."""


Step = (
    OvsdbStep
    | SafetyFlowsStep
    | VirtualFunctionsStep
    | LinkStep
    | CreateVlanLinkStep
    | DeleteLinkStep
    | WaitCarrierStep
    | FeaturesStep
    | LinkSettingsStep
    | SysctlStep
    | AddressStep
    | RouteStep
    | StartDhcpStep
    | StopDhcpStep
    | FileStep
    | ResolverStep
    | IfupStep
    | IfdownStep
    | AnnounceStep
    | IgmpQueryStep
    | UpdateIssueStep
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Ordered steps; running them in order leads from the observed to the desired topology.

    Attributes:
        steps: empty when the host is right already.
        warnings: sentences for people: drift left alone, values passed over.
    """

    steps: tuple[Step, ...] = ()
    warnings: tuple[str, ...] = field(default_factory=tuple)
