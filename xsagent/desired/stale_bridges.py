"""Which bridges of the boot before go at the first start of a boot (features.md section 23). Pure.

XAPI expects no bridge then: it brings up what it wants. `xsagent/boot.py` asks before ovs-vswitchd starts.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from xsagent.topology.ownership import NETWORK_MARK
from xsagent.topology.values import Bridge


def choose_stale_bridges(
    bridges: Mapping[str, Bridge], which: str, devices: Collection[str]
) -> tuple[frozenset[str], frozenset[str]]:
    """The bridges to delete, and those that stay.

    Args:
        bridges: real ones, by name; VLAN bridges go with the one that they ride on.
        which: the setting boot_delete_bridges: ``all``, ``marked`` or ``none``.
        devices: of PIFs: a bridge that holds one stands in the way of what the boot brings up.
    """
    if which == "none":
        stale: frozenset[str] = frozenset()
    elif which == "all":
        stale = frozenset(bridges)
    else:
        stale = frozenset(name for name, bridge in bridges.items() if _is_marked(bridge, devices))
    return stale, frozenset(bridges) - stale


def _is_marked(bridge: Bridge, devices: Collection[str]) -> bool:
    if NETWORK_MARK in bridge.external_ids:
        return True
    return any(interface in devices for port in bridge.ports.values() for interface in port.interfaces)
