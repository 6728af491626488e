"""IP configuration -> the files of the network scripts: ifcfg-DEV, route-DEV, /etc/sysconfig/network. Pure.

Keys and their order are the legacy scripts' (features.md section 4); every value is safe to be sourced by a shell
(legacy-faults F02). Used by ip.py and build.py with `ip_backend` ifcfg.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from xsagent.desired.ethtool import OFFLOADS
from xsagent.topology.network_scripts import ifcfg_paths
from xsagent.topology.values import IPV4, IPV6, IpAddress, IpDevice, Route

_FIRST_BOOT_TIMEOUT_S: Final = 240
_ETHTOOL_S: Final = ("speed", "duplex", "autoneg", "advertise", "wol")
"""Settings that ethtool -s takes, so that ETHTOOL_OPTS can hold them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IfcfgFacts:
    """What the files of one device say.

    Attributes:
        gateways: the record's, whichever device has the role: ifup leaves them out by GATEWAYDEV.
        mtu: bytes.
        is_vlan_netdev: the device is an 8021q netdev.
    """

    device: IpDevice
    gateways: tuple[IpAddress, ...] = ()
    mtu: int
    servers: tuple[IpAddress, ...] = ()
    search: tuple[str, ...] = ()
    features: Mapping[str, bool] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    is_vlan_netdev: bool = False
    first_boot: bool = False


def ifcfg_files(facts: IfcfgFacts) -> dict[str, str | None]:
    """The device's files by path; route6-DEV only where there are IPv6 routes."""
    paths = ifcfg_paths(facts.device.device)
    routes6 = _route_text(facts.device, IPV6)
    return dict(zip(paths, (_ifcfg_text(facts), _route_text(facts.device, IPV4), routes6 or None), strict=True))


def set_role(text: str, key: str, device: str | None) -> str:
    """/etc/sysconfig/network with DNSDEV or GATEWAYDEV naming `device`, or nobody (None).

    All lines with the key go, the new one takes the place of the first (legacy-faults F26); others stay as they are.
    """
    pattern = _assignment(key)
    line = None if device is None else f"{key}={shlex.quote(device)}"
    lines: list[str] = []
    for present in text.splitlines():
        if not pattern.match(present):
            lines.append(present)
        elif line is not None:
            lines.append(line)
            line = None
    if line is not None:
        lines.append(line)
    return "".join(f"{line}\n" for line in lines)


def role_holders(text: str, key: str) -> frozenset[str]:
    """Devices that any line of /etc/sysconfig/network gives the role to."""
    values = [match[1] for line in text.splitlines() if (match := _assignment(key).match(line))]
    return frozenset(value.strip().strip("\"'") for value in values)


def _assignment(key: str) -> re.Pattern[str]:
    return re.compile(rf"\s*(?:export\s+)?{key}=(.*)")


def _ifcfg_text(facts: IfcfgFacts) -> str:
    return "".join(f"{line}\n" for line in _lines(facts))


def _lines(facts: IfcfgFacts) -> Iterator[str]:
    yield "XEMANAGED=yes"
    yield f"DEVICE={shlex.quote(facts.device.device)}"
    yield "ONBOOT=no"
    yield "NOZEROCONF=yes"
    yield "TYPE=Ethernet"
    if facts.is_vlan_netdev:
        yield "VLAN=yes"
    yield from _ipv4_lines(facts)
    yield from _ipv6_lines(facts)
    if options := " ".join(f"{name} {facts.settings[name]}" for name in _ETHTOOL_S if name in facts.settings):
        yield f'ETHTOOL_OPTS="{options}"'
    switches = (f"{name} {'on' if facts.features[name] else 'off'}" for name in OFFLOADS if name in facts.features)
    if offloads := " ".join(switches):
        yield f'ETHTOOL_OFFLOAD_OPTS="{offloads}"'
    yield f"MTU={facts.mtu}"
    for number, server in enumerate(facts.servers, start=1):
        yield f"DNS{number}={server}"
    if facts.search:
        yield f"DOMAIN='{' '.join(facts.search)}'"


def _ipv4_lines(facts: IfcfgFacts) -> Iterator[str]:
    if facts.device.ipv4_mode == "dhcp":
        yield "BOOTPROTO=dhcp"
        yield "PERSISTENT_DHCLIENT=yes"
        if facts.first_boot:
            yield f'DHCLIENTARGS="-T {_FIRST_BOOT_TIMEOUT_S}"'
        return
    yield "BOOTPROTO=none"
    for address in facts.device.addresses:
        if address.interface.version == IPV4:
            yield f"NETMASK={address.interface.netmask}"
            yield f"IPADDR={address.interface.ip}"
    for gateway in facts.gateways:
        if gateway.version == IPV4:
            yield f"GATEWAY={gateway}"


def _ipv6_lines(facts: IfcfgFacts) -> Iterator[str]:
    """Keys of initscripts' sysconfig.txt; the legacy scripts wrote none, so mode None writes none either."""
    mode = facts.device.ipv6_mode
    if mode not in {"static", "autoconf", "dhcp"}:
        return
    yield "IPV6INIT=yes"
    yield f"IPV6_AUTOCONF={'yes' if mode == 'autoconf' else 'no'}"
    if mode == "dhcp":
        yield "DHCPV6C=yes"
    addresses = [str(address.interface) for address in facts.device.addresses if address.interface.version == IPV6]
    if addresses:
        yield f"IPV6ADDR={addresses[0]}"
    if addresses[1:]:
        yield f"IPV6ADDR_SECONDARIES='{' '.join(addresses[1:])}'"
    for gateway in facts.gateways:
        if gateway.version == IPV6:
            yield f"IPV6_DEFAULTGW={gateway}"


def _route_text(device: IpDevice, family: int) -> str:
    routes = [route for route in device.routes if route.destination.version == family and route.destination.prefixlen]
    return "".join(f"{_route_line(route, device.device)}\n" for route in routes)


def _route_line(route: Route, device: str) -> str:
    via = "" if route.gateway is None else f" via {route.gateway}"
    return f"{route.destination}{via} dev {device}"
