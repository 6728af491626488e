"""VLANs on NICs and bonds, with and without bridges."""

from __future__ import annotations

import dataclasses

import pytest
from records_builder import Records, management, static

from xsagent.errors import InputError, InUseError
from xsagent.model.records import Ref
from xsagent.topology.values import KEEP, Interface, ObjectKey, ObjectKind, Port


def test_a_vlan_is_a_vlan_bridge_inside_its_carriers_bridge() -> None:
    """The carrier's bridge is wanted too: the VLAN stands on it."""
    records = Records()
    desired = records.up(records.vlan(records.nic(1), 100))
    assert set(desired.topology.bridges) == {"xenbr1"}
    assert desired.topology.bridges["xenbr1"].ports["xapi100"] == Port(
        name="xapi100",
        interfaces={"xapi100": Interface(name="xapi100", type="internal", mac="00:16:3e:00:00:01", mtu_request=1500)},
        tag=100,
        fake_bridge=True,
        external_ids={"fake-bridge-xs-network-uuids": "uuid-net-eth1.100"},
    )
    assert set(desired.topology.ip_devices) == {"xapi100"}
    assert desired.topology.links["eth1"].up is True
    assert desired.topology.links["xapi100"].up is True
    assert "xenbr1" not in desired.topology.links


def test_the_carriers_list_of_networks_has_the_vlans_sorted_after_its_own() -> None:
    """Attached or not; a VLAN bridge has its own alone."""
    records = Records()
    nic = records.nic(0)
    last = records.vlan(nic, 30)
    records.vlan(nic, 200)
    bridge = records.up(last).topology.bridges["xenbr0"]
    assert bridge.external_ids == {"xs-network-uuids": "uuid-net-eth0;uuid-net-eth0.200;uuid-net-eth0.30"}
    assert bridge.ports["xapi30"].external_ids == {"fake-bridge-xs-network-uuids": "uuid-net-eth0.30"}


def test_a_vlan_on_a_bond_wants_the_whole_bond() -> None:
    """Bridge, bond port, members."""
    records = Records()
    bond = records.bond(records.nic(0), records.nic(1), currently_attached=True)
    desired = records.up(records.vlan(bond, 100))
    assert set(desired.topology.bridges["xapi0"].ports) == {"xapi0", "bond0", "xapi100"}
    assert set(desired.topology.links) == {"eth0", "eth1", "bond0", "xapi100"}


@pytest.mark.parametrize("tag", [0, 1, 4094])
def test_tags_from_0_to_4094_are_taken(tag: int) -> None:
    """0 is the priority tag, which XAPI and Open vSwitch accept."""
    records = Records()
    desired = records.up(records.vlan(records.nic(0), tag))
    assert desired.topology.bridges["xenbr0"].ports[f"xapi{tag}"].tag == tag


@pytest.mark.parametrize("tag", [4095, 4096, -2, 70000])
def test_f04_other_tags_are_refused(tag: int) -> None:
    """The legacy scripts took 4095."""
    records = Records()
    with pytest.raises(InputError, match="is not a VLAN tag"):
        records.up(records.vlan(records.nic(0), tag))


def test_a_vlan_without_its_record_is_refused() -> None:
    """The carrier is known by the record alone."""
    records = Records()
    vlan = records.vlan(records.nic(0), 5)
    records.vlans.clear()
    with pytest.raises(InputError, match="its VLAN record"):
        records.up(vlan)


def test_stacked_vlans_and_vlans_on_tunnels_are_refused() -> None:
    """Each with the carrier's name."""
    records = Records()
    nic = records.nic(0)
    stacked = records.vlan(records.vlan(nic, 5), 6)
    on_tunnel = records.vlan(records.tunnel(nic), 7)
    with pytest.raises(InputError, match=r"rides on PIF uuid-eth0.5 .*stacked VLANs"):
        records.up(stacked)
    with pytest.raises(InputError, match=r"rides on PIF uuid-tunnel0 .*VLANs on tunnels"):
        records.up(on_tunnel)


def test_an_unmanaged_carrier_is_refused() -> None:
    """What XAPI leaves to others is not configured on the way."""
    records = Records()
    vlan = records.vlan(records.nic(0, managed=False), 5)
    with pytest.raises(InputError, match="does not manage"):
        records.up(vlan)


@pytest.mark.parametrize("attached", [True, False])
def test_a_vlan_on_a_member_takes_the_bond_down_as_the_member_does(*, attached: bool) -> None:
    """XAPI's Bond.destroy moves the VLANs to a member while the Bond record is still there, others still attached."""
    records = Records()
    nic = records.nic(0)
    vlan = records.vlan(nic, 5)
    bond = records.bond(nic, records.nic(1), currently_attached=attached)
    records.vlan(bond, 6, currently_attached=True)
    desired = records.up(vlan, origin="pif-uuid")
    assert "xapi5" in desired.topology.bridges["xenbr0"].ports
    assert desired.moves == {"xapi0": "xenbr0"}


def test_a_bridgeless_vlan_on_a_member_is_refused_while_the_bond_is_up() -> None:
    """Nothing takes the bond down for it, and its frames may come in by the other member."""
    records = Records()
    nic = records.nic(0)
    vlan = records.vlan(nic, 5, bridge="")
    bond = records.bond(nic, records.nic(1), currently_attached=True)
    with pytest.raises(InUseError, match="member of bond uuid-bond0"):
        records.up(vlan)
    records.change(bond, currently_attached=False)
    assert "eth0.5" in records.up(vlan).topology.links


def test_a_bridgeless_vlan_is_a_netdev_on_its_nic() -> None:
    """The carrier's bridge, if it has one, is not spoken about."""
    records = Records()
    vlan = records.vlan(records.nic(0), 5, bridge="", **static())
    topology = records.up(vlan).topology
    assert topology.bridges == {}
    link = topology.links["eth0.5"]
    assert (link.parent, link.vlan, link.up) == ("eth0", 5, True)
    assert topology.links["eth0"].up is True
    assert set(topology.ip_devices) == {"eth0.5"}


def test_a_bridgeless_vlan_on_a_bond_is_refused() -> None:
    """A bond of Open vSwitch is no netdev that can carry one."""
    records = Records()
    vlan = records.vlan(records.bond(records.nic(0), records.nic(1)), 5, bridge="")
    with pytest.raises(InputError, match="works over a NIC only"):
        records.up(vlan)


def test_a_bridged_vlan_on_a_bridgeless_carrier_is_refused() -> None:
    """A VLAN bridge stands on a bridge."""
    records = Records()
    with pytest.raises(InputError, match=r"it has bridge xapi5, but .* has none"):
        records.up(records.vlan(records.nic(0, bridge=""), 5))


def test_a_bridge_that_is_the_carriers_too_is_refused() -> None:
    """One network for both would join the VLAN and the untagged network."""
    records = Records()
    vlan = records.vlan(records.nic(0), 5)
    records.change(vlan, network=Ref("net-eth0"))
    with pytest.raises(InputError, match="is its carrier's too"):
        records.up(vlan)


def test_a_vlan_up_on_the_carrier_of_management_is_under_the_deadman() -> None:
    """The operation speaks about the bridge that management is on."""
    records = Records()
    nic = records.nic(0, **management(**static()))
    path = records.up(records.vlan(nic, 5)).management
    assert path is not None
    assert (path.device, path.ports) == ("xenbr0", ("xenbr0", "eth0"))
    assert [str(gateway) for gateway in path.gateways] == ["192.0.2.1"]
    other = records.vlan(records.nic(1), 6)
    assert records.up(other).management is None


def test_managements_path_on_a_vlan_goes_down_to_the_nics() -> None:
    """From the VLAN bridge over the carrier's to each member."""
    records = Records()
    bond = records.bond(records.nic(0), records.nic(1))
    vlan = records.vlan(bond, 10, **management())
    path = records.up(vlan).management
    assert path is not None
    assert path.ports == ("xapi10", "xapi0", "bond0", "eth0", "eth1")


def test_the_mac_of_a_vlan_bridge_is_its_pifs() -> None:
    """One that is none is left to the switch."""
    records = Records()
    vlan = records.vlan(records.nic(0), 5, mac="")
    interface = records.up(vlan).topology.bridges["xenbr0"].ports["xapi5"].interfaces["xapi5"]
    assert interface.mac is KEEP


@pytest.mark.parametrize("on_bond", [True, False])
def test_a_vlan_that_xapi_gave_no_mac_has_its_carriers(*, on_bond: bool) -> None:
    """Its placeholder is the same on each host: two that have management on the VLAN would take each other's frames."""
    records = Records()
    nic = records.nic(3)
    vlan = records.vlan(records.bond(nic, records.nic(1)) if on_bond else nic, 5, mac="FE:ff:ff:ff:ff:ff")
    bridge = records.up(vlan).topology.bridges["xapi0" if on_bond else "xenbr3"]
    assert bridge.ports["xapi5"].interfaces["xapi5"].mac == "00:16:3e:00:00:03"


def test_each_vlan_wants_the_same_of_its_carrier() -> None:
    """Raising one after the other leaves the carrier alone."""
    records = Records()
    nic = records.nic(0)
    one, two = records.vlan(nic, 5), records.vlan(nic, 6)
    first, second = (records.up(vlan).topology.bridges["xenbr0"] for vlan in (one, two))
    assert dataclasses.replace(first, ports={}) == dataclasses.replace(second, ports={})
    assert ObjectKey(kind=ObjectKind.IP_DEVICE, name="eth0") in records.up(one).topology.absent
