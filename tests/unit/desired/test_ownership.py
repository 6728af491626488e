"""Whose devices are whose: what this host's PIFs claim."""

from __future__ import annotations

from records_builder import Records

from xsagent.desired.ownership import ownership_of


def test_nics_and_bonds_are_uplinks_and_vlans_are_devices_beside_them() -> None:
    """A tunnel's device is no netdev, and is not claimed."""
    records = Records()
    first = records.nic(0)
    bond = records.bond(first, records.nic(1))
    records.vlan(bond, 5)
    records.tunnel(records.nic(2), bridge="xapi9")

    found = ownership_of(records.snapshot())

    assert found.bridges == {"xenbr0", "xenbr1", "xenbr2", "xapi0", "xapi5", "xapi9"}
    assert found.uplinks == {"bond0", "eth0", "eth1", "eth2"}
    assert found.devices == found.uplinks | {"bond0.5"}


def test_a_vlan_is_no_uplink_where_its_carrier_is_not_claimed() -> None:
    """An unmanaged NIC is somebody else's; its device's name in the VLAN's does not make that a NIC."""
    records = Records()
    records.vlan(records.nic(0, managed=False), 5)

    found = ownership_of(records.snapshot())

    assert (found.devices, found.uplinks) == ({"eth0.5"}, frozenset())


def test_a_nic_with_a_dot_in_its_name_is_an_uplink() -> None:
    """Some drivers name ports so; it is no VLAN of a NIC that is there too."""
    records = Records()
    records.nic(0)
    records.change(records.nic(1), device="eth0.1")

    assert ownership_of(records.snapshot()).uplinks == {"eth0", "eth0.1"}
