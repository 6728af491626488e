"""plan/remade.py: a device that leaves its bridge comes back bare, so what was on it is set again, both ways."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

from xsagent.plan.diff import build_plan
from xsagent.plan.options import PlanOptions
from xsagent.plan.remade import lost_devices
from xsagent.plan.steps import AddressStep, IfdownStep, IfupStep, LinkStep, OvsdbStep, Plan, RouteStep, Step
from xsagent.topology.desired import Desired, ManagementPath, Ownership
from xsagent.topology.network_scripts import ifcfg_path
from xsagent.topology.values import (
    Address,
    Bridge,
    Interface,
    IpDevice,
    Link,
    ObjectKey,
    ObjectKind,
    Port,
    Route,
    Topology,
)

ADDRESS = Address(interface=ipaddress.ip_interface("192.0.2.10/24"))
ROUTE = Route(destination=ipaddress.ip_network("198.51.100.0/24"), gateway=ipaddress.ip_address("192.0.2.1"))


def internal(name: str, *, tag: int | None = None, mtu_request: int | None = None) -> Port:
    """A port of type internal as it is read; with a tag it is a VLAN bridge."""
    interface = Interface(name=name, type="internal", mac=None, mtu_request=mtu_request)
    marks = {"fake-bridge-xs-network-uuids": "n"} if tag is not None else {}
    return Port(name=name, interfaces={name: interface}, tag=tag, fake_bridge=tag is not None, external_ids=marks)


def bridge(name: str, *ports: Port) -> Bridge:
    """A bridge of ours with its internal port and others."""
    every = {port.name: port for port in (internal(name), *ports)}
    return Bridge(name=name, ports=every, external_ids={"xs-network-uuids": "n"})


def host(*bridges: Bridge, device: str) -> Topology:
    """A host on which this device has an address and a route."""
    return Topology(
        bridges={item.name: item for item in bridges},
        links={device: Link(name=device, mtu=1400, up=True, mac="02:00:00:00:00:01", kind="openvswitch")},
        ip_devices={device: IpDevice(device=device, addresses=(ADDRESS,), routes=(ROUTE,))},
    )


def plan_for(topology: Topology, observed: Topology, moves: dict[str, str] | None = None) -> Plan:
    """The plan."""
    ownership = Ownership(bridges=frozenset({"xenbr0", "xapi0", "xapi5"}), devices=frozenset({"eth0"}))
    return build_plan(Desired(topology=topology, ownership=ownership, moves=moves or {}), observed, PlanOptions())


def undo_of_transaction(plan: Plan) -> tuple[Step, ...]:
    """The undo of the plan's one transaction."""
    (step,) = (step for step in plan.steps if isinstance(step, OvsdbStep))
    return step.undo


def test_a_device_that_changes_its_bridge_is_lost_and_one_that_stays_is_not() -> None:
    """ovs-vswitchd destroys the port on the old bridge and makes another on the new one."""
    before = {"xenbr0": bridge("xenbr0", internal("xapi5", tag=5)), "xapi0": bridge("xapi0")}
    after = {"xenbr0": bridge("xenbr0"), "xapi0": bridge("xapi0", internal("xapi5", tag=5))}

    assert lost_devices(before, after) == {"xapi5"}
    assert lost_devices(before, before) == frozenset()


def test_what_is_on_a_device_works_until_the_transaction_takes_it() -> None:
    """Taken away before it, a host's address and routes would be missed while the transaction waits for its turn."""
    observed = host(bridge("xenbr0"), device="xenbr0")
    kinds = (ObjectKind.BRIDGE, ObjectKind.IP_DEVICE)
    gone = Topology(absent=frozenset(ObjectKey(kind=kind, name="xenbr0") for kind in kinds))
    stays = Topology(absent=frozenset({ObjectKey(kind=ObjectKind.IP_DEVICE, name="xenbr0")}))

    assert [type(step).__name__ for step in plan_for(gone, observed).steps] == ["OvsdbStep", "UpdateIssueStep"]
    assert [type(step).__name__ for step in plan_for(stays, observed).steps] == [
        "RouteStep",
        "AddressStep",
        "UpdateIssueStep",
    ]


def test_the_undo_of_a_deleted_bridge_brings_back_its_device_with_what_was_on_it() -> None:
    """Rows alone would leave the device down, without address and route (rule 5)."""
    observed = host(bridge("xenbr0"), device="xenbr0")
    wanted = Topology(absent=frozenset({ObjectKey(kind=ObjectKind.BRIDGE, name="xenbr0")}))

    undo = undo_of_transaction(plan_for(wanted, observed))

    assert [type(step) for step in undo] == [OvsdbStep, LinkStep, AddressStep, RouteStep]
    assert [(step.mtu, step.up) for step in undo if isinstance(step, LinkStep)] == [(1400, True)]
    assert [step.add for step in undo if isinstance(step, AddressStep)] == [(ADDRESS,)]


def test_a_device_that_moves_along_with_its_bridge_keeps_what_was_on_it() -> None:
    """Nobody speaks of it, so nothing about it may change; moving its port alone would leave it bare."""
    observed = host(bridge("xenbr0", internal("xapi5", tag=5)), bridge("xapi0"), device="xapi5")
    wanted = Topology(absent=frozenset({ObjectKey(kind=ObjectKind.BRIDGE, name="xenbr0")}))

    steps = plan_for(wanted, observed, moves={"xenbr0": "xapi0"}).steps

    assert [type(step) for step in steps[:4]] == [OvsdbStep, LinkStep, AddressStep, RouteStep]


def test_a_device_that_was_down_moves_along_as_it_was() -> None:
    """Who took it down did not ask for it to come up; its IPv4 addresses stay on it, as the kernel keeps them."""
    observed = host(bridge("xenbr0", internal("xapi5", tag=5)), bridge("xapi0"), device="xapi5")
    observed = replace(observed, links={"xapi5": replace(observed.links["xapi5"], up=False)})
    wanted = Topology(absent=frozenset({ObjectKey(kind=ObjectKind.BRIDGE, name="xenbr0")}))

    _, link, address, *rest = plan_for(wanted, observed, moves={"xenbr0": "xapi0"}).steps

    assert isinstance(link, LinkStep)
    assert link.up is False
    assert isinstance(address, AddressStep)
    assert address.add == (ADDRESS,)
    assert not [step for step in rest if isinstance(step, RouteStep)]


def test_a_lease_that_the_initscripts_asked_for_is_asked_for_anew_on_a_device_that_moves_along() -> None:
    """Their client is bound to the device as it was; an ifup that gets none fails nobody's operation."""
    observed = host(bridge("xenbr0", internal("xapi5", tag=5)), bridge("xapi0"), device="xapi5")
    observed = replace(observed, files={ifcfg_path("xapi5"): "BOOTPROTO=dhcp\n"})
    wanted = Topology(absent=frozenset({ObjectKey(kind=ObjectKind.BRIDGE, name="xenbr0")}))

    ifdown, switch, link, ifup, *_ = plan_for(wanted, observed, moves={"xenbr0": "xapi0"}).steps

    assert [type(step) for step in (ifdown, switch, link, ifup)] == [IfdownStep, OvsdbStep, LinkStep, IfupStep]
    assert not ifup.required
    assert IfupStep(device="xapi5") in ifdown.undo
    assert ifup.undo == (IfdownStep(device="xapi5"),)


def test_a_client_of_the_initscripts_ends_before_its_device_is_made_anew_by_an_operation_that_configures_it() -> None:
    """It would run on beside the new one, deaf on a device that is gone; where all is undone, one asks again."""
    observed = host(bridge("xenbr0", internal("xapi5", tag=5)), bridge("xapi0"), device="xapi5")
    files = {ifcfg_path("xapi5"): "BOOTPROTO=dhcp\n"}
    wanted = Topology(
        absent=frozenset({ObjectKey(kind=ObjectKind.BRIDGE, name="xenbr0")}),
        ip_devices={"xapi5": IpDevice(device="xapi5", ipv4_mode="dhcp", configured_by_ifcfg=True)},
        files=files,
    )

    steps = plan_for(wanted, replace(observed, files=files), moves={"xenbr0": "xapi0"}).steps
    ifdown, switch, ifup = (step for step in steps if isinstance(step, (IfdownStep, OvsdbStep, IfupStep)))

    assert [type(step) for step in (ifdown, switch, ifup)] == [IfdownStep, OvsdbStep, IfupStep]
    assert IfupStep(device="xapi5") in ifdown.undo
    assert IfdownStep(device="xapi5") in ifup.undo


def test_a_device_that_is_made_anew_is_configured_as_a_new_one() -> None:
    """The address that was seen before the transaction is gone after it."""
    observed = host(bridge("xenbr0", internal("xapi5", tag=5)), device="xapi5")
    wanted = Topology(
        bridges={"xapi5": Bridge(name="xapi5", ports={"xapi5": Port(name="xapi5", interfaces={"xapi5": OWN})})},
        links={"xapi5": Link(name="xapi5", up=True)},
        ip_devices={"xapi5": IpDevice(device="xapi5", ipv4_mode="static", addresses=(ADDRESS,))},
    )

    steps = plan_for(wanted, observed).steps

    assert any(isinstance(step, AddressStep) and step.add == (ADDRESS,) for step in steps)
    assert any(isinstance(step, LinkStep) and step.up for step in steps)


def test_management_that_moves_to_a_new_device_is_restored_before_what_moves_along() -> None:
    """It was up where it comes from, so the transaction broke it (rule 1)."""
    observed = host(bridge("xenbr0", internal("xapi5", tag=5)), device="xapi5")
    before = host(bridge("xenbr0"), device="xenbr0")
    other = Address(interface=ipaddress.ip_interface("198.51.100.5/24"))
    devices = {"xapi5": IpDevice(device="xapi5", addresses=(other,)), **before.ip_devices}
    observed = replace(observed, links={**observed.links, **before.links}, ip_devices=devices)
    own = Port(name="xapi9", interfaces={"xapi9": Interface(name="xapi9", type="internal")})
    wanted = Topology(
        bridges={"xapi9": Bridge(name="xapi9", ports={"xapi9": own})},
        links={"xapi9": Link(name="xapi9", up=True)},
        ip_devices={"xapi9": IpDevice(device="xapi9", ipv4_mode="static", addresses=(ADDRESS,))},
        absent=frozenset(ObjectKey(kind=kind, name="xenbr0") for kind in (ObjectKind.BRIDGE, ObjectKind.IP_DEVICE)),
    )
    ownership = Ownership(bridges=frozenset({"xenbr0", "xapi5", "xapi9"}))
    desired = Desired(
        topology=wanted,
        ownership=ownership,
        moves={"xenbr0": "xapi9"},
        management=ManagementPath(device="xapi9"),
    )

    steps = build_plan(desired, observed, PlanOptions()).steps

    assert [step.device for step in steps if isinstance(step, LinkStep)] == ["xapi9", "xapi5"]
    assert [step.device for step in steps if isinstance(step, AddressStep)] == ["xapi9", "xapi5"]


def test_what_a_new_device_was_given_goes_with_it_and_what_others_lost_for_it_comes_back() -> None:
    """The undo of the transaction takes the device: its address waits for no disk while the host is without it."""
    out = Route(destination=ipaddress.ip_network("0.0.0.0/0"), gateway=ipaddress.ip_address("192.0.2.1"))
    observed = host(bridge("xenbr0"), device="xenbr0")
    observed = replace(observed, ip_devices={"xenbr0": IpDevice(device="xenbr0", routes=(out,))})
    wanted = Topology(
        bridges={"xapi5": Bridge(name="xapi5", ports={"xapi5": Port(name="xapi5", interfaces={"xapi5": OWN})})},
        links={"xapi5": Link(name="xapi5", up=True)},
        ip_devices={"xapi5": IpDevice(device="xapi5", ipv4_mode="static", addresses=(ADDRESS,), routes=(out,))},
    )

    steps = plan_for(wanted, observed).steps
    (address,) = (step for step in steps if isinstance(step, AddressStep))
    (route,) = (step for step in steps if isinstance(step, RouteStep))

    assert address.undo == ()
    assert route.undo == (RouteStep(device="xenbr0", add=(out,), required=False, restores=True),)


OWN = Interface(name="xapi5", type="internal")


def test_the_undo_of_a_requested_mtu_sets_the_one_that_was() -> None:
    """The switch sets the MTU with the request and leaves it there without."""
    observed = host(bridge("xenbr0"), device="xenbr0")
    own = Port(name="xenbr0", interfaces={"xenbr0": Interface(name="xenbr0", type="internal", mtu_request=9000)})
    wanted = Topology(bridges={"xenbr0": Bridge(name="xenbr0", ports={"xenbr0": own})})

    undo = undo_of_transaction(plan_for(wanted, observed))

    assert undo[1:] == (LinkStep(device="xenbr0", mtu=1400),)


def test_a_device_that_moves_along_leaves_the_way_out_to_who_gets_it() -> None:
    """Its old default route would take the place of the one that this operation sets (ip-route(8), replace)."""
    out = Route(destination=ipaddress.ip_network("0.0.0.0/0"), gateway=ipaddress.ip_address("192.0.2.1"))
    observed = host(bridge("xenbr0", internal("xapi5", tag=5)), bridge("xapi0"), device="xapi5")
    device = replace(observed.ip_devices["xapi5"], routes=(ROUTE, out))
    other = replace(out, gateway=ipaddress.ip_address("203.0.113.1"))
    own = Port(name="xapi0", interfaces={"xapi0": Interface(name="xapi0", type="internal")})
    wanted = Topology(
        bridges={"xapi0": Bridge(name="xapi0", ports={"xapi0": own})},
        links={"xapi0": Link(name="xapi0", up=True)},
        ip_devices={"xapi0": IpDevice(device="xapi0", ipv4_mode="static", routes=(other,))},
        absent=frozenset({ObjectKey(kind=ObjectKind.BRIDGE, name="xenbr0")}),
    )

    plan = plan_for(wanted, replace(observed, ip_devices={"xapi5": device}), moves={"xenbr0": "xapi0"})

    restored = [step.add for step in plan.steps if isinstance(step, RouteStep) and step.device == "xapi5"]
    assert restored == [(ROUTE,)]
    assert (ROUTE, out) in [step.add for step in undo_of_transaction(plan) if isinstance(step, RouteStep)]


def test_a_route_that_cannot_be_set_again_is_a_warning_where_its_device_moves_along() -> None:
    """The others come back, and the operation that XAPI asked for goes on."""
    observed = host(bridge("xenbr0", internal("xapi5", tag=5)), bridge("xapi0"), device="xapi5")
    wrapping = replace(ROUTE, destination=ipaddress.ip_network("203.0.113.0/24"), encapsulates=True)
    device = replace(observed.ip_devices["xapi5"], routes=(ROUTE, wrapping))
    wanted = Topology(absent=frozenset({ObjectKey(kind=ObjectKind.BRIDGE, name="xenbr0")}))

    plan = plan_for(wanted, replace(observed, ip_devices={"xapi5": device}), moves={"xenbr0": "xapi0"})

    assert [step.add for step in plan.steps if isinstance(step, RouteStep)] == [(ROUTE,)]
    (warning,) = plan.warnings
    assert warning.startswith("the route to 203.0.113.0/24 via 192.0.2.1 encap goes with xapi5")


def test_the_undo_of_a_narrower_nic_widens_what_rides_on_it() -> None:
    """The kernel narrows VLAN netdevs with their NIC, and does not widen them with it again."""
    nic = Link(name="eth0", mtu=9000, up=True)
    rider = Link(name="eth0.5", mtu=9000, up=True, kind="vlan", parent="eth0", vlan=5)
    observed = Topology(links={"eth0": nic, "eth0.5": rider})

    (step,) = plan_for(Topology(links={"eth0": Link(name="eth0", mtu=1500)}), observed).steps

    assert step.undo == (LinkStep(device="eth0", mtu=9000), LinkStep(device="eth0.5", mtu=9000, required=False))
