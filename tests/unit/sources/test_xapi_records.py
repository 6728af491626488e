"""XAPI's encodings, read record by record (wire.md section 4, Field encodings)."""

from __future__ import annotations

import pytest

from xsagent.errors import InputError
from xsagent.model.records import UNTAGGED, Ref
from xsagent.sandbox.xapi_pool import network_record, pif_record
from xsagent.sources.xapi_records import (
    parse_bond,
    parse_network,
    parse_pif,
    parse_pool,
    parse_sriov,
    parse_tunnel,
    parse_vlan,
)

REF = Ref("OpaqueRef:x")
NULL = "OpaqueRef:NULL"


def pif(**changes: object) -> dict[str, object]:
    """A full PIF record with these fields changed."""
    return pif_record("u1", "eth0", "OpaqueRef:n0", "OpaqueRef:h0") | changes


def test_every_field_of_a_pif_is_read_under_our_name() -> None:
    """A PIF that uses all fields keeps each of them."""
    raw = pif(
        MAC="0C:c4:7a:00:00:01",
        MTU="9000",
        VLAN="10",
        physical=True,
        managed=False,
        management=True,
        currently_attached=False,
        disallow_unplug=True,
        ip_configuration_mode="Static",
        IP="192.0.2.11",
        netmask="255.255.255.0",
        gateway="192.0.2.1",
        DNS="192.0.2.2",
        ipv6_configuration_mode="Static",
        IPv6=["2001:db8::11/64", "2001:db8::12/64"],
        ipv6_gateway="2001:db8::1",
        primary_address_type="IPv6",
        bond_master_of=["OpaqueRef:b0"],
        bond_slave_of="OpaqueRef:b1",
        VLAN_master_of="OpaqueRef:v0",
        VLAN_slave_of=["OpaqueRef:v1", "OpaqueRef:v2"],
        tunnel_access_PIF_of=["OpaqueRef:t0"],
        tunnel_transport_PIF_of=["OpaqueRef:t1"],
        sriov_physical_PIF_of=["OpaqueRef:s0"],
        sriov_logical_PIF_of=["OpaqueRef:s1"],
        capabilities=["sriov"],
        properties={"gro": "on"},
        igmp_snooping_status="enabled",
        other_config={"domain": "example.com"},
    )

    record = parse_pif(REF, raw)

    assert (record.ref, record.uuid, record.device, record.network) == (REF, "u1", "eth0", "OpaqueRef:n0")
    assert (record.mac, record.mtu, record.vlan) == ("0C:c4:7a:00:00:01", "9000", 10)
    assert (record.physical, record.managed, record.management) == (True, False, True)
    assert (record.currently_attached, record.disallow_unplug) == (False, True)
    assert (record.ip_mode, record.ip, record.netmask) == ("Static", "192.0.2.11", "255.255.255.0")
    assert (record.gateway, record.dns) == ("192.0.2.1", "192.0.2.2")
    assert (record.ipv6_mode, record.ipv6_gateway, record.primary_address_type) == ("Static", "2001:db8::1", "IPv6")
    assert record.ipv6 == ("2001:db8::11/64", "2001:db8::12/64")
    assert (record.bond, record.member_of, record.vlan_record) == ("OpaqueRef:b0", "OpaqueRef:b1", "OpaqueRef:v0")
    assert record.vlans_on == ("OpaqueRef:v1", "OpaqueRef:v2")
    assert (record.tunnel_access_of, record.tunnel_transport_of) == (("OpaqueRef:t0",), ("OpaqueRef:t1",))
    assert (record.sriov_physical_of, record.sriov_logical_of) == (("OpaqueRef:s0",), ("OpaqueRef:s1",))
    assert (record.capabilities, record.properties) == (("sriov",), {"gro": "on"})
    assert (record.igmp_snooping_status, record.other_config) == ("enabled", {"domain": "example.com"})


def test_a_pif_of_the_oldest_server_gets_the_defaults() -> None:
    """Fields that a server lacks read as on a server that has them unset."""
    record = parse_pif(REF, {"uuid": "u1", "device": "eth0", "network": "OpaqueRef:n0"})

    assert (record.managed, record.disallow_unplug, record.physical) == (True, False, False)
    assert (record.vlan, record.ip_mode, record.ipv6_mode) == (UNTAGGED, "None", "None")
    assert (record.primary_address_type, record.igmp_snooping_status) == ("IPv4", "unknown")
    assert (record.ipv6, record.capabilities, record.properties, record.other_config) == ((), (), {}, {})
    assert (record.bond, record.member_of, record.vlan_record) == (None, None, None)


def test_numbers_may_come_as_numbers() -> None:
    """An int64 is decimal text on XML-RPC, but a number is taken too."""
    record = parse_pif(REF, pif(VLAN=10, MTU=1500))

    assert (record.vlan, record.mtu) == (10, "1500")


@pytest.mark.parametrize("empty", [[], [""]])
def test_no_ipv6_address_is_spelt_in_two_ways(empty: list[str]) -> None:
    """An empty IPv6 set and a set of one empty text both mean no address."""
    assert parse_pif(REF, pif(IPv6=empty)).ipv6 == ()


@pytest.mark.parametrize("null", [NULL, ""])
def test_a_null_reference_is_no_reference(null: str) -> None:
    """OpaqueRef:NULL and the empty text refer to nothing."""
    record = parse_pif(REF, pif(network=null, bond_slave_of=null, VLAN_master_of=null, bond_master_of=[NULL]))

    assert (record.network, record.member_of, record.vlan_record, record.bond) == (None, None, None, None)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"VLAN": "ten"}, "VLAN: 'ten' is not a decimal number"),
        ({"VLAN": ""}, "VLAN: '' is not a decimal number"),
        ({"VLAN": str(1 << 63)}, "VLAN: '9223372036854775808' is not between"),
        ({"VLAN": True}, "VLAN is 'True', which is not text"),
        ({"management": "yes"}, "management is 'yes', which is neither true nor false"),
        ({"IPv6": "2001:db8::1/64"}, "IPv6 is '2001:db8::1/64', which is not a set"),
        ({"other_config": "()"}, r"other_config is '\(\)', which is not a map"),
        ({"other_config": {"mtu": ["1500"]}}, r"other_config:mtu is .* which is not text"),
        ({"device": ""}, "the record has no device"),
        ({"uuid": ""}, "the record has no uuid"),
        ({"MTU": None}, "MTU is 'None', which is not text"),
    ],
)
def test_a_field_of_the_wrong_form_is_named(changes: dict[str, object], reason: str) -> None:
    """What makes a PIF unusable says which field and which value."""
    with pytest.raises(InputError, match=reason):
        parse_pif(REF, pif(**changes))


def test_a_network_keeps_only_the_pifs_of_this_host() -> None:
    """A pool's network lists a PIF of every host; a Snapshot is about one."""
    raw = network_record("n", "xenbr0") | {"PIFs": ["OpaqueRef:p0", "OpaqueRef:p1", "OpaqueRef:p2"]}

    record = parse_network(REF, raw, {Ref("OpaqueRef:p1")})

    assert (record.bridge, record.mtu, record.pifs) == ("xenbr0", "1500", ("OpaqueRef:p1",))
    assert (record.managed, record.default_locking_mode, record.purpose) == (True, "unlocked", ())


def test_a_bond_of_an_old_server_has_no_mode() -> None:
    """Bond.mode, properties, primary_slave and auto_update_mac are absent there."""
    raw: dict[str, object] = {"uuid": "u", "master": "OpaqueRef:p0", "slaves": ["OpaqueRef:p1", "OpaqueRef:p2"]}

    record = parse_bond(REF, raw)

    assert (record.pif, record.members) == ("OpaqueRef:p0", ("OpaqueRef:p1", "OpaqueRef:p2"))
    assert (record.mode, record.properties, record.primary_member, record.auto_update_mac) == ("", {}, None, True)


def test_a_vlan_names_its_upper_pif_and_its_carrier() -> None:
    """untagged_PIF is the upper one, tagged_PIF the carrier."""
    raw = {"uuid": "u", "tagged_PIF": "OpaqueRef:nic", "untagged_PIF": "OpaqueRef:upper", "tag": "10"}

    record = parse_vlan(REF, raw)

    assert (record.carrier, record.pif, record.tag) == ("OpaqueRef:nic", "OpaqueRef:upper", 10)


def test_a_relation_to_nothing_makes_a_vlan_unusable() -> None:
    """A VLAN without its carrier cannot be configured."""
    with pytest.raises(InputError, match="tagged_PIF refers to nothing"):
        parse_vlan(REF, {"uuid": "u", "tagged_PIF": NULL, "untagged_PIF": "OpaqueRef:upper", "tag": "10"})


def test_tunnel_sriov_and_pool_default_what_they_lack() -> None:
    """Protocol, configuration mode and the pool's switches have the defaults of old servers."""
    tunnel = parse_tunnel(REF, {"uuid": "u", "access_PIF": "OpaqueRef:a", "transport_PIF": "OpaqueRef:t"})
    sriov = parse_sriov(REF, {"uuid": "u", "physical_PIF": "OpaqueRef:p", "logical_PIF": "OpaqueRef:l"})
    pool = parse_pool(REF, {"uuid": "u"})

    assert (tunnel.access_pif, tunnel.transport_pif, tunnel.protocol) == ("OpaqueRef:a", "OpaqueRef:t", "gre")
    assert (sriov.physical_pif, sriov.logical_pif, sriov.configuration_mode) == (
        "OpaqueRef:p",
        "OpaqueRef:l",
        "unknown",
    )
    assert (pool.vswitch_controller, pool.igmp_snooping_enabled, pool.ha_enabled) == ("", False, False)
