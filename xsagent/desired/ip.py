"""PIF -> the IP configuration of its device, its Link, its part of resolv.conf (features.md sections 4 to 7). Pure.

The last layer of the stack: build.py calls it after bridge.py and its ports. With `ip_backend` ifcfg it also calls
ifcfg.py, which writes the same facts as files.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable

from xsagent.desired.dhcp import dhcp4_client, dhcp6_client
from xsagent.desired.dns_gateway import Roles
from xsagent.desired.draft import Draft
from xsagent.desired.ethtool import bridge_features, link_settings
from xsagent.desired.ifcfg import IfcfgFacts, ifcfg_files
from xsagent.desired.ipv6 import ipv6_gateway, ipv6_sysctls, parse_ipv6_mode, static_ipv6
from xsagent.desired.kind import label, refusal
from xsagent.desired.mtu import ip_device_mtu
from xsagent.desired.notes import Notes
from xsagent.desired.routes import static_routes
from xsagent.desired.scene import Scene
from xsagent.errors import InputError
from xsagent.model.records import AddressType, IpMode, Ipv6Mode, Pif
from xsagent.model.values import parse_domains, parse_host_list, parse_ipv4_host, parse_ipv4_interface, shown
from xsagent.topology.values import (
    IPV4,
    ROUTE_PROTOCOL,
    Address,
    DhcpClient,
    IpAddress,
    IpDevice,
    IpInterface,
    Link,
    Resolver,
    Route,
)

_SEPARATORS = re.compile(r"[\s,]+")
_DOMAIN_KEY = "domain"


def build_ip_device(scene: Scene, draft: Draft, pif: Pif, roles: Roles) -> None:
    """Want the PIF's IP device configured and up, with its files or its resolver part.

    Raises:
        InputError: an IP mode or address that is none.
    """
    device = scene.ip_device_name(pif)
    build_ip_configuration(scene, draft, pif, roles)
    draft.put_link(ip_link(scene, pif, device, draft.notes, is_gateway=roles.is_gateway(pif)))


def build_ip_configuration(scene: Scene, draft: Draft, pif: Pif, roles: Roles) -> None:
    """As `build_ip_device`, for a device that is up already: its Link is not spoken about."""
    device = ip_device(scene, pif, roles, draft.notes)
    draft.put_ip_device(device)
    servers, search = name_servers(pif, draft.notes), search_domains(pif, draft.notes)
    if device.configured_by_ifcfg:
        facts = IfcfgFacts(
            device=device,
            gateways=_gateways(scene, pif, draft.notes),
            mtu=ip_device_mtu(scene, pif, draft.notes),
            servers=servers,
            search=search,
            features=_network_features(scene, pif, device.device, draft.notes),
            settings=_network_settings(scene, pif, device.device, draft.notes),
            is_vlan_netdev=scene.snapshot.vlan_of(pif) is not None and not scene.bridge_name(pif),
            first_boot=scene.host.first_boot,
        )
        draft.files.update(ifcfg_files(facts))
    elif roles.is_dns(pif) and (servers or search):
        draft.resolver = Resolver(servers=tuple(str(server) for server in servers), search=search)


def ip_device(scene: Scene, pif: Pif, roles: Roles, notes: Notes) -> IpDevice:
    """The PIF's IP configuration; InputError for an IP mode or address that is none."""
    name = scene.ip_device_name(pif)
    is_gateway, is_dns = roles.is_gateway(pif), roles.is_dns(pif)
    mode4, mode6 = _parse_ip_mode(pif), parse_ipv6_mode(pif)
    interfaces: list[IpInterface] = [*_static_ipv4(pif, mode4), *(static_ipv6(pif) if mode6 is Ipv6Mode.STATIC else ())]
    routes = [*_default_routes(scene, pif, name, notes, is_gateway=is_gateway)]
    if mode4 is not IpMode.NONE or mode6 is not Ipv6Mode.NONE:
        routes += static_routes(pif, scene.network_of(pif), name, tuple(interfaces), notes)
    ours = scene.options.ip_backend == "netlink"
    dhcp4: DhcpClient | None = None
    dhcp6: DhcpClient | None = None
    if mode4 is IpMode.DHCP and ours:
        dhcp4 = dhcp4_client(scene, name, is_gateway=is_gateway, is_dns=is_dns)
    if mode6 is Ipv6Mode.DHCP and ours:
        dhcp6 = dhcp6_client(name, is_dns=is_dns)
    return IpDevice(
        device=name,
        ipv4_mode=mode4.value.lower(),
        ipv6_mode=mode6.value.lower(),
        addresses=tuple(Address(interface=interface) for interface in interfaces),
        routes=tuple(routes),
        dhcp4=dhcp4,
        dhcp6=dhcp6,
        configured_by_ifcfg=not ours,
    )


def ip_device_routes(scene: Scene, pif: Pif, notes: Notes) -> IpDevice:
    """The static routes of a PIF that is up, and nothing else of its IP device; errors as `ip_device`."""
    name = scene.ip_device_name(pif)
    interfaces: list[IpInterface] = [*_static_ipv4(pif, _parse_ip_mode(pif))]
    if parse_ipv6_mode(pif) is Ipv6Mode.STATIC:
        interfaces += static_ipv6(pif)
    routes = static_routes(pif, scene.network_of(pif), name, tuple(interfaces), notes)
    return IpDevice(device=name, routes=routes, routes_only=True)


def ip_link(scene: Scene, pif: Pif, device: str, notes: Notes, *, is_gateway: bool) -> Link:
    """The IP device as a netdev that is up; a bridge's device has the network's offloads and settings."""
    return Link(
        name=device,
        up=True,
        mtu=ip_device_mtu(scene, pif, notes),
        features=_network_features(scene, pif, device, notes),
        settings=_network_settings(scene, pif, device, notes),
        sysctls=ipv6_sysctls(scene, pif, device, is_gateway=is_gateway),
    )


def name_servers(pif: Pif, notes: Notes) -> tuple[IpAddress, ...]:
    """Static name servers of either family, each once; an element that is no address is skipped (features section 6).

    With DHCP the server names them. A bad one is no reason to leave a host without its network.
    """
    autoconfigured = pif.ipv6_mode in {Ipv6Mode.STATIC, Ipv6Mode.AUTOCONF}
    is_static = pif.ip_mode == IpMode.STATIC
    if not is_static and not (pif.primary_address_type == AddressType.IPV6 and autoconfigured):
        return ()
    servers: dict[IpAddress, None] = {}
    for element in _elements(pif.dns):
        try:
            servers |= dict.fromkeys(parse_host_list(element))
        except InputError as error:
            notes.warn("skip_name_server", label(pif), f"its DNS servers: {error}")
    return tuple(servers)


def search_domains(pif: Pif, notes: Notes) -> tuple[str, ...]:
    """Search domains of other_config:domain, each once; an element that is none is skipped (legacy-faults F02)."""
    domains: dict[str, None] = {}
    for element in _elements(pif.other_config.get(_DOMAIN_KEY, "")):
        try:
            domains |= dict.fromkeys(parse_domains(element))
        except InputError as error:
            notes.warn("skip_domain", label(pif), f"other_config:{_DOMAIN_KEY}: {error}")
    return tuple(domains)


def _elements(text: str) -> list[str]:
    return [element for element in _SEPARATORS.split(text) if element]


def _parse_ip_mode(pif: Pif) -> IpMode:
    try:
        return IpMode(pif.ip_mode)
    except ValueError as error:
        raise refusal(pif, f"{shown(pif.ip_mode)} is not an IP configuration mode") from error


def _static_ipv4(pif: Pif, mode: IpMode) -> tuple[ipaddress.IPv4Interface, ...]:
    if mode is not IpMode.STATIC:
        return ()
    try:
        return (parse_ipv4_interface(pif.ip, pif.netmask),)
    except InputError as error:
        raise refusal(pif, error) from error


def _gateways(scene: Scene, pif: Pif, notes: Notes) -> tuple[IpAddress, ...]:
    """Gateways that the record names for its static addresses, IPv4 first.

    One that cannot be used is an error, but at boot and in an emergency (``--force``): an address without a gateway is
    better than none then.
    """
    readers: list[Callable[[], IpAddress | None]] = []
    if pif.ip_mode == IpMode.STATIC and pif.gateway:
        readers.append(lambda: _ipv4_gateway(pif))
    if pif.ipv6_mode == Ipv6Mode.STATIC:
        readers.append(lambda: ipv6_gateway(pif, static_ipv6(pif)))
    found: list[IpAddress] = []
    for read in readers:
        try:
            gateway = read()
        except InputError as error:
            if scene.origin != "force":
                raise
            notes.warn("leave_out_gateway", label(pif), error.cause)
            continue
        found += [] if gateway is None else [gateway]
    return tuple(found)


def _ipv4_gateway(pif: Pif) -> ipaddress.IPv4Address:
    (interface,) = _static_ipv4(pif, IpMode.STATIC)
    try:
        gateway = parse_ipv4_host(pif.gateway)
    except InputError as error:
        raise refusal(pif, f"its gateway: {error}") from error
    if gateway not in interface.network or gateway == interface.ip:
        raise refusal(pif, f"its gateway {gateway} is not on its subnet {interface.network}, or is its own address")
    return gateway


def _default_routes(scene: Scene, pif: Pif, device: str, notes: Notes, *, is_gateway: bool) -> list[Route]:
    gateways = _gateways(scene, pif, notes)
    if not is_gateway:
        for gateway in gateways:
            notes.decide(
                "leave_out_gateway", device, f"{gateway} is not a default route: another interface has that role"
            )
        return []
    return [
        Route(
            destination=ipaddress.ip_network("0.0.0.0/0" if gateway.version == IPV4 else "::/0"),
            gateway=gateway,
            protocol=ROUTE_PROTOCOL,
        )
        for gateway in gateways
    ]


def _network_features(scene: Scene, pif: Pif, device: str, notes: Notes) -> dict[str, bool]:
    if not scene.bridge_name(pif):
        return {}
    return bridge_features(scene.network_of(pif).other_config, device, notes)


def _network_settings(scene: Scene, pif: Pif, device: str, notes: Notes) -> dict[str, str]:
    if not scene.bridge_name(pif):
        return {}
    return link_settings(scene.network_of(pif).other_config, device, notes)
