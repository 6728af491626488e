"""The deadman: a change to the management path is kept only when the gateway answers afterwards (DESIGN.md section 4).

Armed by the flow before the first effect, asked after the last; how gateways are asked is `gateways.py`'s. While it is
armed a guardian process waits beside us: should this process be killed, the guardian undoes what the journal names.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from xsagent.apply.bond_settling import await_settled, changed_bonds
from xsagent.apply.gateways import (
    FIRST_LOOK_S,
    LEASE,
    Groups,
    Observe,
    answering_families,
    await_gateway,
    groups_to_ask,
    has_address,
    has_given_address,
    silent_gateways,
)
from xsagent.apply.guardian import Guardian, StartGuardian, exec_guardian
from xsagent.config import Paths
from xsagent.plan.steps import Step
from xsagent.topology.desired import Desired, ManagementPath
from xsagent.topology.values import IPV4, IPV6, Keep, Origin, Topology

_LONGEST_UNDER_HA_S = 20.0
"""HA's heartbeats must not be lost for longer."""
_BOND_MEMBERS = 2


@dataclass(slots=True)
class Deadman:
    """Whether the present operation may be kept.

    Attributes:
        answered: families (4, 6) whose gateway answered before, so silence afterwards means that we cut the path.
        start_guardian: called where it is armed.
        probe: look for the gateway at all (not with ``--no-deadman``: somebody is re-cabling).
        window_s: how long the gateway may stay silent once the change has begun, seconds.
        unverified: after `verify`: why the result could not be verified though it is kept.
        stuck: set by the flow when taking back failed: the guardian then tries once more.
    """

    desired: Desired
    observed: Topology
    paths: Paths
    start_guardian: StartGuardian = exec_guardian
    answered: frozenset[int] = frozenset()
    probe: bool = True
    window_s: float = 0.0
    unverified: str | None = None
    stuck: bool = False
    _guardian: Guardian | None = field(default=None, init=False)
    _end: float | None = field(default=None, init=False)

    @property
    def armed(self) -> bool:
        """Whether there is a path that works to go back to."""
        return bool(self.answered)

    def __enter__(self) -> Self:
        if self.armed:
            self._guardian = self.start_guardian(self.paths, self.window_s)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._guardian is None:
            return
        if self.stuck:
            self._guardian.hand_over()
        else:
            self._guardian.dismiss()

    def note(self, step: Step) -> None:
        """A step is about to run: the window opens with the first that touches the management path."""
        if step.management and self._end is None:
            self._end = time.monotonic() + self.window_s

    def verify(self, silent_dhcp: str | None, observe: Observe) -> str | None:
        """Why the change must be taken back; None when it may stay (see `unverified` then).

        Args:
            silent_dhcp: the sentence of a DHCP client of this operation that found no server.
            observe: reads the host as it is now.
        """
        management = self.desired.management
        groups = groups_to_ask(management, self.answered) if management is not None else ()
        if silent_dhcp is not None:
            silent = self._silent_families(observe)
            cause = self._judge(silent_dhcp, keep=self._had_dhcp(silent))
            groups = tuple(families for families in groups if not set(silent).intersection(families))
            if cause is not None or not (self.armed and groups):
                return cause
        if management is None:
            return None
        if not groups:
            return self._lost_address(management.device, observe)
        if not self.probe:
            return None
        window = self.window_s if self.armed else FIRST_LOOK_S
        end = time.monotonic() + window
        if self.armed and self._end is not None:
            end = self._end
        cause = self._ask(management, groups, observe, end, window)
        bonds = changed_bonds(self.desired, self.observed)
        if cause is None and self.unverified is None and bonds:
            if (bond := await_settled(self.paths.ovs_rundir, bonds, end)) is not None:
                return self._judge(
                    f"no member of {bond} is let forward within {window:.0f} s (does LACP have a partner?)"
                )
            cause = self._ask(management, groups, observe, end, window)
        return cause

    def _ask(
        self, management: ManagementPath, groups: Groups, observe: Observe, end: float, window: float
    ) -> str | None:
        """What `verify` answers about gateways, given what of each group must answer until `end`."""
        for families in groups:
            missing = await_gateway(management, families, observe, end)
            if missing is None:
                continue
            sentence = f"gateway {missing} does not answer on {management.device} within {window:.0f} s"
            if missing == LEASE:
                address = f"an IPv{families[0]} address" if len(groups) > 1 else "an address"
                sentence = f"no DHCP server or router gave {management.device} {address} within {window:.0f} s"
            cause = self._judge(sentence, keep=missing == LEASE and self._had_dhcp(families))
            if cause is not None:
                return cause
        return None

    def _lost_address(self, device: str, observe: Observe) -> str | None:
        """What `verify` answers where no gateway is meant to be: the device is there, with an address if it had one."""
        before = self.observed.ip_devices.get(device)
        if before is None or not has_given_address(before) or has_address(device, observe):
            return None
        return f"{device}, the management interface, has no address any more; the old configuration is back"

    def look_back(self, observe: Observe) -> tuple[str, ...]:
        """After the way back: what `silent_gateways` says."""
        return silent_gateways(self.desired.management, self.answered, observe)

    def _judge(self, sentence: str, *, keep: bool = False) -> str | None:
        """What `verify` answers about a path that does not work: only an armed deadman knows of a better one."""
        if self.armed and not keep:
            return f"{sentence}; the old configuration is back"
        self.unverified = sentence
        return None

    def _silent_families(self, observe: Observe) -> tuple[int, ...]:
        """Whose client found no server: of management's families that ask those without an address, or else all."""
        asking = self._families_that_ask()
        device = self.desired.management.device if self.desired.management is not None else ""
        return tuple(family for family in asking if not has_address(device, observe, (family,))) or asking

    def _families_that_ask(self) -> tuple[int, ...]:
        """Families that management is to have by DHCP: of these the ones that answered before, where there are any."""
        management = self.desired.management
        device = self.desired.topology.ip_devices.get(management.device) if management is not None else None
        if device is None:
            return ()
        modes = ((IPV4, device.ipv4_mode), (IPV6, device.ipv6_mode))
        asking = tuple(family for family, mode in modes if mode == "dhcp")
        return tuple(family for family in asking if family in self.answered) or asking

    def _had_dhcp(self, families: Collection[int]) -> bool:
        """Whether management had DHCP before, by a client of ours or, under ifup, by what another one put there.

        Args:
            families: it must have had each of these; where there are none, either family will do.
        """
        management = self.desired.management
        device = self.observed.ip_devices.get(management.device) if management is not None else None
        if device is None:
            return False
        had = {client.family for client in (device.dhcp4, device.dhcp6) if client is not None and client.running}
        had |= {address.interface.version for address in device.addresses if address.origin is Origin.DHCP}
        return had.issuperset(families) and bool(had)


def arm_deadman(
    desired: Desired,
    observed: Topology,
    paths: Paths,
    window_s: float,
    *,
    probe: bool = True,
    start_guardian: StartGuardian | None = None,
) -> Deadman:
    """A deadman for one operation: armed when a present gateway of management answers now.

    Args:
        window_s: 0 for an operation without deadman (``--force``, ``--no-deadman``).
        start_guardian: None for `exec_guardian`.
    """
    deadman = Deadman(
        desired=desired,
        observed=observed,
        paths=paths,
        window_s=window_s,
        probe=probe,
        start_guardian=start_guardian or exec_guardian,
    )
    if desired.management is None or window_s <= 0:
        return deadman
    deadman.answered = answering_families(desired.management, observed)
    return deadman


def compute_window(deadman_s: int | None, *, dhcp: bool, high_availability: bool, updelay_s: float = 0.0) -> float:
    """The window in seconds (DESIGN.md section 4): the setting, or 30, 45 with DHCP; at most 20 under HA."""
    window = float(deadman_s if deadman_s is not None else 45 if dhcp else 30)
    if window == 0:
        return 0.0
    window += updelay_s
    return min(_LONGEST_UNDER_HA_S, window) if high_availability else window


def late_updelay(desired: Desired, observed: Topology) -> float:
    """The updelay, in seconds, of a bond below management of which some members have carrier and some have not yet."""
    if desired.management is None:
        return 0.0
    ports = [port for bridge in desired.topology.bridges.values() for port in bridge.ports.values()]
    for port in ports:
        if port.name not in desired.management.ports or len(port.interfaces) < _BOND_MEMBERS:
            continue
        links = [observed.links.get(name) for name in port.interfaces]
        late = any(link is None or link.carrier is not True for link in links)
        if late and not isinstance(port.bond_updelay, Keep):
            return port.bond_updelay / 1000
    return 0.0
