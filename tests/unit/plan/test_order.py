"""plan/order.py: what touches management is last to break and first to restore."""

from __future__ import annotations

import ipaddress

from xsagent.plan.order import Phases, order_steps
from xsagent.plan.steps import AddressStep, CreateVlanLinkStep, LinkStep, OvsdbStep, StopDhcpStep
from xsagent.topology.desired import ManagementPath
from xsagent.topology.values import Address

PATH = ManagementPath(device="xenbr0", ports=("eth0", "eth0.7"))
ADDRESS = (Address(interface=ipaddress.ip_interface("192.0.2.10/24")),)


def test_management_breaks_last_and_comes_back_first() -> None:
    """Before the transaction others' steps run first, after it management's: nothing is done while it is away."""
    phases = Phases(
        retire=[StopDhcpStep(device="xenbr0", family=4), StopDhcpStep(device="xapi1", family=4)],
        switch=[OvsdbStep(operations=())],
        devices=[LinkStep(device="xapi1", up=True), LinkStep(device="xenbr0", up=True)],
        addresses=[AddressStep(device="xapi1", add=ADDRESS), AddressStep(device="xenbr0", add=ADDRESS)],
    )

    steps = order_steps(phases, PATH, ()).steps

    assert [getattr(step, "device", "") for step in steps] == [
        *("xapi1", "xenbr0"),
        "",
        *("xenbr0", "xapi1"),
        *("xenbr0", "xapi1"),
    ]
    assert [step.management for step in steps] == [False, True, False, True, False, True, False]


def test_a_vlan_netdev_below_management_is_made_before_it_is_set_up() -> None:
    """It is part of the path, so its making does not fall behind."""
    made = CreateVlanLinkStep(device="eth0.7", parent="eth0", tag=7)
    phases = Phases(devices=[LinkStep(device="xapi1", up=True), made, LinkStep(device="eth0.7", up=True)])

    steps = order_steps(phases, PATH, ()).steps

    assert [type(step) for step in steps] == [CreateVlanLinkStep, LinkStep, LinkStep]
