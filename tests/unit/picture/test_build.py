"""xsagent/picture/build.py: the state of each thing, and what is foreign."""

from __future__ import annotations

import pytest
from pictured_hosts import bridge, four_nics, interface, ip_device, link, nic, port, topology, vif, vlan

from xsagent.picture.build import build_picture
from xsagent.picture.values import Picture, State
from xsagent.topology.desired import Ownership
from xsagent.topology.values import Bridge, Link, Origin


def only_bridge(one: Bridge, *links: Link) -> Picture:
    """The picture of a host with one bridge."""
    return build_picture(topology([one], list(links), []))


@pytest.mark.parametrize(
    ("one", "state", "note"),
    [
        (nic(0), State.GOOD, None),
        (nic(0, carrier=False), State.BROKEN, "no carrier"),
        (nic(0, up=False), State.BROKEN, "down"),
        (nic(0, mtu=9000), State.GOOD, "MTU 9000"),
    ],
)
def test_a_nic_of_a_bridge_is_as_its_link(one: Link, state: State, note: str | None) -> None:
    """IFF_UP and carrier both count where traffic must pass."""
    (drawn,) = only_bridge(bridge("xenbr0", port("eth0")), one).bridges

    assert (drawn.wires[0].thing.state, drawn.wires[0].thing.notes) == (state, () if note is None else (note,))
    assert drawn.thing.state is (State.BROKEN if state is State.BROKEN else State.GOOD)


@pytest.mark.parametrize(("alive", "state"), [(2, State.GOOD), (1, State.DEGRADED), (0, State.BROKEN)])
def test_a_bond_is_as_good_as_its_members(alive: int, state: State) -> None:
    """And the bridge above it is as good as its bond."""
    bond = port("bond0", interface("eth0"), interface("eth1"), bond_mode="balance-slb")
    links = [nic(number, carrier=number < alive) for number in range(2)]

    (drawn,) = only_bridge(bridge("xenbr0", bond), *links).bridges

    assert (drawn.wires[0].thing.state, drawn.thing.state) == (state, state)


@pytest.mark.parametrize(
    ("one", "state"),
    [
        (link("vif1.0"), State.GOOD),
        (link("vif1.0", carrier=False), State.IDLE),
        (link("vif1.0", up=False), State.BROKEN),
        (link("vif2.0"), State.BROKEN),
    ],
)
def test_a_guests_port_is_as_its_netdev(one: Link, state: State) -> None:
    """No carrier: the guest has not connected yet, which is no fault; a netdev that is gone is one."""
    (drawn,) = only_bridge(bridge("xapi0", vif("vif1.0")), one).bridges

    assert drawn.ports[0].state is state


def test_a_guest_on_no_bridge_is_broken_and_a_spare_nic_is_idle() -> None:
    """Both are shown beside the bridges."""
    loose = build_picture(topology([], [link("vif5.0"), nic(3, up=False), link("lo")], [])).loose

    assert [(one.thing.name, one.thing.state) for one in loose] == [("eth3", State.IDLE), ("vif5.0", State.BROKEN)]


def test_marks_and_records_tell_what_is_foreign() -> None:
    """Without records a NIC counts as ours; with them what they do not claim is foreign."""
    host = topology([bridge("br-ex", port("eth0"), ours=False)], [nic(0)], [])

    without = build_picture(host).bridges[0]
    claimed = build_picture(host, Ownership(bridges=frozenset({"br-ex"}), devices=frozenset({"eth0"}))).bridges[0]
    unclaimed = build_picture(host, Ownership()).bridges[0]

    assert (without.thing.foreign, without.wires[0].thing.foreign) == (True, False)
    assert (claimed.thing.foreign, claimed.wires[0].thing.foreign) == (False, False)
    assert (unclaimed.thing.foreign, unclaimed.wires[0].thing.foreign) == (True, True)


def test_management_comes_first_and_foreign_bridges_last() -> None:
    """Where a person looks first; a VLAN may be management too."""
    tagged = bridge("xenbr7", port("eth0"), vlan("xapi1", 10))
    host = topology([bridge("br-int", ours=False), bridge("xapi0"), tagged], [nic(0)], [])

    drawn = build_picture(host, management="xapi1")

    assert [one.thing.name for one in drawn.bridges] == ["xenbr7", "xapi0", "br-int"]
    assert drawn.bridges[0].vlans[0].management


def test_addresses_are_shown_with_who_gave_them() -> None:
    """Static ones bare; link-local ones not at all."""
    device = ip_device("xenbr0", ("fe80::1/64", Origin.LINK_LOCAL), ("192.0.2.9/24", Origin.DHCP))
    host = topology([bridge("xenbr0")], [link("xenbr0")], [device])

    assert build_picture(host).bridges[0].addresses == ("192.0.2.9/24 (dhcp)",)


def test_a_dead_switch_is_one_complaint() -> None:
    """Not an error at each port."""
    host = four_nics()
    dead = type(host)(bridges=host.bridges, links=host.links, switch_alive=False, complete=False)

    drawn = build_picture(dead)

    assert len(drawn.complaints) == 2
    tunnels = next(one for one in drawn.bridges if one.thing.name == "xapi9").ports
    assert {port.state for port in tunnels} == {State.GOOD}
