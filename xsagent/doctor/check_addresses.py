"""Addresses held twice, gateways that are silent (pains.md 1 and 6). Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from xsagent.desired.kind import label
from xsagent.doctor.facts import Facts
from xsagent.doctor.findings import Finding, Severity
from xsagent.doctor.mend import command
from xsagent.model.records import IpMode, Pif
from xsagent.topology.values import IPV4, IPV6, Address, IpAddress, IpDevice, Origin, Route


def check_addresses(facts: Facts) -> Iterator[Finding]:
    """One address on two devices, in two records, or on another host; gateways without an answer, or one too many."""
    yield from _on_two_devices(facts)
    yield from _in_two_records(facts)
    yield from _elsewhere(facts)
    if facts.switch_read:  # behind a dead switch nobody answers
        yield from _gateways(facts)
    for version in (IPV4, IPV6):
        yield from _default_routes(facts, version)


def _on_two_devices(facts: Facts) -> Iterator[Finding]:
    holders: Mapping[IpAddress, dict[str, Address]] = defaultdict(dict)
    for name, device in facts.topology.ip_devices.items():
        for address in device.addresses:
            if address.origin is not Origin.LINK_LOCAL and not address.interface.is_loopback:
                holders[address.interface.ip][name] = address
    management = facts.management_device()
    for ip, found in holders.items():
        if len(found) < 2:  # noqa: PLR2004 - twice
            continue
        keeper = _rightful(facts, ip, sorted(found))
        others = [name for name in sorted(found) if name != keeper]
        is_management = management in found
        yield Finding(
            id="management-address-twice" if is_management else "address-twice",
            severity=Severity.ERROR,
            subject=str(ip),
            problem=f"it is on {' and on '.join(sorted(found))}; {keeper} should have it",
            reason="answers leave by the wrong device, so that this host is unreachable by turns",
            mend=tuple(command("ip", "address", "del", str(found[name].interface), "dev", name) for name in others),
        )


def _rightful(facts: Facts, ip: IpAddress, holders: list[str]) -> str:
    """Management, if it should have the address; else the device whose record says so; else the first."""
    snapshot = facts.records.snapshot
    management, device = facts.management(), facts.management_device()
    if device in holders and (
        management is None or management.ip in {str(ip), ""} or management.ip_mode == IpMode.DHCP
    ):
        return device
    for pif in snapshot.pifs.values() if snapshot is not None else ():
        name = snapshot.bridge_of(pif) or pif.device if snapshot is not None else ""
        if name in holders and (pif.ip == str(ip) or any(str(ip) == text.partition("/")[0] for text in pif.ipv6)):
            return name
    return device if device in holders else holders[0]


def _in_two_records(facts: Facts) -> Iterator[Finding]:
    snapshot = facts.records.snapshot
    holders: dict[str, list[Pif]] = defaultdict(list)
    for pif in snapshot.pifs.values() if snapshot is not None else ():
        if pif.ip_mode == IpMode.STATIC and pif.ip and pif.managed:
            holders[pif.ip].append(pif)
    for ip, pifs in holders.items():
        keeper = next((pif for pif in pifs if pif.management), pifs[0])
        others = [pif for pif in pifs if pif.ref != keeper.ref]
        if others:
            yield Finding(
                id="address-recorded-twice",
                severity=Severity.WARNING,
                subject=ip,
                problem=f"{label(keeper)} and {', '.join(map(label, others))} all have it as static address",
                reason="after a reboot it may be on the wrong one, or on both",
                mend=tuple(command("xe", "pif-reconfigure-ip", f"uuid={pif.uuid}", "mode=none") for pif in others),
            )


def _elsewhere(facts: Facts) -> Iterator[Finding]:
    for (device, ip), mac in facts.probes.holders.items():
        yield Finding(
            id="address-of-another-host",
            severity=Severity.ERROR,
            subject=str(ip),
            problem=f"the host with MAC {mac} answers for it on the network of {device}",
            reason="traffic for this host goes there by turns",
            by_hand=f"find that host by its MAC and give one of the two another address ({device} is ours)",
        )


def _gateways(facts: Facts) -> Iterator[Finding]:
    for (device, gateway), answered in facts.probes.gateways.items():
        if answered:
            continue
        is_management = device == facts.management_device()
        is_default = any(
            route.gateway == gateway and route.destination.prefixlen == 0
            for route in facts.topology.ip_devices.get(device, IpDevice(device=device)).routes
        )
        yield Finding(
            id="gateway-silent",
            severity=Severity.ERROR if is_management and is_default else Severity.WARNING,
            subject=str(gateway),
            problem=f"it does not answer {'ARP' if gateway.version == IPV4 else 'neighbour discovery'} on {device}",
            reason="whatever lies behind it cannot be reached",
            by_hand="check the gateway, the VLAN of the switch's port and the netmask",
        )


def _default_routes(facts: Facts, version: int) -> Iterator[Finding]:
    """A default route that wins over the one that is wanted (pains.md 8)."""
    found = {
        name: min(route.metric for route in routes)
        for name, device in facts.topology.ip_devices.items()
        if (routes := [route for route in device.routes if _is_default(route, version)])
    }
    keeper = _gateway_device(facts, version)
    winners = sorted(name for name, metric in found.items() if keeper in found and metric <= found[keeper])
    if len(winners) > 1:
        others = [name for name in winners if name != keeper]
        yield Finding(
            id="default-route-twice",
            severity=Severity.ERROR if keeper == facts.management_device() else Severity.WARNING,
            subject=f"IPv{version}",
            problem=f"default routes lead through {' and '.join(winners)}; {keeper} should have it",
            reason="answers of this host leave by the wrong device",
            mend=tuple(command("ip", f"-{version}", "route", "del", "default", "dev", name) for name in others),
        )


def _is_default(route: Route, version: int) -> bool:
    return route.destination.prefixlen == 0 and route.destination.version == version


def _gateway_device(facts: Facts, version: int) -> str:
    """The device that a record gives a default route to; else management's, whose lease or router names one."""
    for wanted in facts.wanted:
        for name, device in wanted.desired.topology.ip_devices.items() if wanted.desired is not None else ():
            if any(_is_default(route, version) for route in device.routes):
                return name
    return facts.management_device()
