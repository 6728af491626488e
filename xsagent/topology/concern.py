"""Desired -> what of the switch must be known to compare it with: ports by name, tags, whole bridges. Pure.

`plan/ovsdb.py` looks at nothing else (a property test holds it to that), so `observed/ovsdb.py` reads nothing else:
one VLAN more beside 500 others costs what it costs beside none.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from xsagent.topology.desired import Desired
from xsagent.topology.ownership import NETWORK_MARK, is_vlan_bridge
from xsagent.topology.values import Bridge, ObjectKind


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchConcern:
    """What an operation looks at; the rows of real bridges themselves are always known.

    Attributes:
        names: ports and interfaces by name, wherever they are; a port comes with its interfaces, an interface with its
            port, a VLAN bridge with the ports of its tag.
        tags: of VLANs: every port with such a tag.
        bridges: bridges of which, where one is a real one, each port counts: it may go, and take them along.
        uplinks, staying: as `left_bridges`: each port of such a bridge counts.
    """

    names: frozenset[str] = frozenset()
    tags: frozenset[int] = frozenset()
    bridges: frozenset[str] = frozenset()
    uplinks: Mapping[str, str] = field(default_factory=dict)
    staying: frozenset[str] = frozenset()


def concern_of(desired: Desired) -> SwitchConcern | None:
    """What planning this desired state, and verifying it, looks at.

    None: everything, where a NIC is to be in no bridge, and the one that it is in may go with all its ports.
    """
    topology = desired.topology
    if any(key.kind is ObjectKind.PORT for key in topology.absent):
        return None
    ports = [port for bridge in topology.bridges.values() for port in bridge.ports.values()]
    vlan_bridges = [port for port in ports if is_vlan_bridge(port)]
    names = {name for port in ports for name in (port.name, *port.interfaces)}
    uplinks = desired.ownership.uplinks
    names |= {*topology.bridges, *topology.links, *topology.ip_devices, *(key.name for key in topology.absent)}
    names |= desired.virtual_functions | desired.released_functions | desired.riders.keys()
    if names & uplinks:
        names |= uplinks | ({desired.management_device} - {""})
    if desired.management is not None:
        names |= {desired.management.device, *desired.management.ports}
    dropped = {key.name for key in topology.absent if key.kind is ObjectKind.BRIDGE}
    return SwitchConcern(
        names=frozenset(names),
        tags=frozenset(port.tag for port in vlan_bridges if isinstance(port.tag, int)),
        bridges=frozenset(dropped | {port.name for port in vlan_bridges}),
        uplinks=uplink_targets(desired),
        staying=staying_bridges(desired),
    )


def uplink_targets(desired: Desired) -> dict[str, str]:
    """NICs that are to be in a bridge, alone or in a bond, each with its bridge."""
    return {
        name: bridge.name
        for bridge in desired.topology.bridges.values()
        for port in bridge.ports.values()
        for name, interface in port.interfaces.items()
        if interface.type == ""
    }


def staying_bridges(desired: Desired) -> frozenset[str]:
    """Bridges that stay though their uplink leaves them: others' word decides of those that a record names."""
    topology, ownership = desired.topology, desired.ownership
    spoken_about = topology.bridges.keys() | {key.name for key in topology.absent if key.kind is ObjectKind.BRIDGE}
    return frozenset(spoken_about | ownership.bridges | ownership.internal)


def left_bridges(uplinks: Mapping[str, str], staying: Collection[str], bridges: Mapping[str, Bridge]) -> dict[str, str]:
    """Bridges with a network's mark that no record names and whose uplink goes elsewhere, each with that bridge.

    A bond of which a member stays there is an uplink still.
    """
    found: dict[str, str] = {}
    for bridge in bridges.values():
        if bridge.name in staying or NETWORK_MARK not in bridge.external_ids:
            continue
        for port in bridge.ports.values():
            if port.interfaces and port.interfaces.keys() <= uplinks.keys():
                found[bridge.name] = uplinks[min(port.interfaces)]
    return found


def devices_of(concern: SwitchConcern, bridges: Mapping[str, Bridge]) -> frozenset[str]:
    """Netdevs that such an operation looks at, beside VLAN netdevs and those that others' routes lead through.

    Args:
        concern: what it looks at.
        bridges: the switch, read for this concern.
    """
    ports = [port for bridge in bridges.values() for port in bridge.ports.values()]
    return concern.names | bridges.keys() | {name for port in ports for name in (port.name, *port.interfaces)}
