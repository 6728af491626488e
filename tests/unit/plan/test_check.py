"""plan/check.py: what cannot be done for a device beside the operation's own never takes the operation back."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

import pytest

from xsagent.errors import DeviceAbsentError, InUseError, ManagementLostError
from xsagent.plan.diff import build_plan
from xsagent.plan.options import PlanOptions
from xsagent.plan.steps import OvsdbStep, StartDhcpStep, StopDhcpStep, UpdateIssueStep
from xsagent.topology.desired import Desired, ManagementPath, Ownership
from xsagent.topology.values import (
    Address,
    Bridge,
    DhcpClient,
    Interface,
    IpDevice,
    Json,
    Link,
    ObjectKey,
    ObjectKind,
    Port,
    Topology,
)


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


def test_nics_with_each_others_names_are_refused_unless_one_bond_has_both() -> None:
    """Which wire a network is on would be a guess; in a bond both are on it."""
    macs = {"eth0": "00:16:3e:00:00:00", "eth1": "00:16:3e:00:00:01"}
    other = {"eth0": "eth1", "eth1": "eth0"}
    wanted = {name: Link(name=name, expected_mac=macs[other[name]]) for name in macs}
    observed = Topology(links={name: Link(name=name, mac=mac, physical=True) for name, mac in macs.items()})
    interfaces = {name: Interface(name=name) for name in macs}
    bond = Bridge(name="xapi0", ports={"bond0": Port(name="bond0", interfaces=interfaces)})

    with pytest.raises(DeviceAbsentError, match="eth0 has MAC 00:16:3e:00:00:00"):
        build_plan(Desired(topology=Topology(links=wanted)), observed, PlanOptions())
    plan = build_plan(Desired(topology=Topology(links=wanted, bridges={"xapi0": bond})), observed, PlanOptions())
    assert len(plan.warnings) == 2
    assert all("one bond has both" in warning for warning in plan.warnings)


def test_virtual_functions_of_a_nic_that_is_not_there_are_refused_by_its_name() -> None:
    """Exit 0 with nothing to do would tell XAPI that guests can have some."""
    desired = Desired(topology=Topology(), virtual_functions=frozenset({"eth2"}))

    with pytest.raises(DeviceAbsentError, match="network device eth2 is not on this host; nothing was changed"):
        build_plan(desired, Topology(links={"eth1": Link(name="eth1")}), PlanOptions())


def test_a_nic_without_sriov_is_a_warning() -> None:
    """Its driver may make them in a way of its own."""
    desired = Desired(topology=Topology(), virtual_functions=frozenset({"eth2"}))

    plan = build_plan(desired, Topology(links={"eth2": Link(name="eth2")}), PlanOptions())

    assert plan.steps == ()
    (warning,) = plan.warnings
    assert warning.startswith("the kernel shows no SR-IOV on eth2, so it gets no virtual functions: ")


MANAGEMENT = ManagementPath(device="xenbr0")


def test_management_is_not_left_without_any_address() -> None:
    """As XAPI's PIF_IS_MANAGEMENT_INTERFACE; XAPI makes such a record where a bond joins two VLANs of one tag."""
    address = Address(interface=ipaddress.ip_interface("192.0.2.10/24"))
    observed = Topology(
        links={"xenbr0": Link(name="xenbr0", up=True)},
        ip_devices={"xenbr0": IpDevice(device="xenbr0", addresses=(address,))},
    )
    bare = IpDevice(device="xenbr0", ipv4_mode="none", ipv6_mode="none")
    desired = Desired(topology=Topology(ip_devices={"xenbr0": bare}), management=MANAGEMENT)

    with pytest.raises(ManagementLostError, match=r"would lose 192\.0\.2\.10/24; nothing was changed"):
        build_plan(desired, observed, PlanOptions())

    assert build_plan(Desired(topology=desired.topology), observed, PlanOptions()).steps != ()
    assert build_plan(desired, Topology(links=observed.links), PlanOptions()).steps == ()


def test_management_keeps_its_device() -> None:
    """Whatever a plan takes away: not that one."""
    bridge = Bridge(name="xenbr0", ports={"xenbr0": internal_port("xenbr0")}, external_ids={"xs-network-uuids": "a"})
    observed = Topology(bridges={"xenbr0": bridge}, links={"xenbr0": Link(name="xenbr0", up=True)})
    gone = Topology(absent=frozenset({ObjectKey(kind=ObjectKind.BRIDGE, name="xenbr0")}))

    with pytest.raises(ManagementLostError, match="xenbr0 is the management interface"):
        build_plan(Desired(topology=gone, management=MANAGEMENT), observed, PlanOptions())


def two_nics(**carrier: bool) -> dict[str, Link]:
    """NICs that are there, some of which have carrier."""
    return {name: Link(name=name, physical=True, carrier=carrier.get(name, False)) for name in ("eth0", "eth1")}


def uplinks(bridge: str, *nics: str) -> Bridge:
    """A bridge with its own port and these NICs, each in a port of its own name."""
    ports = {name: Port(name=name, interfaces={name: Interface(name=name)}) for name in nics}
    return Bridge(name=bridge, ports={bridge: internal_port(bridge), **ports}, external_ids={"xs-network-uuids": "a"})


def test_the_last_nic_that_works_is_not_taken_from_the_bridge_that_management_is_on() -> None:
    """Whatever NIC its record names; where no deadman looks on, one without carrier does not work."""
    ownership = Ownership(bridges=frozenset({"xenbr0", "xenbr9"}), devices=frozenset({"eth0", "eth1"}))
    wanted = Desired(
        topology=Topology(bridges={"xenbr0": uplinks("xenbr0", "eth0")}),
        ownership=ownership,
        management_device="xenbr9",
    )
    alone = Topology(bridges={"xenbr9": uplinks("xenbr9", "eth0")}, links=two_nics(eth0=True))
    beside = Topology(bridges={"xenbr9": uplinks("xenbr9", "eth0", "eth1")}, links=two_nics(eth0=True))
    both = replace(beside, links=two_nics(eth0=True, eth1=True))

    for observed in (alone, beside):
        with pytest.raises(InUseError, match="management is on xenbr9, which would lose eth0"):
            build_plan(wanted, observed, PlanOptions())

    assert build_plan(wanted, both, PlanOptions()).steps != ()
    assert build_plan(replace(wanted, management=MANAGEMENT), beside, PlanOptions()).steps != ()
    assert build_plan(replace(wanted, management_device=""), alone, PlanOptions()).steps != ()


def test_the_last_nic_of_the_bridge_that_management_is_on_is_not_taken_down() -> None:
    """Its own PIF's `down` wants that."""
    nic = Topology(absent=frozenset({ObjectKey(kind=ObjectKind.LINK, name="eth0")}))
    observed = Topology(bridges={"xenbr9": uplinks("xenbr9", "eth0")}, links=two_nics(eth0=True))

    with pytest.raises(InUseError, match="management is on xenbr9, which would lose eth0"):
        build_plan(Desired(topology=nic, management_device="xenbr9"), observed, PlanOptions())


def test_what_others_set_on_a_bridge_that_a_vlan_bridge_replaces_is_named() -> None:
    """On the carrier's bridge a mirror would show other VLANs; the ports move all the same."""
    mirror: Json = {"table": "Mirror", "uuid": "m1", "row": {"name": "admin"}}
    real = Bridge(name="xapi5", ports={"xapi5": internal_port("xapi5")}, extra={"mirrors": mirror})
    carrier = Bridge(name="xenbr0", ports={"xenbr0": internal_port("xenbr0")})
    desired = Desired(
        topology=Topology(bridges={"xenbr0": Bridge(name="xenbr0", ports={"xapi5": internal_port("xapi5", 5)})}),
        ownership=Ownership(bridges=frozenset({"xapi5", "xenbr0"})),
    )

    plan = build_plan(desired, Topology(bridges={"xapi5": real, "xenbr0": carrier}), PlanOptions())

    assert plan.warnings == ("bridge xapi5 goes, and what others set on it with it: mirror admin",)
