"""`down` in every case of features.md section 14."""

from __future__ import annotations

import dataclasses

import pytest
from records_builder import HOST, Records, management, static

from xsagent.errors import InUseError
from xsagent.model.records import Ref
from xsagent.topology.desired import Desired


def _absent(desired: Desired) -> set[str]:
    return {f"{key.kind} {key.name}" for key in desired.topology.absent}


def test_an_untagged_pif_below_a_vlan_that_is_up_keeps_datapath_and_link() -> None:
    """Recorded case 13b, without its order slip: only the IP configuration goes."""
    records = Records()
    nic = records.nic(0, currently_attached=True, **static())
    records.vlan(nic, 5, currently_attached=True)
    assert _absent(records.down(nic)) == {"ip-device xenbr0"}


def test_a_vlan_leaves_the_datapath_of_an_attached_carrier() -> None:
    """Recorded case 11."""
    records = Records()
    vlan = records.vlan(records.nic(0, currently_attached=True), 5, currently_attached=True)
    assert _absent(records.down(vlan)) == {"bridge xapi5", "ip-device xapi5"}


def test_a_vlan_leaves_the_datapath_to_another_vlan() -> None:
    """The carrier itself is not attached."""
    records = Records()
    nic = records.nic(0)
    vlan = records.vlan(nic, 5, currently_attached=True)
    records.vlan(nic, 6, currently_attached=True)
    assert _absent(records.down(vlan)) == {"bridge xapi5", "ip-device xapi5"}


def test_the_last_vlan_takes_the_datapath_along() -> None:
    """Nothing uses it any more."""
    records = Records()
    vlan = records.vlan(records.nic(0), 5, currently_attached=True)
    assert _absent(records.down(vlan)) == {
        "bridge xapi5",
        "ip-device xapi5",
        "bridge xenbr0",
        "ip-device xenbr0",
        "link eth0",
    }


def test_a_bond_goes_with_its_members_links() -> None:
    """But for a member that is up in its own right."""
    records = Records()
    bond = records.bond(records.nic(0), records.nic(1), currently_attached=True)
    everything = {"bridge xapi0", "ip-device xapi0", "link eth0", "link eth1"}
    assert _absent(records.down(bond)) == everything
    records.change(Ref("pif-eth1"), currently_attached=True)
    assert _absent(records.down(bond)) == everything - {"link eth1"}


@pytest.mark.parametrize("by_vlan", [False, True])
def test_a_bond_whose_members_are_in_no_record_goes_all_the_same(*, by_vlan: bool) -> None:
    """It cannot come up again like this; nobody may be kept from taking it down."""
    records = Records()
    first, second = records.nic(0), records.nic(1)
    bond = records.bond(first, second, currently_attached=not by_vlan)
    vlan = records.vlan(bond, 5, currently_attached=by_vlan)
    del records.pifs[first], records.pifs[second]
    assert "bridge xapi0" in _absent(records.down(vlan if by_vlan else bond))


def test_a_bond_below_a_vlan_that_is_up_stays() -> None:
    """As a NIC does."""
    records = Records()
    bond = records.bond(records.nic(0), records.nic(1), currently_attached=True)
    records.vlan(bond, 5, currently_attached=True)
    assert _absent(records.down(bond)) == {"ip-device xapi0"}


@pytest.mark.parametrize("on_vlan", [False, True])
def test_a_member_of_a_bond_in_use_keeps_its_link(*, on_vlan: bool) -> None:
    """XAPI takes members down before it raises a bond; what stands on their bridges moves along (F05)."""
    records = Records()
    nic = records.nic(0, currently_attached=True)
    bond = records.bond(nic, records.nic(1), currently_attached=not on_vlan)
    if on_vlan:
        records.vlan(bond, 5, currently_attached=True)
    desired = records.down(nic)
    assert _absent(desired) == {"bridge xenbr0", "ip-device xenbr0"}
    assert desired.moves == {"xenbr0": "xapi0"}


def test_a_bridgeless_vlan_goes_with_its_netdev() -> None:
    """Its NIC goes down when nothing else uses it."""
    records = Records()
    nic = records.nic(0, bridge="")
    vlan = records.vlan(nic, 5, bridge="", currently_attached=True)
    assert _absent(records.down(vlan)) == {"ip-device eth0.5", "link eth0.5", "link eth0"}
    records.change(nic, currently_attached=True)
    assert _absent(records.down(vlan)) == {"ip-device eth0.5", "link eth0.5"}


def test_f06_a_legacy_cache_takes_nothing_else_down() -> None:
    """It says of everything that it is detached; the switch knows better, and management is never taken for down."""
    records = Records(source="/var/xapi/network.dbcache")
    nic = records.nic(0, management=True, ip_mode="DHCP")
    vlan = records.vlan(nic, 5)
    records.vlan(nic, 6)
    assert _absent(records.down(vlan, origin="force")) == {"bridge xapi5", "ip-device xapi5"}
    records.change(nic, management=False)
    host = dataclasses.replace(HOST, present_bridges=frozenset({"xenbr0", "xapi5", "xapi6"}))
    assert _absent(records.down(vlan, host, origin="force")) == {"bridge xapi5", "ip-device xapi5"}


def test_management_goes_down_when_xapi_asks_or_someone_insists() -> None:
    """An admin's or a boot script's `down` is refused."""
    records = Records()
    nic = records.nic(0, **management())
    for origin in ("pif-uuid", "force"):
        with pytest.raises(InUseError, match="is the management interface"):
            records.down(nic, origin=origin)
        assert "bridge xenbr0" in _absent(records.down(nic, origin=origin, even_if_in_use=True))
    desired = records.down(nic)
    assert "bridge xenbr0" in _absent(desired)
    assert desired.management is None


def test_what_must_not_be_unplugged_stays_unless_xapi_asks_or_someone_insists() -> None:
    """PIF.disallow_unplug; XAPI has checked it already."""
    records = Records()
    nic = records.nic(1, disallow_unplug=True, currently_attached=True)
    with pytest.raises(InUseError, match="must not be unplugged"):
        records.down(nic, origin="pif-uuid")
    assert records.down(nic, origin="pif-uuid", even_if_in_use=True).topology.absent
    assert records.down(nic).topology.absent


def test_the_nic_that_the_root_filesystem_comes_over_never_goes_down() -> None:
    """Not even for XAPI; below a VLAN or a bond its link stays."""
    records = Records()
    host = dataclasses.replace(HOST, root_macs=frozenset({"00:16:3e:00:00:00"}))
    nic = records.nic(0, currently_attached=True)
    with pytest.raises(InUseError, match="root filesystem"):
        records.down(nic, host, even_if_in_use=True)
    records.change(nic, currently_attached=False)
    vlan = records.vlan(nic, 5, currently_attached=True)
    assert "link eth0" not in _absent(records.down(vlan, host))
    bond = records.bond(records.nic(1), records.nic(2), currently_attached=True)
    host = dataclasses.replace(HOST, root_macs=frozenset({"00:16:3e:00:00:02"}))
    records.change(bond, mac="00:16:3e:00:00:99")
    assert {"link eth1"} == {name for name in _absent(records.down(bond, host)) if name.startswith("link")}


def test_down_of_something_else_is_not_about_management() -> None:
    """No deadman for what cannot cut management off."""
    records = Records()
    records.nic(0, **management())
    assert records.down(records.nic(1, currently_attached=True)).management is None
