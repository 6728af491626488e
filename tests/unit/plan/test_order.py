"""plan/order.py: what touches management is last to break and first to restore."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

import pytest

from xsagent.plan.order import Phases, clients_last, order_steps
from xsagent.plan.steps import (
    AddressStep,
    CreateVlanLinkStep,
    IfupStep,
    LinkStep,
    OvsdbStep,
    StartDhcpStep,
    StopDhcpStep,
    VirtualFunctionsStep,
)
from xsagent.topology.desired import ManagementPath
from xsagent.topology.values import Address, DhcpClient

PATH = ManagementPath(device="xenbr0", ports=("eth0", "eth0.7"))
ADDRESS = (Address(interface=ipaddress.ip_interface("192.0.2.10/24")),)


def phases() -> Phases:
    """A transaction, and steps of two devices in each phase around it."""
    return Phases(
        retire=[StopDhcpStep(device="xenbr0", family=4), StopDhcpStep(device="xapi1", family=4)],
        switch=[OvsdbStep(operations=())],
        devices=[LinkStep(device="xapi1", up=True), LinkStep(device="xenbr0", up=True)],
        addresses=[AddressStep(device="xapi1", add=ADDRESS), AddressStep(device="xenbr0", add=ADDRESS)],
    )


def test_management_breaks_last_and_comes_back_first() -> None:
    """Rule 1: before the transaction others' steps run first, after it management's; nothing is done in between."""
    steps = order_steps(phases(), PATH, (), is_up=True).steps

    assert [(type(step), getattr(step, "device", "")) for step in steps] == [
        (StopDhcpStep, "xapi1"),
        (StopDhcpStep, "xenbr0"),
        (OvsdbStep, ""),
        (LinkStep, "xenbr0"),
        (AddressStep, "xenbr0"),
        (LinkStep, "xapi1"),
        (AddressStep, "xapi1"),
    ]


def test_a_port_that_the_switch_made_below_management_waits_for_its_address() -> None:
    """A bond's own device carries no packets: management does not wait for it."""
    path = ManagementPath(device="xapi0", ports=("bond0", "eth0"))
    devices = [LinkStep(device="bond0", up=True), LinkStep(device="xapi0", up=True)]
    made = Phases(devices=devices, addresses=[AddressStep(device="xapi0", add=ADDRESS)])

    steps = order_steps(made, path, (), is_up=True).steps

    assert [getattr(step, "device", "") for step in steps] == ["xapi0", "xapi0", "bond0"]
    assert all(step.management for step in steps)


def test_where_management_is_not_up_others_need_not_wait_for_its_lease() -> None:
    """A boot with a silent DHCP server: storage comes up meanwhile."""
    client = StartDhcpStep(device="xenbr0", client=DhcpClient(family=4, configuration=""))
    made = replace(phases(), addresses=[client, AddressStep(device="xapi1", add=ADDRESS)])

    steps = order_steps(made, PATH, ()).steps

    assert [getattr(step, "device", "") for step in steps] == [
        *("xapi1", "xenbr0", ""),
        *("xapi1", "xenbr0"),
        *("xapi1", "xenbr0"),
    ]
    assert [step.management for step in steps] == [False, True, False, False, True, False, True]


@pytest.mark.parametrize("dhcp", [False, True])
def test_where_management_is_not_up_its_static_address_is_first_all_the_same(*, dhcp: bool) -> None:
    """Of two devices on one subnet the kernel sends by the first; ifup is first where it waits for no lease."""
    path = replace(PATH, dhcp=dhcp)
    steps = order_steps(phases(), path, ()).steps[-2:]
    by_ifup = Phases(addresses=[IfupStep(device="xapi1"), IfupStep(device="xenbr0")])

    assert [(type(step), getattr(step, "device", "")) for step in steps] == [
        (AddressStep, "xenbr0"),
        (AddressStep, "xapi1"),
    ]
    devices = [getattr(step, "device", "") for step in order_steps(by_ifup, path, ()).steps]
    assert devices == (["xapi1", "xenbr0"] if dhcp else ["xenbr0", "xapi1"])


@pytest.mark.parametrize("is_up", [True, False])
def test_a_vlan_netdev_below_management_is_made_before_it_is_set_up(*, is_up: bool) -> None:
    """It is part of the path, so its making does not fall behind."""
    made = CreateVlanLinkStep(device="eth0.7", parent="eth0", tag=7)
    devices = [LinkStep(device="xapi1", up=True), made, LinkStep(device="eth0.7", up=True)]

    steps = order_steps(Phases(devices=devices), PATH, (), is_up=is_up).steps

    assert [type(step) for step in steps if step.management] == [CreateVlanLinkStep, LinkStep]


def test_virtual_functions_of_managements_nic_touch_its_path() -> None:
    """Some drivers reset the NIC for them: it waits for the others, and the deadman watches."""
    both = [VirtualFunctionsStep(device="eth0"), VirtualFunctionsStep(device="eth2")]

    steps = order_steps(Phases(before=both), PATH, ()).steps

    assert [(getattr(step, "device", ""), step.management) for step in steps] == [("eth2", False), ("eth0", True)]


def test_the_way_back_starts_each_dhcp_client_once_and_after_all_links() -> None:
    """A server that is silent keeps nothing else waiting, and the client's first question finds its NIC up."""
    first, last = (StartDhcpStep(device="xenbr0", client=DhcpClient(family=4, configuration=text)) for text in "ab")
    link, stop = LinkStep(device="eth0", up=True), StopDhcpStep(device="xapi0", family=4, flush=True)

    assert clients_last((first, stop, link, last, link)) == (stop, link, link, last)


def test_a_client_that_the_way_back_stops_again_is_not_started_after_that() -> None:
    """The last word on it counts."""
    start = StartDhcpStep(device="xenbr0", client=DhcpClient(family=4, configuration="a"))
    stop, other = (StopDhcpStep(device="xenbr0", family=family) for family in (4, 6))

    assert clients_last((start, stop)) == (start, stop)
    assert clients_last((start, other)) == (other, start)
