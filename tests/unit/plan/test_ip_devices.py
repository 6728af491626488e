"""plan/ip_devices.py: what the IP devices' parts of a plan have to do with one another."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

import pytest

from xsagent.plan.ip_devices import diff_ip_devices
from xsagent.plan.order import Phases
from xsagent.plan.steps import ResolverStep, StartDhcpStep, StopDhcpStep
from xsagent.topology.values import DhcpClient, IpDevice, Resolver, Topology

RESOLVER = Resolver(servers=("192.0.2.53",), search=("lab.example",))


def start(present: Topology) -> StartDhcpStep:
    """The step that starts an IPv4 client on xenbr0."""
    client = DhcpClient(family=4, configuration="wanted")
    wanted = Topology(ip_devices={"xenbr0": IpDevice(device="xenbr0", ipv4_mode="dhcp", dhcp4=client)})
    phases = Phases()
    diff_ip_devices(wanted, present, frozenset(), phases)
    (step,) = (step for step in phases.addresses if isinstance(step, StartDhcpStep))
    return step


@pytest.mark.parametrize("leased", [False, True])
def test_the_way_back_from_a_first_client_has_the_name_servers_of_before(*, leased: bool) -> None:
    """Its lease takes their place; of search domains nobody knows whether another client brought them."""
    other = IpDevice(device="xenbr1", dhcp6=DhcpClient(family=6, configuration="") if leased else None)

    step = start(Topology(ip_devices={"xenbr1": other}, resolver=RESOLVER))

    assert step.undo == (
        StopDhcpStep(device="xenbr0", family=4, flush=True),
        ResolverStep(resolver=replace(RESOLVER, search=()) if leased else RESOLVER),
    )


def test_a_client_that_had_a_lease_brings_its_name_servers_back_itself() -> None:
    """And a resolv.conf that names none is nothing to go back to."""
    leased = (ipaddress.ip_interface("192.0.2.10/24"),)
    client = DhcpClient(family=4, configuration="before", leased=leased)
    again = start(Topology(ip_devices={"xenbr0": IpDevice(device="xenbr0", dhcp4=client)}, resolver=RESOLVER))

    assert again.undo == (StartDhcpStep(device="xenbr0", client=client),)
    assert start(Topology(resolver=Resolver())).undo == (StopDhcpStep(device="xenbr0", family=4, flush=True),)
