"""A NIC whose network has no bridge any more, and the bridge that it is in -> the desired state without that. Pure.

`plan/diff.py` calls it before anything is compared. Which bridge that is no record says: its name went with the record.
"""

from __future__ import annotations

from dataclasses import replace

from xsagent.topology.desired import Desired
from xsagent.topology.network_scripts import ifcfg_paths
from xsagent.topology.ownership import owns_bridge
from xsagent.topology.values import ObjectKey, ObjectKind, Topology


def without_leftovers(desired: Desired, observed: Topology) -> Desired:
    """The desired state; also without bridges of ours that only such a NIC kept (features.md section 3, bridgeless).

    A bridge that a record names, or that is not ours, stays. So does one with ports of others, but for its address:
    with the NIC's it would be there twice, and the kernel would use the one that leads nowhere.
    """
    topology = desired.topology
    absent, files = set(topology.absent), dict(topology.files)
    nics = {key.name for key in topology.absent if key.kind is ObjectKind.PORT}
    for bridge in observed.bridges.values():
        held = nics & bridge.ports.keys()
        if not held or bridge.name in desired.ownership.bridges or not owns_bridge(bridge, desired.ownership):
            continue
        absent.add(ObjectKey(kind=ObjectKind.IP_DEVICE, name=bridge.name))
        files |= dict.fromkeys(path for path in ifcfg_paths(bridge.name) if path in observed.files)
        if bridge.ports.keys() <= {bridge.name, *held}:
            absent.add(ObjectKey(kind=ObjectKind.BRIDGE, name=bridge.name))
    return replace(desired, topology=replace(topology, absent=frozenset(absent), files=files))
