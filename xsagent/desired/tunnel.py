"""A tunnel's access PIF: a bridge without ports of ours; the SDN controller adds its own (features.md section 3). Pure.

build.py makes the bridge with bridge.py; here is what is worth a warning.
"""

from __future__ import annotations

from typing import Final

from xsagent.desired.kind import label
from xsagent.desired.mtu import wanted_mtu
from xsagent.desired.notes import Notes
from xsagent.desired.scene import Scene, has_ip
from xsagent.model.records import Pif

_OVERHEAD: Final = {"gre": 42, "vxlan": 50}
"""Bytes that the outer headers take (features.md section 8)."""


def check_tunnel(scene: Scene, pif: Pif, notes: Notes) -> None:
    """Warn when the transport cannot carry the tunnel's frames."""
    for ref in pif.tunnel_access_of:
        tunnel = scene.snapshot.tunnels.get(ref)
        transport = scene.snapshot.pifs.get(tunnel.transport_pif) if tunnel else None
        if tunnel is None or transport is None:
            notes.warn("check_tunnel", label(pif), f"its tunnel {ref} or the tunnel's transport PIF is in no record")
            continue
        if not has_ip(transport):
            notes.warn("check_tunnel", label(pif), f"its transport {label(transport)} has no IP configuration")
        inner, outer = wanted_mtu(scene, pif, notes), wanted_mtu(scene, transport, notes)
        overhead = _OVERHEAD.get(tunnel.protocol, max(_OVERHEAD.values()))
        if inner + overhead > outer:
            text = f"MTU {inner} and {overhead} bytes of {tunnel.protocol} do not fit into the transport's {outer}"
            notes.warn("check_tunnel", label(pif), text)
