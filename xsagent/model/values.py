"""Strict readers of values that people and records write as text. Pure.

Text in, a checked value out; what is no such value raises InputError. The error's text is a sentence fragment
that begins with the offending text in quotes, for example ``'300' is not a VLAN tag ...``: callers put the object
in front of it (``f"PIF {uuid}: {error}"``). Used by `sources/`, `desired/`, `config` and the command line.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final

from xsagent.errors import InputError

MAX_DEVICE_NAME: Final = 15
"""IFNAMSIZ less the closing NUL (linux/if.h)."""
MAX_VLAN_TAG: Final = 4094
_SHORTEST_WITHOUT_BROADCAST: Final = 31
"""RFC 3021."""

_DECIMAL: Final = re.compile(r"0|-?[1-9][0-9]*", re.ASCII)
_PREFIX: Final = re.compile(r"[0-9]{1,3}", re.ASCII)
_MAC: Final = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}", re.ASCII)
_DOMAIN: Final = re.compile(
    r"(?=.{1,253}\.?\Z)(?:(?!-)[a-z0-9_-]{1,63}(?<!-)\.)*(?!-)[a-z0-9_-]{1,63}(?<!-)\.?", re.IGNORECASE | re.ASCII
)
_SEPARATORS: Final = re.compile(r"[\s,]+")
_CONTROLLER_ID: Final = re.compile(r"[!-~](?:[ -~]{0,253}[!-~])?", re.ASCII)
_SHOWN: Final = 60
_MAX_DIGITS: Final = 20


def shown(text: str) -> str:
    """Text as an error message shows it: quoted, escaped, on one line and not longer than 60 characters."""
    return repr(text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "...")


def parse_integer(text: str, low: int, high: int) -> int:
    """A decimal integer, written as XAPI writes one: no blanks, no underscores, no plus sign, no leading zeros.

    Args:
        text: for example ``1500``.
        low: least value that is accepted.
        high: greatest value that is accepted.

    Raises:
        InputError: the text is no such number or is out of range (legacy-faults.md F04).
    """
    if len(text) > _MAX_DIGITS or not _DECIMAL.fullmatch(text):
        raise InputError(f"{shown(text)} is not a decimal number")
    value = int(text)
    if not low <= value <= high:
        raise InputError(f"{shown(text)} is not between {low} and {high}")
    return value


def parse_vlan_tag(text: str) -> int:
    """A VLAN tag, 0 to 4094; 0 is the priority tag, which XAPI and Open vSwitch accept (features.md section 3).

    Raises:
        InputError: the text is no tag.
    """
    try:
        return parse_integer(text, 0, MAX_VLAN_TAG)
    except InputError as error:
        raise InputError(f"{shown(text)} is not a VLAN tag (0 to {MAX_VLAN_TAG})") from error


def parse_ipv4(text: str) -> ipaddress.IPv4Address:
    """An IPv4 address in dotted form.

    Raises:
        InputError: the text is none.
    """
    try:
        return ipaddress.IPv4Address(text)
    except ValueError as error:
        raise InputError(f"{shown(text)} is not an IPv4 address") from error


def parse_ipv4_host(text: str) -> ipaddress.IPv4Address:
    """An IPv4 address that a host can have: not unspecified, multicast, loopback, broadcast or reserved.

    Raises:
        InputError: the text is none.
    """
    address = parse_ipv4(text)
    if address.is_unspecified or address.is_multicast or address.is_loopback or address.is_reserved:
        raise InputError(f"{shown(text)} is not an IPv4 address that a host can have")
    return address


def parse_ipv4_netmask(text: str) -> int:
    """The prefix length of a dotted netmask whose one-bits are contiguous, 1 to 32.

    Raises:
        InputError: the text is no such mask (``255.0.255.0``, ``0.0.0.0``, ``24``).
    """
    try:
        bits = int(ipaddress.IPv4Address(text))
    except ValueError as error:
        raise InputError(f"{shown(text)} is not a netmask") from error
    inverted = bits ^ 0xFFFFFFFF
    if bits == 0 or inverted & (inverted + 1):
        raise InputError(f"{shown(text)} is not a netmask: its one-bits are not contiguous from the left")
    return bits.bit_count()


def parse_ipv4_interface(address: str, netmask: str) -> ipaddress.IPv4Interface:
    """An address with its dotted netmask, for example 192.0.2.10/24, that a host on that subnet can have.

    Raises:
        InputError: either text is wrong, or the address is the subnet's own or its broadcast address.
    """
    interface = ipaddress.IPv4Interface((int(parse_ipv4_host(address)), parse_ipv4_netmask(netmask)))
    network = interface.network
    has_reserved_ends = network.prefixlen < _SHORTEST_WITHOUT_BROADCAST
    if has_reserved_ends and interface.ip in (network.network_address, network.broadcast_address):
        raise InputError(f"{shown(address)} is the network or broadcast address of {network}")
    return interface


def parse_ipv6(text: str) -> ipaddress.IPv6Address:
    """An IPv6 address without zone and without prefix length.

    Raises:
        InputError: the text is none.
    """
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError as error:
        raise InputError(f"{shown(text)} is not an IPv6 address") from error
    if address.scope_id is not None:
        raise InputError(f"{shown(text)} names a zone, which an address in a record cannot have")
    return address


def parse_ipv6_interface(text: str) -> ipaddress.IPv6Interface:
    """An IPv6 address with its prefix length, for example ``2001:db8::11/64``.

    Raises:
        InputError: the text is none, has no prefix length, or is no address that a host can have.
    """
    address_text, slash, prefix_text = text.partition("/")
    address = parse_ipv6(address_text)
    if not slash or not _PREFIX.fullmatch(prefix_text) or not 1 <= int(prefix_text) <= address.max_prefixlen:
        raise InputError(f"{shown(text)} has no prefix length from 1 to {address.max_prefixlen}")
    if address.is_unspecified or address.is_multicast or address.is_loopback:
        raise InputError(f"{shown(text)} is not an IPv6 address that a host can have")
    return ipaddress.IPv6Interface((int(address), int(prefix_text)))


def parse_mac(text: str) -> str:
    """A unicast MAC address in lower case with colons.

    Raises:
        InputError: the text is none, or is a multicast or the all-zero address.
    """
    mac = text.lower()
    if not _MAC.fullmatch(mac):
        raise InputError(f"{shown(text)} is not a MAC address")
    if int(mac[:2], 16) & 1 or mac == "00:00:00:00:00:00":
        raise InputError(f"{shown(text)} is not a MAC address that a device can have")
    return mac


def parse_device_name(text: str) -> str:
    """A name that the kernel takes for a network device, and so a bridge: 1 to 15 bytes (dev_valid_name()).

    Stricter than the kernel in one point: printable ASCII only, since the name also ends in files and commands.

    Raises:
        InputError: the text is no such name.
    """
    if not text:
        raise InputError("an empty text is not a device name")
    if len(text) > MAX_DEVICE_NAME:
        raise InputError(f"{shown(text)} is longer than the {MAX_DEVICE_NAME} characters of a device name")
    printable = all("!" <= character <= "~" for character in text)
    if not printable or text in {".", ".."} or text.startswith("-") or set(text) & set("/:%\"'\\`$;&|<>*?"):
        raise InputError(f"{shown(text)} is not a device name")
    return text


def parse_host_list(text: str) -> tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, ...]:
    """Addresses separated by commas or blanks (PIF.DNS), in order, each once; empty text gives none.

    Raises:
        InputError: one of them is no address.
    """
    found: dict[ipaddress.IPv4Address | ipaddress.IPv6Address, None] = {}
    for item in _split(text):
        found[parse_ipv6(item) if ":" in item else parse_ipv4(item)] = None
    return tuple(found)


def parse_domains(text: str) -> tuple[str, ...]:
    """Search domains separated by commas or blanks, in order, each once; empty text gives none.

    Raises:
        InputError: one of them is no domain name. Quotes, ``$`` and the like never pass: the value ends in a
            file that ifup sources (legacy-faults.md F02).
    """
    found: dict[str, None] = {}
    for item in _split(text):
        if not _DOMAIN.fullmatch(item):
            raise InputError(f"{shown(item)} is not a domain name")
        found[item] = None
    return tuple(found)


def _split(text: str) -> list[str]:
    return [item for item in _SEPARATORS.split(text) if item]


def parse_controller_id(text: str) -> str:
    """An identifier by which a controller knows a bridge, VIF or VM (nicira-bridge-id, nicira-iface-id, nicira-vm-id).

    Raises:
        InputError: empty, over 255 characters, other than printable ASCII, or with a blank at an end.
    """
    if not _CONTROLLER_ID.fullmatch(text):
        raise InputError(f"{shown(text)} is not an identifier of a controller's")
    return text
