"""On which device routers are asked for name servers."""

from __future__ import annotations

import pytest

from xsagent.apply.rdnss import wants_router_servers
from xsagent.topology.desired import Desired, ManagementPath
from xsagent.topology.values import DhcpClient, IpDevice, Topology

ASKS = DhcpClient(family=4, configuration='interface "xenbr0" {\n  request routers, domain-name-servers;\n}\n')
ASKS_NOT = DhcpClient(family=4, configuration='interface "xenbr0" {\n  request subnet-mask;\n}\n')
ASKS6 = DhcpClient(family=6, configuration="request dhcp6.name-servers;\n")
MANAGEMENT = ManagementPath(device="xenbr0")


def desired(device: IpDevice, management: ManagementPath | None = MANAGEMENT) -> Desired:
    """An operation that speaks of one device."""
    return Desired(topology=Topology(ip_devices={device.device: device}), management=management)


@pytest.mark.parametrize(
    "device",
    [
        IpDevice(device="xenbr0", ipv6_mode="autoconf"),
        IpDevice(device="xenbr0", ipv6_mode="autoconf", dhcp4=ASKS),
        IpDevice(device="xenbr0", ipv6_mode="dhcp", dhcp4=ASKS_NOT, dhcp6=ASKS6),
    ],
)
def test_the_management_interface_asks_when_routers_may_name_servers(device: IpDevice) -> None:
    """With autoconf or DHCPv6, where it has the DNS."""
    assert wants_router_servers(desired(device)) == "xenbr0"


@pytest.mark.parametrize(
    ("device", "management"),
    [
        (IpDevice(device="xenbr0", ipv6_mode="static"), MANAGEMENT),
        (IpDevice(device="xenbr0", ipv6_mode="none"), MANAGEMENT),
        (IpDevice(device="xenbr0"), MANAGEMENT),
        (IpDevice(device="xenbr0", ipv6_mode="autoconf", dhcp4=ASKS_NOT), MANAGEMENT),
        (IpDevice(device="xenbr1", ipv6_mode="autoconf"), MANAGEMENT),
        (IpDevice(device="xenbr0", ipv6_mode="autoconf"), None),
    ],
)
def test_nobody_is_asked_elsewhere(device: IpDevice, management: ManagementPath | None) -> None:
    """Static modes, another device's DNS, operations that are not about management."""
    assert wants_router_servers(desired(device, management)) is None
