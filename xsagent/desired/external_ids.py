"""Which networks a bridge stands for: xs-network-uuids (features.md section 12). Pure.

Read by bridge.py and vlan.py, and by `rewrite`, which sets this key of every bridge.
"""

from __future__ import annotations

from xsagent.desired.scene import Scene
from xsagent.model.records import Pif


def network_uuids(scene: Scene, pif: Pif) -> str:
    """Value for a real bridge: the PIF's own network first, then those of the VLANs on it, sorted, attached or not.

    A tunnel's bridge has exactly one: XO's SDN plugin compares the whole value with a uuid.
    """
    networks = scene.snapshot.networks
    own = scene.network_of(pif).uuid
    refs = {vlan.network for vlan in scene.snapshot.vlan_pifs_on(pif) if vlan.network is not None}
    above = {networks[ref].uuid for ref in refs if ref in networks}
    return ";".join([own, *sorted(above - {own})])


def own_network_uuid(scene: Scene, pif: Pif) -> str:
    """Value for a VLAN bridge: its own network alone."""
    return scene.network_of(pif).uuid
