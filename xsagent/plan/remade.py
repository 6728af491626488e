"""Devices that a transaction takes from the kernel, and the steps that bring back what was configured on them. Pure.

A port of type internal that leaves its bridge loses its netdev, even where the same transaction puts one of its name
on another bridge: the new one is down and bare (vswitchd/bridge.c, bridge_delete_or_reconfigure_ports()). So the plan
configures such a device afresh, and the undo of the transaction brings back more than rows. Used by `plan/diff.py`
and the parts that it calls once `plan/ovsdb.py` has the operations.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from xsagent.plan.learnt_routes import is_learnt
from xsagent.plan.steps import AddressStep, FeaturesStep, LinkStep, RouteStep, StartDhcpStep, Step, SysctlStep
from xsagent.topology.values import Bridge, DhcpClient, Interface, IpDevice, Link, Origin, Topology


def lost_devices(before: Mapping[str, Bridge], after: Mapping[str, Bridge]) -> frozenset[str]:
    """Devices of the switch that are gone, or made anew, once `before` has become `after`."""
    old, new = _switch_devices(before), _switch_devices(after)
    return frozenset(name for name, bridge in old.items() if new.get(name) != bridge)


def devices_of_switch(after: Mapping[str, Bridge]) -> frozenset[str]:
    """Devices of the switch that are there afterwards, whether new or old."""
    return frozenset(_switch_devices(after))


def without_devices(observed: Topology, lost: frozenset[str]) -> Topology:
    """The host as it is when devices are configured: what the transaction takes away, or makes anew, is bare."""
    return replace(
        observed,
        links={name: link for name, link in observed.links.items() if name not in lost},
        ip_devices={name: device for name, device in observed.ip_devices.items() if name not in lost},
    )


def goes_with_device(step: Step, made: frozenset[str]) -> Step:
    """The step, its undo without what the undo of the transaction does already: taking a device away, and all it got.

    A step without undo does not wait for the disk before its effect, while the host is without its address.

    Args:
        made: devices that the transaction makes, or makes anew.
    """
    if not isinstance(step, AddressStep | RouteStep) or step.device not in made:
        return step
    elsewhere = (
        undo for undo in step.undo if not (isinstance(undo, AddressStep | RouteStep) and undo.device == step.device)
    )
    return replace(step, undo=tuple(elsewhere))


def restore_link(name: str, observed: Topology) -> tuple[Step, ...]:
    """Steps that make a new device's link what the old one's was; none where there was none."""
    link = observed.links.get(name)
    if link is None:
        return ()
    steps: list[Step] = [
        LinkStep(
            device=name,
            mtu=link.mtu if isinstance(link.mtu, int) else None,
            up=link.up is True,
            reason="the switch made the device anew",
        )
    ]
    if link.features:
        steps.append(FeaturesStep(device=name, features=link.features, required=False))
    if link.sysctls:
        steps.append(SysctlStep(values=link.sysctls, reason=f"kernel settings of {name}"))
    return tuple(steps)


def restore_ip(name: str, observed: Topology, *, leased: bool = True) -> tuple[Step, ...]:
    """Steps that put back a device's addresses, routes and DHCP clients; what routers gave comes by itself.

    A device that was down had addresses at most.

    Args:
        leased: with the addresses of its leases; a client that is started beside this brings its own.
    """
    device, link = observed.ip_devices.get(name), observed.links.get(name)
    if device is None or link is None:
        return ()
    reason = "the switch made the device anew"
    steps: list[Step] = []
    origins = {Origin.STATIC, Origin.DHCP} if leased else {Origin.STATIC}
    own = tuple(item for item in device.addresses if item.origin in origins)
    if own:
        steps.append(AddressStep(device=name, add=own, reason=reason))
    if link.up is not True:
        return tuple(steps)
    routes = tuple(route for route in device.routes if not is_learnt(route))
    if routes:
        steps.append(RouteStep(device=name, add=routes, reason=reason, restores=True))
    steps += [StartDhcpStep(device=name, client=client, reason=reason) for client in running_clients(device)]
    return tuple(steps)


def restore_riders(name: str, observed: Topology) -> tuple[Step, ...]:
    """Steps that bring back VLAN netdevs on a device that was down for a while and is up again.

    The kernel takes them down with it, so that their routes and IPv6 addresses go, and raises all of them again, also
    one that was down; none is ever wider than the device (net/8021q/vlan.c, vlan_device_event()).
    """
    steps = tuple(restore_rider_widths(name, observed))
    for rider in _riders(name, observed):
        steps += restore_ip(rider.name, observed) if rider.up is True else (LinkStep(device=rider.name, up=False),)
    return steps


def restore_rider_widths(name: str, observed: Topology) -> Iterator[Step]:
    """Steps that widen VLAN netdevs on a device again: the kernel narrows them with it."""
    for rider in _riders(name, observed):
        if isinstance(rider.mtu, int):
            yield LinkStep(device=rider.name, mtu=rider.mtu, required=False)


def widen_riders_again(step: Step, observed: Topology) -> Step:
    """The step whose undo also widens what rides on a device that it makes narrower."""
    if not isinstance(step, LinkStep) or step.mtu is None or not step.undo:
        return step
    return replace(step, undo=(*step.undo, *restore_rider_widths(step.device, observed)))


def restore_widths(before: Mapping[str, Bridge], after: Mapping[str, Bridge], observed: Topology) -> Iterator[Step]:
    """For the undo: MTUs that the switch set because a row asked for them; without the request it leaves them."""
    lost, old, new = lost_devices(before, after), _interfaces(before), _interfaces(after)
    for name in sorted(old.keys() | new.keys()):
        link = observed.links.get(name)
        asked = {item.mtu_request for item in (old.get(name), new.get(name)) if item is not None}
        if link is None or name in lost or not isinstance(link.mtu, int):
            continue
        if any(isinstance(width, int) and width != link.mtu for width in asked):
            yield LinkStep(device=name, mtu=link.mtu)
            yield from restore_rider_widths(name, observed)


def running_clients(device: IpDevice) -> Iterator[DhcpClient]:
    """DHCP clients of ours that run on a device."""
    yield from (client for client in (device.dhcp4, device.dhcp6) if client is not None and client.running)


def _riders(name: str, observed: Topology) -> list[Link]:
    return sorted((link for link in observed.links.values() if link.parent == name), key=lambda link: link.name)


def _switch_devices(bridges: Mapping[str, Bridge]) -> dict[str, str]:
    """Netdevs that the switch makes, with the bridge each is on: internal ports and bonds' own devices."""
    found: dict[str, str] = {}
    for bridge in bridges.values():
        for port in bridge.ports.values():
            if port.bond_fake_iface is True and len(port.interfaces) > 1:
                found[port.name] = bridge.name
            found |= {name: bridge.name for name, item in port.interfaces.items() if item.type == "internal"}
    return found


def _interfaces(bridges: Mapping[str, Bridge]) -> dict[str, Interface]:
    return {
        name: item
        for bridge in bridges.values()
        for port in bridge.ports.values()
        for name, item in port.interfaces.items()
    }
