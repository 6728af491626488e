"""Desired x observed -> the desired state in which nothing is wider than the NIC or bond that carries it. Pure.

`plan/diff.py` calls it first: how wide a carrier is that the operation leaves alone, or that refuses its MTU, the host
alone tells (features.md section 8). What a device would send beyond that, the NIC drops; of a VLAN netdev the kernel
refuses it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from xsagent.plan.options import PlanOptions
from xsagent.plan.steps import OvsdbOperation, SetColumns
from xsagent.topology.desired import Desired
from xsagent.topology.network_scripts import ifcfg_path, with_mtu
from xsagent.topology.ownership import is_vlan_bridge
from xsagent.topology.values import KEEP, Bridge, Keep, Topology

Narrowed = Mapping[str, int]
"""MTU, bytes, by device of those that are to be narrower than their network wants."""


def within_carriers(
    desired: Desired, observed: Topology, options: PlanOptions
) -> tuple[Desired, Narrowed, tuple[str, ...]]:
    """Bridges' and VLANs' devices as wide as wanted and as their carriers allow; those narrowed; a warning for each.

    Of `riders` only those are left that are on what the operation speaks about.
    """
    topology = _no_narrower(desired.topology, observed)
    above = {name: (_wanted(topology, name), below) for name, below in _carriers(topology).items()}
    riding = {name: (desired.riders[name], below) for name, below in _carriers_of_riders(desired, observed).items()}
    widths: dict[str, int] = {}
    narrowed: dict[str, int] = {}
    warnings: list[str] = []
    for name, (wanted, below) in (above | riding).items():
        width = _width(below, topology, observed, options)
        if isinstance(wanted, Keep) or width is None:
            continue
        widths[name] = min(wanted, width)
        if wanted > width:
            narrowed[name] = width
            warnings.append(f"{name} gets MTU {width}, not {wanted}: {', '.join(sorted(below))} below it is no wider")
    for name in narrowed.keys() & above.keys():
        topology = _with_width(topology, name, narrowed[name])
    riders = {name: widths[name] for name in riding.keys() & widths.keys()}
    topology = replace(topology, files={**_files(riders, observed), **topology.files})
    return replace(desired, topology=topology, riders=riders), narrowed, tuple(warnings)


def only_narrows(operations: Sequence[OvsdbOperation], narrowed: Narrowed) -> bool:
    """Whether all that a transaction does is to ask for these widths: a NIC may refuse its MTU after the first one."""
    return all(
        isinstance(operation, SetColumns)
        and operation.record in narrowed
        and operation.columns == {"mtu_request": narrowed[operation.record]}
        for operation in operations
    )


def with_narrow_files(observed: Topology, narrowed: Narrowed) -> Topology:
    """The host as it is once the files of these devices name their width."""
    return replace(observed, files={**observed.files, **_files(narrowed, observed)})


def _files(widths: Mapping[str, int], observed: Topology) -> dict[str, str | None]:
    """Files of devices, where they have any, with another width: an ifup would set the one of before."""
    texts = {name: observed.files.get(ifcfg_path(name)) for name in widths}
    return {ifcfg_path(name): with_mtu(text, widths[name]) for name, text in texts.items() if text is not None}


def _carriers(topology: Topology) -> dict[str, frozenset[str]]:
    """The NICs below each wanted VLAN netdev (its parent), VLAN bridge's device and bridge's own."""
    found = {link.name: frozenset({link.parent}) for link in topology.links.values() if link.parent is not None}
    for bridge in topology.bridges.values():
        uplinks = _uplinks(bridge)
        found |= {
            port.name: uplinks for port in bridge.ports.values() if is_vlan_bridge(port) or port.name == bridge.name
        }
    return found


def _uplinks(bridge: Bridge) -> frozenset[str]:
    interfaces = [item for port in bridge.ports.values() for item in port.interfaces.values()]
    return frozenset(item.name for item in interfaces if item.type == "")


def _wanted(topology: Topology, name: str) -> int | Keep:
    """By its link; by its row where the link is not spoken about, as that of a bridge which is only on the way."""
    if name in topology.links:
        return topology.links[name].mtu
    requests = (
        bridge.ports[name].interfaces[name].mtu_request for bridge in topology.bridges.values() if name in bridge.ports
    )
    return next((mtu for mtu in requests if mtu is not None), KEEP)


def _width(carriers: Iterable[str], topology: Topology, observed: Topology, options: PlanOptions) -> int | None:
    """The narrowest NIC as it will be: as it is where it refuses more; None where nothing is known of one."""
    widths = []
    for name in carriers:
        both = (topology.links.get(name), observed.links.get(name))
        known = [link.mtu for link in both if link is not None and isinstance(link.mtu, int)]
        widths += [mtu for mtu in known if not options.refuses_mtu(name, mtu)][:1]
    return min(widths, default=None)


def _no_narrower(topology: Topology, observed: Topology) -> Topology:
    """Of the NICs that are to have some width at least, those that have more are left alone in that."""
    for link in topology.links.values():
        present = observed.links.get(link.name)
        if present is None or not link.mtu_is_least or not isinstance(link.mtu, int):
            continue
        if isinstance(present.mtu, int) and present.mtu > link.mtu:
            topology = _with_width(topology, link.name, KEEP)
    return topology


def _with_width(topology: Topology, name: str, width: int | Keep) -> Topology:
    """Link, request and file alike: an ifup would set another again."""
    links, files = dict(topology.links), dict(topology.files)
    if name in links:
        links[name] = replace(links[name], mtu=width)
    if isinstance(width, int) and (text := files.get(ifcfg_path(name))) is not None:
        files[ifcfg_path(name)] = with_mtu(text, width)
    bridges = {other.name: _with_request(other, name, width) for other in topology.bridges.values()}
    return replace(topology, links=links, files=files, bridges=bridges)


def _with_request(bridge: Bridge, name: str, width: int | Keep) -> Bridge:
    ports = {
        port.name: replace(
            port, interfaces={**port.interfaces, name: replace(port.interfaces[name], mtu_request=width)}
        )
        for port in bridge.ports.values()
        if name in port.interfaces
    }
    return replace(bridge, ports={**bridge.ports, **ports})


def _carriers_of_riders(desired: Desired, observed: Topology) -> dict[str, frozenset[str]]:
    """The NICs below each rider that is there."""
    topology = desired.topology
    found = {
        name: _uplinks(topology.bridges[bridge.name])
        for bridge in observed.bridges.values()
        if bridge.name in topology.bridges
        for name in desired.riders.keys() & bridge.ports.keys()
    }
    for name in desired.riders.keys() & observed.links.keys():
        parent = observed.links[name].parent
        if parent is not None and parent in topology.links:
            found[name] = frozenset({parent})
    return found
