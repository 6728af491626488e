"""Desired: the topology an operation wants, with what the planner must know beside it. Pure.

Made by `desired/`, read by `plan/`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from xsagent.topology.values import IpAddress, Topology


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why something was decided; becomes one INFO event of the log and a comment in a printed plan.

    Attributes:
        event: snake-case verb phrase, for example ``choose_gateway_device``.
        subject: the object decided about, for example ``xenbr0``.
        text: the reason, one clause.
        warning: a person should look at this.
    """

    event: str
    subject: str
    text: str
    warning: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ownership:
    """Names that XAPI's records claim: with OVS's own marks they tell ours from others' (DESIGN.md rule 4).

    Attributes:
        bridges: bridge names of network records that this host's PIFs are on.
        devices: NIC, bond and VLAN device names of this host's PIFs.
        uplinks: those of NICs and bonds among them.
        internal: bridge names of network records that none of this host's PIFs is on.
    """

    bridges: frozenset[str] = frozenset()
    devices: frozenset[str] = frozenset()
    uplinks: frozenset[str] = frozenset()
    internal: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagementPath:
    """The way to the management interface that this operation leads to; what the deadman probes.

    Attributes:
        device: the IP device.
        gateways: desired gateways to probe; empty when it is meant to have none or DHCP will name it.
        ports: devices below it, from the IP device's bridge down to the NICs.
        dhcp: somebody on the wire gives it address and gateway: a DHCP server, or routers where IPv6 is all it has.
        learnt: families (4, 6) whose gateway somebody on the wire names.
        former: the IP device that has been management until now, where that is another one; empty otherwise.
    """

    device: str
    gateways: tuple[IpAddress, ...] = ()
    ports: tuple[str, ...] = ()
    dhcp: bool = False
    learnt: tuple[int, ...] = ()
    former: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Desired:
    """What one operation wants.

    Attributes:
        topology: the part of the host it speaks about.
        ownership: what is ours by name.
        management: set when the operation configures the management interface.
        management_device: that of the management interface, also where this operation has nothing to do with it; empty
            without one.
        moves: absent bridge -> the bridge that takes over its other ports (VIFs, ports of others).
        riders: VLAN devices that are up on a NIC or bond which is brought up, with the MTU that they want, bytes: they
            are made as wide where they are there, and are otherwise none of this operation's.
        virtual_functions: NICs whose sriov_numvfs must not stay 0 (features.md section 3).
        released_functions: NICs whose virtual functions go, where they are spare.
        reasons: decisions in the order they were taken.
    """

    topology: Topology
    moves: Mapping[str, str] = field(default_factory=dict)
    riders: Mapping[str, int] = field(default_factory=dict)
    virtual_functions: frozenset[str] = frozenset()
    released_functions: frozenset[str] = frozenset()
    ownership: Ownership = field(default_factory=Ownership)
    management: ManagementPath | None = None
    management_device: str = ""
    reasons: tuple[Reason, ...] = ()

    @property
    def brings_up_management(self) -> bool:
        """Whether management's own IP device is wanted, and not only what lies below it."""
        return self.management is not None and self.management.device in self.topology.ip_devices
