"""On which device routers are asked for name servers."""

from __future__ import annotations

from pathlib import Path

import pytest

from xsagent.apply.rdnss import forget_routers, wants_router_servers
from xsagent.config import Paths
from xsagent.observed.lease_results import learnt_path
from xsagent.topology.desired import Desired, ManagementPath
from xsagent.topology.values import DhcpClient, IpDevice, ObjectKey, ObjectKind, Topology

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


@pytest.mark.parametrize(
    ("operation", "remembered"),
    [
        (desired(IpDevice(device="xenbr0", ipv6_mode="autoconf")), True),
        (desired(IpDevice(device="xenbr0", ipv6_mode="autoconf", dhcp4=ASKS_NOT)), False),
        (desired(IpDevice(device="xenbr0", ipv6_mode="none")), False),
        (desired(IpDevice(device="xenbr0", ipv6_mode="static")), False),
        (desired(IpDevice(device="xenbr0", routes_only=True)), True),
        (desired(IpDevice(device="xenbr1", ipv6_mode="none")), True),
        (Desired(topology=Topology(absent=frozenset({ObjectKey(kind=ObjectKind.IP_DEVICE, name="xenbr0")}))), False),
    ],
)
def test_a_device_that_follows_routers_no_longer_has_their_servers_forgotten(
    operation: Desired, tmp_path: Path, *, remembered: bool
) -> None:
    """Also one that goes, or that has the DNS no longer; not one that the operation is not about."""
    paths = Paths(tmp_path)
    learnt = learnt_path(paths.run_dir, "xenbr0")
    learnt.parent.mkdir(parents=True)
    learnt.write_text("{}")

    forget_routers(operation, paths)

    assert learnt.exists() is remembered
