"""Which interface gets DNS and the default gateway."""

from __future__ import annotations

import dataclasses

import pytest
from records_builder import HOST, IFCFG, NETLINK, Records, management, static, warnings

from xsagent.desired.dns_gateway import choose_roles
from xsagent.desired.notes import Notes
from xsagent.desired.scene import Scene
from xsagent.model.records import Ref

_BOTH = {"peerdns": "true", "defaultroute": "true"}


def _roles(records: Records, **fields: object) -> tuple[str, str, bool]:
    """Devices with the roles, and whether there was a warning."""
    snapshot, notes = records.snapshot(), Notes()
    values = {"management": snapshot.management_pif(), "host": HOST, "options": NETLINK, **fields}
    roles = choose_roles(Scene(snapshot=snapshot, **values), notes)
    devices = [pif.device if pif else "" for pif in (roles.dns, roles.gateway)]
    return devices[0], devices[1], any(reason.warning for reason in notes.as_reasons())


def test_management_has_both_roles_by_default() -> None:
    """Nothing asks for them."""
    records = Records()
    records.nic(0, currently_attached=True, **static())
    records.nic(1, **management())
    assert _roles(records) == ("eth1", "eth1", False)


def test_other_config_takes_a_role_each() -> None:
    """Key peerdns is about DNS, key defaultroute about the gateway."""
    records = Records()
    records.nic(0, **management())
    records.nic(1, currently_attached=True, other_config={"peerdns": "true"}, **static())
    records.nic(2, currently_attached=True, other_config={"defaultroute": "true"}, **static())
    assert _roles(records) == ("eth1", "eth2", False)


def test_of_several_that_ask_the_lowest_device_wins_with_a_warning() -> None:
    """Then the lowest VLAN; the order of records does not matter."""
    records = Records()
    records.nic(2, currently_attached=True, other_config=_BOTH, **static())
    first = records.nic(1, currently_attached=True)
    records.vlan(first, 20, currently_attached=True, other_config=_BOTH, **static())
    records.vlan(first, 5, currently_attached=True, other_config=_BOTH, **static())
    snapshot, notes = records.snapshot(), Notes()
    roles = choose_roles(Scene(snapshot=snapshot, host=HOST, options=NETLINK), notes)
    assert roles.dns is not None
    assert (roles.dns.device, roles.dns.vlan) == ("eth1", 5)
    assert any(reason.warning for reason in notes.as_reasons())


def test_without_management_any_gets_the_roles_with_a_warning() -> None:
    """A host must have a gateway."""
    records = Records()
    records.nic(1, currently_attached=True, **static())
    assert _roles(records) == ("eth1", "eth1", True)


def test_f27_a_detached_pif_does_not_compete() -> None:
    """The legacy scripts gave it both roles, and management neither."""
    records = Records()
    records.nic(0, **management())
    records.nic(1, other_config=_BOTH, **static())
    assert _roles(records) == ("eth0", "eth0", False)
    assert _roles(records, origin="force") == ("eth0", "eth0", False)


def test_a_pif_that_is_being_raised_competes() -> None:
    """It is up afterwards."""
    records = Records()
    records.nic(0, **management())
    nic = records.nic(1, other_config=_BOTH, **static())
    assert _roles(records, raised=frozenset({nic})) == ("eth1", "eth1", False)


def test_under_force_what_the_inventory_brings_up_competes() -> None:
    """At boot nothing is up yet; CURRENT_INTERFACES says what will be."""
    records = Records(source="cache")
    records.nic(0, **management(currently_attached=False))
    records.nic(1, other_config=_BOTH, **static())
    host = dataclasses.replace(HOST, current_interfaces=("xenbr0", "xenbr1"))
    assert _roles(records, host=host, origin="force") == ("eth1", "eth1", False)


def test_without_xapi_the_switch_says_what_is_up() -> None:
    """A legacy cache says of everything that it is detached."""
    records = Records(source="cache")
    records.nic(0, **management(currently_attached=False))
    records.nic(1, other_config=_BOTH, **static())
    host = dataclasses.replace(HOST, present_bridges=frozenset({"xenbr0", "xenbr1"}))
    assert _roles(records, host=host) == ("eth1", "eth1", False)


@pytest.mark.parametrize(
    "fields",
    [
        {"ip_mode": "None"},
        {"primary_address_type": "IPv6", "ip_mode": "DHCP"},
        {"managed": False, "ip_mode": "DHCP"},
    ],
)
def test_a_pif_whose_primary_family_has_no_mode_does_not_compete(fields: dict[str, object]) -> None:
    """Neither does an unmanaged one."""
    records = Records()
    records.nic(0, **management())
    records.nic(1, currently_attached=True, other_config=_BOTH, **fields)
    assert _roles(records) == ("eth0", "eth0", False)


def test_bond_members_do_not_compete_but_a_raised_one_does() -> None:
    """Raising a member takes the bond down, so that does not compete then."""
    records = Records()
    member = records.nic(0, other_config=_BOTH, currently_attached=True, **static())
    records.bond(member, records.nic(1), currently_attached=True, other_config=_BOTH, **static("192.0.2.11"))
    records.nic(2, **management())
    assert _roles(records) == ("bond0", "bond0", False)
    assert _roles(records, raised=frozenset({member})) == ("eth0", "eth0", False)


def test_a_member_that_is_up_without_its_bond_competes() -> None:
    """Management on a NIC whose bond is down: another PIF that comes up does not take the way out from it."""
    records = Records()
    nic = records.nic(0, **management(**static()))
    records.bond(nic, records.nic(1))
    other = records.nic(2, **static("198.51.100.5", "198.51.100.1"))

    topology = records.up(other).topology

    assert topology.ip_devices["xenbr2"].routes == ()
    assert set(topology.ip_devices) == {"xenbr2"}


def test_a_pif_that_goes_down_gives_its_roles_to_management() -> None:
    """It does not compete any more."""
    records = Records()
    records.nic(0, **management())
    nic = records.nic(1, currently_attached=True, other_config=_BOTH, **static())
    assert _roles(records, lowered=frozenset({nic})) == ("eth0", "eth0", False)


def test_a_word_that_is_no_truth_value_asks_for_nothing() -> None:
    """A warning names it."""
    records = Records()
    records.nic(0, **management())
    records.nic(1, currently_attached=True, other_config={"peerdns": "yes"}, **static())
    assert _roles(records) == ("eth0", "eth0", True)


def test_becoming_management_counts_as_management() -> None:
    """Option --management, but not together with --force (features.md section 1)."""
    records = Records()
    records.nic(0, **management())
    nic = records.nic(1, **static())
    routes = records.up(nic, becoming_management=True).topology.ip_devices["xenbr1"].routes
    assert [str(route.gateway) for route in routes] == ["192.0.2.1"]
    assert not records.up(nic, becoming_management=True, origin="force").topology.ip_devices["xenbr1"].routes


# --- the other interface that a move concerns --------------------------------------------------------------


def test_the_interface_that_loses_the_gateway_loses_its_default_route() -> None:
    """Both-up: its address stays."""
    records = Records()
    records.nic(0, **management(**static()))
    desired = records.up(records.nic(1, **static("198.51.100.5", "198.51.100.1", other_config=_BOTH)))
    other = desired.topology.ip_devices["xenbr0"]
    assert (len(other.addresses), other.routes) == (1, ())
    assert "xenbr0" not in desired.topology.links


def test_the_client_of_an_interface_that_loses_its_roles_asks_for_less() -> None:
    """Its configuration changes, and with that alone it is restarted."""
    records = Records()
    nic = records.nic(0, **management())
    before = records.up(nic).topology.ip_devices["xenbr0"].dhcp4
    taking = records.nic(1, **static("198.51.100.5", "198.51.100.1", other_config=_BOTH))
    after = records.up(taking).topology.ip_devices["xenbr0"].dhcp4
    assert before is not None
    assert after is not None
    assert "routers" in before.configuration
    assert "routers" not in after.configuration


def test_a_bond_member_that_is_up_without_its_bond_gives_up_its_roles_too() -> None:
    """Its client would take the way out back with the next lease."""
    records = Records()
    nic = records.nic(0, **management())
    records.bond(nic, records.nic(2))
    taking = records.nic(1, **static("198.51.100.5", "198.51.100.1", other_config=_BOTH))

    client = records.up(taking).topology.ip_devices["xenbr0"].dhcp4

    assert client is not None
    assert "routers" not in client.configuration


def test_an_interface_that_goes_with_its_bond_is_not_adapted() -> None:
    """A client for a VLAN of the bond could not be started: its device goes."""
    records = Records()
    nic = records.nic(0, bridge="", ip_mode="DHCP")
    bond = records.bond(nic, records.nic(2))
    records.vlan(bond, 7, **management())

    desired = records.up(nic, becoming_management=True)

    assert set(desired.topology.ip_devices) == {"eth0"}


def test_the_interface_that_gets_the_gateway_back_gets_its_route_and_servers() -> None:
    """`down` of the one that had asked for them."""
    records = Records()
    records.nic(0, **management(**static(dns="192.0.2.2")))
    taking = records.nic(1, currently_attached=True, **static("198.51.100.5", "198.51.100.1", other_config=_BOTH))
    topology = records.down(taking).topology
    assert [str(route.gateway) for route in topology.ip_devices["xenbr0"].routes] == ["192.0.2.1"]
    assert topology.resolver is not None


def test_nothing_is_said_of_others_when_no_role_moves() -> None:
    """Raising a storage interface concerns nobody else."""
    records = Records()
    records.nic(0, **management())
    assert set(records.up(records.nic(1, **static("198.51.100.5", ""))).topology.ip_devices) == {"xenbr1"}


def test_an_interface_that_cannot_be_adapted_is_warned_about() -> None:
    """A bad record of another PIF does not stop this one."""
    records = Records()
    records.nic(0, **management(**static("nonsense")))
    desired = records.up(records.nic(1, **static("198.51.100.5", "198.51.100.1", other_config=_BOTH)))
    assert set(desired.topology.ip_devices) == {"xenbr1"}
    (text,) = (text for text in warnings(desired) if "nonsense" in text)
    assert "nothing was changed" not in text


def test_an_interface_that_is_not_there_is_not_adapted() -> None:
    """Whatever its record says: drift of another PIF must not stop this one."""
    records = Records()
    records.nic(0, **management())
    nic = records.nic(1, **static("198.51.100.5", "198.51.100.1", other_config=_BOTH))
    host = dataclasses.replace(HOST, present_bridges=frozenset({"xenbr1"}))
    assert set(records.up(nic, host).topology.ip_devices) == {"xenbr1"}


def test_with_ifcfg_the_file_of_roles_is_enough() -> None:
    """Recorded case 20: all lines name the new interface, no other file is touched."""
    records = Records()
    records.nic(0, **management())
    nic = records.nic(1, **static("198.51.100.5", "198.51.100.1", other_config=_BOTH))
    host = dataclasses.replace(HOST, sysconfig_network="GATEWAYDEV=xenbr0\nX=1\nGATEWAYDEV=xenbr0\nDNSDEV=xenbr0\n")
    topology = records.up(nic, host, IFCFG).topology
    assert topology.files["/etc/sysconfig/network"] == "GATEWAYDEV=xenbr1\nX=1\nDNSDEV=xenbr1\n"
    assert set(topology.ip_devices) == {"xenbr1"}
    assert Ref("pif-eth0") in records.pifs
