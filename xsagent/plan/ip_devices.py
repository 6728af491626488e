"""All IP devices desired x observed -> steps by either back end, and what they take from other devices. Pure.

`plan/diff.py` calls it. One device by netlink is `plan/ip.py`'s, one by the network scripts `plan/ifcfg.py`'s.
"""

from __future__ import annotations

from dataclasses import replace

from xsagent.plan.elsewhere import bring_back_displaced
from xsagent.plan.ifcfg import diff_ifcfg_device, missing_leases, move_ifcfg_client, remove_ifcfg_device
from xsagent.plan.ip import diff_ip_device, remove_ip_device, stop_clients
from xsagent.plan.order import Phases
from xsagent.plan.remade import running_clients, without_devices
from xsagent.plan.steps import IfupStep, ResolverStep, StartDhcpStep, Step, StopDhcpStep
from xsagent.topology.values import IpDevice, ObjectKind, Resolver, Topology


def diff_ip_devices(desired: Topology, observed: Topology, lost: frozenset[str], phases: Phases) -> tuple[str, ...]:
    """Put into the phases what configures the wanted devices and clears those that must be absent.

    Args:
        lost: devices that the transaction takes away, or makes anew.

    Returns:
        Warnings for devices that stay without one of their leases.
    """
    bare = without_devices(observed, lost)
    for key in sorted(desired.absent):
        if key.kind is ObjectKind.IP_DEVICE:
            phases.retire += _retire(key.name, desired, observed, lost)
    warnings: list[str] = []
    for name in sorted(desired.ip_devices):
        device = desired.ip_devices[name]
        if device.configured_by_ifcfg:
            before, after = diff_ifcfg_device(device, desired, bare)
            if not any(isinstance(step, IfupStep) for step in after):
                warnings += missing_leases(device, bare)
            if name in lost:
                before, _ = move_ifcfg_client(name, observed, remains=True)
            phases.retire += before
            phases.addresses += after
        else:
            if name in lost and name in observed.ip_devices:
                phases.retire += stop_clients(observed.ip_devices[name], "its device is made anew")
            phases.addresses += diff_ip_device(device, bare.ip_devices.get(name))
    phases.retire = [bring_back_displaced(step, observed.ip_devices) for step in phases.retire]
    phases.addresses = [bring_back_displaced(step, bare.ip_devices) for step in phases.addresses]
    phases.addresses = [_bring_back_resolver(step, observed) for step in phases.addresses]
    phases.addresses += _diff_resolver(desired.resolver, observed.resolver)
    return tuple(warnings)


def _retire(name: str, desired: Topology, observed: Topology, lost: frozenset[str]) -> tuple[Step, ...]:
    by_scripts = remove_ifcfg_device(name, desired, observed, "no longer wanted")
    if by_scripts or name not in observed.ip_devices:
        return by_scripts
    return _retire_ip_device(observed.ip_devices[name], lost)


def _retire_ip_device(device: IpDevice, lost: frozenset[str]) -> tuple[Step, ...]:
    """What a device had goes; where the transaction takes the device itself, its addresses and routes work until then.

    Taken away before it, they would be missed for as long as the transaction waits for its turn.
    """
    if device.device in lost:
        return stop_clients(device, "its device goes")
    return remove_ip_device(device, "no longer wanted")


def _bring_back_resolver(step: Step, observed: Topology) -> Step:
    """The step; the undo of a client's first start also puts back the name servers whose place its lease takes.

    The search domains as well, where no client runs that may have brought them.
    """
    if not isinstance(step, StartDhcpStep) or not any(isinstance(undo, StopDhcpStep) for undo in step.undo):
        return step
    if observed.resolver is None or not observed.resolver.servers:
        return step
    by_lease = any(client for device in observed.ip_devices.values() for client in running_clients(device))
    before = replace(observed.resolver, search=()) if by_lease else observed.resolver
    return replace(step, undo=(*step.undo, ResolverStep(resolver=before)))


def _diff_resolver(wanted: Resolver | None, present: Resolver | None) -> list[Step]:
    if wanted is None or _is_right(wanted, present):
        return []
    reason = "resolv.conf lacks our servers or domains"
    return [ResolverStep(resolver=wanted, reason=reason, undo=(ResolverStep(resolver=present or Resolver()),))]


def _is_right(wanted: Resolver, present: Resolver | None) -> bool:
    """Ours stand first; what DHCP or a router gave may follow."""
    if present is None or present.servers[: len(wanted.servers)] != wanted.servers:
        return False
    return not wanted.search or present.search[: len(wanted.search)] == wanted.search
