"""Names of devices and bridges -> the PIFs, bridges and NICs that they belong to. Pure.

What several checks ask of Facts.
"""

from __future__ import annotations

from collections.abc import Iterator

from xsagent.desired.kind import is_tagged
from xsagent.doctor.facts import Facts
from xsagent.model.records import Network, Pif
from xsagent.topology.ownership import is_vlan_bridge
from xsagent.topology.text import is_bond
from xsagent.topology.values import Bridge, Port


def pif_on_bridge(facts: Facts, bridge: str) -> Pif | None:
    """The PIF of this host on the network with this bridge; None without such a record."""
    snapshot = facts.records.snapshot
    if snapshot is None or not bridge:
        return None
    return next((pif for pif in snapshot.pifs.values() if snapshot.bridge_of(pif) == bridge), None)


def internal_network_on_bridge(facts: Facts, bridge: str) -> Network | None:
    """The managed network with this bridge where no PIF of this host is on it; None without such a record."""
    snapshot = facts.records.snapshot
    if snapshot is None or not bridge or pif_on_bridge(facts, bridge) is not None:
        return None
    return next((one for one in snapshot.networks.values() if one.managed and one.bridge == bridge), None)


def pif_of_device(facts: Facts, device: str) -> Pif | None:
    """The PIF of a NIC or bond whose ``up`` configures the device: for a bond's member the bond's."""
    snapshot = facts.records.snapshot
    if snapshot is None:
        return None
    found = next((pif for pif in snapshot.pifs.values() if pif.device == device and not is_tagged(pif)), None)
    bond = snapshot.bond_with_member(found) if found is not None else None
    return snapshot.pifs.get(bond.pif, found) if bond is not None else found


def real_bridge(facts: Facts, name: str) -> Bridge | None:
    """The real bridge of that name, or the one that carries the VLAN bridge of that name."""
    bridges = facts.topology.bridges
    if name in bridges:
        return bridges[name]
    return next((bridge for bridge in bridges.values() if name in bridge.ports), None)


def management_bridge(facts: Facts) -> Bridge | None:
    """The real bridge below management; None where it has none."""
    return real_bridge(facts, facts.management_device())


def nic_ports(facts: Facts, bridge: Bridge) -> Iterator[Port]:
    """Ports of NICs and bonds; a port counts when one of its netdevs is a NIC, or is recorded as one."""
    recorded = recorded_nics(facts)
    for port in bridge.ports.values():
        links = (facts.topology.links.get(name) for name in port.interfaces)
        physical = any(link is not None and link.physical for link in links)
        if not is_vlan_bridge(port) and (physical or is_bond(port) or recorded & set(port.interfaces)):
            yield port


def recorded_nics(facts: Facts) -> frozenset[str]:
    """Device names of physical PIFs."""
    snapshot = facts.records.snapshot
    return (
        frozenset(pif.device for pif in snapshot.pifs.values() if pif.physical) if snapshot is not None else frozenset()
    )


def is_below_management(facts: Facts, bridge: Bridge) -> bool:
    """Whether this is the bridge that carries management."""
    below = management_bridge(facts)
    return below is not None and below.name == bridge.name


def upper_devices(bridge: Bridge) -> Iterator[str]:
    """The bridge's own device and those of the VLAN bridges on it: what can have addresses."""
    yield bridge.name
    yield from (port.name for port in bridge.ports.values() if is_vlan_bridge(port))
