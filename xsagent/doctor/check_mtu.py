"""The MTU of a whole stack: NIC >= bond >= VLAN >= IP device >= VIF, and what a tunnel adds (features.md 8). Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Final

from xsagent.doctor.facts import Facts, Wanted
from xsagent.doctor.findings import Finding, Severity
from xsagent.doctor.lookup import nic_ports, pif_of_device, upper_devices
from xsagent.doctor.mend import command, up
from xsagent.plan.widths import within_carriers
from xsagent.topology.ownership import NETWORK_MARK, is_vif_port
from xsagent.topology.values import Bridge, Interface, IpAddress, Link

_OVERHEAD: Final = {"gre": 42, "vxlan": 50, "geneve": 50, "stt": 76, "ip6gre": 62, "erspan": 50}
"""Bytes that a tunnel puts before each frame, IPv4 outside (features.md section 8)."""
_ESP: Final = 54
"""The most that IPsec adds to that: ESP with AES-CBC and its padding (RFC 4303)."""
_LONGER_IPV6: Final = 20


def check_mtu(facts: Facts) -> Iterator[Finding]:
    """Devices whose MTU is not their network's, or is larger than what they ride on."""
    yield from _against_records(facts)
    for bridge in facts.topology.bridges.values():
        yield from _chain(facts, bridge)
        for port in bridge.ports.values():
            for interface in port.interfaces.values():
                yield from _tunnel(facts, bridge, interface)


def mtu_of(facts: Facts, device: str) -> int | None:
    """The MTU that a netdev has; None without such a device."""
    link = facts.topology.links.get(device)
    return link.mtu if link is not None and isinstance(link.mtu, int) else None


def _against_records(facts: Facts) -> Iterator[Finding]:
    said: set[str] = set()
    for wanted in facts.wanted:
        if wanted.desired is None:
            continue
        _, narrowed, _ = within_carriers(wanted.desired, facts.topology, facts.plan_options)
        for link in wanted.desired.topology.links.values():
            present = mtu_of(facts, link.name)
            if not isinstance(link.mtu, int) or present is None or _is_as_wanted(link, present) or link.name in said:
                continue
            said.add(link.name)  # a VLAN's ``up`` configures its carrier too
            is_narrowed = present == narrowed.get(link.name)
            yield _differs(facts, wanted, link.name, present, link.mtu, is_narrowed=is_narrowed)


def _is_as_wanted(link: Link, present: int) -> bool:
    return present == link.mtu or (link.mtu_is_least and isinstance(link.mtu, int) and present > link.mtu)


def _differs(facts: Facts, wanted: Wanted, device: str, present: int, mtu: int, *, is_narrowed: bool) -> Finding:
    """One that `up` leaves so is information: what is below it has a finding of its own."""
    refused = facts.plan_options.refuses_mtu(device, mtu)
    why = ", which its driver refused" if refused else ", and what carries it is no wider" if is_narrowed else ""
    stays = refused or is_narrowed
    return Finding(
        id="mtu-differs",
        severity=Severity.INFO if stays else Severity.WARNING,
        subject=device,
        problem=f"its MTU is {present}, its network's is {mtu}{why}",
        reason="larger packets are dropped without a word"
        if present < mtu
        else "it sends packets that others on the network drop",
        mend=() if stays else (up(facts, wanted.pif),),
    )


def _chain(facts: Facts, bridge: Bridge) -> Iterator[Finding]:
    below = {name: mtu_of(facts, name) for port in nic_ports(facts, bridge) for name in port.interfaces}
    sizes = {name: size for name, size in below.items() if size is not None}
    if not sizes:
        return
    lowest = min(sizes, key=lambda name: (sizes[name], name))
    vifs = [port.name for port in bridge.ports.values() if is_vif_port(port)]
    for device in (*upper_devices(bridge), *vifs):
        size = mtu_of(facts, device)
        if size is not None and size > sizes[lowest]:
            mend = _shorten(facts, device, lowest, size, sizes[lowest])
            yield Finding(
                id="mtu-chain",
                severity=Severity.WARNING,
                subject=device,
                problem=f"its MTU is {size}, that of {lowest} below it is {sizes[lowest]}",
                reason="its larger packets are dropped without a word",
                mend=mend,
                by_hand="" if mend else "give its network an MTU in XAPI that the wire has, and plug the VIF again",
            )


def _shorten(facts: Facts, device: str, below: str, size: int, room: int) -> tuple[str, ...]:
    """Raise what is below where its record wants that; else lower what is above, unless the toolstack wants it so."""
    pif = pif_of_device(facts, below)
    for wanted in facts.wanted:
        link = wanted.desired.topology.links.get(below) if wanted.desired is not None else None
        if pif is not None and link is not None and isinstance(link.mtu, int) and link.mtu >= size:
            return (up(facts, wanted.pif),)
    if device in facts.topology.bridges:
        return (command("ovs-vsctl", "set", "Interface", device, f"mtu_request={room}"),)
    if any(one.device == device and one.vif is not None and one.vif.mtu == size for one in facts.vifs):
        return ()  # the toolstack's word: hotplug sets it again
    return (command("ip", "link", "set", "dev", device, "mtu", str(room)),)


def _tunnel(facts: Facts, bridge: Bridge, interface: Interface) -> Iterator[Finding]:
    overhead = _OVERHEAD.get(str(interface.type))
    inner = mtu_of(facts, bridge.name)
    transport, room = _transport(facts, interface)
    if overhead is None or inner is None or room is None:
        return
    protected = any(key in interface.options for key in ("psk", "remote_cert", "remote_name"))
    added = overhead + (_ESP if protected else 0) + (_LONGER_IPV6 if ":" in _remote(interface) else 0)
    if inner + added <= room:
        return
    yield Finding(
        id="tunnel-mtu",
        severity=Severity.WARNING,
        subject=interface.name,
        problem=f"frames of bridge {bridge.name} (MTU {inner}) and {added} bytes of {interface.type} "
        f"do not fit into the MTU {room} of {transport}",
        reason="large packets through the tunnel are fragmented or dropped",
        mend=_fit(bridge, room - added),
    )


def _fit(bridge: Bridge, room: int) -> tuple[str, ...]:
    networks = [uuid for uuid in (bridge.external_ids.get(NETWORK_MARK) or "").split(";") if uuid]
    shorten = command("ovs-vsctl", "set", "Interface", bridge.name, f"mtu_request={room}")
    return (*(command("xe", "network-param-set", f"uuid={uuid}", f"MTU={room}") for uuid in networks[:1]), shorten)


def _remote(interface: Interface) -> str:
    return interface.options.get("remote_ip") or ""


def _transport(facts: Facts, interface: Interface) -> tuple[str, int | None]:
    """The device that leads to the tunnel's other end, by the host's routes, and its MTU."""
    try:
        remote = ipaddress.ip_address(_remote(interface))
    except ValueError:  # `flow`, or none: the controller says where; management's way is the likely one
        device = facts.management_device()
    else:
        device = _device_to(facts, remote)
    return device, mtu_of(facts, device)


def _device_to(facts: Facts, remote: IpAddress) -> str:
    ways = [
        (route.destination.prefixlen, name)
        for name, device in facts.topology.ip_devices.items()
        for route in device.routes
        if route.destination.version == remote.version and remote in route.destination
    ]
    ways += [
        (address.interface.network.prefixlen, name)
        for name, device in facts.topology.ip_devices.items()
        for address in device.addresses
        if address.interface.version == remote.version and remote in address.interface.network
    ]
    return max(ways, default=(0, ""))[1]
