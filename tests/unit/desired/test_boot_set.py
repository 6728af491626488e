"""`--force-interface all`: the boot set of features.md section 23, as one desired state."""

from __future__ import annotations

import dataclasses

from records_builder import HOST, IFCFG, NETLINK, Records, static, warnings

from xsagent.desired.boot import build_boot_desired
from xsagent.desired.boot_set import boot_set
from xsagent.desired.notes import Notes
from xsagent.desired.request import HostFacts
from xsagent.model.records import Ref
from xsagent.topology.desired import Desired


def _cache() -> Records:
    return Records(source="/var/xapi/network.dbcache")


def _names(records: Records, host: HostFacts = HOST) -> list[str]:
    return [pif.ref.removeprefix("pif-") for pif in boot_set(records.snapshot(), host, Notes())]


def _boot(records: Records, host: HostFacts = HOST) -> Desired:
    return build_boot_desired(records.snapshot(), host, NETLINK).desired


def test_management_comes_first_then_what_the_inventory_names_then_the_rest() -> None:
    """NICs, bonds and whatever has an IP mode; a VLAN without IP only where CURRENT_INTERFACES names it."""
    records = _cache()
    first = records.nic(0)
    records.vlan(first, 5)
    records.vlan(first, 6, **static())
    records.vlan(first, 7)
    records.nic(3, managed=False)
    bond = records.bond(records.nic(1), records.nic(2))
    records.vlan(bond, 8, management=True, ip_mode="DHCP")
    host = dataclasses.replace(HOST, management_bridge="xapi8", current_interfaces=("xapi0", "xapi7", "gone"))
    assert _names(records, host) == ["bond0.8", "bond0", "eth0.7", "eth0", "eth0.6"]


def test_the_inventory_stands_in_for_a_record_of_management() -> None:
    """A cache may have lost it."""
    records = _cache()
    records.nic(0)
    records.nic(1, **static())
    host = dataclasses.replace(HOST, management_bridge="xenbr1")
    assert _names(records, host) == ["eth1", "eth0"]
    desired = _boot(records, host)
    assert desired.management is not None
    assert desired.management.device == "xenbr1"


def test_everything_is_one_desired_state() -> None:
    """One plan, one transaction."""
    records = _cache()
    first = records.nic(0, management=True, **static())
    for tag in range(10, 40):
        records.vlan(first, tag, **static(f"10.0.{tag}.2", ""))
    records.bond(records.nic(1), records.nic(2))
    desired = _boot(records)
    assert set(desired.topology.bridges) == {"xenbr0", "xapi0"}
    assert len(desired.topology.bridges["xenbr0"].ports) == 32
    assert len(desired.topology.ip_devices) == 32
    assert desired.management is not None
    assert desired.management.device == "xenbr0"
    assert not warnings(desired)


def test_with_ifcfg_each_device_has_its_files_and_management_the_roles() -> None:
    """As raising one after another would leave them."""
    records = _cache()
    records.nic(0, management=True, ip_mode="DHCP")
    records.nic(1, **static())
    files = build_boot_desired(records.snapshot(), HOST, IFCFG).desired.topology.files
    assert "/etc/sysconfig/network-scripts/ifcfg-xenbr1" in files
    assert (files["/etc/sysconfig/network"] or "").endswith("DNSDEV=xenbr0\nGATEWAYDEV=xenbr0\n")


def test_a_member_that_cannot_come_up_is_reported_and_left_out() -> None:
    """And what rides on it; it no longer competes for a role either."""
    records = _cache()
    records.nic(0, management=True, **static())
    bad = records.nic(1, ip_mode="Weird", other_config={"defaultroute": "true"})
    records.nic(2, **static("198.51.100.2", ""))
    host = dataclasses.replace(HOST, current_interfaces=("xenbr1",))
    desired = _boot(records, host)
    assert set(desired.topology.bridges) == {"xenbr0", "xenbr2"}
    assert set(desired.topology.links) == {"eth0", "eth2", "xenbr0", "xenbr2"}
    assert [str(route.gateway) for route in desired.topology.ip_devices["xenbr0"].routes] == ["192.0.2.1"]
    assert any("'Weird' is not an IP configuration mode" in text for text in warnings(desired))
    assert bad in records.pifs


def test_a_bridge_name_of_several_networks_is_managements_at_boot() -> None:
    """As its address is; whoever else has the name is named and left out, and so is what rides on it."""
    records = _cache()
    bond = records.bond(records.nic(0, bridge="a"), records.nic(1, bridge="b"))
    records.vlan(bond, 20, management=True, **static())
    records.nic(2, bridge="xapi0")
    records.vlan(records.nic(3, bridge="xapi20"), 7, **static("198.18.0.10", ""))
    desired = _boot(records)
    assert desired.topology.bridges["xapi0"].ports.keys() == {"xapi0", "bond0", "xapi20"}
    assert desired.topology.bridges.keys() == {"xapi0"}
    assert [text.split(":")[0] for text in warnings(desired)] == [f"PIF uuid-eth{n} (eth{n})" for n in (2, 3, 3)]


def test_a_bridge_name_that_two_other_networks_have_is_nobodys_at_boot() -> None:
    """Either choice would be a guess; management is up."""
    records = _cache()
    records.nic(0, management=True, **static())
    records.nic(1, bridge="twice")
    records.nic(2, bridge="twice")
    assert _boot(records).topology.bridges.keys() == {"xenbr0"}


def test_an_address_is_not_configured_twice() -> None:
    """Management keeps it (pains.md 1)."""
    records = _cache()
    records.nic(0, **static())
    records.nic(1, management=True, **static())
    devices = _boot(records).topology.ip_devices
    assert (len(devices["xenbr0"].addresses), len(devices["xenbr1"].addresses)) == (0, 1)
    assert any("192.0.2.10 is the address of" in text for text in warnings(_boot(records)))


def test_an_ipv6_address_is_not_configured_twice_however_it_is_written() -> None:
    """What is left of the record stays: other addresses, a gateway that they reach, the other family."""
    records = _cache()
    both = ("2001:db8::1/64", "2001:db8:1::1/64")
    records.nic(0, management=True, ipv6_mode="Static", ipv6=("2001:DB8:0::1/48",))
    gateway = {"primary_address_type": "IPv6", "other_config": {"defaultroute": "true"}}
    records.nic(1, ipv6_mode="Static", ipv6=both, ipv6_gateway="2001:db8:1::ff", **gateway)
    records.nic(2, **static(), ipv6_mode="Static", ipv6=both[:1], ipv6_gateway="2001:db8::ff")
    desired = _boot(records)
    devices = desired.topology.ip_devices
    addresses = {name: [str(address.interface) for address in device.addresses] for name, device in devices.items()}
    assert addresses == {
        "xenbr0": ["2001:db8::1/48"],
        "xenbr1": ["2001:db8:1::1/64"],
        "xenbr2": ["192.0.2.10/24"],
    }
    assert [str(route.gateway) for route in devices["xenbr1"].routes] == ["2001:db8:1::ff"]
    assert devices["xenbr2"].ipv6_mode == "none"
    assert sum("2001:db8::1 is the address of" in text for text in warnings(desired)) == 2


def test_a_link_local_address_may_be_on_every_link() -> None:
    """It means something else on each (RFC 4291, section 2.5.6)."""
    records = _cache()
    records.nic(0, management=True, ipv6_mode="Static", ipv6=("fe80::1/64",))
    records.nic(1, ipv6_mode="Static", ipv6=("fe80::1/64",))
    desired = _boot(records)
    assert [len(device.addresses) for device in desired.topology.ip_devices.values()] == [1, 1]
    assert not warnings(desired)


def test_members_of_a_bond_come_up_as_members() -> None:
    """Also where the inventory still names a member's own bridge."""
    records = _cache()
    records.bond(records.nic(0), records.nic(1), management=True, ip_mode="DHCP")
    host = dataclasses.replace(HOST, current_interfaces=("xenbr0", "xapi0"))
    assert _names(records, host) == ["bond0"]
    assert set(_boot(records, host).topology.bridges) == {"xapi0"}


def test_management_on_a_member_beats_its_bond() -> None:
    """Never lose the management interface: the bond is reported and left out."""
    records = _cache()
    records.bond(records.nic(0, management=True, ip_mode="DHCP"), records.nic(1))
    desired = _boot(records)
    assert set(desired.topology.bridges) == {"xenbr0"}
    assert desired.management is not None
    assert desired.management.ports == ("xenbr0", "eth0")


def test_the_nic_that_the_host_booted_from_is_left_alone() -> None:
    """PVS (Ardence)."""
    records = _cache()
    records.nic(0)
    records.nic(1, management=True, ip_mode="DHCP")
    host = dataclasses.replace(HOST, network_boot_mac="00:16:3e:00:00:00")
    assert set(_boot(records, host).topology.bridges) == {"xenbr1"}


def test_two_pifs_with_one_device_do_not_share_it() -> None:
    """The first one, management before all, gets it; the other is reported."""
    records = _cache()
    records.nic(0, **static())
    records.change(records.nic(1, management=True, ip_mode="DHCP"), device="eth0")
    desired = _boot(records)
    assert set(desired.topology.bridges) == {"xenbr1"}
    assert any("two PIFs claim it" in text for text in warnings(desired))


def test_an_empty_cache_wants_nothing() -> None:
    """And is no error here."""
    assert _boot(_cache()).topology.bridges == {}
    assert Ref("x") not in _cache().pifs


def test_carriers_are_as_wide_as_the_vlans_of_the_same_boot() -> None:
    """Nothing is up on the way yet."""
    records = _cache()
    nic = records.nic(0, management=True, ip_mode="DHCP")
    records.change_network(records.vlan(nic, 5, **static()), mtu="9000")
    assert _boot(records).topology.links["eth0"].mtu == 9000


def test_500_vlans_are_one_bridge() -> None:
    """With all their networks on it."""
    records = _cache()
    nic = records.nic(0)
    for tag in range(1, 501):
        records.vlan(nic, tag, **static(f"10.{tag // 250}.{tag % 250}.2", ""))
    desired = _boot(records)
    assert len(desired.topology.ip_devices) == 501
    uuids = desired.topology.bridges["xenbr0"].external_ids["xs-network-uuids"]
    assert uuids is not None
    assert len(uuids.split(";")) == 501
