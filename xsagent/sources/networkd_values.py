"""Values in xcp-networkd's JSON to plain types, in the spellings of every generation. Pure.

Used by `networkd_db`. Pair lists are objects or arrays of pairs, variants without payload are words or one-element
arrays, optional values are bare, null, absent or an array of at most one element (features.md section 22).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from xsagent.errors import InputError
from xsagent.model.records import IpMode, Ipv6Mode
from xsagent.model.values import parse_ipv4, parse_ipv6, shown

_MAC_OCTETS: Final = 6
_GREATEST_OCTET: Final = 0xFF
_PAIR: Final = 2
_TRIPLE: Final = 3
_IP_MODES: Final = {"None4": IpMode.NONE, "DHCP4": IpMode.DHCP, "Static4": IpMode.STATIC}
_IPV6_MODES: Final = {
    "None6": Ipv6Mode.NONE,
    "Linklocal6": Ipv6Mode.NONE,
    "DHCP6": Ipv6Mode.DHCP,
    "Autoconf6": Ipv6Mode.AUTOCONF,
    "Static6": Ipv6Mode.STATIC,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class InterfaceValues:
    """One entry of interface_config. `addresses` and `ipv6` are (address, prefix length)."""

    ip_mode: IpMode
    addresses: tuple[tuple[str, int], ...]
    gateway: str
    ipv6_mode: Ipv6Mode
    ipv6: tuple[tuple[str, int], ...]
    ipv6_gateway: str
    dns: tuple[str, ...]
    domains: tuple[str, ...]
    routes: tuple[str, ...]
    mtu: str
    ethtool: Mapping[str, str]


def read_interface(value: object) -> InterfaceValues:
    """An interface_config entry, every field with its default.

    Raises:
        InputError: a value has none of the known forms.
    """
    fields = read_pairs(value)
    ip_word, addresses = _variant(fields.get("ipv4_conf", "None4"), 32)
    ipv6_word, ipv6 = _variant(fields.get("ipv6_conf", "None6"), 128)
    if ip_word not in _IP_MODES or ipv6_word not in _IPV6_MODES:
        raise InputError(f"{shown(ip_word)} or {shown(ipv6_word)} is not a known way to configure an interface")
    dns = read_list(fields.get("dns") or [[], []])
    servers, domains = (read_list(dns[0]), read_list(dns[1])) if len(dns) > 1 else ([], [])
    return InterfaceValues(
        ip_mode=_IP_MODES[ip_word],
        addresses=tuple((str(parse_ipv4(address)), length) for address, length in addresses),
        gateway=read_optional_text(fields.get("ipv4_gateway")),
        ipv6_mode=_IPV6_MODES[ipv6_word],
        ipv6=tuple((str(parse_ipv6(address)), length) for address, length in ipv6),
        ipv6_gateway=read_optional_text(fields.get("ipv6_gateway")),
        dns=tuple(map(read_text_value, servers)),
        domains=tuple(map(read_text_value, domains)),
        routes=tuple(map(_route, read_list(fields.get("ipv4_routes") or []))),
        mtu=str(read_integer(fields.get("mtu", 1500))),
        ethtool={
            f"ethtool-{key}": read_text_value(text)
            for name in ("ethtool_settings", "ethtool_offload")
            for key, text in read_pairs(fields.get(name) or {}).items()
        },
    )


def read_pairs(value: object) -> dict[str, object]:
    """An object, or an array of pairs."""
    if isinstance(value, list):
        pairs = [read_list(pair) for pair in value]
        if all(len(pair) == _PAIR for pair in pairs):
            return {read_text_value(key): item for key, item in pairs}
    if isinstance(value, dict):
        return value
    raise InputError(f"{shown(str(value))} is not an object")


def read_list(value: object) -> list[object]:
    """An array."""
    if isinstance(value, list):
        return value
    raise InputError(f"{shown(str(value))} is not an array")


def read_text_value(value: object) -> str:
    """A string."""
    if isinstance(value, str):
        return value
    raise InputError(f"{shown(str(value))} is not text")


def read_integer(value: object) -> int:
    """A number without fraction; a boolean is none."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise InputError(f"{shown(str(value))} is not a whole number")


def read_optional_text(value: object) -> str:
    """A string, or empty where the optional value is absent."""
    if value is None or value == []:
        return ""
    return read_text_value(value[0] if isinstance(value, list) and len(value) == 1 else value)


def read_octets(value: object) -> str:
    """A MAC from six raw octets in a JSON string; empty when they are not six.

    The text was decoded as Latin-1, since the octets are no UTF-8; a writer that encoded them is understood too.
    """
    text = read_text_value(value)
    if len(text) != _MAC_OCTETS:
        text = text.encode("latin-1", "replace").decode("utf-8", "replace")
    if len(text) != _MAC_OCTETS or max(map(ord, text)) > _GREATEST_OCTET:
        return ""
    return ":".join(f"{ord(octet):02x}" for octet in text)


def _variant(value: object, longest_prefix: int) -> tuple[str, list[tuple[str, int]]]:
    """A mode's word and its payload, a list of (address, prefix length)."""
    if isinstance(value, str):
        return value, []
    parts = read_list(value)
    if not parts:
        raise InputError("an empty array is not a way to configure an interface")
    payload = read_list(parts[1]) if len(parts) > 1 else []
    pairs = [read_list(pair) for pair in payload]
    if any(len(pair) != _PAIR for pair in pairs):
        raise InputError(f"{shown(str(payload))} is not a list of addresses")
    addresses = [(read_text_value(pair[0]), read_integer(pair[1])) for pair in pairs]
    if any(not 0 < length <= longest_prefix for _, length in addresses):
        raise InputError(f"{shown(str(payload))} holds a prefix length that is none")
    return read_text_value(parts[0]), addresses


def _route(value: object) -> str:
    """As network.other_config:static-routes has it; very old files hold [gateway, netmask, subnet]."""
    if isinstance(value, list) and len(value) == _TRIPLE:
        gateway, length, subnet = value
    else:
        fields = read_pairs(value)
        subnet, length, gateway = (fields.get(name) for name in ("subnet", "netmask", "gateway"))
    return f"{read_text_value(subnet)}/{read_integer(length)}/{read_text_value(gateway)}"
