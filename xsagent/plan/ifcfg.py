"""IP devices under `ip_backend` ifcfg: files desired x observed -> ifdown, files, ifup. Pure.

A file that is equal in meaning is not replaced, and a device that is up with what its file says is not touched, so a
second run neither flaps an address nor restarts a DHCP client (legacy-faults F08). Routes that ifup had set and
somebody took away come back by themselves, and another MTU is set on the link.
"""

from __future__ import annotations

import shlex
from dataclasses import replace

from xsagent.plan.ip import remove_ip_device
from xsagent.plan.remade import restore_ip, restore_riders
from xsagent.plan.routes import mend_routes, metric_of
from xsagent.plan.steps import FileStep, IfdownStep, IfupStep, LinkStep, Step
from xsagent.topology.network_scripts import ifcfg_path, ifcfg_paths
from xsagent.topology.values import IPV4, IPV6, IpDevice, Origin, Topology


def diff_ifcfg_device(
    desired: IpDevice, topology: Topology, observed: Topology
) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
    """Steps before the OVSDB transaction (ifdown) and after it (ifup) for one device.

    The files themselves are steps of `diff_files`, between the two.
    """
    name = desired.device
    paths = [path for path in ifcfg_paths(name) if path in topology.files]
    changed = any(_must_restart(topology.files[path], observed.files.get(path)) for path in paths)
    configured = observed.files.get(ifcfg_path(name)) is not None and _is_up(name, observed)
    if not changed and is_configured(desired, observed):
        return (), mend_routes(desired, observed.ip_devices.get(name, IpDevice(device=name)))
    riders = restore_riders(name, observed) if _is_up(name, observed) else ()
    before: tuple[Step, ...] = ()
    if changed and configured:
        before = (_ifdown(name, observed, "its configuration changed"),)
    reason = "its configuration changed" if changed else "it is not configured as its file says"
    undo = _undo_of_ifup(name, observed, has_client=configured and not changed)
    after: tuple[Step, ...] = (IfupStep(device=name, reason=reason, undo=undo),)
    if before:
        # what rides on the device went down with it
        after += tuple(replace(step, required=False) for step in riders)
    return before, (*after, *_take_routes(desired, observed))


def _take_routes(desired: IpDevice, observed: Topology) -> tuple[Step, ...]:
    """Steps after ifup for wanted routes that another device holds: ifup adds them, which the kernel refuses then.

    A default route it replaces (ifup-eth, ifup-routes of the initscripts).
    """
    held = {
        (route.destination, metric_of(route))
        for name, device in observed.ip_devices.items()
        if name != desired.device
        for route in device.routes
    }
    routes = tuple(
        route
        for route in desired.routes
        if route.destination.prefixlen and (route.destination, metric_of(route)) in held
    )
    return mend_routes(replace(desired, routes=routes), IpDevice(device=desired.device))


def remove_ifcfg_device(device: str, topology: Topology, observed: Topology, reason: str) -> tuple[Step, ...]:
    """Steps that leave a device that has an ifcfg file without configuration; its file goes by `diff_files`.

    The undo is ifup's, and for what others had put on the device our own; what ifdown leaves over is taken off too. A
    link that is still wanted (a NIC that becomes a port) is raised again: ifdown takes it down.
    """
    if observed.files.get(ifcfg_path(device)) is None or not _is_up(device, observed):
        return ()
    left = remove_ip_device(observed.ip_devices[device], reason) if device in observed.ip_devices else ()
    steps: tuple[Step, ...] = (
        _ifdown(device, observed, reason),
        *(replace(step, undo=()) for step in left),
    )
    wanted = topology.links.get(device)
    if wanted is not None and wanted.up is True:
        riders = restore_riders(device, observed)
        steps += (LinkStep(device=device, up=True, reason="ifdown took the link down"),)
        steps += tuple(replace(step, required=False) for step in riders)
    return steps


def move_ifcfg_client(device: str, observed: Topology, *, remains: bool) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
    """Steps before and after the OVSDB transaction for a device that it makes anew, or takes away (`remains` False).

    Its DHCP client, where the initscripts started one, is bound to the device as it was. None for a device without.
    """
    if not _is_up(device, observed) or not _asks_for_lease(observed.files.get(ifcfg_path(device))):
        return (), ()
    reason = "its device is made anew" if remains else "its device goes"
    after = (IfupStep(device=device, reason=reason, required=False, undo=(IfdownStep(device=device),)),)
    return (_ifdown(device, observed, reason),), after if remains else ()


def _asks_for_lease(text: str | None) -> bool:
    return bool({"BOOTPROTO=dhcp", "DHCPV6C=yes"} & set(_meaning(text or "")))


def _ifdown(device: str, observed: Topology, reason: str) -> Step:
    """ifdown, and the way back: ifup by the old file, then what ifup does not know of."""
    undo = (IfupStep(device=device), *_restore(device, observed))
    return IfdownStep(device=device, reason=reason, undo=undo)


def _undo_of_ifup(device: str, observed: Topology, *, has_client: bool) -> tuple[Step, ...]:
    """What was there: ifdown leaves the link down and bare, whoever had configured it.

    Args:
        has_client: a client that its file, the same as now, asks for may have been waiting for a lease.
    """
    steps: tuple[Step, ...] = (IfdownStep(device=device),)
    if has_client and _asks_for_lease(observed.files.get(ifcfg_path(device))):
        steps += (IfupStep(device=device),)
    elif _is_up(device, observed):
        steps += (LinkStep(device=device, up=True),)
    return (*steps, *_restore(device, observed))


def _restore(device: str, observed: Topology) -> tuple[Step, ...]:
    """What ifup and ifdown change beside the state of the link: width, addresses, routes, what rides on the device."""
    link = observed.links.get(device)
    steps: tuple[Step, ...] = ()
    if link is not None and isinstance(link.mtu, int):
        steps += (LinkStep(device=device, mtu=link.mtu, required=False),)
    steps += restore_ip(device, observed)
    return (*steps, *restore_riders(device, observed)) if _is_up(device, observed) else steps


def is_configured(desired: IpDevice, observed: Topology) -> bool:
    """Whether the device is up with what is wanted: each static address, and any at all where DHCP is to give one.

    One family's lease is enough: for the other's ifup would interrupt what works (DESIGN.md rule 2), and fail beside a
    client that runs.
    """
    if not _is_up(desired.device, observed):
        return False
    present = observed.ip_devices.get(desired.device, IpDevice(device=desired.device))
    addresses = {address.interface for address in present.addresses}
    if not all(address.interface in addresses for address in desired.addresses):
        return False
    return not _unleased(desired, present) or _has_any(desired, present)


def missing_leases(desired: IpDevice, observed: Topology) -> tuple[str, ...]:
    """Warnings for the families that no DHCP server serves, on a device that is configured without them."""
    present = observed.ip_devices.get(desired.device, IpDevice(device=desired.device))
    if not is_configured(desired, observed):
        return ()
    return tuple(
        f"no DHCP server gave {desired.device} an IPv{family} address; ifup is not run again for it, what works stays"
        for family in _unleased(desired, present)
    )


def _unleased(desired: IpDevice, present: IpDevice) -> list[int]:
    """Families with DHCP, and without a lease."""
    leased = {item.interface.version for item in present.addresses if item.origin is Origin.DHCP}
    # an IPv4 address that dhclient-script set without a lifetime does not tell where it comes from
    leased |= {IPV4 for item in present.addresses if item.interface.version == IPV4}
    return [family for family in _by_dhcp(desired) if family not in leased]


def _by_dhcp(desired: IpDevice) -> list[int]:
    return [family for family, mode in ((IPV4, desired.ipv4_mode), (IPV6, desired.ipv6_mode)) if mode == "dhcp"]


def _has_any(desired: IpDevice, present: IpDevice) -> bool:
    """Whether a static address, a lease or a router's address that is wanted is there, the static ones given."""
    by_router = desired.ipv6_mode == "autoconf" and any(item.origin is Origin.ROUTER for item in present.addresses)
    return bool(desired.addresses) or by_router or _by_dhcp(desired) != _unleased(desired, present)


def diff_files(topology: Topology, observed: Topology, cleared: Topology) -> tuple[Step, ...]:
    """Steps that replace or remove the files whose meaning differs.

    Args:
        cleared: as observed, without what may stay if need be: where nothing else differs, a file is best effort.
    """
    steps: list[Step] = []
    for path in sorted(topology.files):
        wanted, present = topology.files[path], observed.files.get(path)
        if not same_meaning(wanted, present):
            reason = "not there yet" if present is None else "no longer wanted" if wanted is None else "it differs"
            undo = FileStep(path=path, text=present)
            required = not same_meaning(wanted, cleared.files.get(path))
            steps.append(FileStep(path=path, text=wanted, reason=reason, required=required, undo=(undo,)))
    return tuple(steps)


def same_meaning(wanted: str | None, present: str | None) -> bool:
    """Whether two sysconfig files say the same: comments, blank lines, order and quoting apart."""
    if wanted is None or present is None:
        return wanted is present
    return wanted == present or _meaning(wanted) == _meaning(present)


def _must_restart(wanted: str | None, present: str | None) -> bool:
    """Whether ifdown and ifup must bring a difference into force."""
    if wanted is None or present is None:
        return wanted is not present
    return _forced_by_restart(wanted) != _forced_by_restart(present)


def _forced_by_restart(text: str) -> list[str]:
    """Without how long dhclient waits at boot, which changes nothing later, and the MTU, which the link gets live."""
    return [line for line in _meaning(text) if not line.startswith(("DHCLIENTARGS=", "MTU="))]


def _meaning(text: str) -> list[str]:
    lines = [line.strip() for line in text.splitlines()]
    return sorted(_unquoted(line) for line in lines if line and not line.startswith("#"))


def _unquoted(line: str) -> str:
    name, equals, value = line.partition("=")
    if not equals or not name.isidentifier():
        return line
    try:
        return f"{name}={' '.join(shlex.split(value))}"
    except ValueError:
        return line


def _is_up(device: str, observed: Topology) -> bool:
    link = observed.links.get(device)
    return link is not None and link.up is True
