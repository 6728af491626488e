"""What of a host an operation is said to look at: the same choice as the readers', made on whole values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from xsagent.observed.host import Interest
from xsagent.topology.concern import SwitchConcern, devices_of, left_bridges
from xsagent.topology.values import Bridge, IpNetwork, Origin, Port, Topology

_RTPROT_KERNEL = 2


def only_concerned_devices(
    host: Topology, concern: SwitchConcern | None, destinations: frozenset[IpNetwork]
) -> Topology:
    """The host without netdevs that do not count; its bridges were chosen before.

    A NIC that has the MAC of another one lets every netdev count; such a host is not for this.

    Args:
        destinations: of wanted routes: netdevs on such a subnet count.
    """
    if concern is None:
        return host
    kept = set(devices_of(concern, host.bridges))
    kept |= {link.name for link in host.links.values() if link.kind == "vlan"}
    kept |= {link.parent for link in host.links.values() if link.parent is not None}
    for device in host.ip_devices.values():
        counts = (route.protocol != _RTPROT_KERNEL or route.destination in destinations for route in device.routes)
        if device.dhcp4 or device.dhcp6 or any(counts):
            kept.add(device.device)
    return replace(
        host,
        links={name: link for name, link in host.links.items() if name in kept},
        ip_devices={name: device for name, device in host.ip_devices.items() if name in kept},
    )


def with_holders(concern: SwitchConcern | None, interest: Interest, host: Topology) -> SwitchConcern | None:
    """What is looked at, with devices that have an address of one that is."""
    if concern is None:
        return None
    held = {
        name: {item.interface.ip for item in device.addresses if item.origin is not Origin.LINK_LOCAL}
        for name, device in host.ip_devices.items()
    }
    wanted = interest.addresses.union(*(held.get(name, set()) for name in interest.leased))
    return replace(concern, names=concern.names | {name for name, own in held.items() if own & wanted})


def only_concerned(bridges: Mapping[str, Bridge], concern: SwitchConcern | None) -> dict[str, Bridge]:
    """The bridges with those ports alone that are concerned; all ports where a whole bridge may go."""
    if concern is None or concern.bridges & bridges.keys() or left_bridges(concern.uplinks, concern.staying, bridges):
        return dict(bridges)
    tags = set(concern.tags)
    ports = [port for bridge in bridges.values() for port in bridge.ports.values()]
    tags |= {port.tag for port in ports if port.fake_bridge is True and _is_chosen(port, concern, tags)}
    while more := {port.tag for port in ports if port.fake_bridge is True and _is_chosen(port, concern, tags)} - tags:
        tags |= more
    return {
        name: replace(
            bridge, ports={key: port for key, port in bridge.ports.items() if _is_chosen(port, concern, tags)}
        )
        for name, bridge in bridges.items()
    }


def _is_chosen(port: Port, concern: SwitchConcern, tags: set[object]) -> bool:
    by_name = port.name in concern.names or any(name in concern.names for name in port.interfaces)
    return by_name or (isinstance(port.tag, int) and port.tag in tags) or "@mirrors" in port.extra
