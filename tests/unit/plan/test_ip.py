"""plan/ip.py: an undo puts addresses back before the routes that need them, and takes off what a lease brought."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

from ip_values import CLIENT, OLD, route

from xsagent.plan.ip import diff_ip_device
from xsagent.plan.steps import AddressStep, RouteStep, StartDhcpStep, StopDhcpStep
from xsagent.topology.values import Address, IpDevice

NEW = Address(interface=ipaddress.ip_interface("198.51.100.10/24"))


def test_the_undo_of_an_exchanged_address_brings_the_old_routes_back_after_the_address() -> None:
    """The kernel drops routes with the last address, and refuses a gateway that no address reaches."""
    default, foreign = route("0.0.0.0/0", "192.0.2.1"), route("10.99.0.0/24", None, protocol=3)
    have = IpDevice(device="xenbr0", addresses=(OLD,), routes=(default, foreign))
    want = IpDevice(device="xenbr0", ipv4_mode="static", addresses=(NEW,), routes=(route("0.0.0.0/0", "198.51.100.1"),))

    addresses, routes, _ = diff_ip_device(want, have)

    assert isinstance(addresses, AddressStep)
    assert addresses.undo == (
        AddressStep(device="xenbr0", add=(OLD,), remove=(NEW,)),
        RouteStep(device="xenbr0", add=(default, foreign), restores=True),
    )
    assert isinstance(routes, RouteStep)
    assert [undo.add for undo in routes.undo if isinstance(undo, RouteStep)] == [()]


def test_the_undo_of_a_first_dhcp_client_leaves_nothing_of_its_lease() -> None:
    """What was there before is put back last: the lease may have been the same address."""
    have = IpDevice(device="xenbr0", addresses=(OLD,))
    want = IpDevice(device="xenbr0", ipv4_mode="dhcp", dhcp4=CLIENT)

    start = diff_ip_device(want, have)[0]

    assert start.undo == (
        StopDhcpStep(device="xenbr0", family=4, flush=True),
        AddressStep(device="xenbr0", add=(OLD,)),
    )


def test_a_client_that_only_waits_for_its_lease_is_not_stopped_by_an_undo() -> None:
    """It ran before the plan did."""
    have = IpDevice(device="xenbr0", dhcp4=CLIENT)
    want = IpDevice(device="xenbr0", ipv4_mode="dhcp", dhcp4=CLIENT)

    assert [step.undo for step in diff_ip_device(want, have)] == [()]


def test_the_undo_of_replacing_a_client_that_had_no_lease_takes_the_new_one_s_lease_off() -> None:
    """A client that was still asking had brought no address: what the other one got does not stay."""
    asking = replace(CLIENT, configuration="old", pid=7)
    have = IpDevice(device="xenbr0", dhcp4=asking)

    start = diff_ip_device(IpDevice(device="xenbr0", ipv4_mode="dhcp", dhcp4=CLIENT), have)[0]

    assert start.undo == (
        StopDhcpStep(device="xenbr0", family=4, flush=True),
        StartDhcpStep(device="xenbr0", client=asking),
    )
