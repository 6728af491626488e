"""apply/deadman.py: how long the window is, and what counts when nobody on the wire gives an address."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest

from xsagent.apply.deadman import Deadman, compute_window, late_updelay
from xsagent.config import Paths
from xsagent.topology.desired import Desired, ManagementPath
from xsagent.topology.values import Address, Bridge, Interface, IpDevice, Link, Origin, Port, Topology


@pytest.mark.parametrize(
    ("setting", "facts", "window"),
    [
        (None, {}, 30.0),
        (None, {"dhcp": True}, 45.0),
        (None, {"updelay_s": 31.0}, 61.0),
        (None, {"high_availability": True}, 20.0),
        (None, {"high_availability": True, "updelay_s": 31.0}, 20.0),
        (10, {"high_availability": True}, 10.0),
        (90, {"dhcp": True}, 90.0),
        (0, {"dhcp": True, "updelay_s": 31.0}, 0.0),
    ],
)
def test_the_window_is_as_designed(setting: int | None, facts: dict[str, Any], window: float) -> None:
    """30 s, 45 with DHCP, plus updelay, at most 20 under HA; 0 is no deadman (DESIGN.md section 4)."""
    given = {"dhcp": False, "high_availability": False, **facts}

    assert compute_window(setting, **given) == window


def bond(updelay: int = 31000) -> Desired:
    """Management on a bond of two NICs."""
    interfaces = {name: Interface(name=name) for name in ("eth0", "eth1")}
    port = Port(name="bond0", interfaces=interfaces, bond_updelay=updelay)
    single = Port(name="eth2", interfaces={"eth2": Interface(name="eth2")})
    bridges = {"xapi0": Bridge(name="xapi0", ports={"bond0": port, "eth2": single})}
    path = ManagementPath(device="xapi0", ports=("xapi0", "bond0", "eth0", "eth1", "eth2"))
    return Desired(topology=Topology(bridges=bridges), management=path)


def links(**carrier: bool) -> Topology:
    """NICs with and without carrier."""
    return Topology(links={name: Link(name=name, carrier=up) for name, up in carrier.items()})


def test_a_bond_with_a_late_carrier_lengthens_the_window_by_its_updelay() -> None:
    """A member whose carrier comes late is enabled updelay later."""
    assert late_updelay(bond(), links(eth0=True, eth1=False)) == 31.0
    assert late_updelay(bond(), links(eth0=True)) == 31.0


def test_a_bond_with_all_carriers_does_not() -> None:
    """Nor does a single NIC, nor an operation that is not about management."""
    assert late_updelay(bond(), links(eth0=True, eth1=True, eth2=False)) == 0.0
    assert late_updelay(Desired(topology=bond().topology), links()) == 0.0


def with_address(text: str, origin: Origin) -> Topology:
    """Management's device with one address."""
    address = Address(interface=ipaddress.ip_interface(text), origin=origin)
    return Topology(ip_devices={"xenbr0": IpDevice(device="xenbr0", addresses=(address,))})


GATEWAY = ipaddress.ip_address("192.0.2.1")
BARE = with_address("fe80::1/64", Origin.LINK_LOCAL)
"""What a device has that nobody gave anything: the kernel's own address."""


def given(before: Topology) -> Deadman:
    """The deadman of a change after which management is to be given its address."""
    path = ManagementPath(device="xenbr0", dhcp=True, learnt=(4,))
    desired = Desired(topology=Topology(), management=path)
    return Deadman(desired=desired, observed=before, paths=Paths(), answered=frozenset({4}), window_s=0.0)


def test_a_link_local_address_alone_is_no_lease() -> None:
    """With PERSISTENT_DHCLIENT ifup succeeds without one, and goes on asking: the change is taken back all the same."""
    deadman = given(with_address("192.0.2.10/24", Origin.STATIC))

    assert deadman.verify(None, lambda: BARE) == (
        "no DHCP server or router gave xenbr0 an address within 0 s; the old configuration is back"
    )


def test_a_lease_without_a_router_is_a_lease() -> None:
    """A network that is meant to have no gateway is seen to work by its address."""
    leased = with_address("192.0.2.77/24", Origin.DHCP)

    assert given(Topology()).verify(None, lambda: leased) is None


def test_no_lease_is_no_reason_to_undo_where_ifup_had_one_before() -> None:
    """DESIGN.md section 4; a client that is not ours is known by the lifetime of its address."""
    deadman = given(with_address("192.0.2.77/24", Origin.DHCP))

    assert deadman.verify(None, lambda: BARE) is None
    assert deadman.unverified == "no DHCP server or router gave xenbr0 an address within 0 s"


def test_an_address_that_is_gone_is_a_failure_where_there_is_no_gateway_to_ask() -> None:
    """Without deadman and without a gateway too: nothing else would tell that the host is off the network."""
    desired = Desired(topology=Topology(), management=ManagementPath(device="xenbr0"))
    before = with_address("192.0.2.10/24", Origin.STATIC)
    deadman = Deadman(desired=desired, observed=before, paths=Paths(), probe=False)

    assert deadman.verify(None, lambda: with_address("192.0.2.11/24", Origin.STATIC)) is None
    assert deadman.verify(None, lambda: BARE) == (
        "xenbr0, the management interface, has no address any more; the old configuration is back"
    )
    assert deadman.verify(None, Topology) is not None


def test_a_management_interface_that_never_had_an_address_has_none_to_lose() -> None:
    """Its first configuration may be on its way."""
    desired = Desired(topology=Topology(), management=ManagementPath(device="xenbr0"))

    assert Deadman(desired=desired, observed=BARE, paths=Paths()).verify(None, lambda: BARE) is None


def test_ipv6_that_was_leased_does_not_excuse_ipv4_that_was_not() -> None:
    """A silent server is no reason to undo where that very family had DHCP before, and IPv4's gateway answered."""
    leased6 = with_address("2001:db8::77/128", Origin.DHCP)
    wanted = IpDevice(device="xenbr0", ipv4_mode="dhcp", ipv6_mode="dhcp")
    path = ManagementPath(device="xenbr0", dhcp=True, learnt=(4, 6))
    desired = Desired(topology=Topology(ip_devices={"xenbr0": wanted}), management=path)
    deadman = Deadman(desired=desired, observed=leased6, paths=Paths(), answered=frozenset({4, 6}), window_s=0.0)

    assert deadman.verify("no DHCP server answered on xenbr0", lambda: leased6) is not None


def test_a_silent_server_of_ipv6_does_not_spare_ipv4_that_has_its_lease() -> None:
    """Both had DHCP before: IPv6's client is no reason to undo, nor is it one not to ask IPv4's gateway."""
    wanted = IpDevice(device="xenbr0", ipv4_mode="dhcp", ipv6_mode="dhcp")
    path = ManagementPath(device="xenbr0", gateways=(GATEWAY,), dhcp=True, learnt=(4, 6))
    desired = Desired(topology=Topology(ip_devices={"xenbr0": wanted}), management=path)
    leased4 = Address(interface=ipaddress.ip_interface("192.0.2.77/24"), origin=Origin.DHCP)
    leased6 = Address(interface=ipaddress.ip_interface("2001:db8::77/128"), origin=Origin.DHCP)
    before = Topology(ip_devices={"xenbr0": IpDevice(device="xenbr0", addresses=(leased4, leased6))})
    deadman = Deadman(desired=desired, observed=before, paths=Paths(), answered=frozenset({4, 6}), window_s=0.0)
    after = Topology(ip_devices={"xenbr0": IpDevice(device="xenbr0", addresses=(leased4,))})

    assert deadman.verify("no DHCP server answered on xenbr0", lambda: after) == (
        "gateway 192.0.2.1 does not answer on xenbr0 within 0 s; the old configuration is back"
    )
    assert deadman.verify("no DHCP server answered on xenbr0", lambda: BARE) is None


def test_each_family_that_answered_before_is_missed_by_itself() -> None:
    """The lease of IPv4 is there, the router of IPv6 is not."""
    path = ManagementPath(device="xenbr0", dhcp=True, learnt=(4, 6))
    desired = Desired(topology=Topology(), management=path)
    leased = with_address("192.0.2.77/24", Origin.DHCP)

    def verify(*answered: int) -> str | None:
        deadman = Deadman(
            desired=desired, observed=Topology(), paths=Paths(), answered=frozenset(answered), window_s=0.0
        )
        return deadman.verify(None, lambda: leased)

    assert verify(4) is None
    assert verify(4, 6) == (
        "no DHCP server or router gave xenbr0 an IPv6 address within 0 s; the old configuration is back"
    )
