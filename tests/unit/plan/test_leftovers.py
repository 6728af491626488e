"""plan/leftovers.py: who gives up a bridge or an address, and who keeps it."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

import pytest

from xsagent.plan.diff import build_plan
from xsagent.plan.options import PlanOptions
from xsagent.plan.steps import AddressStep, FileStep, IfdownStep, OvsdbStep, Plan, StopDhcpStep
from xsagent.topology.desired import Desired, ManagementPath, Ownership
from xsagent.topology.network_scripts import ifcfg_path
from xsagent.topology.values import (
    Address,
    Bridge,
    DhcpClient,
    Interface,
    IpDevice,
    Link,
    Origin,
    Port,
    Topology,
)

OURS = Ownership(bridges=frozenset({"xenbr0", "xenbr1"}), devices=frozenset({"eth0", "eth1"}))


def address(text: str, origin: Origin = Origin.STATIC) -> Address:
    """An address as the kernel has it."""
    return Address(interface=ipaddress.ip_interface(text), origin=origin)


MANAGEMENTS, OTHER = address("192.0.2.10/24"), address("198.51.100.9/24")


def bridge(name: str, *ports: Port, marked: bool = True) -> Bridge:
    """A real bridge with its own port and these."""
    own = Port(name=name, interfaces={name: Interface(name=name, type="internal")})
    keys = {"xs-network-uuids": "a"} if marked else {}
    return Bridge(name=name, ports={port.name: port for port in (own, *ports)}, external_ids=keys)


def port(name: str, *members: str) -> Port:
    """A NIC's port, or a bond's with these members."""
    return Port(name=name, interfaces={member: Interface(name=member) for member in members or (name,)})


def host(*bridges: Bridge, **addresses: tuple[Address, ...]) -> Topology:
    """A host with these bridges, up, and addresses on devices."""
    names = {name for each in bridges for item in each.ports.values() for name in item.interfaces}
    return Topology(
        bridges={each.name: each for each in bridges},
        links={name: Link(name=name, up=True) for name in names},
        ip_devices={name: IpDevice(device=name, addresses=own) for name, own in addresses.items()},
    )


WANTED = Desired(
    topology=Topology(
        bridges={"xenbr0": bridge("xenbr0", port("eth0"))},
        ip_devices={"xenbr0": IpDevice(device="xenbr0", ipv4_mode="static", addresses=(MANAGEMENTS,))},
    ),
    ownership=OURS,
    management=ManagementPath(device="xenbr0", ports=("xenbr0", "eth0")),
)
READY = bridge("xenbr0", port("eth0"))


def removed(plan: Plan) -> list[tuple[str, tuple[Address, ...]]]:
    """Addresses that the plan takes away, by device."""
    return [(step.device, step.remove) for step in plan.steps if isinstance(step, AddressStep) and step.remove]


def plan_for(observed: Topology, desired: Desired = WANTED, shared: frozenset[str] = frozenset()) -> Plan:
    """The plan."""
    return build_plan(desired, observed, PlanOptions(shared=shared))


# --- addresses -------------------------------------------------------------------------------------------


def test_managements_address_goes_from_where_it_was_and_comes_back_with_the_undo() -> None:
    """With a warning that names both; what else the device has stays."""
    observed = host(READY, bridge("xenbr1", port("eth1")), xenbr1=(MANAGEMENTS, OTHER))

    plan = plan_for(observed)

    assert removed(plan) == [("xenbr1", (MANAGEMENTS,))]
    (step,) = (step for step in plan.steps if isinstance(step, AddressStep) and step.remove)
    assert step.undo == (AddressStep(device="xenbr1", add=(MANAGEMENTS,)),)
    assert plan.warnings == ("xenbr1 gives up 192.0.2.10/24: it is the address of xenbr0",)


def test_an_address_that_another_pif_wants_too_is_not_for_us_to_take() -> None:
    """Least of all from management, which this operation does not speak about."""
    observed = host(READY, bridge("xenbr1", port("eth1")), xenbr1=(MANAGEMENTS,))

    assert removed(plan_for(observed, replace(WANTED, management=None))) == []


def test_an_address_on_a_bridge_that_is_in_no_record_goes() -> None:
    """Nobody else would ever take it away."""
    observed = host(READY, bridge("xapi9"), xapi9=(MANAGEMENTS,))

    assert removed(plan_for(observed, replace(WANTED, management=None))) == [("xapi9", (MANAGEMENTS,))]


def test_what_is_not_ours_keeps_its_address() -> None:
    """An admin's bridge, or a netdev of others."""
    observed = host(READY, bridge("adminbr", marked=False), adminbr=(MANAGEMENTS,), dummy0=(MANAGEMENTS,))

    assert removed(plan_for(observed)) == []


def test_a_former_management_interface_keeps_it_until_the_new_one_is_verified() -> None:
    """The second plan takes it away."""
    observed = host(READY, bridge("xenbr1", port("eth1")), xenbr1=(MANAGEMENTS,))

    assert removed(plan_for(observed, shared=frozenset({"xenbr1"}))) == []


@pytest.mark.parametrize("leased", [MANAGEMENTS, OTHER])
def test_the_client_that_was_leased_it_stops_and_no_other(leased: Address) -> None:
    """It would set the address again."""
    client = DhcpClient(family=4, configuration="text", leased=(leased.interface,))
    observed = host(READY, bridge("xenbr1", port("eth1")), xenbr1=(MANAGEMENTS, OTHER))
    device = replace(observed.ip_devices["xenbr1"], dhcp4=client)
    observed = replace(observed, ip_devices={"xenbr1": device})

    stopped = [step.device for step in plan_for(observed).steps if isinstance(step, StopDhcpStep)]

    assert stopped == (["xenbr1"] if leased is MANAGEMENTS else [])


def test_network_scripts_are_run_and_their_file_goes() -> None:
    """Ifup would set it again."""
    path = ifcfg_path("xapi9")
    observed = replace(host(READY, bridge("xapi9"), xapi9=(MANAGEMENTS,)), files={path: "BOOTPROTO=none\n"})

    steps = plan_for(observed).steps

    assert [step.device for step in steps if isinstance(step, IfdownStep)] == ["xapi9"]
    assert [(step.path, step.text) for step in steps if isinstance(step, FileStep)] == [(path, None)]


# --- bridges ---------------------------------------------------------------------------------------------


def gone(observed: Topology, desired: Desired = WANTED) -> list[str]:
    """Bridges that the transaction deletes."""
    switch = (step for step in plan_for(observed, desired).steps if isinstance(step, OvsdbStep))
    names = {type(operation).__name__: operation for step in switch for operation in step.operations}
    return [getattr(names["DeleteBridge"], "name", "")] if "DeleteBridge" in names else []


def test_a_marked_bridge_without_record_goes_with_its_uplink() -> None:
    """Whether that is a NIC or a bond of it."""
    assert gone(host(bridge("xapi9", port("eth0")))) == ["xapi9"]
    assert gone(host(bridge("xapi9", port("bond0", "eth0")))) == ["xapi9"]


def test_a_bridge_stays_that_keeps_a_bonds_member() -> None:
    """Its guests have a way out still."""
    assert gone(host(bridge("xapi9", port("bond0", "eth0", "eth1")))) == []


def test_a_bridge_stays_that_a_record_names_or_that_bears_no_mark() -> None:
    """A network without PIF here is an internal one; what is not ours is not ours to move."""
    named = replace(WANTED, ownership=replace(OURS, internal=frozenset({"xapi9"})))

    assert gone(host(bridge("xenbr1", port("eth0")))) == []
    assert gone(host(bridge("xapi9", port("eth0"))), named) == []
    assert gone(host(bridge("xapi9", port("eth0"), marked=False))) == []
