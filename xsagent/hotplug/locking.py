"""A locked VIF -> the OpenFlow lines that let only its own addresses through. Pure.

The exact flows of features.md section 16: same matches, priorities and cookie as xenopsd's setup-vif-rules, since
operators' tooling looks for them. `apply/flows` puts them in as one bundle before the link goes up. The form is
that of ``ovs-ofctl dump-flows``, so that what the switch holds can be compared with what is wanted.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Final

from xsagent.errors import InputError
from xsagent.model.values import parse_mac
from xsagent.model.vif import Locking, LockingMode

COOKIE: Final = 1
"""Cookie of every locking flow; flows with another one are others' and stay."""
MAX_OFPORT: Final = 0xFEFF
"""OFPP_MAX less one of OpenFlow 1.0: the largest number of a real port."""

_SOLICITATION, _ADVERTISEMENT = 135, 136
_DROPPED_ICMPV6: Final = (134, 137, 146, 147, 151, 152, 153)
"""Router advertisement, redirect, and mobility and multicast-router messages: none is a guest's to send."""
_MLD: Final = (131, 132, 143)
"""Multicast listener report, done, report version 2 (RFC 2710, RFC 3810)."""
_NORMAL, _DROP = "NORMAL", "drop"
_UNSPECIFIED: Final = ipaddress.IPv6Address(0)


def render_flows(locking: Locking, mac: str, in_port: int, *, autoconf: bool = False) -> tuple[str, ...]:
    """Flow lines for ``ovs-ofctl add-flows``, the drop of everything else first; none unless locked.

    Args:
        locking: the mode with its addresses.
        mac: the guest's MAC.
        in_port: OpenFlow number of its port.
        autoconf: our opt-in beyond the peers: let duplicate address detection from ``::``, the link-local address
            derived from the MAC and multicast listener reports through, which SLAAC and DHCPv6 need.

    Raises:
        InputError: the MAC or the port number is none (no text from outside may shape a flow).
    """
    if not 0 < in_port <= MAX_OFPORT:
        raise InputError(f"'{in_port}' is not a number of a port in a switch; its flows were left as they were")
    if locking.mode is not LockingMode.LOCKED:
        return ()
    mac = parse_mac(mac)
    ipv6 = tuple(ipaddress.IPv6Address(int(address)) for address in locking.ipv6)
    if autoconf:
        ipv6 = tuple(dict.fromkeys((*ipv6, derive_link_local(mac))))
    matches = [
        *_any_drop(),
        *_common(mac),
        *(flow for address in locking.ipv4 for flow in _for_ipv4(mac, ipaddress.IPv4Address(int(address)))),
        *(flow for address in ipv6 for flow in _for_ipv6(mac, address)),
    ]
    if autoconf:
        matches += _for_autoconf(mac, ipv6)
    lines = (_line(priority, protocol, in_port, fields, action) for priority, protocol, fields, action in matches)
    return tuple(dict.fromkeys(lines))  # an allowed 0.0.0.0 is the ARP probe over again


def derive_link_local(mac: str) -> ipaddress.IPv6Address:
    """The fe80:: address with the modified EUI-64 identifier of the MAC (RFC 4291, appendix A)."""
    octets = [int(part, 16) for part in mac.split(":")]
    identifier = [octets[0] ^ 2, *octets[1:3], 0xFF, 0xFE, *octets[3:]]
    return ipaddress.IPv6Address(bytes([0xFE, 0x80, *[0] * 6, *identifier]))


_Flow = tuple[int, str, str, str]
"""Priority, protocol keyword, further match fields, action."""


def _any_drop() -> Iterator[_Flow]:
    yield 4000, "", "", _DROP
    for kind in (_SOLICITATION, _ADVERTISEMENT):
        yield 7000, "icmp6", f"icmp_type={kind}", _DROP
    for kind in _DROPPED_ICMPV6:
        yield 6000, "icmp6", f"icmp_type={kind}", _DROP


def _common(mac: str) -> Iterator[_Flow]:
    """DHCP requests and ARP probes: what a guest sends before it has an address."""
    yield 8000, "udp", f"dl_src={mac},tp_dst=67", _NORMAL
    yield 7000, "arp", f"dl_src={mac},arp_spa=0.0.0.0,arp_sha={mac}", _NORMAL


def _for_ipv4(mac: str, address: ipaddress.IPv4Address) -> Iterator[_Flow]:
    yield 7000, "arp", f"dl_src={mac},arp_spa={address},arp_sha={mac}", _NORMAL
    yield 6000, "ip", f"dl_src={mac},nw_src={address}", _NORMAL


def _for_ipv6(mac: str, address: ipaddress.IPv6Address) -> Iterator[_Flow]:
    source = f"dl_src={mac},ipv6_src={address}"
    yield 8000, "icmp6", f"{source},icmp_type={_SOLICITATION},nd_sll={mac}", _NORMAL
    yield 8000, "icmp6", f"{source},icmp_type={_ADVERTISEMENT},nd_target={address}", _NORMAL
    for protocol in ("icmp6", "tcp6", "udp6"):
        yield 5000, protocol, source, _NORMAL


def _for_autoconf(mac: str, addresses: tuple[ipaddress.IPv6Address, ...]) -> Iterator[_Flow]:
    """Duplicate address detection of the allowed addresses (RFC 4862), and listener reports from nowhere."""
    source = f"dl_src={mac},ipv6_src={_UNSPECIFIED}"
    for address in addresses:
        yield 8000, "icmp6", f"{source},icmp_type={_SOLICITATION},nd_target={address}", _NORMAL
    for kind in _MLD:
        yield 5000, "icmp6", f"{source},icmp_type={kind}", _NORMAL


def _line(priority: int, protocol: str, in_port: int, fields: str, action: str) -> str:
    match = ",".join(part for part in (f"priority={priority}", protocol, f"in_port={in_port}", fields) if part)
    return f"cookie={COOKIE:#x},{match} actions={action}"
