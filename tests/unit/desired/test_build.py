"""A NIC's PIF up and down, through the one entry; what must hold whatever the kind."""

from __future__ import annotations

import dataclasses

import pytest
from records_builder import HOST, IFCFG, NETLINK, Records, management, static, warnings

from xsagent.desired.build import build_desired
from xsagent.desired.request import Request
from xsagent.errors import InputError, NotFoundError
from xsagent.model.records import Ref
from xsagent.topology.values import KEEP, Interface, ObjectKey, ObjectKind, Port


def _absent(kind: ObjectKind, name: str) -> ObjectKey:
    return ObjectKey(kind=kind, name=name)


def test_a_nic_is_the_only_port_of_its_bridge_beside_the_internal_one() -> None:
    """The bridge lists its own port and the NIC's: ports of others are not spoken about."""
    records = Records()
    bridge = records.up(records.nic(0, **management())).topology.bridges["xenbr0"]
    assert bridge.ports == {
        "xenbr0": Port(
            name="xenbr0", interfaces={"xenbr0": Interface(name="xenbr0", type="internal", mtu_request=1500)}
        ),
        "eth0": Port(name="eth0", interfaces={"eth0": Interface(name="eth0", mtu_request=1500)}, tag=None),
    }


def test_a_bridge_is_as_the_legacy_scripts_made_it_with_the_larger_mac_table() -> None:
    """Columns and keys of the recorded cases, plus mac-table-size."""
    records = Records()
    bridge = records.up(records.nic(0, **management())).topology.bridges["xenbr0"]
    assert bridge.hwaddr == "00:16:3e:00:00:00"
    assert bridge.fail_mode == "standalone"
    assert bridge.mcast_snooping is False
    assert bridge.other_config == {"disable-in-band": None, "mac-table-size": "10000"}
    assert bridge.external_ids == {"xs-network-uuids": "uuid-net-eth0"}


def test_a_mac_in_upper_case_ends_in_lower_case() -> None:
    """OVS and the kernel compare MACs as text in lower case."""
    records = Records()
    desired = records.up(records.nic(0, mac="00:16:3E:AB:CD:EF"))
    assert desired.topology.bridges["xenbr0"].hwaddr == "00:16:3e:ab:cd:ef"
    assert desired.topology.links["eth0"].expected_mac == "00:16:3e:ab:cd:ef"


@pytest.mark.parametrize("mac", ["", "x", "01:00:5e:00:00:01"])
def test_f15_a_mac_that_is_none_is_warned_about_and_never_written(mac: str) -> None:
    """An empty hwaddr is no success: the device's own MAC counts."""
    records = Records()
    desired = records.up(records.nic(0, mac=mac))
    assert desired.topology.bridges["xenbr0"].hwaddr is KEEP
    assert desired.topology.links["eth0"].expected_mac is None
    assert any("not a MAC address" in text or "a device can have" in text for text in warnings(desired))


def test_down_leaves_neither_bridge_nor_address_nor_a_raised_nic() -> None:
    """Everything that `up` made goes."""
    records = Records()
    desired = records.down(records.nic(1, currently_attached=True))
    assert desired.topology.bridges == {}
    assert desired.topology.absent == {
        _absent(ObjectKind.BRIDGE, "xenbr1"),
        _absent(ObjectKind.IP_DEVICE, "xenbr1"),
        _absent(ObjectKind.LINK, "eth1"),
    }


def test_f28_down_leaves_no_ifcfg_file_and_no_role_behind() -> None:
    """The files go, and DNSDEV and GATEWAYDEV no longer name the device."""
    records = Records()
    nic = records.nic(0, **management())
    host = dataclasses.replace(HOST, sysconfig_network="A=1\nDNSDEV=xenbr0\nGATEWAYDEV=xenbr0\n")
    desired = records.down(nic, host, IFCFG)
    scripts = "/etc/sysconfig/network-scripts"
    assert desired.topology.files == {
        f"{scripts}/ifcfg-xenbr0": None,
        f"{scripts}/route-xenbr0": None,
        f"{scripts}/route6-xenbr0": None,
        "/etc/sysconfig/network": "A=1\n",
    }


def test_f19_a_bridgeless_nic_has_its_address_itself_and_is_no_port() -> None:
    """F19: no OVS object is wanted, and a port left from a bridged time goes."""
    records = Records()
    desired = records.up(records.nic(0, bridge="", **management(**static())))
    assert desired.topology.bridges == {}
    assert desired.topology.absent == {_absent(ObjectKind.PORT, "eth0")}
    assert set(desired.topology.ip_devices) == {"eth0"}
    link = desired.topology.links["eth0"]
    assert (link.up, link.mtu, link.expected_mac) == (True, 1500, "00:16:3e:00:00:00")
    assert link.features == {"lro": False}
    assert desired.management is not None
    assert desired.management.ports == ("eth0",)


def test_a_bridgeless_nic_goes_down_with_its_address() -> None:
    """Address and link go, no bridge is spoken about."""
    records = Records()
    desired = records.down(records.nic(0, bridge="", currently_attached=True, **static()))
    assert desired.topology.absent == {_absent(ObjectKind.IP_DEVICE, "eth0"), _absent(ObjectKind.LINK, "eth0")}


def test_a_nic_in_a_bridge_keeps_no_address_of_a_bridgeless_time() -> None:
    """It would answer ARP beside the bridge's device."""
    records = Records()
    assert _absent(ObjectKind.IP_DEVICE, "eth0") in records.up(records.nic(0)).topology.absent


def test_the_address_of_a_nic_that_the_root_filesystem_comes_over_stays() -> None:
    """Taking it would take the disk away."""
    records = Records()
    host = dataclasses.replace(HOST, root_macs=frozenset({"00:16:3e:00:00:00"}))
    assert not records.up(records.nic(0), host).topology.absent


def test_an_unmanaged_pif_is_refused() -> None:
    """XAPI leaves it to others."""
    records = Records()
    nic = records.nic(0, managed=False)
    for act in (records.up, records.down):
        with pytest.raises(InputError, match=r"uuid-eth0 .* is unmanaged"):
            act(nic)


def test_a_network_booted_nic_is_left_alone() -> None:
    """PVS (Ardence): nothing is wanted, and the reason says so."""
    records = Records()
    host = dataclasses.replace(HOST, network_boot_mac="00:16:3E:00:00:00")
    for act in (records.up, records.down):
        desired = act(records.nic(0, **management()), host)
        assert desired.topology == dataclasses.replace(desired.topology, bridges={}, links={}, absent=frozenset())
        assert desired.reasons[-1].event == "skip_network_boot"


def test_a_bond_over_the_network_booted_nic_is_left_alone_too() -> None:
    """And a VLAN on it."""
    records = Records()
    host = dataclasses.replace(HOST, network_boot_mac="00:16:3e:00:00:01")
    bond = records.bond(records.nic(0), records.nic(1))
    for pif in (bond, records.vlan(bond, 5)):
        assert not records.up(pif, host).topology.bridges


def test_an_unknown_pif_is_not_found() -> None:
    """The sentence names it."""
    request = Request(action="up", pif=Ref("nobody"))
    with pytest.raises(NotFoundError, match="nobody"):
        build_desired(Records().snapshot(), request, HOST, NETLINK)


@pytest.mark.parametrize("bridge", ["sixteen-letters!", "a/b", "br idge", "-x", "br\n0", "$(id)"])
def test_f04_a_bridge_name_that_no_device_can_have_is_refused(bridge: str) -> None:
    """The legacy scripts took over-long names and failed later, with exit code 0 (F15)."""
    records = Records()
    with pytest.raises(InputError, match="its bridge: "):
        records.up(records.nic(0, bridge=bridge))


@pytest.mark.parametrize("bridge", ["lo", "eth0", "eth1", "bond0"])
def test_a_bridge_that_is_named_as_a_device_is_refused_by_name(bridge: str) -> None:
    """The kernel has one device of a name; a tunnel's is none."""
    records = Records()
    nic = records.nic(0, bridge=bridge)
    records.tunnel(records.bond(records.nic(1), records.nic(2)), bridge="tunnel0")
    with pytest.raises(InputError, match=f"eth0.*its bridge cannot be named {bridge}"):
        records.up(nic)
    assert "tunnel0" in records.up(Ref("pif-tunnel0")).topology.bridges


def test_two_networks_with_one_bridge_name_are_refused() -> None:
    """Either choice would be a guess."""
    records = Records()
    nic = records.nic(0)
    records.nic(1, bridge="xenbr0")
    with pytest.raises(InputError, match="several networks have its bridge name xenbr0"):
        records.up(nic)


def test_a_network_that_no_pif_of_this_host_is_on_takes_nobodys_bridge_name() -> None:
    """The PIF's reference says which of the two it is on, and the bridge's name too."""
    records = Records()
    nic = records.nic(0, **management(**static()))
    records.network("another", "xenbr0")
    assert "xenbr0" in records.up(nic).topology.bridges
    assert records.snapshot().pif_for_bridge("xenbr0").ref == nic


def test_a_missing_network_is_refused() -> None:
    """The sentence names the PIF and the network."""
    records = Records()
    nic = records.nic(0)
    del records.networks[Ref("net-eth0")]
    with pytest.raises(InputError, match=r"PIF uuid-eth0 .* refers to network 'net-eth0'"):
        records.up(nic)


def test_ownership_is_bridges_and_devices_of_the_records_but_no_tunnel() -> None:
    """A controller may have a port named like a tunnel's PIF."""
    records = Records()
    nic = records.nic(0)
    records.vlan(nic, 100)
    records.tunnel(nic)
    ownership = records.up(nic).ownership
    assert ownership.bridges == {"xenbr0", "xapi100", "xapi5"}
    assert ownership.devices == {"eth0", "eth0.100"}


def test_both_backends_want_the_same_switch_and_links() -> None:
    """Only the IP device's way of being configured, the files and the resolver differ."""
    records = Records()
    nic = records.nic(0, **management(**static(dns="192.0.2.2")))
    ifcfg, netlink = records.up(nic, options=IFCFG).topology, records.up(nic).topology
    assert ifcfg.bridges == netlink.bridges
    assert ifcfg.links == netlink.links
    assert ifcfg.absent == netlink.absent
    assert (ifcfg.resolver, netlink.files) == (None, {})
    assert ifcfg.ip_devices["xenbr0"] == dataclasses.replace(netlink.ip_devices["xenbr0"], configured_by_ifcfg=True)


def test_the_order_of_records_does_not_matter() -> None:
    """XAPI's and a cache's order of records is arbitrary."""
    records = Records()
    first, second = records.nic(0, **management()), records.nic(1, currently_attached=True, **static())
    records.vlan(second, 7)
    bond = records.bond(second)
    forward = [records.up(first), records.up(bond), records.down(second)]
    records.pifs = dict(reversed(records.pifs.items()))
    records.networks = dict(reversed(records.networks.items()))
    assert [records.up(first), records.up(bond), records.down(second)] == forward
