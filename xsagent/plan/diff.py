"""Desired x observed -> Plan: the planner's one entry. Pure.

Called by the flow (`xsagent/reconfigure.py`) before applying, and again after it to verify: a plan that is empty, or
holds best-effort steps alone, means that the host is what was wanted.
"""

from __future__ import annotations

from dataclasses import replace

from xsagent.plan.check import check_host, check_management, check_uplink, usable_ip_devices
from xsagent.plan.displacing import leave_out_routes, take_away, without_left_out
from xsagent.plan.ifcfg import diff_files, diff_ifcfg_device, missing_leases, move_ifcfg_client, remove_ifcfg_device
from xsagent.plan.ip import (
    bring_back_displaced,
    diff_ip_device,
    metric_of,
    put_back_elsewhere,
    remove_ip_device,
    stop_clients,
)
from xsagent.plan.leftovers import give_up_addresses, without_leftovers
from xsagent.plan.links import diff_link, take_link_down
from xsagent.plan.options import PlanOptions
from xsagent.plan.order import Phases, order_steps
from xsagent.plan.ovsdb import diff_ovsdb
from xsagent.plan.ovsdb_model import find_interface, invert_operations, model_operations
from xsagent.plan.remade import (
    devices_of_switch,
    goes_with_device,
    lost_devices,
    restore_ip,
    restore_link,
    restore_widths,
    widen_riders_again,
    without_devices,
)
from xsagent.plan.secure_bridge import restore_safety_flows, safety_steps
from xsagent.plan.steps import (
    FileStep,
    IfupStep,
    IgmpQueryStep,
    OvsdbOperation,
    OvsdbStep,
    Plan,
    Relied,
    ResolverStep,
    RouteStep,
    Step,
    SysctlStep,
    UpdateIssueStep,
    VirtualFunctionsStep,
    WaitCarrierStep,
)
from xsagent.plan.widths import Narrowed, only_narrows, with_narrow_files, within_carriers
from xsagent.topology.desired import Desired
from xsagent.topology.network_scripts import SYSCONFIG_NETWORK
from xsagent.topology.text import describe_route
from xsagent.topology.values import IpDevice, Link, ObjectKey, ObjectKind, Origin, Resolver, Topology


def build_plan(desired: Desired, observed: Topology, options: PlanOptions) -> Plan:
    """Steps that lead from the observed host to the desired one, each with its undo.

    Raises:
        DeviceAbsentError, ForeignObjectError, InUseError: it cannot be done without harm; nothing was changed.
    """
    desired, given_up = without_leftovers(desired, observed, options.shared)
    desired, narrowed, tight = within_carriers(desired, observed, options)
    present, warnings = check_host(desired, observed, options)
    warnings += given_up + tight
    # with members that are not there: the switch takes them in when they appear
    operations, relied = diff_ovsdb(desired, observed)
    bridges = model_operations(operations, observed.bridges)
    lost, remaining = lost_devices(observed.bridges, bridges), devices_of_switch(bridges)
    check_management(present, observed, lost - remaining)
    check_uplink(present, observed, bridges)
    present, passed_over = usable_ip_devices(present, observed, lost - remaining)
    present, left_out, without_routes = leave_out_routes(present, observed, lost - remaining)
    cleared = without_left_out(observed, left_out)
    phases = Phases()
    phases.switch += _switch_steps(present, observed, operations, relied, narrowed)
    phases.before += _virtual_function_steps(present, observed)
    phases.after += _query_steps(present, observed)
    _plan_links(present, observed, lost, options, phases)
    phases.retire += take_away(left_out, without_devices(observed, lost))
    phases.retire += give_up_addresses(present, without_devices(observed, lost), options.shared)
    passed_over += _plan_ip(present, cleared, lost, phases)
    made = lost_devices(bridges, observed.bridges)
    phases.addresses = [goes_with_device(step, made) for step in phases.addresses]
    passed_over += _keep_remade(present, cleared, lost, remaining, phases)
    phases.files += diff_files(present.topology, observed, with_narrow_files(cleared, narrowed))
    loses_addresses = any(_has_addresses(name, observed) for name in lost)
    if phases.addresses or phases.retire or loses_addresses:
        phases.after.append(UpdateIssueStep(reason="addresses changed", required=False))
    warnings += passed_over + without_routes
    is_up = _is_management_up(present, observed) or loses_addresses
    plan = order_steps(phases, present.management, warnings, is_up=is_up)
    return replace(plan, steps=tuple(map(_helps, plan.steps))) if options.at_boot else plan


def _helps(step: Step) -> Step:
    """As best effort, where its failure keeps no device down."""
    helps = isinstance(step, ResolverStep) or (isinstance(step, FileStep) and step.path == SYSCONFIG_NETWORK)
    return replace(step, required=False) if helps else step


def _is_management_up(desired: Desired, observed: Topology) -> bool:
    link = observed.links.get(desired.management.device) if desired.management is not None else None
    return link is not None and link.up is True


def _switch_steps(
    desired: Desired,
    observed: Topology,
    operations: tuple[OvsdbOperation, ...],
    relied: tuple[Relied, ...],
    narrowed: Narrowed,
) -> list[Step]:
    bridges = model_operations(operations, observed.bridges)
    safety = safety_steps(desired, observed, bridges)
    restored = restore_safety_flows(observed.bridges, bridges, safety)
    if not operations:
        return [replace(step, undo=tuple(undo for undo in restored if undo.bridge == step.bridge)) for step in safety]
    undo: list[Step] = [OvsdbStep(operations=invert_operations(operations, observed.bridges)), *restored]
    lost = lost_devices(observed.bridges, bridges)
    for name in sorted(lost):
        undo += [*restore_link(name, observed), *restore_ip(name, observed)]
    gone = [item for name in lost & observed.ip_devices.keys() for item in observed.ip_devices[name].addresses]
    undo += put_back_elsewhere(lost, observed.ip_devices, gone)
    undo += restore_widths(observed.bridges, bridges, observed)
    wanted = [
        name
        for bridge in desired.topology.bridges.values()
        for port in bridge.ports.values()
        for name in port.interfaces
    ]
    ports = tuple(sorted(name for name in wanted if find_interface(bridges, name)))
    return [
        OvsdbStep(
            operations=operations,
            relied=relied,
            ports=ports,
            reason="the switch's configuration",
            required=not only_narrows(operations, narrowed),
            undo=tuple(undo),
        ),
        # taken back with the transaction, which may flush them again
        *safety,
    ]


def _query_steps(desired: Desired, observed: Topology) -> list[Step]:
    """A query where guests' ports come to be listened to: with the setting, or on the bridge that takes them over."""
    taking_over = set(desired.moves.values())
    return [
        IgmpQueryStep(bridge=name, reason="multicast snooping begins", required=False)
        for name, bridge in sorted(desired.topology.bridges.items())
        if bridge.mcast_snooping is True
        and (observed.bridges[name].mcast_snooping is not True if name in observed.bridges else name in taking_over)
    ]


def _virtual_function_steps(desired: Desired, observed: Topology) -> list[Step]:
    given = {name for name in desired.virtual_functions if observed.links[name].virtual_functions == 0}
    spare = {name for name, link in observed.links.items() if link.virtual_functions and link.functions_are_spare}
    # best effort: a guest may have got one meanwhile
    take = {name: VirtualFunctionsStep(device=name, remove=True, required=False) for name in given | spare}
    give = {name: VirtualFunctionsStep(device=name) for name in given | spare}
    return [
        *(replace(give[name], reason="an SR-IOV network is plugged", undo=(take[name],)) for name in sorted(given)),
        *(
            replace(take[name], reason="no SR-IOV network uses them", undo=(give[name],))
            for name in sorted(spare & desired.released_functions)
        ),
    ]


def _plan_links(
    desired: Desired, observed: Topology, lost: frozenset[str], options: PlanOptions, phases: Phases
) -> None:
    raised: list[str] = []
    joining = {name for _, name in _bond_members(desired.topology) - _bond_members(observed)}
    bare = without_devices(observed, lost)
    bonds, nics = _bonds(desired), _nics(desired)
    for name in sorted(desired.topology.links):
        link, present = desired.topology.links[name], bare.links.get(name)
        if name not in observed.links and _is_bond_without_device(name, observed):
            continue
        steps = tuple(widen_riders_again(step, observed) for step in diff_link(link, present, options))
        if present is None and name in bonds:
            steps = tuple(replace(step, required=False) for step in steps)
        made_by_switch = present is None or name not in nics
        # last where there may be addresses, so that its undo comes first: none can come back while IPv6 is off
        late = [step for step in steps if _ends_ipv6(step) and name in observed.links]
        (phases.devices if made_by_switch else phases.before).extend(step for step in steps if step not in late)
        phases.after.extend(late)
        if present is not None and present.carrier is not True and name in joining:
            raised.append(name)
    for name in sorted(desired.riders.keys() & bare.links.keys()):
        phases.devices.extend(diff_link(Link(name=name, mtu=desired.riders[name]), bare.links[name], options))
    if raised and phases.switch:
        phases.carrier.append(
            WaitCarrierStep(
                devices=tuple(raised),
                seconds=options.carrier_wait_s,
                required=False,
                reason="a member without carrier would wait for updelay",
            )
        )
    gone = [observed.links[key.name] for key in desired.topology.absent if _is_link_of(key, observed)]
    # VLAN netdevs before the NICs below them, so that an undo raises those first
    for present in sorted(gone, key=lambda link: (link.parent is None, link.name)):
        phases.after.extend(take_link_down(present, observed, "no longer used"))


def _is_link_of(key: ObjectKey, observed: Topology) -> bool:
    return key.kind is ObjectKind.LINK and key.name in observed.links


def _ends_ipv6(step: Step) -> bool:
    return isinstance(step, SysctlStep) and any(
        path.endswith("/disable_ipv6") and value == "1" for path, value in step.values.items()
    )


def _keep_remade(
    desired: Desired, observed: Topology, lost: frozenset[str], present: frozenset[str], phases: Phases
) -> tuple[str, ...]:
    """What was configured on devices that move along, unless this operation says what they are to have.

    Warnings name what cannot be kept.

    Args:
        lost: devices that the transaction takes away, or makes anew.
        present: devices of the switch that are there afterwards.
    """
    topology = desired.topology
    gone = {key.name for key in topology.absent if key.kind is ObjectKind.IP_DEVICE}
    settable = _without_encapsulating(observed)
    warnings: list[str] = []
    for name in sorted(lost):
        if name in present and name not in topology.links:
            phases.devices += restore_link(name, observed)
        if name in topology.ip_devices or name in gone:
            continue
        before, after = move_ifcfg_client(name, observed, remains=name in present)
        if name not in present and name in observed.ip_devices:
            before += stop_clients(observed.ip_devices[name], "its device goes")
        phases.retire += (bring_back_displaced(step, observed.ip_devices) for step in before)
        phases.addresses += (bring_back_displaced(step, observed.ip_devices) for step in after)
        if name in present:
            restored = restore_ip(name, settable, leased=not after)
            steps = (_without_displaced(step, topology) for step in restored)
            phases.addresses += (step for step in steps if step is not None)
            warnings += _lost_routes(name, observed)
    return tuple(warnings)


def _lost_routes(name: str, observed: Topology) -> list[str]:
    """Routes that the kernel drops with a device which the switch makes anew, and that nobody can set again."""
    device = observed.ip_devices.get(name)
    return [
        f"the route to {describe_route(route)} goes with {name}, which the switch makes anew; set it again by hand"
        for route in (device.routes if device is not None else ())
        if route.encapsulates
    ]


def _without_encapsulating(observed: Topology) -> Topology:
    """The host without routes that wrap packets: those of a device that is made anew nobody can set again."""
    devices = {
        name: replace(device, routes=tuple(route for route in device.routes if not route.encapsulates))
        for name, device in observed.ip_devices.items()
    }
    return replace(observed, ip_devices=devices)


def _without_displaced(step: Step, topology: Topology) -> Step | None:
    """A step that restores routes, without those in whose place this operation sets others elsewhere."""
    if not isinstance(step, RouteStep):
        return step
    devices = topology.ip_devices.values()
    wanted = {(route.destination, metric_of(route)) for device in devices for route in device.routes}
    leased = any(device.dhcp4 is not None and "routers" in device.dhcp4.configuration for device in devices)
    kept = tuple(
        route
        for route in step.add
        if (route.destination, metric_of(route)) not in wanted and not (leased and route.destination.prefixlen == 0)
    )
    return replace(step, add=kept) if kept else None


def _bonds(desired: Desired) -> set[str]:
    return {
        port.name
        for bridge in desired.topology.bridges.values()
        for port in bridge.ports.values()
        if port.bond_fake_iface is True
    }


def _is_bond_without_device(name: str, observed: Topology) -> bool:
    """Whether the switch has the bond and makes no device for it: the userspace datapath does not."""
    return any(
        name in bridge.ports and bridge.ports[name].bond_fake_iface is True for bridge in observed.bridges.values()
    )


def _nics(desired: Desired) -> set[str]:
    """Desired links that are there before the transaction: not a bridge's internal port, not a bond's own device."""
    made: dict[str, bool] = {}
    for bridge in desired.topology.bridges.values():
        for port in bridge.ports.values():
            for name, interface in port.interfaces.items():
                made.setdefault(name, interface.type == "internal")
            made.setdefault(port.name, True)
    return {name for name in desired.topology.links if not made.get(name, False)}


def _bond_members(topology: Topology) -> set[tuple[str, str]]:
    """Each member of a bond with the bond's port."""
    return {
        (port.name, name)
        for bridge in topology.bridges.values()
        for port in bridge.ports.values()
        if len(port.interfaces) > 1
        for name in port.interfaces
    }


def _plan_ip(desired: Desired, observed: Topology, lost: frozenset[str], phases: Phases) -> tuple[str, ...]:
    """Returns warnings for devices that stay without one of their leases."""
    warnings: list[str] = []
    bare = without_devices(observed, lost)
    for key in sorted(desired.topology.absent):
        if key.kind is ObjectKind.IP_DEVICE:
            by_scripts = remove_ifcfg_device(key.name, desired.topology, observed, "no longer wanted")
            phases.retire += by_scripts
            if key.name in observed.ip_devices and not by_scripts:
                phases.retire += _retire_ip_device(observed.ip_devices[key.name], lost)
    for name in sorted(desired.topology.ip_devices):
        device = desired.topology.ip_devices[name]
        if device.configured_by_ifcfg:
            before, after = diff_ifcfg_device(device, desired.topology, bare)
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
    if desired.topology.resolver is not None and not _resolver_is_right(desired.topology.resolver, observed.resolver):
        present = observed.resolver or Resolver()
        phases.addresses.append(
            ResolverStep(
                resolver=desired.topology.resolver,
                reason="resolv.conf lacks our servers or domains",
                undo=(ResolverStep(resolver=present),),
            )
        )
    return tuple(warnings)


def _has_addresses(name: str, observed: Topology) -> bool:
    device = observed.ip_devices.get(name)
    return device is not None and any(item.origin is not Origin.LINK_LOCAL for item in device.addresses)


def _retire_ip_device(device: IpDevice, lost: frozenset[str]) -> tuple[Step, ...]:
    """What a device had goes; where the transaction takes the device itself, its addresses and routes work until then.

    Taken away before it, they would be missed for as long as the transaction waits for its turn.
    """
    if device.device in lost:
        return stop_clients(device, "its device goes")
    return remove_ip_device(device, "no longer wanted")


def _resolver_is_right(wanted: Resolver, present: Resolver | None) -> bool:
    """Ours stand first; what DHCP or a router gave may follow."""
    if present is None or present.servers[: len(wanted.servers)] != wanted.servers:
        return False
    return not wanted.search or present.search[: len(wanted.search)] == wanted.search
