"""Desired x observed -> Plan: the planner's one entry. Pure.

Called by the flow (`xsagent/reconfigure.py`) before applying, and again after it to verify: a plan that is empty, or
holds best-effort steps alone, means that the host is what was wanted. Here the parts of the planner are put in order.
"""

from __future__ import annotations

from dataclasses import replace

from xsagent.plan.all_links import diff_links
from xsagent.plan.check import check_host, check_management, check_uplink, usable_ip_devices
from xsagent.plan.displacing import leave_out_routes, take_away, without_left_out
from xsagent.plan.ifcfg import diff_files
from xsagent.plan.ip_devices import diff_ip_devices
from xsagent.plan.leftovers import give_up_addresses, without_leftovers
from xsagent.plan.moved_along import move_along
from xsagent.plan.options import PlanOptions
from xsagent.plan.order import Phases, order_steps
from xsagent.plan.ovsdb import diff_ovsdb
from xsagent.plan.ovsdb_model import model_operations
from xsagent.plan.remade import devices_of_switch, goes_with_device, lost_devices, without_devices
from xsagent.plan.steps import (
    FileStep,
    IgmpQueryStep,
    OvsdbStep,
    Plan,
    ResolverStep,
    Step,
    UpdateIssueStep,
    VirtualFunctionsStep,
)
from xsagent.plan.switch import switch_steps
from xsagent.plan.widths import only_narrows, with_narrow_files, within_carriers
from xsagent.topology.desired import Desired
from xsagent.topology.network_scripts import SYSCONFIG_NETWORK
from xsagent.topology.values import Origin, Topology


def build_plan(desired: Desired, observed: Topology, options: PlanOptions) -> Plan:
    """Steps that lead from the observed host to the desired one, each with its undo.

    Raises:
        DeviceAbsentError, ForeignObjectError, InUseError: it cannot be done without harm; nothing was changed.
    """
    # what this host can have of it
    desired, given_up = without_leftovers(desired, observed, options.shared)
    desired, narrowed, tight = within_carriers(desired, observed, options)
    present, warnings = check_host(desired, observed, options)
    # with members that are not there: the switch takes them in when they appear
    operations, relied = diff_ovsdb(desired, observed)
    # what the transaction does to devices
    bridges = model_operations(operations, observed.bridges)
    lost, remaining = lost_devices(observed.bridges, bridges), devices_of_switch(bridges)
    bare = without_devices(observed, lost)
    check_management(present, observed, lost - remaining)
    check_uplink(present, observed, bridges)
    present, passed_over = usable_ip_devices(present, observed, lost - remaining)
    present, left_out, without_routes = leave_out_routes(present, observed, lost - remaining)
    cleared = without_left_out(observed, left_out)
    # the steps
    phases = Phases()
    transaction = OvsdbStep(
        operations=operations,
        relied=relied,
        reason="the switch's configuration",
        required=not only_narrows(operations, narrowed),
    )
    phases.switch += switch_steps(present, observed, bridges, transaction)
    phases.before += _virtual_function_steps(present, observed)
    phases.after += _query_steps(present, observed)
    diff_links(present, observed, lost, options, phases)
    phases.retire += take_away(left_out, bare)
    phases.retire += give_up_addresses(present, bare, options.shared)
    passed_over += diff_ip_devices(present.topology, cleared, lost, phases)
    made = lost_devices(bridges, observed.bridges)
    phases.addresses = [goes_with_device(step, made) for step in phases.addresses]
    passed_over += move_along(present.topology, cleared, lost, remaining, phases)
    phases.files += diff_files(present.topology, observed, with_narrow_files(cleared, narrowed))
    loses_addresses = any(_has_addresses(name, observed) for name in lost)
    if phases.addresses or phases.retire or loses_addresses:
        phases.after.append(UpdateIssueStep(reason="addresses changed", required=False))
    warnings += given_up + tight + passed_over + without_routes
    is_up = _is_management_up(present, observed) or loses_addresses
    plan = order_steps(phases, present.management, warnings, is_up=is_up)
    return replace(plan, steps=tuple(map(_as_help, plan.steps))) if options.at_boot else plan


def _as_help(step: Step) -> Step:
    """The step as best effort, where its failure keeps no device down."""
    helps = isinstance(step, ResolverStep) or (isinstance(step, FileStep) and step.path == SYSCONFIG_NETWORK)
    return replace(step, required=False) if helps else step


def _is_management_up(desired: Desired, observed: Topology) -> bool:
    link = observed.links.get(desired.management.device) if desired.management is not None else None
    return link is not None and link.up is True


def _has_addresses(name: str, observed: Topology) -> bool:
    device = observed.ip_devices.get(name)
    return device is not None and any(item.origin is not Origin.LINK_LOCAL for item in device.addresses)


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
