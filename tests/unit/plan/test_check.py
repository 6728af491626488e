"""plan/check.py: what cannot be done for a device beside the operation's own never takes the operation back."""

from __future__ import annotations

import ipaddress

from xsagent.plan.diff import build_plan
from xsagent.plan.options import PlanOptions
from xsagent.plan.steps import RouteStep, UpdateIssueStep
from xsagent.topology.desired import Desired, ManagementPath
from xsagent.topology.values import Address, DhcpClient, IpDevice, Link, Route, Topology

ROUTE = Route(destination=ipaddress.ip_network("172.16.0.0/16"), gateway=None, protocol=158)


def test_a_device_that_is_down_is_not_adapted_to_a_role() -> None:
    """No DHCP client can work on it, and waiting for one would undo what was asked for."""
    client = DhcpClient(family=4, configuration="text")
    wanted = Topology(ip_devices={"xenbr1": IpDevice(device="xenbr1", ipv4_mode="dhcp", dhcp4=client)})
    observed = Topology(links={"xenbr1": Link(name="xenbr1", up=False)})

    plan = build_plan(Desired(topology=wanted), observed, PlanOptions())

    assert plan.steps == ()
    assert any("xenbr1 is not up" in warning for warning in plan.warnings)


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
