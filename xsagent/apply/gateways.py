"""Management's path x the host -> whether its gateways answer, or what is missing. Reads and probes; no other effect.

Asked by the deadman before a change, after it and after a way back, and by whoever finishes a dead run. Each family
counts by itself (DECISIONS.md 54). Probes are ARP and ND (`probe.py`), never ICMP echo alone.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection
from typing import Final

from xsagent.apply.announce import solicit_routers
from xsagent.apply.probe import probe_gateway
from xsagent.errors import DeviceAbsentError, NetlinkError, XsagentError
from xsagent.observed.netlink import read_device_towards
from xsagent.topology.desired import Desired, ManagementPath
from xsagent.topology.values import IPV4, IPV6, IpAddress, IpDevice, Origin, Topology

FIRST_LOOK_S: Final = 5.0
"""How long to look for the gateway where there is nothing to go back to."""
LEASE: Final = "a lease"
"""In place of the gateway that stays silent, where nobody has named one."""
_BASELINE_S: Final = 3.0
_BACK_S: Final = 10.0
"""How long a gateway that answered before may take to answer again once all was taken back."""
_PAUSE_S: Final = 0.5
_ADVICE: Final = "`xsagent doctor` on the console says what is wrong, the next `up` of management mends what differs"

Observe = Callable[[], Topology]
"""Reads the host as it is now."""
Groups = tuple[tuple[int, ...], ...]
"""Of families (4, 6)."""


def answering_families(management: ManagementPath, observed: Topology) -> frozenset[int]:
    """Families (4, 6) of which a present default gateway of management answers now."""
    asked = _present_gateways(management, observed)
    return frozenset(family for family in (IPV4, IPV6) if _is_answered(asked, family, _BASELINE_S))


def _present_gateways(management: ManagementPath | None, observed: Topology) -> list[tuple[str, IpAddress]]:
    """Default gateways of management, by device; those of the host where management has none, or nobody knows where."""
    found = [(name, gateway) for name, device in observed.ip_devices.items() for gateway in default_gateways(device)]
    if management is None:
        return found
    return [asked for asked in found if asked[0] in {management.device, management.former}] or found


def _is_answered(asked: Collection[tuple[str, IpAddress]], family: int, deadline_s: float) -> bool:
    """Whether one of the gateways that is of this family answers; each may take that long."""
    return any(_probe(device, gateway, deadline_s) for device, gateway in asked if gateway.version == family)


def default_gateways(device: IpDevice) -> tuple[IpAddress, ...]:
    """Gateways of the default routes through a device."""
    return tuple(
        route.gateway for route in device.routes if route.gateway is not None and route.destination.prefixlen == 0
    )


def silent_gateways(management: ManagementPath | None, answered: Collection[int], observe: Observe) -> tuple[str, ...]:
    """After the way back: a sentence where none answers of a family of which one did before, within _BACK_S.

    Nothing is left to take back then, and no later run is kept from its work.

    Args:
        management: the path that the run led to.
        answered: families (4, 6) whose gateway answered before it.
        observe: reads the host as it is now.
    """
    end = time.monotonic() + _BACK_S
    silent = set(answered)
    while silent:
        try:
            asked = _present_gateways(management, observe())
        except (XsagentError, OSError) as error:
            return (f"nobody can say whether the gateway answers again: {error}",)
        silent -= {family for family in silent if _is_answered(asked, family, 1.0)}
        if silent and time.monotonic() >= end:
            named = [f"gateway {item} does not answer on {name}" for name, item in asked if item.version in silent]
            return (f"{' and '.join(named) or 'there is no default gateway'}, as one did before; {_ADVICE}",)
        if silent:
            if management is not None and IPV6 in silent:
                _ask_routers(management.device, management.former)
            time.sleep(_PAUSE_S)
    return ()


def answers(desired: Desired, answered: Collection[int], observe: Observe) -> bool:
    """Whether the desired management path works now: gateways answer, or there is none to ask.

    Args:
        answered: families (4, 6) whose gateway answered before.
    """
    management = desired.management
    if management is None:
        return True
    end = time.monotonic() + FIRST_LOOK_S
    groups = groups_to_ask(management, answered)
    return all(await_gateway(management, families, observe, end) is None for families in groups)


def groups_to_ask(management: ManagementPath, answered: Collection[int]) -> Groups:
    """Groups of families; of each one must answer. None where no gateway is meant to be.

    What answered before must answer, but a family that management is to have no gateway of any more. Where nothing is
    left of that, as at the first configuration or in a move to the other family, any will do.
    """
    wanted = {*management.learnt, *(gateway.version for gateway in management.gateways)}
    if kept := sorted(wanted.intersection(answered)):
        return tuple((family,) for family in kept)
    return ((IPV4, IPV6),) if management.gateways or management.dhcp else ()


def await_gateway(
    management: ManagementPath, families: tuple[int, ...], observe: Observe, deadline: float
) -> IpAddress | str | None:
    """The gateway that stays silent, LEASE without any address, None when all is well. Looks at least once.

    Args:
        families: gateways and addresses of others do not count.
    """
    named = tuple(gateway for gateway in management.gateways if gateway.version in families)
    asked = 0.0
    while True:
        wanted = named or _learnt_gateways(management.device, families, observe)
        # a router tells of itself also where it gives nobody an address
        addressed = bool(named) or has_address(management.device, observe, families)
        left = max(0.2, min(1.0, deadline - time.monotonic()))
        if addressed and any(_probe(management.device, gateway, left) for gateway in wanted):
            return None
        if time.monotonic() >= deadline:
            if not addressed:
                return LEASE
            return wanted[0] if wanted else None
        if not named and IPV6 in families and IPV6 in management.learnt and time.monotonic() >= asked + 1:
            _ask_routers(management.device)
            asked = time.monotonic()
        time.sleep(0.1)


def _ask_routers(*devices: str) -> None:
    """Ask for an advertisement: the kernel asks when a link comes up, which may have been too early."""
    for device in devices:
        with contextlib.suppress(DeviceAbsentError, NetlinkError):
            solicit_routers(device)


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


def _learnt_gateways(device: str, families: Collection[int], observe: Observe) -> tuple[IpAddress, ...]:
    present = observe().ip_devices.get(device)
    found = default_gateways(present) if present is not None else ()
    return tuple(gateway for gateway in found if gateway.version in families)


def has_address(device: str, observe: Observe, families: Collection[int] = (IPV4, IPV6)) -> bool:
    """Whether a device has an address that it was given: the kernel puts a link-local one on whatever is up."""
    present = observe().ip_devices.get(device)
    return present is not None and has_given_address(present, families)


def has_given_address(device: IpDevice, families: Collection[int] = (IPV4, IPV6)) -> bool:
    """Whether a device has an address of these families that it was given (`has_address`)."""
    given = (item for item in device.addresses if item.origin is not Origin.LINK_LOCAL)
    return any(item.interface.version in families for item in given)
