"""Bridges that a wanted NIC or bond leaves, and addresses that another device has -> the desired state without. Pure.

`plan/diff.py` calls it before anything is compared. Which bridge that is no record says: its name went with the record
(an emergency reset, a network of another name). Nor does a record say who still has the address of management.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from xsagent.plan.ip import remove_ip_device
from xsagent.plan.steps import Step
from xsagent.topology.concern import left_bridges, staying_bridges, uplink_targets
from xsagent.topology.desired import Desired
from xsagent.topology.network_scripts import ifcfg_paths
from xsagent.topology.ownership import owns_bridge, owns_port
from xsagent.topology.values import (
    Address,
    DhcpClient,
    IpAddress,
    IpDevice,
    IpInterface,
    ObjectKey,
    ObjectKind,
    Origin,
    Topology,
)


def without_leftovers(desired: Desired, observed: Topology, shared: frozenset[str]) -> tuple[Desired, tuple[str, ...]]:
    """The desired state, also without what is left of a configuration that no record tells of any more; warnings.

    Args:
        shared: as PlanOptions.shared.
    """
    desired = _without_bridges_of_bridgeless(desired, observed)
    warnings: list[str] = []
    left = left_bridges(uplink_targets(desired), staying_bridges(desired), observed.bridges)
    for name, target in left.items():
        desired = _absent(desired, observed, name, ObjectKind.BRIDGE, ObjectKind.IP_DEVICE)
        desired = replace(desired, moves={**desired.moves, name: target})
        warnings.append(
            f"bridge {name}, which no record names, goes: its uplink is on {target}, and all its ports with it"
        )
    wanted = _wanted(desired, observed)
    for name, gone in _other_holders(desired, observed, shared):
        warnings += [
            f"{name} gives up {address.interface}: it is the address of {wanted[address.interface.ip]}"
            for address in gone
        ]
        if gone == _given(observed.ip_devices[name]):
            desired = _absent(desired, observed, name, ObjectKind.IP_DEVICE)
    return desired, tuple(warnings)


def give_up_addresses(desired: Desired, observed: Topology, shared: frozenset[str]) -> tuple[Step, ...]:
    """Steps that take addresses which are wanted elsewhere off devices that have others too.

    Arguments: as `without_leftovers`, which comes before: a device that has no others is to be bare.
    """
    reason = "its address is that of another device"
    return tuple(
        step
        for name, gone in _other_holders(desired, observed, shared)
        for step in remove_ip_device(_part(observed.ip_devices[name], gone), reason)
    )


# --- bridges ---------------------------------------------------------------------------------------------


def _without_bridges_of_bridgeless(desired: Desired, observed: Topology) -> Desired:
    """Without bridges of ours that only a NIC kept which is to be in none (features.md section 3, bridgeless).

    A bridge that a record names, or that is not ours, stays. So does one with ports of others, but for its address:
    with the NIC's it would be there twice, and the kernel would use the one that leads nowhere.
    """
    nics = {key.name for key in desired.topology.absent if key.kind is ObjectKind.PORT}
    for bridge in observed.bridges.values():
        held = nics & bridge.ports.keys()
        if not held or bridge.name in desired.ownership.bridges or not owns_bridge(bridge, desired.ownership):
            continue
        desired = _absent(desired, observed, bridge.name, ObjectKind.IP_DEVICE)
        if bridge.ports.keys() <= {bridge.name, *held}:
            desired = _absent(desired, observed, bridge.name, ObjectKind.BRIDGE)
    return desired


def _absent(desired: Desired, observed: Topology, name: str, *kinds: ObjectKind) -> Desired:
    """The desired state also without this bridge or IP device, nor its network scripts' files."""
    topology = desired.topology
    keys = {ObjectKey(kind=kind, name=name) for kind in kinds}
    files = dict.fromkeys(path for path in ifcfg_paths(name) if path in observed.files)
    return replace(
        desired, topology=replace(topology, absent=topology.absent | keys, files={**topology.files, **files})
    )


# --- addresses -------------------------------------------------------------------------------------------


def _other_holders(
    desired: Desired, observed: Topology, shared: frozenset[str]
) -> Iterator[tuple[str, tuple[Address, ...]]]:
    """Devices of ours that have addresses which are wanted elsewhere (pains.md 1), with those.

    A device that this operation speaks about is none. Nor is one of a PIF, but where the address is management's: of
    two other PIFs with one address it is not for us to choose.
    """
    wanted = _wanted(desired, observed)
    management = desired.management.device if desired.management is not None else ""
    absent = {key.name for key in desired.topology.absent if key.kind is ObjectKind.IP_DEVICE}
    spoken_about = desired.topology.ip_devices.keys() | absent | shared
    recorded = desired.ownership.bridges | desired.ownership.devices
    for name in sorted(observed.ip_devices.keys() - spoken_about):
        if name == management or not _is_ours(name, desired, observed):
            continue
        gone = tuple(
            address
            for address in _given(observed.ip_devices[name])
            if (holder := wanted.get(address.interface.ip)) is not None
            and (holder == management or name not in recorded)
        )
        if gone:
            yield name, gone


def _wanted(desired: Desired, observed: Topology) -> Mapping[IpAddress, str]:
    """The addresses of the operation's devices, static ones and what leases gave, each with its device."""
    found: dict[IpAddress, str] = {}
    for name, device in desired.topology.ip_devices.items():
        present = observed.ip_devices.get(name, IpDevice(device=name))
        by_dhcp = "dhcp" in {device.ipv4_mode, device.ipv6_mode}
        leased = [item for item in present.addresses if by_dhcp and item.origin is Origin.DHCP]
        static = [item for item in device.addresses if not item.interface.ip.is_link_local]
        found |= {item.interface.ip: name for item in (*leased, *static)}
    return found


def _is_ours(name: str, desired: Desired, observed: Topology) -> bool:
    """Whether a device is a bridge of ours or the device of a PIF."""
    if name in observed.bridges:
        return owns_bridge(observed.bridges[name], desired.ownership)
    ports = [bridge.ports[name] for bridge in observed.bridges.values() if name in bridge.ports]
    if any(port.fake_bridge is True and owns_port(port, desired.ownership) for port in ports):
        return True
    return name in desired.ownership.devices


def _given(device: IpDevice) -> tuple[Address, ...]:
    return tuple(address for address in device.addresses if address.origin is not Origin.LINK_LOCAL)


def _part(device: IpDevice, gone: tuple[Address, ...]) -> IpDevice:
    """What goes from a device with these addresses: clients that were leased them, routes that cannot stay."""
    interfaces = {address.interface for address in gone}
    kept = {address.interface.version for address in _given(device) if address not in gone}
    sources = {interface.ip for interface in interfaces}
    return IpDevice(
        device=device.device,
        addresses=gone,
        routes=tuple(
            route
            for route in device.routes
            if route.source in sources
            or (route.destination.version not in kept and route.destination.version in {i.version for i in interfaces})
        ),
        dhcp4=_leased(device.dhcp4, interfaces),
        dhcp6=_leased(device.dhcp6, interfaces),
    )


def _leased(client: DhcpClient | None, interfaces: Collection[IpInterface]) -> DhcpClient | None:
    return client if client is not None and not set(client.leased).isdisjoint(interfaces) else None
