"""Wanted topologies of many PIFs -> the one topology in which all are up. Pure.

For `check_drift.py`: beside hundreds of VLANs one plan for all takes as long as one for each takes for two of them.
"""

from __future__ import annotations

from collections.abc import Iterable

from xsagent.desired.draft import Draft
from xsagent.errors import InputError
from xsagent.topology.desired import Desired
from xsagent.topology.values import Topology


def merge_desired(several: Iterable[Desired]) -> Desired | None:
    """All of them in one; None where two want different things of one object, so that only one by one is right."""
    draft, merged = Draft(), Desired(topology=Topology())
    try:
        for desired in several:
            if not _put(draft, desired.topology):
                return None
            draft.moves |= desired.moves
            draft.riders |= desired.riders
            draft.virtual_functions |= desired.virtual_functions
            merged = Desired(
                topology=merged.topology,
                ownership=desired.ownership,
                management=merged.management or desired.management,
            )
    except InputError:
        return None
    topology = draft.as_topology()
    gone = {key.name for key in topology.absent}
    return Desired(
        topology=topology,
        moves={name: target for name, target in draft.moves.items() if name in gone},
        riders={name: mtu for name, mtu in draft.riders.items() if name not in topology.links},
        virtual_functions=frozenset(draft.virtual_functions),
        ownership=merged.ownership,
        management=merged.management,
    )


def _put(draft: Draft, topology: Topology) -> bool:
    """Whether it agrees with what is in the draft already."""
    for bridge in topology.bridges.values():
        draft.put_bridge(bridge)
    for link in topology.links.values():
        draft.put_link(link)
    for name, device in topology.ip_devices.items():
        if draft.ip_devices.setdefault(name, device) != device:
            return False
    for path, text in topology.files.items():
        if draft.files.setdefault(path, text) != text:
            return False
    if topology.resolver is not None:
        if draft.resolver not in {None, topology.resolver}:
            return False
        draft.resolver = topology.resolver
    draft.absent |= topology.absent
    return True
