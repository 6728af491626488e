"""All links desired x observed -> their steps, each at its time: NICs before the transaction, others after it. Pure.

`plan/diff.py` calls it; what one link needs is `plan/links.py`'s.
"""

from __future__ import annotations

from dataclasses import replace

from xsagent.plan.links import diff_link, take_link_down
from xsagent.plan.options import PlanOptions
from xsagent.plan.order import Phases
from xsagent.plan.remade import widen_riders_again, without_devices
from xsagent.plan.steps import Step, SysctlStep, WaitCarrierStep
from xsagent.topology.desired import Desired
from xsagent.topology.values import Link, ObjectKind, Topology


def diff_links(
    desired: Desired, observed: Topology, lost: frozenset[str], options: PlanOptions, phases: Phases
) -> None:
    """Put into the phases what makes the wanted links as they must be, and takes down those that must be absent.

    Args:
        lost: devices that the transaction takes away, or makes anew.
        phases: with the switch's steps.
    """
    bare = without_devices(observed, lost)
    bonds, nics = _bonds(desired), _nics(desired)
    for name in sorted(desired.topology.links):
        if name not in observed.links and _is_bond_without_device(name, observed):
            continue
        link, present = desired.topology.links[name], bare.links.get(name)
        steps = tuple(widen_riders_again(step, observed) for step in diff_link(link, present, options))
        if present is None and name in bonds:
            steps = tuple(replace(step, required=False) for step in steps)
        made_by_switch = present is None or name not in nics
        # last where there may be addresses, so that its undo comes first: none can come back while IPv6 is off
        late = [step for step in steps if _ends_ipv6(step) and name in observed.links]
        (phases.devices if made_by_switch else phases.before).extend(step for step in steps if step not in late)
        phases.after.extend(late)
    for name in sorted(desired.riders.keys() & bare.links.keys()):
        phases.devices.extend(diff_link(Link(name=name, mtu=desired.riders[name]), bare.links[name], options))
    if phases.switch:
        phases.carrier.extend(_wait_for_members(desired.topology, observed, bare, options))
    phases.after.extend(_take_absent_down(desired.topology, observed))


def _wait_for_members(desired: Topology, observed: Topology, bare: Topology, options: PlanOptions) -> list[Step]:
    """Let members that come into a bond have carrier before the switch sees them."""
    joining = {name for _, name in _bond_members(desired) - _bond_members(observed)}
    raised = [name for name in sorted(joining & desired.links.keys() & bare.links.keys()) if not _carries(bare, name)]
    if not raised:
        return []
    reason = "a member without carrier would wait for updelay"
    return [WaitCarrierStep(devices=tuple(raised), seconds=options.carrier_wait_s, required=False, reason=reason)]


def _carries(topology: Topology, name: str) -> bool:
    return topology.links[name].carrier is True


def _take_absent_down(desired: Topology, observed: Topology) -> list[Step]:
    names = {key.name for key in desired.absent if key.kind is ObjectKind.LINK}
    gone = [observed.links[name] for name in names & observed.links.keys()]
    # VLAN netdevs before the NICs below them, so that an undo raises those first
    gone.sort(key=lambda link: (link.parent is None, link.name))
    return [step for link in gone for step in take_link_down(link, observed, "no longer used")]


def _ends_ipv6(step: Step) -> bool:
    return isinstance(step, SysctlStep) and any(
        path.endswith("/disable_ipv6") and value == "1" for path, value in step.values.items()
    )


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
