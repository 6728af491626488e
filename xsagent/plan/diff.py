"""Desired x observed -> Plan: the planner's one entry. Pure.

Called by the flow (`xsagent/reconfigure.py`) before applying, and again after it to verify: a plan that is empty, or
holds best-effort steps alone, means that the host is what was wanted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from xsagent.plan.check import check_host
from xsagent.plan.ifcfg import diff_files, diff_ifcfg_device, remove_ifcfg_device
from xsagent.plan.ip import diff_ip_device, remove_ip_device
from xsagent.plan.links import diff_link, take_link_down
from xsagent.plan.options import PlanOptions
from xsagent.plan.order import Phases, order_steps
from xsagent.plan.ovsdb import diff_ovsdb
from xsagent.plan.ovsdb_model import apply_operation, find_interface, invert_operations
from xsagent.plan.secure_bridge import build_safety_flows
from xsagent.plan.steps import (
    LinkStep,
    OvsdbStep,
    Plan,
    ResolverStep,
    SafetyFlowsStep,
    Step,
    UpdateIssueStep,
    VirtualFunctionsStep,
    WaitCarrierStep,
)
from xsagent.topology.desired import Desired
from xsagent.topology.values import Bridge, ObjectKind, Resolver, Topology


def build_plan(desired: Desired, observed: Topology, options: PlanOptions) -> Plan:
    """Steps that lead from the observed host to the desired one, each with its undo.

    Raises:
        DeviceAbsentError, ForeignObjectError, InUseError: it cannot be done without harm; nothing was changed.
    """
    present, warnings = check_host(desired, observed, options)
    phases = Phases()
    phases.switch += _switch_steps(present, observed)
    phases.switch += _safety_steps(present, observed, phases.switch)
    phases.before += _virtual_function_steps(present, observed)
    _plan_links(present, observed, options, phases)
    _plan_ip(present, observed, phases)
    phases.files += diff_files(present.topology, observed)
    if phases.addresses or phases.retire:
        phases.after.append(UpdateIssueStep(reason="addresses changed", required=False))
    return order_steps(phases, present.management, warnings)


def _switch_steps(desired: Desired, observed: Topology) -> list[Step]:
    operations, relied = diff_ovsdb(desired, observed)
    if not operations:
        return []
    bridges = dict(observed.bridges)
    for operation in operations:
        bridges = apply_operation(operation, bridges)
    undo: tuple[Step, ...] = (OvsdbStep(operations=invert_operations(operations, observed.bridges)),)
    undo += _undo_of_devices(_internal_devices(observed.bridges) - _internal_devices(bridges), observed)
    wanted = [
        name
        for bridge in desired.topology.bridges.values()
        for port in bridge.ports.values()
        for name in port.interfaces
    ]
    ports = tuple(sorted(name for name in wanted if find_interface(bridges, name)))
    return [
        OvsdbStep(operations=operations, relied=relied, ports=ports, reason="the switch's configuration", undo=undo)
    ]


def _internal_devices(bridges: Mapping[str, Bridge]) -> set[str]:
    return {
        name
        for bridge in bridges.values()
        for port in bridge.ports.values()
        for name, interface in port.interfaces.items()
        if interface.type == "internal"
    }


def _undo_of_devices(names: set[str], observed: Topology) -> tuple[Step, ...]:
    """Devices that go with their ports come back down and with their defaults: what they were must be set again."""
    return tuple(
        LinkStep(device=name, mtu=link.mtu if isinstance(link.mtu, int) else None, up=link.up is True)
        for name in sorted(names)
        if (link := observed.links.get(name)) is not None
    )


def _safety_steps(desired: Desired, observed: Topology, switch: list[Step]) -> list[Step]:
    """Safety flows where they are not whole, and after each transaction on their bridge that may flush them."""
    wanted = build_safety_flows(desired)
    if wanted is None:
        return []
    present = observed.bridges.get(wanted.bridge)
    if not switch and present is not None and present.safety_flows == len(wanted.lines):
        return []
    # an undo of the transaction flushes them again, or keeps a bridge that had them before
    undo: tuple[Step, ...] = ()
    if present is None or not present.safety_flows:
        undo = (SafetyFlowsStep(bridge=wanted.bridge, lines=(), required=False),)
    return [
        SafetyFlowsStep(
            bridge=wanted.bridge,
            lines=wanted.lines,
            management=True,
            reason="a secure bridge forwards nothing by itself",
            undo=undo,
        )
    ]


def _virtual_function_steps(desired: Desired, observed: Topology) -> list[Step]:
    return [
        VirtualFunctionsStep(device=device, reason="an SR-IOV network is plugged")
        for device in sorted(desired.virtual_functions)
        if device in observed.links and observed.links[device].virtual_functions == 0
    ]


def _plan_links(desired: Desired, observed: Topology, options: PlanOptions, phases: Phases) -> None:
    raised: list[str] = []
    for name in sorted(desired.topology.links):
        link, present = desired.topology.links[name], observed.links.get(name)
        if present is None and _is_bond_without_device(name, observed):
            continue
        steps = diff_link(link, present, options)
        if present is None and _is_bond(name, desired):
            steps = tuple(replace(step, required=False) for step in steps)
        made_by_switch = present is None or not _is_nic(name, desired)
        (phases.devices if made_by_switch else phases.before).extend(steps)
        if present is not None and present.carrier is not True and name in _bond_members(desired):
            raised.append(name)
    if raised and phases.switch:
        phases.carrier.append(
            WaitCarrierStep(
                devices=tuple(raised),
                seconds=options.carrier_wait_s,
                required=False,
                reason="a member without carrier would wait for updelay",
            )
        )
    for key in sorted(desired.topology.absent):
        if key.kind is ObjectKind.LINK and key.name in observed.links:
            phases.after.extend(take_link_down(observed.links[key.name], "no longer used"))


def _is_bond(name: str, desired: Desired) -> bool:
    return any(
        port.name == name and port.bond_fake_iface is True
        for bridge in desired.topology.bridges.values()
        for port in bridge.ports.values()
    )


def _is_bond_without_device(name: str, observed: Topology) -> bool:
    """Whether the switch has the bond and makes no device for it: the userspace datapath does not."""
    return any(
        name in bridge.ports and bridge.ports[name].bond_fake_iface is True for bridge in observed.bridges.values()
    )


def _is_nic(name: str, desired: Desired) -> bool:
    """Whether a desired link is there before the transaction: not a bridge's internal port."""
    for bridge in desired.topology.bridges.values():
        for port in bridge.ports.values():
            if name in port.interfaces:
                return port.interfaces[name].type != "internal"
            if name == port.name:
                return False
    return True


def _bond_members(desired: Desired) -> set[str]:
    return {
        name
        for bridge in desired.topology.bridges.values()
        for port in bridge.ports.values()
        if len(port.interfaces) > 1
        for name in port.interfaces
    }


def _plan_ip(desired: Desired, observed: Topology, phases: Phases) -> None:
    for key in sorted(desired.topology.absent):
        if key.kind is ObjectKind.IP_DEVICE:
            phases.retire += remove_ifcfg_device(key.name, observed, "no longer wanted")
            if key.name in observed.ip_devices:
                phases.retire += remove_ip_device(observed.ip_devices[key.name], "no longer wanted")
    for name in sorted(desired.topology.ip_devices):
        device = desired.topology.ip_devices[name]
        if device.configured_by_ifcfg:
            before, after = diff_ifcfg_device(device, desired.topology, observed)
            phases.retire += before
            phases.addresses += after
        else:
            phases.addresses += diff_ip_device(device, observed.ip_devices.get(name))
    if desired.topology.resolver is not None and not _resolver_is_right(desired.topology.resolver, observed.resolver):
        present = observed.resolver or Resolver()
        phases.addresses.append(
            ResolverStep(
                resolver=desired.topology.resolver,
                reason="resolv.conf lacks our servers or domains",
                undo=(ResolverStep(resolver=present),),
            )
        )


def _resolver_is_right(wanted: Resolver, present: Resolver | None) -> bool:
    """Ours stand first; what DHCP or a router gave may follow."""
    if present is None or present.servers[: len(wanted.servers)] != wanted.servers:
        return False
    return not wanted.search or present.search[: len(wanted.search)] == wanted.search
