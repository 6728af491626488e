"""plan/check.py: what cannot be done for a device beside the operation's own never takes the operation back."""

from __future__ import annotations

import ipaddress

from xsagent.plan.diff import build_plan
from xsagent.plan.options import PlanOptions
from xsagent.plan.steps import OvsdbStep, RouteStep, StartDhcpStep, StopDhcpStep, UpdateIssueStep
from xsagent.topology.desired import Desired, ManagementPath
from xsagent.topology.values import (
    Address,
    Bridge,
    DhcpClient,
    Interface,
    IpDevice,
    Link,
    ObjectKey,
    ObjectKind,
    Port,
    Route,
    Topology,
)

ROUTE = Route(destination=ipaddress.ip_network("172.16.0.0/16"), gateway=None, protocol=158)


def test_a_device_that_is_down_is_not_adapted_to_a_role() -> None:
    """No DHCP client can work on it, and waiting for one would undo what was asked for."""
    client = DhcpClient(family=4, configuration="text")
    wanted = Topology(ip_devices={"xenbr1": IpDevice(device="xenbr1", ipv4_mode="dhcp", dhcp4=client)})
    observed = Topology(links={"xenbr1": Link(name="xenbr1", up=False)})

    plan = build_plan(Desired(topology=wanted), observed, PlanOptions())

    assert plan.steps == ()
    assert any("xenbr1 is not up" in warning for warning in plan.warnings)


def internal_port(name: str, tag: int | None = None) -> Port:
    """A bridge's own port; a VLAN bridge of ours, with a tag."""
    keys = {"fake-bridge-xs-network-uuids": "a"} if tag is not None else {}
    interfaces = {name: Interface(name=name, type="internal")}
    return Port(name=name, interfaces=interfaces, tag=tag, fake_bridge=tag is not None, external_ids=keys)


def test_a_vlan_bridge_that_moves_onto_a_taken_tag_is_not_adapted_to_a_role() -> None:
    """One carrier has one VLAN bridge for a tag: its device goes with its client, and nothing can be put on it."""
    client = DhcpClient(family=4, configuration="text")
    ports = {"xapi0": internal_port("xapi0"), "xapi17": internal_port("xapi17", 7)}
    observed = Topology(
        bridges={"xapi0": Bridge(name="xapi0", ports=ports, external_ids={"xs-network-uuids": "a"})},
        links={name: Link(name=name, up=True) for name in ports},
        ip_devices={"xapi17": IpDevice(device="xapi17", dhcp4=client)},
    )
    ports = {"xenbr0": internal_port("xenbr0"), "xapi18": internal_port("xapi18", 7)}
    address = Address(interface=ipaddress.ip_interface("192.0.2.10/24"))
    wanted = Topology(
        bridges={"xenbr0": Bridge(name="xenbr0", ports=ports)},
        ip_devices={"xapi17": IpDevice(device="xapi17", ipv4_mode="static", addresses=(address,))},
        absent=frozenset({ObjectKey(kind=ObjectKind.BRIDGE, name="xapi0")}),
    )

    plan = build_plan(Desired(topology=wanted, moves={"xapi0": "xenbr0"}), observed, PlanOptions())

    assert [type(step) for step in plan.steps] == [StopDhcpStep, OvsdbStep, UpdateIssueStep]
    assert plan.steps[0].undo == (StartDhcpStep(device="xapi17", client=client),)
    assert plan.warnings == ()


def test_a_route_to_a_subnet_that_the_host_is_on_is_left_out() -> None:
    """The kernel would put it in the place of its own: what is on that subnet would be asked through a gateway."""
    subnet = ipaddress.ip_network("192.0.2.0/24")
    static = Route(destination=subnet, gateway=ipaddress.ip_address("198.51.100.1"), protocol=158)
    address = Address(interface=ipaddress.ip_interface("198.51.100.10/24"))
    wanted = IpDevice(device="xenbr1", ipv4_mode="static", addresses=(address,), routes=(ROUTE, static))
    own = Route(destination=subnet, gateway=None, protocol=2)
    observed = Topology(
        links={name: Link(name=name, up=True) for name in ("xenbr0", "xenbr1")},
        ip_devices={"xenbr0": IpDevice(device="xenbr0", routes=(own,))},
    )

    plan = build_plan(Desired(topology=Topology(ip_devices={"xenbr1": wanted})), observed, PlanOptions())

    assert [step.add for step in plan.steps if isinstance(step, RouteStep)] == [(ROUTE,)]
    assert any("this host is on that subnet; xenbr1 goes without" in warning for warning in plan.warnings)


def test_one_route_on_two_devices_goes_to_management() -> None:
    """The kernel has one route for a prefix; verify would never find both."""
    names = ("xenbr0", "xenbr1")
    addresses = {
        name: Address(interface=ipaddress.ip_interface(f"192.0.2.{number}/24")) for number, name in enumerate(names, 1)
    }
    wanted = Topology(
        ip_devices={
            name: IpDevice(device=name, ipv4_mode="static", addresses=(addresses[name],), routes=(ROUTE,))
            for name in names
        }
    )
    observed = Topology(
        links={name: Link(name=name, up=True) for name in names},
        ip_devices={name: IpDevice(device=name, addresses=(addresses[name],)) for name in names},
    )
    desired = Desired(topology=wanted, management=ManagementPath(device="xenbr1"))

    plan = build_plan(desired, observed, PlanOptions())

    steps = [step for step in plan.steps if not isinstance(step, UpdateIssueStep)]
    assert [(type(step), step.device) for step in steps if isinstance(step, RouteStep)] == [(RouteStep, "xenbr1")]
    assert any("xenbr0 goes without" in warning for warning in plan.warnings)
