"""Snapshot -> the names that its records claim (DESIGN.md rule 4). Pure.

Part of every Desired; also what `xsagent show` marks foreign objects by.
"""

from __future__ import annotations

from xsagent.desired.kind import is_tagged
from xsagent.model.snapshot import Snapshot
from xsagent.topology.desired import Ownership


def ownership_of(snapshot: Snapshot) -> Ownership:
    """Bridges of networks that this host's PIFs are on, and devices of its NICs, bonds and VLANs.

    A tunnel's device is no netdev, and a controller may have a port of that name: it is not claimed. Nor is that of an
    unmanaged PIF, which XAPI leaves to others.
    """
    bridges = {snapshot.bridge_of(pif) for pif in snapshot.pifs.values()} - {""}
    ours = [pif for pif in snapshot.pifs.values() if pif.device and pif.managed and not snapshot.is_tunnel_access(pif)]
    uplinks = frozenset(pif.device for pif in ours if not is_tagged(pif))
    vlans = frozenset(f"{pif.device}.{pif.vlan}" for pif in ours if is_tagged(pif))
    internal = {network.bridge for network in snapshot.networks.values()} - bridges - {""}
    return Ownership(bridges=frozenset(bridges), devices=uplinks | vlans, uplinks=uplinks, internal=frozenset(internal))
