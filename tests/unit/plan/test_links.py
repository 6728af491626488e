"""plan/links.py and its callers: new devices get their offloads at once; VLANs fit their NIC; IPv6 goes off last."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

from xsagent.plan.diff import build_plan
from xsagent.plan.links import diff_link, take_link_down
from xsagent.plan.options import PlanOptions
from xsagent.plan.steps import (
    AddressStep,
    CreateVlanLinkStep,
    DeleteLinkStep,
    FeaturesStep,
    LinkSettingsStep,
    LinkStep,
    OvsdbStep,
    RouteStep,
    SysctlStep,
)
from xsagent.topology.desired import Desired
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

OFF = "ipv6/conf/eth0/disable_ipv6"
ADDRESS = Address(interface=ipaddress.ip_interface("2001:db8::10/64"))
ROUTE = Route(destination=ipaddress.ip_network("10.99.0.0/24"), gateway=None, protocol=3)


def test_a_new_device_gets_its_offloads_with_its_first_plan() -> None:
    """Otherwise only a second run would set them (rule 2)."""
    steps = diff_link(Link(name="xenbr0", up=True, features={"gro": False}), None, PlanOptions())

    assert FeaturesStep(device="xenbr0", features={"gro": False}, reason="offloads differ", required=False) in steps


def test_the_mtu_is_a_step_of_its_own_that_may_be_refused() -> None:
    """The link comes up all the same (features.md section 8), and a MTU that was refused is not tried again."""
    wanted = Link(name="eth0", up=True, mtu=9000)
    for observed in (None, Link(name="eth0", up=False, mtu=1500)):
        mtu, up = diff_link(wanted, observed, PlanOptions())

        assert isinstance(mtu, LinkStep)
        assert (mtu.mtu, mtu.up, mtu.required) == (9000, None, False)
        assert isinstance(up, LinkStep)
        assert (up.mtu, up.up, up.required) == (None, True, True)

    options = PlanOptions(refused_settings={"eth0": {"mtu": "9000"}})
    assert diff_link(wanted, Link(name="eth0", up=True, mtu=1500), options) == ()
    assert len(diff_link(replace(wanted, mtu=8000), Link(name="eth0", up=True, mtu=1500), options)) == 1


def test_a_vlan_netdev_is_no_wider_than_the_nic_below() -> None:
    """The kernel refuses it (ERANGE), and the whole operation would go back."""
    wanted = {
        "eth0": Link(name="eth0", up=True),
        "eth0.5": Link(name="eth0.5", up=True, mtu=9000, parent="eth0", vlan=5),
    }
    observed = Topology(links={"eth0": Link(name="eth0", mtu=1500, up=True)})

    plan = build_plan(Desired(topology=Topology(links=wanted)), observed, PlanOptions())

    assert [step.mtu for step in plan.steps if isinstance(step, LinkStep) and step.mtu] == [1500]
    assert any("eth0.5" in warning for warning in plan.warnings)


def test_ipv6_is_switched_off_after_its_addresses_went() -> None:
    """So that the undo switches it on before it puts them back."""
    observed = Topology(
        links={"eth0": Link(name="eth0", up=True, mtu=1500, sysctls={OFF: "0"})},
        ip_devices={"eth0": IpDevice(device="eth0", addresses=(ADDRESS,))},
    )
    wanted = Topology(
        links={"eth0": Link(name="eth0", sysctls={OFF: "1"})},
        ip_devices={"eth0": IpDevice(device="eth0", ipv4_mode="none", ipv6_mode="none")},
    )

    steps = [type(step) for step in build_plan(Desired(topology=wanted), observed, PlanOptions()).steps]

    assert steps.index(AddressStep) < steps.index(SysctlStep)


def test_a_new_device_without_ipv6_comes_up_without_it() -> None:
    """Else it has a link-local address for a moment, and speaks on the wire from it; the switch follows each change."""
    off = {"ipv6/conf/eth0.5/disable_ipv6": "1"}
    wanted = Topology(
        links={"eth0.5": Link(name="eth0.5", up=True, sysctls=off, parent="eth0", vlan=5)},
        ip_devices={"eth0.5": IpDevice(device="eth0.5", ipv4_mode="none", ipv6_mode="none")},
    )
    observed = Topology(links={"eth0": Link(name="eth0", up=True)})

    steps = [type(step) for step in build_plan(Desired(topology=wanted), observed, PlanOptions()).steps]

    assert steps == [CreateVlanLinkStep, SysctlStep, LinkStep]


def test_the_undo_of_a_link_that_goes_down_brings_its_routes_back() -> None:
    """The kernel drops them, also those of VLAN netdevs on it."""
    links = {
        "eth0": Link(name="eth0", up=True, mtu=1500),
        "eth0.5": Link(name="eth0.5", up=True, mtu=1500, kind="vlan", parent="eth0", vlan=5),
    }
    devices = {name: IpDevice(device=name, routes=(ROUTE,)) for name in links}
    observed = Topology(links=links, ip_devices=devices)

    (step,) = take_link_down(links["eth0"], observed, "no longer used")

    assert step.undo[0] == LinkStep(device="eth0", up=True)
    assert [undo.device for undo in step.undo if isinstance(undo, RouteStep)] == ["eth0", "eth0.5"]


def test_the_undo_of_a_deleted_vlan_netdev_makes_it_again() -> None:
    """With its state."""
    link = Link(name="eth0.5", up=True, mtu=1400, kind="vlan", parent="eth0", vlan=5)

    (step,) = take_link_down(link, Topology(links={"eth0.5": link}), "no longer used")

    assert [type(undo) for undo in step.undo] == [CreateVlanLinkStep, LinkStep]


def test_the_undo_of_a_speed_advertises_again_what_was_advertised() -> None:
    """The speed of before was negotiated: brought back as a wish it would leave the NIC with that one mode."""
    before = {"autoneg": "on", "speed": "1000", "duplex": "full", "advertise": "0xef"}
    observed = Link(name="eth0", up=True, mtu=1500, settings=before)

    (step,) = diff_link(Link(name="eth0", settings={"autoneg": "off", "speed": "100"}), observed, PlanOptions())

    (undo,) = step.undo
    assert isinstance(undo, LinkSettingsStep)
    assert undo.settings == {"autoneg": "on", "speed": "1000", "advertise": "0xef"}


def test_a_vlan_netdev_goes_before_the_nic_below_it() -> None:
    """The undo makes it again after the NIC is up: the kernel refuses to raise it over a NIC that is down."""
    links = {
        "eth0": Link(name="eth0", up=True, mtu=1500),
        "eth0.5": Link(name="eth0.5", up=True, mtu=1500, kind="vlan", parent="eth0", vlan=5),
    }
    wanted = Topology(absent=frozenset(ObjectKey(kind=ObjectKind.LINK, name=name) for name in links))

    steps = build_plan(Desired(topology=wanted), Topology(links=links), PlanOptions()).steps

    assert [type(step) for step in steps] == [DeleteLinkStep, LinkStep]


def test_only_members_that_join_a_bond_are_waited_for() -> None:
    """A bond that stands is not looked at anew by the switch: waiting for a dead member would be in vain."""
    interfaces = {name: Interface(name=name) for name in ("eth0", "eth1")}
    own = Port(name="xapi0", interfaces={"xapi0": Interface(name="xapi0", type="internal")})
    bond = Port(name="bond0", interfaces=interfaces)
    links = {name: Link(name=name, up=True, carrier=False) for name in interfaces}
    have = Bridge(name="xapi0", fail_mode=None, ports={"xapi0": own, "bond0": bond})
    wanted = Topology(bridges={"xapi0": replace(have, fail_mode="standalone")}, links=links)

    plan = build_plan(Desired(topology=wanted), Topology(bridges={"xapi0": have}, links=links), PlanOptions())

    assert [type(step) for step in plan.steps] == [OvsdbStep]
