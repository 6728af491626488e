"""Checks before the first step: is the hardware there, is it the right one, whose traffic would be cut. Pure.

`plan/diff.py` calls `check_host` first; bad input ends here, with nothing changed. `usable_ip_devices` follows once the
transaction is known.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from xsagent.errors import DeviceAbsentError, InUseError, ManagementLostError
from xsagent.plan.options import PlanOptions
from xsagent.plan.taken_over import left_behind
from xsagent.topology.desired import Desired, Ownership
from xsagent.topology.ownership import is_vif_port, is_vlan_bridge, owns_port, ports_of_vlan_bridge
from xsagent.topology.values import KEEP, Bridge, IpDevice, Link, ObjectKind, Origin, Port, Topology


def check_host(desired: Desired, observed: Topology, options: PlanOptions) -> tuple[Desired, tuple[str, ...]]:
    """The desired state without bond members that are not there, and warnings for people.

    Their rows are wanted all the same: the switch opens a NIC that appears by itself, whoever brings its link up.

    Raises:
        DeviceAbsentError: a NIC that is needed is absent, or another NIC carries its MAC.
        InUseError: ports of VIFs or of others are on what would go, and the caller did not ask to go on.
    """
    present, warnings = _without_absent_members(desired, observed)
    made = _made_by_plan(present)
    for link in present.topology.links.values():
        warnings += _check_nic(link, present, observed, made)
    warnings += _check_virtual_functions(present, observed)
    if options.keep_ports:
        _check_ports_going(present, observed)
    warnings += _warn_of_settings(present, observed)
    return present, tuple(warnings)


def _without_absent_members(desired: Desired, observed: Topology) -> tuple[Desired, list[str]]:
    warnings: list[str] = []
    bridges: dict[str, Bridge] = {}
    gone: set[str] = set()
    for bridge in desired.topology.bridges.values():
        ports = {name: _present_members(port, observed, gone) for name, port in bridge.ports.items()}
        bridges[bridge.name] = replace(bridge, ports=ports)
    warnings += [
        f"bond member {name} is not on this host; the bond goes up without it, and has it when it is there and up"
        for name in sorted(gone)
    ]
    links = {name: link for name, link in desired.topology.links.items() if name not in gone}
    topology = replace(desired.topology, bridges=bridges, links=links)
    return replace(desired, topology=topology), warnings


def _present_members(port: Port, observed: Topology, gone: set[str]) -> Port:
    is_bond = len(port.interfaces) > 1
    if not is_bond:
        return port
    absent = {name for name in port.interfaces if name not in observed.links}
    if len(absent) == len(port.interfaces):
        raise DeviceAbsentError(
            f"bond {port.name}: none of its members {', '.join(sorted(absent))} is on this host; nothing was changed"
        )
    gone |= absent
    return replace(port, interfaces={name: value for name, value in port.interfaces.items() if name not in absent})


def usable_ip_devices(desired: Desired, observed: Topology, going: frozenset[str]) -> tuple[Desired, tuple[str, ...]]:
    """The desired state with IP devices that can be configured, and warnings for people.

    A device that is only adapted to a role that moved is passed over where it is down, with a warning, and where it
    goes: no client or route can be put on it.

    Args:
        going: devices that the transaction takes away, such as a VLAN bridge whose tag a wanted one needs.
    """
    topology = desired.topology
    warnings: list[str] = []
    devices: dict[str, IpDevice] = {}
    for name in sorted(topology.ip_devices):
        link = observed.links.get(name)
        if name not in topology.links and name in going:
            continue
        if name not in topology.links and (link is None or link.up is not True):
            warnings.append(f"{name} is not up, so it is not adapted to the DNS or gateway role that moves")
            continue
        devices[name] = topology.ip_devices[name]
    return replace(desired, topology=replace(topology, ip_devices=devices)), tuple(warnings)


def check_management(desired: Desired, observed: Topology, going: frozenset[str]) -> None:
    """The management interface keeps its device, and is not to be left without any address.

    Args:
        going: as `usable_ip_devices`.

    Raises:
        ManagementLostError: it would not; as XAPI's PIF_IS_MANAGEMENT_INTERFACE.
    """
    name = desired.management.device if desired.management is not None else ""
    if name in going:
        raise ManagementLostError(
            f"{name} is the management interface, and the switch would have no such device afterwards; "
            "nothing was changed"
        )
    wanted, present = desired.topology.ip_devices.get(name), observed.ip_devices.get(name)
    if wanted is None or present is None or {wanted.ipv4_mode, wanted.ipv6_mode} - {"none", KEEP}:
        return
    had = [str(item.interface) for item in present.addresses if item.origin is not Origin.LINK_LOCAL]
    if had:
        raise ManagementLostError(
            f"{name} is the management interface, and its record has no IP mode, so that it would lose "
            f"{', '.join(had)}; nothing was changed (xe pif-reconfigure-ip gives it one)"
        )


def check_uplink(desired: Desired, observed: Topology, after: Mapping[str, Bridge]) -> None:
    """The bridge that management is on keeps a NIC that works, whatever NIC its record names (pains.md 2, a stand-in).

    Args:
        after: the bridges once the transaction is made.

    Raises:
        InUseError: it would not, and management stays there.
    """
    device = desired.management_device
    before, left = _nics_below(device, observed.bridges, observed), _nics_below(device, after, observed)
    if before is None or left is None:
        return
    left -= {key.name for key in desired.topology.absent if key.kind is ObjectKind.LINK}
    taken = before - left
    works = left
    if desired.management is None and _with_carrier(taken, observed):
        # no deadman looks whether management still answers
        works = _with_carrier(left, observed)
    if taken and not works:
        raise InUseError(
            f"management is on {device}, which would lose {', '.join(sorted(taken))}, its last NIC that works; nothing "
            "was changed"
        )


def _nics_below(device: str, bridges: Mapping[str, Bridge], observed: Topology) -> set[str] | None:
    """NICs that are there and on the bridge that has the device; None where no bridge has it."""
    bridge = next((bridge for bridge in bridges.values() if device in bridge.ports), None)
    if bridge is None:
        return None
    names = {name for port in bridge.ports.values() for name in port.interfaces}
    return {name for name in names if name in observed.links and observed.links[name].physical}


def _with_carrier(nics: Collection[str], observed: Topology) -> set[str]:
    return {name for name in nics if observed.links[name].carrier is True}


def _check_nic(link: Link, desired: Desired, observed: Topology, made: frozenset[str]) -> list[str]:
    present = observed.links.get(link.name)
    if present is None:
        if link.name in made:
            return []
        raise _absent(link.name)
    if link.expected_mac is None or present.mac == link.expected_mac:
        return []
    other = next((nic.name for nic in observed.links.values() if nic.physical and nic.mac == link.expected_mac), None)
    if other is not None and _are_in_one_bond(link.name, other, desired):
        return [f"{link.name} has MAC {present.mac}, and {other} that of its PIF: one bond has both, so they do"]
    if other is not None:
        raise DeviceAbsentError(
            f"{link.name} has MAC {present.mac}, but its PIF's MAC {link.expected_mac} is that of {other}: the NICs "
            "are named otherwise than XAPI knows them; nothing was changed"
        )
    return [f"{link.name} has MAC {present.mac}, not {link.expected_mac} as its PIF says; used by its name"]


def _are_in_one_bond(first: str, second: str, desired: Desired) -> bool:
    return any(
        {first, second} <= port.interfaces.keys()
        for bridge in desired.topology.bridges.values()
        for port in bridge.ports.values()
    )


def _check_virtual_functions(desired: Desired, observed: Topology) -> list[str]:
    warnings: list[str] = []
    for device in sorted(desired.virtual_functions):
        if device not in observed.links:
            raise _absent(device)
        if observed.links[device].virtual_functions is None:
            warnings.append(
                f"the kernel shows no SR-IOV on {device}, so it gets no virtual functions: "
                "its driver knows none, or BIOS or firmware have it off (sriov_totalvfs 0)"
            )
    return warnings + [
        f"the virtual functions of {device} stay: one is set aside for guests, or no run of ours gave them"
        for device in sorted(desired.released_functions & observed.links.keys())
        if observed.links[device].virtual_functions and not observed.links[device].functions_are_spare
    ]


def _absent(device: str) -> DeviceAbsentError:
    return DeviceAbsentError(f"network device {device} is not on this host; nothing was changed")


def _made_by_plan(desired: Desired) -> frozenset[str]:
    """Devices that come into being by the plan: VLAN netdevs, ports of type internal, bonds' own devices."""
    made = {link.name for link in desired.topology.links.values() if link.parent is not None}
    for bridge in desired.topology.bridges.values():
        for port in bridge.ports.values():
            made |= {name for name, item in port.interfaces.items() if item.type == "internal"}
            if port.bond_fake_iface is True:
                made.add(port.name)
    return frozenset(made)


def _check_ports_going(desired: Desired, observed: Topology) -> None:
    for key in sorted(desired.topology.absent):
        if key.kind is not ObjectKind.BRIDGE or key.name in desired.moves:
            continue
        ports = [port for port in _ports_going_with(key.name, desired.ownership, observed) if _is_there(port, observed)]
        if ports:
            names = ", ".join(sorted(port.name for port in ports))
            raise InUseError(
                f"bridge {key.name} carries {names}: taking it down would cut them off; nothing was changed "
                "(--even-if-in-use goes on regardless)"
            )


def _warn_of_settings(desired: Desired, observed: Topology) -> list[str]:
    """A bridge that comes back is made anew: what others set on it, and cannot go along, is theirs to set again."""
    ports = {name for bridge in desired.topology.bridges.values() for name in bridge.ports if name != bridge.name}
    going = {key.name for key in desired.topology.absent if key.kind is ObjectKind.BRIDGE} | ports
    warnings: list[str] = []
    for name in sorted(going & observed.bridges.keys()):
        target = desired.moves.get(name)
        taking = None if target is None else observed.bridges.get(target, Bridge(name=target))
        left = left_behind(observed.bridges[name], taking)
        if left:
            warnings.append(f"bridge {name} goes, and what others set on it with it: {', '.join(left)}")
    return warnings


def _ports_going_with(name: str, ownership: Ownership, observed: Topology) -> list[Port]:
    """Ports of VIFs and of others that are deleted with a bridge; those of others only with a real one."""
    if name in observed.bridges:
        ports = observed.bridges[name].ports.values()
        return [port for port in ports if port.name != name and (is_vif_port(port) or _is_of_others(port, ownership))]
    for bridge in observed.bridges.values():
        port = bridge.ports.get(name)
        if port is not None and is_vlan_bridge(port):
            return [other for other in ports_of_vlan_bridge(bridge, port) if is_vif_port(other)]
    return []


def _is_of_others(port: Port, ownership: Ownership) -> bool:
    """Whether it is none of ours, nor has a NIC of ours, such as that of a bond whose record is gone."""
    return not owns_port(port, ownership) and ownership.devices.isdisjoint(port.interfaces)


def _is_there(port: Port, observed: Topology) -> bool:
    """Whether it carries anything: a port of a netdev that is gone does not; patch and tunnel ports need none."""
    return any(item.type not in {"", "system"} or item.name in observed.links for item in port.interfaces.values())
