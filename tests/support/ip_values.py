"""Addresses, routes and a DHCP client as values, for tests of what plans IP devices."""

from __future__ import annotations

import ipaddress

from xsagent.topology.values import Address, DhcpClient, Route

OLD = Address(interface=ipaddress.ip_interface("192.0.2.10/24"))
CLIENT = DhcpClient(family=4, configuration="text")


def route(destination: str, gateway: str | None, protocol: int = 158) -> Route:
    """A route of ours."""
    via = ipaddress.ip_address(gateway) if gateway else None
    return Route(destination=ipaddress.ip_network(destination), gateway=via, protocol=protocol)
