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
    devices = {
        f"{pif.device}.{pif.vlan}" if is_tagged(pif) else pif.device
        for pif in snapshot.pifs.values()
        if pif.managed and not snapshot.is_tunnel_access(pif)
    }
    return Ownership(bridges=frozenset(bridges), devices=frozenset(devices - {""}))
