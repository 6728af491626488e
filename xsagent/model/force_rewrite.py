"""The words of ``--force BRIDGE rewrite`` to the Snapshot of one management interface, every value checked. Pure.

Called by the command with its options, and by `sources/` with those of management.conf and network-reset, which say
the same things in other spellings; the Snapshot is then written as the cache, or booted from.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from typing import Final, TypeVar

from xsagent.errors import InputError
from xsagent.model.one_pif import IpChoice, ManagementChoice, build_management_snapshot
from xsagent.model.records import UNTAGGED, AddressType, IpMode, Ipv6Mode
from xsagent.model.snapshot import Snapshot
from xsagent.model.values import (
    parse_device_name,
    parse_domains,
    parse_host_list,
    parse_ipv4_host,
    parse_ipv4_interface,
    parse_ipv6,
    parse_ipv6_interface,
    parse_mac,
    parse_vlan_tag,
    shown,
)

MacOf = Callable[[str], str | None]
"""The MAC that a NIC of this host has; None when there is no such NIC, empty when that does not matter."""

_T = TypeVar("_T")
_IP_MODES: Final = {"dhcp": IpMode.DHCP, "static": IpMode.STATIC, "none": IpMode.NONE}
_IPV6_MODES: Final = {
    "none": Ipv6Mode.NONE,
    "dhcp": Ipv6Mode.DHCP,
    "static": Ipv6Mode.STATIC,
    "autoconf": Ipv6Mode.AUTOCONF,
}
_BOND_MODES: Final = ("balance-slb", "active-backup", "lacp")
_DEFAULT_BOND: Final = "bond0"


def build_one_pif_snapshot(
    bridge: str,
    options: Mapping[str, str],
    mac_of: MacOf,
    *,
    source: str = "--force rewrite",
    prefer_ipv6: bool = False,
) -> Snapshot:
    """The Snapshot that these options describe; nothing is read or written but through `mac_of`.

    Args:
        bridge: bridge of the management network.
        options: by name as on the command line without dashes: device, mac, mode, ip, netmask, gateway, vlan, dns,
            domain, mode-v6, ipv6, gateway-v6, bond-mode, bond-members. An empty value is as good as none. A mac that
            is no MAC (``x``) means the one that the device has.
        mac_of: asked for MACs that the options do not give.
        source: Snapshot.source.
        prefer_ipv6: the primary address is the IPv6 one where there are both.

    Raises:
        InputError: a value is wrong or missing; the sentence names the option.
    """
    given = {name: text.strip() for name, text in options.items() if text.strip()}
    _named("bridge", lambda: parse_device_name(bridge))
    device, members, bond_mode = _devices(given)
    ip = _ip_choice(given, prefer_ipv6=prefer_ipv6)
    choice = ManagementChoice(
        bridge=bridge,
        device=device,
        ip=ip,
        members=members,
        bond_mode=bond_mode,
        macs=_macs(given, device, members, mac_of),
        vlan=_named("--vlan", lambda: parse_vlan_tag(given["vlan"])) if "vlan" in given else UNTAGGED,
    )
    return build_management_snapshot(choice, source, _unused(given, ip))


def _named(option: str, parse: Callable[[], _T]) -> _T:
    try:
        return parse()
    except InputError as error:
        raise InputError(f"{option}: {error}; nothing was changed") from error


def _word(option: str, text: str, words: Mapping[str, _T]) -> _T:
    if text.lower() not in words:
        raise InputError(f"{option}: {shown(text)} is none of {', '.join(words)}; nothing was changed")
    return words[text.lower()]


def _needed(given: Mapping[str, str], name: str, with_what: str) -> str:
    if name not in given:
        raise InputError(f"--{name} is needed with {with_what}; nothing was changed")
    return given[name]


def _devices(given: Mapping[str, str]) -> tuple[str, tuple[str, ...], str]:
    """Device, bond members, bond mode; without a bond the last two are empty."""
    if "bond-members" not in given:
        if "bond-mode" in given:
            raise InputError("--bond-mode: there are no --bond-members; nothing was changed")
        name = _needed(given, "device", "rewrite")
        return _named("--device", lambda: parse_device_name(name)), (), ""
    words = given["bond-members"].replace(",", " ").split()
    members = _named("--bond-members", lambda: tuple(map(parse_device_name, words)))
    if len(set(members)) < len(members):
        raise InputError(f"--bond-members: {shown(given['bond-members'])} names one twice; nothing was changed")
    mode = _word("--bond-mode", given.get("bond-mode", _BOND_MODES[0]), {mode: mode for mode in _BOND_MODES})
    device = given.get("device", _DEFAULT_BOND)
    if device in members:  # the first member: how the installer labels a bond
        device = _DEFAULT_BOND
    return _named("--device", lambda: parse_device_name(device)), members, mode


def _macs(given: Mapping[str, str], device: str, members: tuple[str, ...], mac_of: MacOf) -> dict[str, str]:
    """A bond has the MAC of its first member unless one is given (Bond.auto_update_mac)."""
    macs = {member: mac_of(member) or "" for member in members}
    try:
        own: str | None = parse_mac(given.get("mac", ""))
    except InputError:
        own = macs[members[0]] if members else mac_of(device)
    if own is None:
        raise InputError(
            f"--mac: {shown(given.get('mac', ''))} is not a MAC address, and this host has no NIC {device} "
            "to take one from; nothing was changed"
        )
    return {**macs, device: own}


def _ip_choice(given: Mapping[str, str], *, prefer_ipv6: bool) -> IpChoice:
    if "mode" not in given and "mode-v6" not in given:
        raise InputError("--mode or --mode-v6 is needed; nothing was changed")
    mode = _word("--mode", given.get("mode", "none"), _IP_MODES)
    mode_v6 = _word("--mode-v6", given.get("mode-v6", "none"), _IPV6_MODES)
    only_ipv6 = mode is IpMode.NONE and mode_v6 is not Ipv6Mode.NONE
    ip, netmask, gateway = _static_ipv4(given) if mode is IpMode.STATIC else ("", "", "")
    ipv6, ipv6_gateway = _static_ipv6(given) if mode_v6 is Ipv6Mode.STATIC else ((), "")
    return IpChoice(
        ip_mode=mode,
        ip=ip,
        netmask=netmask,
        gateway=gateway,
        dns=",".join(map(str, _named("--dns", lambda: parse_host_list(given.get("dns", ""))))),
        domain=",".join(_named("--domain", lambda: parse_domains(given.get("domain", "")))),
        ipv6_mode=mode_v6,
        ipv6=ipv6,
        ipv6_gateway=ipv6_gateway,
        primary_address_type=AddressType.IPV6 if only_ipv6 or prefer_ipv6 else AddressType.IPV4,
    )


def _static_ipv4(given: Mapping[str, str]) -> tuple[str, str, str]:
    ip, netmask = _needed(given, "ip", "--mode=static"), _needed(given, "netmask", "--mode=static")
    _named("--ip", lambda: parse_ipv4_host(ip))
    interface = _named("--ip and --netmask", lambda: parse_ipv4_interface(ip, netmask))
    if "gateway" not in given:
        return str(interface.ip), str(interface.netmask), ""
    gateway = _named("--gateway", lambda: parse_ipv4_host(given["gateway"]))
    _check_gateway("--gateway", gateway, interface)
    return str(interface.ip), str(interface.netmask), str(gateway)


def _static_ipv6(given: Mapping[str, str]) -> tuple[tuple[str, ...], str]:
    text = _needed(given, "ipv6", "--mode-v6=static")
    interface = _named("--ipv6", lambda: parse_ipv6_interface(text))
    if "gateway-v6" not in given:
        return (str(interface),), ""
    gateway = _named("--gateway-v6", lambda: parse_ipv6(given["gateway-v6"]))
    if not gateway.is_link_local:
        _check_gateway("--gateway-v6", gateway, interface)
    return (str(interface),), str(gateway)


def _check_gateway(
    option: str,
    gateway: ipaddress.IPv4Address | ipaddress.IPv6Address,
    interface: ipaddress.IPv4Interface | ipaddress.IPv6Interface,
) -> None:
    """A gateway that is not on the link cannot be set as one: found here, not when the host is cut off."""
    if gateway not in interface.network:
        raise InputError(f"{option}: {gateway} is not in the subnet {interface.network}; nothing was changed")
    if gateway == interface.ip:
        raise InputError(f"{option}: {gateway} is the host's own address; nothing was changed")


def _unused(given: Mapping[str, str], ip: IpChoice) -> tuple[str, ...]:
    """Options that the chosen modes do not look at, as warnings."""
    names: list[str] = []
    if ip.ip_mode is not IpMode.STATIC:
        names += [name for name in ("ip", "netmask", "gateway") if name in given]
    if ip.ipv6_mode is not Ipv6Mode.STATIC:
        names += [name for name in ("ipv6", "gateway-v6") if name in given]
    return tuple(f"--{name} was passed over: its mode is not static" for name in names)
