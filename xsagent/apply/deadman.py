"""The deadman: a change to the management path is kept only when the gateway answers afterwards (DESIGN.md section 4).

Armed by the flow before the first effect, asked after the last. Probes are ARP and ND, never ICMP echo alone. While it
is armed a guardian process waits beside us: should this process be killed, the guardian undoes what the journal names.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

from xsagent.apply.bond_settling import await_settled, changed_bonds
from xsagent.apply.guardian import Guardian, StartGuardian, exec_guardian
from xsagent.apply.probe import probe_gateway
from xsagent.config import Paths
from xsagent.errors import DeviceAbsentError, NetlinkError, XsagentError
from xsagent.observed.netlink import read_device_towards
from xsagent.plan.steps import Step
from xsagent.topology.desired import Desired
from xsagent.topology.values import IpAddress, IpDevice, Keep, Origin, Topology

_BASELINE_S = 3.0
_LONGEST_UNDER_HA_S = 20.0
"""HA's heartbeats must not be lost for longer."""
_BOND_MEMBERS = 2
_FIRST_LOOK_S = 5.0
"""How long to look for the gateway where there is nothing to go back to."""
_BACK_S = 10.0
"""How long a gateway that answered before may take to answer again once all was taken back."""
_ADVICE: Final = "`xsagent doctor` on the console says what is wrong, the next `up` of management mends what differs"
_LEASE: Final = "a lease"
"""In place of the gateway that stays silent, where nobody has named one."""

Observe = Callable[[], Topology]


@dataclass(slots=True)
class Deadman:
    """Whether the present operation may be kept.

    Attributes:
        armed: the gateway answered before, so silence afterwards means that we cut the path.
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
    armed: bool = False
    probe: bool = True
    window_s: float = 0.0
    unverified: str | None = None
    stuck: bool = False
    _guardian: Guardian | None = field(default=None, init=False)
    _end: float | None = field(default=None, init=False)

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

        Arguments:
            silent_dhcp: the sentence of a DHCP client of this operation that found no server.
            observe: reads the host as it is now.
        """
        if silent_dhcp is not None:
            return self._judge(silent_dhcp, keep=self._had_dhcp())
        management = self.desired.management
        if management is None:
            return None
        if not (management.gateways or management.dhcp):
            return self._lost_address(management.device, observe)
        if not self.probe:
            return None
        window = self.window_s if self.armed else _FIRST_LOOK_S
        end = time.monotonic() + window
        if self.armed and self._end is not None:
            end = self._end
        missing = _await_gateway(management.device, management.gateways, observe, end)
        bonds = changed_bonds(self.desired, self.observed)
        if missing is None and bonds:
            if (bond := await_settled(self.paths.ovs_rundir, bonds, end)) is not None:
                return self._judge(
                    f"no member of {bond} is let forward within {window:.0f} s (does LACP have a partner?)"
                )
            missing = _await_gateway(management.device, management.gateways, observe, end)
        if missing is None:
            return None
        if missing == _LEASE:
            sentence = f"no DHCP server or router gave {management.device} an address within {window:.0f} s"
            return self._judge(sentence, keep=self._had_dhcp())
        return self._judge(f"gateway {missing} does not answer on {management.device} within {window:.0f} s")

    def _lost_address(self, device: str, observe: Observe) -> str | None:
        """What `verify` answers where no gateway is meant to be: the device is there, with an address if it had one."""
        before = self.observed.ip_devices.get(device)
        if before is None or not _is_given_address(before) or _has_address(device, observe):
            return None
        return f"{device}, the management interface, has no address any more; the old configuration is back"

    def look_back(self, observe: Observe) -> tuple[str, ...]:
        """After the way back: what `silent_gateways` says, where one answered before."""
        return silent_gateways(observe) if self.armed else ()

    def _judge(self, sentence: str, *, keep: bool = False) -> str | None:
        """What `verify` answers about a path that does not work: only an armed deadman knows of a better one."""
        if self.armed and not keep:
            return f"{sentence}; the old configuration is back"
        self.unverified = sentence
        return None

    def _had_dhcp(self) -> bool:
        """Whether management had DHCP before, by a client of ours or, under ifup, by what another one put there."""
        management = self.desired.management
        device = self.observed.ip_devices.get(management.device) if management is not None else None
        if device is None:
            return False
        clients = (device.dhcp4, device.dhcp6)
        return any(client is not None and client.running for client in clients) or any(
            address.origin is Origin.DHCP for address in device.addresses
        )


def arm_deadman(
    desired: Desired,
    observed: Topology,
    paths: Paths,
    window_s: float,
    *,
    probe: bool = True,
    start_guardian: StartGuardian | None = None,
) -> Deadman:
    """A deadman for one operation: armed when the present gateway answers now.

    Arguments:
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
    deadman.armed = any(_probe(device, gateway, _BASELINE_S) for device, gateway in _present_gateways(observed))
    return deadman


def _present_gateways(observed: Topology) -> list[tuple[str, IpAddress]]:
    return [(device.device, gateway) for device in observed.ip_devices.values() for gateway in default_gateways(device)]


def default_gateways(device: IpDevice) -> tuple[IpAddress, ...]:
    """Gateways of the default routes through a device."""
    return tuple(
        route.gateway for route in device.routes if route.gateway is not None and route.destination.prefixlen == 0
    )


def silent_gateways(observe: Observe) -> tuple[str, ...]:
    """After the way back of a run before which a gateway answered: a sentence where none does, within _BACK_S.

    Nothing is left to take back then, and no later run is kept from its work.

    Arguments:
        observe: reads the host as it is now.
    """
    end = time.monotonic() + _BACK_S
    while True:
        try:
            gateways = _present_gateways(observe())
        except (XsagentError, OSError) as error:
            return (f"nobody can say whether the gateway answers again: {error}",)
        if any(_probe(device, gateway, 1.0) for device, gateway in gateways):
            return ()
        if time.monotonic() >= end:
            break
        time.sleep(0.1)
    silent = " and ".join(f"gateway {gateway} does not answer on {device}" for device, gateway in gateways)
    return (f"{silent or 'there is no default gateway'}, as one did before; {_ADVICE}",)


def answers(desired: Desired, observe: Observe) -> bool:
    """Whether the desired management path works now: a gateway answers, or there is none to ask."""
    management = desired.management
    if management is None or not (management.gateways or management.dhcp):
        return True
    end = time.monotonic() + _FIRST_LOOK_S
    return _await_gateway(management.device, management.gateways, observe, end) is None


def _await_gateway(
    device: str, gateways: tuple[IpAddress, ...], observe: Observe, deadline: float
) -> IpAddress | str | None:
    """The gateway that stays silent, _LEASE without any address, None when all is well. Looks at least once."""
    while True:
        wanted = gateways or _learnt_gateways(device, observe)
        if not wanted:
            if not gateways and time.monotonic() >= deadline:
                return None if _has_address(device, observe) else _LEASE
        elif any(_probe(device, gateway, max(0.2, min(1.0, deadline - time.monotonic()))) for gateway in wanted):
            return None
        if time.monotonic() >= deadline:
            return next(iter(wanted), None)
        time.sleep(0.1)


def _probe(device: str, gateway: IpAddress, deadline_s: float) -> bool:
    """Whether a gateway answers on a device, and also where the kernel would send to it: another one on its subnet."""
    try:
        if not probe_gateway(device, gateway, deadline_s=deadline_s):
            return False
        through = "" if gateway.is_link_local else read_device_towards(gateway)
        return through in {"", device} or probe_gateway(through, gateway, deadline_s=deadline_s)
    except (DeviceAbsentError, NetlinkError):
        # a device that is gone or down is a path that does not work
        return False


def _learnt_gateways(device: str, observe: Observe) -> tuple[IpAddress, ...]:
    present = observe().ip_devices.get(device)
    return default_gateways(present) if present is not None else ()


def _has_address(device: str, observe: Observe) -> bool:
    """Whether it has one that it was given: the kernel puts a link-local address on whatever is up."""
    present = observe().ip_devices.get(device)
    return present is not None and _is_given_address(present)


def _is_given_address(device: IpDevice) -> bool:
    return any(item.origin is not Origin.LINK_LOCAL for item in device.addresses)


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
