"""Desired x observed -> the desired state in which no VLAN's device is wider than what carries it. Pure.

`plan/diff.py` calls it first: how wide a carrier is that the operation leaves alone, the host alone tells (features.md
section 8). What the device would send beyond that, the NIC drops; of a VLAN netdev the kernel refuses it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from xsagent.topology.desired import Desired
from xsagent.topology.network_scripts import ifcfg_path, with_mtu
from xsagent.topology.ownership import is_vlan_bridge
from xsagent.topology.values import Bridge, Topology


def within_carriers(desired: Desired, observed: Topology) -> tuple[Desired, tuple[str, ...]]:
    """VLAN devices as wide as wanted and as their carriers allow, with a warning for each that is narrowed.

    Of `riders` only those are left that are on what the operation speaks about.
    """
    warnings: list[str] = []
    topology = desired.topology
    for name, carriers in _carriers(topology).items():
        wanted, width = topology.links[name].mtu, _width(carriers, topology, observed)
        if isinstance(wanted, int) and width is not None and wanted > width:
            topology = _narrowed(topology, name, width)
            below = ", ".join(sorted(carriers))
            warnings.append(f"{name} gets MTU {width}, not {wanted}: {below} below it is no wider")
    riders = _riders(desired, observed)
    topology = replace(topology, files={**_rider_files(riders, observed), **topology.files})
    return replace(desired, topology=topology, riders=riders), tuple(warnings)


def _carriers(topology: Topology) -> dict[str, frozenset[str]]:
    """The NICs below each wanted VLAN device: its parent, or those of its bridge."""
    found = {link.name: frozenset({link.parent}) for link in topology.links.values() if link.parent is not None}
    for bridge in topology.bridges.values():
        uplinks = _uplinks(bridge)
        found |= {
            port.name: uplinks for port in bridge.ports.values() if is_vlan_bridge(port) and port.name in topology.links
        }
    return found


def _uplinks(bridge: Bridge) -> frozenset[str]:
    interfaces = [item for port in bridge.ports.values() for item in port.interfaces.values()]
    return frozenset(item.name for item in interfaces if item.type == "")


def _width(carriers: Iterable[str], topology: Topology, observed: Topology) -> int | None:
    """The narrowest NIC as it will be; None where nothing is known of one."""
    widths = []
    for name in carriers:
        both = (topology.links.get(name), observed.links.get(name))
        widths += [link.mtu for link in both if link is not None and isinstance(link.mtu, int)][:1]
    return min(widths, default=None)


def _narrowed(topology: Topology, name: str, width: int) -> Topology:
    """Link, request and file alike: an ifup would widen it again."""
    links = {**topology.links, name: replace(topology.links[name], mtu=width)}
    files, path = dict(topology.files), ifcfg_path(name)
    if (text := files.get(path)) is not None:
        files[path] = with_mtu(text, width)
    bridges = {other.name: _with_request(other, name, width) for other in topology.bridges.values()}
    return replace(topology, links=links, files=files, bridges=bridges)


def _with_request(bridge: Bridge, name: str, width: int) -> Bridge:
    port = bridge.ports.get(name)
    if port is None:
        return bridge
    interfaces = {key: replace(item, mtu_request=width) for key, item in port.interfaces.items()}
    return replace(bridge, ports={**bridge.ports, name: replace(port, interfaces=interfaces)})


def _rider_files(riders: Mapping[str, int], observed: Topology) -> dict[str, str | None]:
    """Their files, where they have any: an ifup would set the width of before."""
    texts = {name: observed.files.get(ifcfg_path(name)) for name in riders}
    return {ifcfg_path(name): with_mtu(text, riders[name]) for name, text in texts.items() if text is not None}


def _riders(desired: Desired, observed: Topology) -> dict[str, int]:
    topology = desired.topology
    holders = {
        name: _uplinks(topology.bridges[bridge.name])
        for bridge in observed.bridges.values()
        if bridge.name in topology.bridges
        for name in desired.riders.keys() & bridge.ports.keys()
    }
    for name in desired.riders.keys() & observed.links.keys():
        parent = observed.links[name].parent
        if parent is not None and parent in topology.links:
            holders[name] = frozenset({parent})
    widths = {name: _width(carriers, topology, observed) for name, carriers in holders.items()}
    return {name: min(desired.riders[name], width) for name, width in widths.items() if width is not None}
