"""Bonds: every mode, option and spelling of features.md section 10."""

from __future__ import annotations

import dataclasses

import pytest
from records_builder import HOST, IFCFG, Records, management, static, warnings

from xsagent.errors import InputError, InUseError
from xsagent.topology.desired import Desired
from xsagent.topology.values import KEEP, Link, ObjectKey, ObjectKind, Port


def _port(desired: Desired, name: str = "bond0") -> Port:
    return desired.topology.bridges["xapi0"].ports[name]


def _bond(records: Records, other_config: dict[str, str] | None = None, **record: object) -> Desired:
    return records.up(records.bond(records.nic(0), records.nic(1), other_config=other_config or {}, record=record))


def test_a_bond_is_as_the_legacy_scripts_made_it() -> None:
    """Recorded case 04, with the interval of rebalancing that xcp-networkd sets."""
    desired = _bond(Records())
    port = _port(desired)
    assert (port.bond_mode, port.lacp, port.bond_updelay, port.bond_downdelay) == ("balance-slb", "off", 31000, 200)
    assert (port.mac, port.bond_fake_iface, port.tag) == ("00:16:3e:00:00:00", True, None)
    assert set(port.interfaces) == {"eth0", "eth1"}
    assert port.other_config == {
        "bond-miimon-interval": "100",
        "bond-detect-mode": "carrier",
        "bond-rebalance-interval": "1800000",
        "bond-primary": None,
        "lacp-time": None,
        "lacp-fallback-ab": None,
    }
    assert desired.topology.bridges["xapi0"].hwaddr == "00:16:3e:00:00:00"
    assert desired.topology.links["bond0"] == Link(name="bond0", up=True)
    assert desired.topology.links["eth1"].expected_mac == "00:16:3e:00:00:01"


@pytest.mark.parametrize(
    ("record", "other_config", "mode"),
    [
        ("", {}, "balance-slb"),
        ("active-backup", {}, "active-backup"),
        ("active-backup", {"bond-mode": "balance-slb"}, "balance-slb"),
        ("balance-slb", {"bond-mode": "active-backup"}, "active-backup"),
        ("active-backup", {"bond-mode": "balance-rr"}, "active-backup"),
        ("", {"bond-mode": "broadcast"}, "balance-slb"),
        ("nonsense", {"bond-mode": ""}, "balance-slb"),
    ],
)
def test_the_records_mode_counts_unless_other_config_overrides_it(
    record: str, other_config: dict[str, str], mode: str
) -> None:
    """A word that does not work here is warned about, and the next level taken."""
    desired = _bond(Records(), other_config, mode=record)
    assert (_port(desired).bond_mode, _port(desired).lacp) == (mode, "off")
    bad = {"balance-rr", "broadcast", "nonsense", ""} & {record or "-", *other_config.values()}
    assert bool([text for text in warnings(desired) if "mode" in text]) == bool(bad)


def test_a_mode_that_open_vswitch_has_not_is_explained() -> None:
    """Not only refused."""
    assert any("frames of one flow" in text for text in warnings(_bond(Records(), {"bond-mode": "balance-rr"})))


@pytest.mark.parametrize(
    ("properties", "other_config", "bond_mode", "warned"),
    [
        ({"hashing_algorithm": "src_mac"}, {}, "balance-slb", False),
        ({"hashing_algorithm": "tcpudp_ports"}, {}, "balance-tcp", False),
        ({"hashing-algorithm": "src_mac"}, {}, "balance-slb", False),
        ({}, {"bond-hashing-algorithm": "src_mac"}, "balance-slb", False),
        ({}, {"bond-hashing_algorithm": "src_mac"}, "balance-slb", False),
        ({"hashing_algorithm": "src_mac"}, {"bond-hashing-algorithm": "tcpudp_ports"}, "balance-tcp", False),
        ({}, {}, "balance-tcp", True),
        ({"hashing_algorithm": "crc"}, {}, "balance-tcp", True),
    ],
)
def test_lacp_hashes_as_asked_in_either_spelling(
    properties: dict[str, str], other_config: dict[str, str], bond_mode: str, *, warned: bool
) -> None:
    """Without a valid hash it is balance-tcp, with a warning."""
    desired = _bond(Records(), other_config, mode="lacp", properties=properties)
    assert (_port(desired).lacp, _port(desired).bond_mode) == ("active", bond_mode)
    assert bool(warnings(desired)) is warned


def test_lacp_has_its_own_options_and_no_rebalancing_by_default() -> None:
    """Defaults of XAPI: slow, and active-backup until the peer talks LACP (pains.md 5)."""
    port = _port(_bond(Records(), mode="lacp", properties={"hashing_algorithm": "src_mac"}))
    assert port.other_config["lacp-time"] == "slow"
    assert port.other_config["lacp-fallback-ab"] == "true"
    assert port.other_config["bond-rebalance-interval"] is None


def test_lacp_options_and_keys_go_where_open_vswitch_reads_them() -> None:
    """Keys of aggregation stand on each member's Interface, and nowhere else."""
    properties = {"lacp-time": "fast", "lacp-fallback-ab": "false", "lacp-aggregation-key": "7", "lacp-actor-key": "9"}
    port = _port(_bond(Records(), mode="lacp", properties=properties))
    assert (port.other_config["lacp-time"], port.other_config["lacp-fallback-ab"]) == ("fast", "false")
    for interface in port.interfaces.values():
        assert interface.other_config == {"lacp-aggregation-key": "7", "lacp-actor-key": "9"}
    assert not {key for key in port.other_config if key.endswith("actor-key")}


def test_a_bond_that_is_no_lacp_any_more_loses_lacps_keys() -> None:
    """Mode changed in place: what the other mode needed must be absent."""
    port = _port(_bond(Records(), properties={"lacp-time": "fast", "lacp-aggregation-key": "7"}))
    assert (port.other_config["lacp-time"], port.other_config["lacp-fallback-ab"]) == (None, None)
    assert port.interfaces["eth0"].other_config == {"lacp-aggregation-key": None, "lacp-actor-key": None}


def test_options_of_both_peers_have_their_columns() -> None:
    """features.md section 10, column mapping; unknown ones keep their name."""
    other_config = {
        "bond-updelay": "0",
        "bond-downdelay": "500",
        "bond-miimon": "50",
        "bond-use_carrier": "0",
        "bond-rebalance-interval": "10000",
        "bond-primary": "eth1",
    }
    port = _port(_bond(Records(), other_config))
    assert (port.bond_updelay, port.bond_downdelay) == (0, 500)
    assert {key: value for key, value in port.other_config.items() if value is not None} == {
        "bond-miimon-interval": "50",
        "bond-detect-mode": "miimon",
        "bond-rebalance-interval": "10000",
        "bond-primary": "eth1",
    }


@pytest.mark.parametrize(
    ("properties", "other_config", "preferred", "warned"),
    [
        ({}, {}, None, False),
        ({}, {"bond-active-slave": "eth1"}, "eth1", False),
        ({"active-slave": "eth1"}, {}, "eth1", False),
        ({"active-slave": "eth1"}, {"bond-active-slave": "eth0"}, "eth0", False),
        ({}, {"bond-active-slave": "eth1", "bond-primary": "eth0"}, "eth0", False),
        ({}, {"bond-active-slave": "eth7"}, "eth7", True),
        ({}, {"bond-active-slave": "not a device"}, None, True),
    ],
)
def test_a_member_can_be_preferred_as_the_active_one(
    properties: dict[str, str], other_config: dict[str, str], preferred: str | None, *, warned: bool
) -> None:
    """Open vSwitch reads bond-primary (ovs-vswitchd.conf.db(5)); one that is no member is told to people."""
    desired = _bond(Records(), other_config, mode="active-backup", properties=properties)
    assert _port(desired).other_config["bond-primary"] == preferred
    assert "bond-active-slave" not in _port(desired).other_config
    assert bool(warnings(desired)) is warned


@pytest.mark.parametrize("text", ["", "-1", "31s", "1_000", "99999999999", "0x10"])
def test_f17_a_number_that_is_none_gives_the_default(text: str) -> None:
    """The legacy scripts crashed on a bad downdelay or updelay."""
    keys = ("updelay", "downdelay", "miimon", "rebalance-interval", "use_carrier")
    desired = _bond(Records(), {f"bond-{key}": text for key in keys})
    port = _port(desired)
    assert (port.bond_updelay, port.bond_downdelay) == (31000, 200)
    assert port.other_config["bond-miimon-interval"] == "100"
    assert port.other_config["bond-detect-mode"] == "carrier"
    assert port.other_config["bond-rebalance-interval"] == "1800000"
    assert len(warnings(desired)) == len(keys)


def test_a_bond_of_one_member_is_a_plain_port() -> None:
    """Without bond options, and without a device of its own."""
    records = Records()
    desired = records.up(records.bond(records.nic(0)))
    assert set(desired.topology.bridges["xapi0"].ports) == {"xapi0", "eth0"}
    assert _port(desired, "eth0").bond_mode is KEEP
    assert "bond0" not in desired.topology.links


def test_a_bond_without_members_is_an_error_with_its_uuid() -> None:
    """Also when only their records are missing."""
    records = Records()
    with pytest.raises(InputError, match="bond uuid-bond0 has no members"):
        records.up(records.bond())


def test_a_member_that_is_no_nic_is_refused() -> None:
    """A VLAN's device is its carrier's, which would end in two bridges."""
    records = Records()
    vlan = records.vlan(records.nic(0), 5)
    with pytest.raises(InputError, match=r"uuid-eth0.5 .* is not a NIC"):
        records.up(records.bond(vlan, records.nic(1)))


def test_more_than_four_members_are_warned_about() -> None:
    """Open vSwitch has no limit, the product's documentation has."""
    records = Records()
    assert not warnings(records.up(records.bond(*(records.nic(number) for number in range(4)))))
    assert any("5 members" in text for text in warnings(records.up(records.bond(*(records.nic(n) for n in range(5))))))


def test_a_bridgeless_bond_is_refused() -> None:
    """A bond of Open vSwitch lives in a bridge."""
    records = Records()
    with pytest.raises(InputError, match="needs a bridge"):
        records.up(records.bond(records.nic(0), records.nic(1), bridge=""))


def test_members_take_gro_from_the_bonds_properties_and_the_rest_from_their_own_keys() -> None:
    """features.md section 9."""
    records = Records()
    first = records.nic(0, properties={"gro": "on"}, other_config={"ethtool-tx": "off"})
    second = records.nic(1, other_config={"ethtool-gro": "on"})
    desired = records.up(records.bond(first, second, properties={"gro": "off"}, other_config={"ethtool-sg": "off"}))
    assert desired.topology.links["eth0"].features == {"lro": False, "gro": False, "tx": False}
    assert desired.topology.links["eth1"].features == {"lro": False, "gro": True}


# --- siblings -----------------------------------------------------------------------------------------------


def test_f05_members_give_up_their_bridges_and_the_vifs_there_move_along() -> None:
    """NIC -> bond: in one transaction, without unplugging anybody."""
    records = Records()
    first, second = records.nic(0, **management()), records.nic(1, currently_attached=True)
    bond = records.bond(first, second, ip_mode="DHCP")
    desired = records.up(bond, becoming_management=True, options=IFCFG)
    assert desired.moves == {"xenbr0": "xapi0", "xenbr1": "xapi0"}
    for number in (0, 1):
        for kind in (ObjectKind.BRIDGE, ObjectKind.IP_DEVICE):
            assert ObjectKey(kind=kind, name=f"xenbr{number}") in desired.topology.absent
        assert desired.topology.files[f"/etc/sysconfig/network-scripts/ifcfg-xenbr{number}"] is None
    assert desired.management is not None
    assert desired.management.device == "xapi0"
    assert desired.management.ports == ("xapi0", "bond0", "eth0", "eth1")


def test_a_member_with_management_is_not_taken_away() -> None:
    """Unless management moves to the bond, or someone insists."""
    records = Records()
    bond = records.bond(records.nic(0, **management()), records.nic(1))
    with pytest.raises(InUseError, match=r"uuid-eth0 .* is the management interface"):
        records.up(bond)
    assert records.up(bond, even_if_in_use=True).moves


def test_raising_a_member_takes_the_bond_down() -> None:
    """Bond -> NIC: the bond's VIFs move to the member's bridge, the other members go down."""
    records = Records()
    first = records.nic(0)
    bond = records.bond(first, records.nic(1), currently_attached=True)
    desired = records.up(first)
    assert desired.moves == {"xapi0": "xenbr0"}
    assert desired.topology.absent == {
        ObjectKey(kind=ObjectKind.BRIDGE, name="xapi0"),
        ObjectKey(kind=ObjectKind.IP_DEVICE, name="xapi0"),
        ObjectKey(kind=ObjectKind.IP_DEVICE, name="eth0"),
        ObjectKey(kind=ObjectKind.LINK, name="eth1"),
    }
    assert bond in records.pifs


def test_a_member_with_a_bridge_of_its_own_keeps_its_link_when_another_comes_up() -> None:
    """The bond went with the first one's `up`, of which XAPI need not know yet: guests may be on that bridge."""
    records = Records()
    first, second = records.nic(0), records.nic(1)
    records.bond(first, second)
    link = ObjectKey(kind=ObjectKind.LINK, name="eth0")
    for present, is_kept in (("xapi0", False), ("xenbr0", True)):
        host = dataclasses.replace(HOST, present_bridges=frozenset({present}))
        assert (link not in records.up(second, host).topology.absent) is is_kept, present


@pytest.mark.parametrize("on_vlan", [False, True])
def test_raising_a_member_is_refused_while_the_bond_carries_management(*, on_vlan: bool) -> None:
    """On the bond itself or on a VLAN over it; recorded case 08 differs on purpose."""
    records = Records()
    first = records.nic(0, ip_mode="DHCP")
    bond = records.bond(first, records.nic(1), currently_attached=True, **({} if on_vlan else {"management": True}))
    if on_vlan:
        records.vlan(bond, 10, **management())
    with pytest.raises(InUseError, match="bond uuid-bond0, which carries management"):
        records.up(first, origin="pif-uuid")
    moved = records.up(first, becoming_management=True)
    assert moved.management is not None
    assert moved.management.ports == ("xenbr0", "eth0")
    assert records.up(first, even_if_in_use=True).moves == {"xapi0": "xenbr0"}


def test_xapi_may_raise_a_vlan_on_a_member_before_managements_vlan_of_the_bond() -> None:
    """Bond.destroy moves the VLANs in no order that we know; management's bridge comes along, under the deadman."""
    records = Records()
    first = records.nic(0)
    bond = records.bond(first, records.nic(1), currently_attached=True)
    records.vlan(bond, 10, **management(**static()))
    moved = records.vlan(first, 5)
    desired = records.up(moved)
    assert desired.moves == {"xapi0": "xenbr0"}
    assert desired.management is not None
    assert desired.management.ports == ("xapi10", "xenbr0", "eth0")
    for origin in ("pif-uuid", "force"):
        with pytest.raises(InUseError, match="which carries management"):
            records.up(moved, origin=origin)


def test_xapi_may_not_raise_a_member_while_management_is_on_the_bond_itself() -> None:
    """Its bridge would go, and nothing would have its address."""
    records = Records()
    first = records.nic(0)
    records.bond(first, records.nic(1), **management())
    with pytest.raises(InUseError, match="which carries management"):
        records.up(records.vlan(first, 5))


def test_managements_path_follows_a_vlan_bridge_that_moves_with_the_bonds_first_vlan() -> None:
    """Bond.create with management on a VLAN moves the VLANs before it plugs the bond, which then carries them all."""
    records = Records()
    first = records.nic(0, currently_attached=True)
    bond = records.bond(first, records.nic(1))
    records.vlan(first, 10, **management(**static()))
    path = records.up(records.vlan(bond, 5)).management
    assert path is not None
    assert path.ports == ("xapi10", "xapi0", "bond0", "eth0", "eth1")


def test_another_member_is_not_on_managements_path() -> None:
    """At the end of Bond.destroy the bond's record says still that it is up, and management is on the first member."""
    records = Records()
    first, second = records.nic(0), records.nic(1)
    records.bond(first, second, currently_attached=True)
    records.vlan(first, 10, **management(**static()))
    assert records.up(second).management is None
