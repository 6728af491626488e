"""Segment -> the dnsmasq command that serves DHCP to it. Pure; `far.FarHost` runs it.

No DNS (port 0), nothing of the machine's configuration, no change of user (there is no other in a user
namespace), no probe of an address before it is offered (three seconds).
"""

from __future__ import annotations

import ipaddress
from pathlib import Path

from xsagent.sandbox.spec import Segment

_FIRST_HOST = 100
_LAST_HOST = 199


def dhcp_range(segment: Segment) -> tuple[str, str]:
    """First and last address that the server gives out: hosts 100 to 199 of the gateway's network."""
    network = ipaddress.IPv4Network(segment.gateway.network)
    return str(network[_FIRST_HOST]), str(network[_LAST_HOST])


def render_command(segment: Segment, interface: str, directory: Path) -> list[str]:
    """The command; it detaches.

    Args:
        segment: whose first IPv4 address becomes router and DNS server of the leases.
        interface: device of the far host.
        directory: for the pid file, the leases and the log.
    """
    first, last = dhcp_range(segment)
    name = segment.name
    return [
        "dnsmasq",
        "--conf-file=/dev/null",
        "--port=0",
        "--user=",
        "--group=",
        "--no-ping",
        "--no-hosts",
        "--no-resolv",
        "--bind-interfaces",
        "--dhcp-authoritative",
        "--log-dhcp",
        f"--interface={interface}",
        f"--dhcp-range={first},{last},{segment.gateway.netmask},{segment.dhcp_lease_s}",
        f"--dhcp-option=option:dns-server,{segment.gateway.ip}",
        f"--dhcp-option=option:domain-name,{name}.example",
        *_ipv6(segment),
        *(f"--dhcp-option={option}" for option in segment.dhcp_options),
        f"--dhcp-leasefile={directory}/{name}.leases",
        f"--log-facility={directory}/{name}-dnsmasq.log",
        f"--pid-file={directory}/{name}-dnsmasq.pid",
    ]


def _ipv6(segment: Segment) -> list[str]:
    if not segment.ipv6:
        return []
    network = segment.gateway6.network
    offer = (
        f"{network[0x1000]},{network[0x1FFF]},{network.prefixlen}"
        if segment.ipv6 == "dhcp"
        else (f"{network.network_address},ra-only")
    )
    return [
        "--enable-ra",
        f"--dhcp-range={offer},{segment.dhcp_lease_s}",
        f"--dhcp-option=option6:dns-server,[{segment.gateway6.ip}]",
    ]
