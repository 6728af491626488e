"""MTU over the whole stack."""

from __future__ import annotations

import dataclasses

import pytest
from records_builder import HOST, IFCFG, NETLINK, Records, management, warnings

from xsagent.desired.boot import build_boot_desired
from xsagent.desired.mtu import build_network_mtus
from xsagent.topology.desired import Desired
from xsagent.topology.values import KEEP


def _mtus(desired: Desired) -> dict[str, object]:
    links = {name: link.mtu for name, link in desired.topology.links.items()}
    requests = {
        name: interface.mtu_request
        for bridge in desired.topology.bridges.values()
        for port in bridge.ports.values()
        for name, interface in port.interfaces.items()
    }
    assert {
        name: mtu for name, mtu in links.items() if name in requests and mtu is not KEEP
    }.items() <= requests.items()
    return {**links, **requests}


@pytest.mark.parametrize(
    ("pif", "network", "record", "wanted"),
    [
        ("9000", "8000", "7000", 9000),
        (None, "8000", "7000", 8000),
        (None, None, "7000", 7000),
        (None, None, "", 1500),
        ("67", "65536", "68", 68),
        (" 1_500 ", None, "65535", 65535),
        ("1500.0", "0x5dc", "-1", 1500),
    ],
)
def test_f25_the_first_valid_value_counts_everywhere(
    pif: str | None, network: str | None, record: str, wanted: int
) -> None:
    """PIF other_config, network other_config, network.MTU, 1500; NIC, bridge and file agree (F25)."""
    records = Records()
    nic = records.nic(0, other_config={} if pif is None else {"mtu": pif})
    records.change_network(nic, mtu=record, other_config={} if network is None else {"mtu": network})
    desired = records.up(nic, options=IFCFG)
    assert _mtus(desired) == {"eth0": wanted, "xenbr0": wanted}
    text = desired.topology.files["/etc/sysconfig/network-scripts/ifcfg-xenbr0"] or ""
    assert f"\nMTU={wanted}\n" in text


@pytest.mark.parametrize(
    ("network", "record", "wanted"),
    [("8000", "7000", {"xenbr0": 8000}), ("67", "7000", {"xenbr0": 7000}), (None, "", {}), ("x", "y", {})],
)
def test_a_guests_network_has_its_own_mtu(network: str | None, record: str, wanted: dict[str, int]) -> None:
    """Without the PIF's, which is its carrier's; one that cannot be is passed over."""
    records = Records()
    records.change_network(records.nic(0), mtu=record, other_config={} if network is None else {"mtu": network})

    assert build_network_mtus(records.snapshot()) == wanted


def test_f04_an_mtu_with_blanks_or_underscores_is_warned_about() -> None:
    """The legacy scripts took ` 1_500 ` for a number (F15: and left the link down for others)."""
    records = Records()
    assert any(
        "' 1_500 ' is not a decimal number" in text
        for text in warnings(records.up(records.nic(0, other_config={"mtu": " 1_500 "})))
    )


def test_a_carrier_is_as_wide_as_its_widest_vlan_that_is_up() -> None:
    """NIC >= VLAN; the bridge's own device has its own network's MTU; a VLAN that is down does not count."""
    records = Records()
    nic = records.nic(1)
    records.change_network(records.vlan(nic, 5, currently_attached=True), mtu="9000")
    records.change_network(records.vlan(nic, 6), mtu="9100")
    assert _mtus(records.up(nic)) == {"eth1": 9000, "xenbr1": 1500}


def test_a_vlan_that_the_switch_has_counts_whatever_xapi_says() -> None:
    """An admin brought it up: its guests' frames must still fit, and it is narrowed with its carrier."""
    records = Records()
    nic = records.nic(1)
    vlan = records.vlan(nic, 5)
    records.change_network(vlan, mtu="9000")
    host = dataclasses.replace(HOST, present_bridges=frozenset({"xenbr1", "xapi5"}))
    desired = records.up(nic, host)
    assert (_mtus(desired), desired.riders) == ({"eth1": 9000, "xenbr1": 1500}, {"xapi5": 9000})
    records.change_network(vlan, mtu="1400")
    desired = records.up(nic, host)
    assert (_mtus(desired), desired.riders) == ({"eth1": 1500, "xenbr1": 1500}, {"xapi5": 1400})


def test_raising_a_wide_vlan_raises_its_carrier() -> None:
    """At once, where no management is on the way."""
    records = Records()
    nic = records.nic(1, currently_attached=True)
    vlan = records.vlan(nic, 5)
    records.change_network(vlan, mtu="9000")
    assert _mtus(records.up(vlan)) == {"eth1": 9000, "xenbr1": 1500, "xapi5": 9000}


def test_bond_members_have_the_bonds_mtu() -> None:
    """Whatever their own networks say."""
    records = Records()
    first, second = records.nic(0), records.nic(1)
    bond = records.bond(first, second)
    records.change_network(first, mtu="9216")
    records.change_network(bond, mtu="8000")
    assert _mtus(records.up(bond)) == {"eth0": 8000, "eth1": 8000, "xapi0": 8000, "bond0": KEEP}


def test_a_vlan_on_a_bond_raises_all_members() -> None:
    """The whole stack below it."""
    records = Records()
    bond = records.bond(records.nic(0), records.nic(1), currently_attached=True)
    vlan = records.vlan(bond, 7)
    records.change_network(vlan, mtu="9000")
    mtus = _mtus(records.up(vlan))
    assert {name: mtus[name] for name in ("eth0", "eth1", "xapi7")} == {"eth0": 9000, "eth1": 9000, "xapi7": 9000}


def test_the_carrier_of_management_is_not_changed_on_the_way() -> None:
    """Then a person is told which command does it."""
    records = Records()
    nic = records.nic(0, **management())
    vlan = records.vlan(nic, 5)
    records.change_network(vlan, mtu="9000")
    desired = records.up(vlan)
    assert _mtus(desired) == {"eth0": KEEP, "xenbr0": KEEP, "xapi5": 9000}
    assert any("interface-reconfigure --pif-uuid uuid-eth0 up" in text for text in warnings(desired))
    records.change(vlan, currently_attached=True)
    assert _mtus(records.up(nic))["eth0"] == 9000


def test_a_carrier_below_managements_vlan_is_not_changed_on_the_way() -> None:
    """The way of management is the NIC below its VLAN, too."""
    records = Records()
    nic = records.nic(0, currently_attached=True)
    records.vlan(nic, 10, **management())
    vlan = records.vlan(nic, 5)
    records.change_network(vlan, mtu="9000")
    assert _mtus(records.up(vlan))["eth0"] is KEEP


def test_management_that_is_not_up_yet_hinders_nothing() -> None:
    """At boot the carrier comes up with what its VLANs need."""
    records = Records(source="cache")
    nic = records.nic(0)
    vlan = records.vlan(nic, 10, management=True, ip_mode="DHCP")
    records.change_network(vlan, mtu="9000")
    assert _mtus(records.up(vlan, origin="force"))["eth0"] == 9000


def test_a_bridgeless_vlan_needs_its_nic_as_wide() -> None:
    """The 8021q device cannot be wider than what it is on."""
    records = Records()
    nic = records.nic(1, bridge="")
    vlan = records.vlan(nic, 5, bridge="")
    records.change_network(vlan, mtu="9000")
    assert _mtus(records.up(vlan)) == {"eth1": 9000, "eth1.5": 9000}


def test_f25_a_bridgeless_nic_s_file_and_link_are_as_wide_as_what_it_carries() -> None:
    """Else an ifup of the NIC would narrow the VLANs on it."""
    records = Records()
    nic = records.nic(1, bridge="", ip_mode="None")
    vlan = records.vlan(nic, 5, bridge="", currently_attached=True)
    records.change_network(vlan, mtu="9000")

    desired = records.up(nic, options=IFCFG)

    assert _mtus(desired)["eth1"] == 9000
    assert "MTU=9000\n" in (desired.topology.files["/etc/sysconfig/network-scripts/ifcfg-eth1"] or "")


def test_a_carrier_that_is_brought_up_says_how_wide_its_vlans_are() -> None:
    """Those that are up already; the up of a VLAN, which may be one of 500, says nothing of the others."""
    records = Records()
    nic = records.nic(1, currently_attached=True)
    wide, plain = (
        records.vlan(nic, 5, currently_attached=True),
        records.vlan(nic, 6, bridge="", currently_attached=True),
    )
    records.vlan(nic, 7)
    records.vlan(nic, 8, currently_attached=True, managed=False)
    records.change_network(wide, mtu="9000")
    assert records.up(nic).riders == {"xapi5": 9000, "eth1.6": 1500}
    assert records.up(plain).riders == {}


def test_only_the_up_of_a_carrier_itself_makes_it_narrower() -> None:
    """A bond's members are its own; and what is raised together with its carrier is no reason to leave that wide."""
    records = Records()
    members = [records.nic(number) for number in (1, 2)]
    bond = records.bond(*members)
    vlan, other = records.vlan(bond, 5), records.vlan(records.nic(3, bridge=""), 6, bridge="")

    def at_least(desired: Desired) -> set[str]:
        return {link.name for link in desired.topology.links.values() if link.mtu_is_least}

    assert at_least(records.up(vlan)) == {"eth1", "eth2"}
    assert at_least(records.up(other)) == {"eth3"}
    assert at_least(records.up(bond)) == set()
    records.change(bond, **management())
    records.change(vlan, currently_attached=True)
    assert at_least(build_boot_desired(records.snapshot(), HOST, NETLINK).desired) == set()
