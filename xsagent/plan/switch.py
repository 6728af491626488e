"""The operations of the OVSDB transaction -> its step, with all that taking it back must bring back. Pure.

`plan/diff.py` calls it once `plan/ovsdb.py` has the operations. Beside rows that is what the kernel drops with a device
that the switch takes away (`plan/remade.py`), and management's flows on a secure bridge (`plan/secure_bridge.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from xsagent.plan.elsewhere import put_back_elsewhere
from xsagent.plan.ovsdb_model import find_interface, invert_operations
from xsagent.plan.remade import lost_devices, restore_ip, restore_link, restore_widths
from xsagent.plan.secure_bridge import restore_safety_flows, safety_steps
from xsagent.plan.steps import OvsdbStep, Step
from xsagent.topology.desired import Desired
from xsagent.topology.values import Bridge, Topology


def switch_steps(
    desired: Desired, observed: Topology, bridges: Mapping[str, Bridge], transaction: OvsdbStep
) -> list[Step]:
    """The transaction and the flows that go in right after it; flows alone where it has no operations.

    Args:
        bridges: as the transaction leaves them.
        transaction: without its ports and its undo, which it gets here.
    """
    safety = safety_steps(desired, observed, bridges)
    flows = restore_safety_flows(observed.bridges, bridges, safety)
    if not transaction.operations:
        return [replace(step, undo=tuple(undo for undo in flows if undo.bridge == step.bridge)) for step in safety]
    undo = (
        OvsdbStep(operations=invert_operations(transaction.operations, observed.bridges)),
        *flows,
        *_restore_devices(observed, bridges),
    )
    # taken back with the transaction, which may flush them again
    return [replace(transaction, ports=_ports(desired, bridges), undo=undo), *safety]


def _restore_devices(observed: Topology, bridges: Mapping[str, Bridge]) -> list[Step]:
    """What was configured on devices that the transaction takes away, and what others lose with their addresses."""
    steps: list[Step] = []
    lost = lost_devices(observed.bridges, bridges)
    for name in sorted(lost):
        steps += [*restore_link(name, observed), *restore_ip(name, observed)]
    gone = [item for name in lost & observed.ip_devices.keys() for item in observed.ip_devices[name].addresses]
    steps += put_back_elsewhere(lost, observed.ip_devices, gone)
    steps += restore_widths(observed.bridges, bridges, observed)
    return steps


def _ports(desired: Desired, bridges: Mapping[str, Bridge]) -> tuple[str, ...]:
    """The interfaces that the switch must be seen to forward for."""
    wanted = [
        name
        for bridge in desired.topology.bridges.values()
        for port in bridge.ports.values()
        for name in port.interfaces
    ]
    return tuple(sorted(name for name in wanted if find_interface(bridges, name)))
