"""``--force BRIDGE rewrite``: every value checked, and the records that legacy scripts would have made."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from xsagent.errors import InputError
from xsagent.model.force_rewrite import build_one_pif_snapshot
from xsagent.model.records import UNTAGGED
from xsagent.model.references import check_references
from xsagent.model.snapshot import Snapshot

MAC = "00:1b:21:0a:0b:01"
NICS = {"eth0": MAC, "eth1": "00:1b:21:0a:0b:02"}
STATIC = {"device": "eth0", "mode": "static", "ip": "192.0.2.10", "netmask": "255.255.255.0"}
DHCP = {"device": "eth0", "mode": "dhcp"}


def build(options: Mapping[str, str], bridge: str = "xenbr0") -> Snapshot:
    """On a host with eth0 and eth1."""
    return build_one_pif_snapshot(bridge, options, NICS.get)


def test_one_nic_with_a_static_address() -> None:
    """The records that the legacy scripts' forced rewrite made, by the same uuids."""
    snapshot = build({**STATIC, "gateway": "192.0.2.1", "mac": "00:1B:21:0A:0B:77"})

    pif = snapshot.pif_for_bridge("xenbr0")
    assert (pif.uuid, pif.device, pif.mac, pif.vlan) == ("eth0Pif", "eth0", "00:1b:21:0a:0b:77", UNTAGGED)
    assert (pif.ip_mode, pif.ip, pif.netmask, pif.gateway) == ("Static", "192.0.2.10", "255.255.255.0", "192.0.2.1")
    assert (pif.management, pif.physical, pif.currently_attached, pif.other_config) == (True, True, False, {})
    assert (pif.dns, pif.bond, pif.member_of, pif.vlan_record) == ("", None, None, None)
    network = snapshot.network_of(pif)
    assert (network.uuid, network.pifs, network.mtu, network.other_config) == (
        *("InitialManagementNetwork", (pif.ref,), ""),
        {},
    )
    assert (len(snapshot.pifs), len(snapshot.networks), snapshot.pool, snapshot.complete) == (1, 1, None, False)
    assert snapshot.warnings == ()


def test_one_nic_with_dhcp() -> None:
    """A MAC that is none (the old reset passed x) is the one that the NIC has."""
    for mac in ({}, {"mac": "x"}, {"mac": ""}):
        pif = build({**DHCP, **mac}).pif_for_bridge("xenbr0")
        assert (pif.ip_mode, pif.ip, pif.netmask, pif.gateway, pif.mac) == ("DHCP", "", "", "", MAC)


def test_the_same_options_give_the_same_records() -> None:
    """References are made from names, not at random."""
    assert build(STATIC) == build(STATIC)


def test_name_servers_and_search_domains() -> None:
    """Blanks are tolerated; the domain goes where XAPI keeps it."""
    pif = build({**STATIC, "dns": "192.0.2.2, 2001:db8::2", "domain": "example.com lab.example.com"}).pif_for_bridge(
        "xenbr0"
    )

    assert pif.dns == "192.0.2.2,2001:db8::2"
    assert pif.other_config == {"domain": "example.com,lab.example.com"}


def test_management_on_a_vlan() -> None:
    """The bridge carries the address; the NIC's own bridge is named as XAPI would, and never the same."""
    snapshot = build({**DHCP, "vlan": "10"}, bridge="xapi5")

    pif = snapshot.pif_for_bridge("xapi5")
    assert (pif.device, pif.vlan, pif.ip_mode, pif.management, pif.physical) == ("eth0", 10, "DHCP", True, False)
    carrier = snapshot.carrier_of(pif)
    assert carrier is not None
    assert (carrier.device, carrier.vlan, carrier.ip_mode, carrier.physical) == ("eth0", UNTAGGED, "None", True)
    assert carrier.management is False
    assert snapshot.bridge_of(carrier) == "xenbr0"
    assert snapshot.vlan_pifs_on(carrier) == (pif,)
    assert snapshot.vlan_of(pif).tag == 10  # type: ignore[union-attr] # carrier_of found it

    assert {network.bridge for network in build({**DHCP, "vlan": "10"}).networks.values()} == {"xenbr0", "xentemp"}


def test_management_on_a_bond() -> None:
    """With its mode and all members; LACP falls back, so that it works before the switch talks (pains.md 5)."""
    snapshot = build({"mode": "dhcp", "bond-mode": "lacp", "bond-members": "eth0,eth1"})

    pif = snapshot.pif_for_bridge("xenbr0")
    assert (pif.device, pif.mac, pif.physical, pif.other_config) == ("bond0", MAC, False, {"bond-mode": "lacp"})
    bond = snapshot.bond_of(pif)
    assert bond is not None
    assert (bond.mode, bond.properties) == ("lacp", {"lacp-fallback-ab": "true"})
    members = snapshot.members_of(bond)
    assert [(member.device, member.mac, member.physical) for member in members] == [
        ("eth0", MAC, True),
        ("eth1", NICS["eth1"], True),
    ]
    assert all(snapshot.bond_with_member(member) == bond for member in members)


def test_management_on_a_vlan_of_a_bond() -> None:
    """Both together; the mode stays with the bond."""
    snapshot = build({"mode": "dhcp", "device": "bond7", "bond-members": "eth0 eth1", "vlan": "7"}, bridge="xapi1")

    pif = snapshot.pif_for_bridge("xapi1")
    carrier = snapshot.carrier_of(pif)
    assert carrier is not None
    assert (pif.device, pif.vlan, pif.bond, pif.other_config) == ("bond7", 7, None, {})
    assert snapshot.bond_of(carrier) is not None
    assert snapshot.bond_of(carrier).mode == "balance-slb"  # type: ignore[union-attr] # the line before
    assert check_references(snapshot).warnings == ()


def test_ipv6() -> None:
    """Static, autoconf and DHCP; alone it is the primary one."""
    static = build({**DHCP, "mode-v6": "static", "ipv6": "2001:db8::10/64", "gateway-v6": "fe80::1"}).pif_for_bridge(
        "xenbr0"
    )
    assert (static.ipv6_mode, static.ipv6, static.ipv6_gateway) == ("Static", ("2001:db8::10/64",), "fe80::1")
    assert static.primary_address_type == "IPv4"

    alone = build({"device": "eth0", "mode-v6": "autoconf"}).pif_for_bridge("xenbr0")
    assert (alone.ip_mode, alone.ipv6_mode, alone.primary_address_type) == ("None", "Autoconf", "IPv6")


def test_values_that_the_mode_does_not_look_at_are_named() -> None:
    """The lease decides with DHCP."""
    snapshot = build({**STATIC, "mode": "dhcp"})

    assert snapshot.pif_for_bridge("xenbr0").ip == ""
    assert snapshot.warnings == (
        "--ip was passed over: its mode is not static",
        "--netmask was passed over: its mode is not static",
    )


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"mode": "dhcp"}, "--device is needed"),
        ({"device": "eth0"}, "--mode or --mode-v6 is needed"),
        ({**DHCP, "mode": "dchp"}, "--mode: 'dchp' is none of"),
        ({**DHCP, "device": "eth0/x"}, "--device: 'eth0/x'"),
        ({**DHCP, "device": "eth9"}, "no NIC eth9"),
        ({**DHCP, "vlan": "4095"}, "--vlan: '4095' is not a VLAN tag"),
        ({**DHCP, "vlan": "1_0"}, "--vlan: '1_0'"),
        ({**DHCP, "dns": "192.0.2.2,x"}, "--dns: 'x' is not an IPv4 address"),
        ({**DHCP, "domain": 'a" reboot "'}, "--domain:"),
        ({"device": "eth0", "mode": "static"}, "--ip is needed with --mode=static"),
        ({"device": "eth0", "mode": "static", "ip": "192.0.2.10"}, "--netmask is needed"),
        ({**STATIC, "ip": "192.0.2.300"}, "--ip: '192.0.2.300' is not an IPv4 address"),
        ({**STATIC, "ip": "<x>"}, "--ip: '<x>'"),
        ({**STATIC, "ip": "192.0.2.255"}, "network or broadcast address"),
        ({**STATIC, "netmask": "255.0.255.0"}, "not contiguous"),
        ({**STATIC, "gateway": "198.51.100.1"}, "--gateway: 198.51.100.1 is not in the subnet 192.0.2.0/24"),
        ({**STATIC, "gateway": "192.0.2.10"}, "--gateway: 192.0.2.10 is the host's own address"),
        ({**DHCP, "mode-v6": "static"}, "--ipv6 is needed"),
        ({**DHCP, "mode-v6": "static", "ipv6": "2001:db8::1"}, "--ipv6: '2001:db8::1' has no prefix length"),
        ({**DHCP, "mode-v6": "static", "ipv6": "2001:db8::1/64", "gateway-v6": "2001:db9::1"}, "--gateway-v6"),
        ({**DHCP, "bond-mode": "lacp"}, "there are no --bond-members"),
        ({"mode": "dhcp", "bond-members": "eth0,eth0"}, "names one twice"),
        ({"mode": "dhcp", "bond-members": "eth0,../x"}, "--bond-members: '../x'"),
        ({"mode": "dhcp", "bond-members": "eth0,eth1", "bond-mode": "802.3ad"}, "--bond-mode: '802.3ad' is none of"),
    ],
)
def test_a_wrong_value_is_refused_by_its_option(options: Mapping[str, str], reason: str) -> None:
    """The legacy scripts took nonsense addresses (legacy-faults.md F03); one sentence, nothing changed."""
    with pytest.raises(InputError) as caught:
        build(options)

    assert reason in str(caught.value)
    assert str(caught.value).endswith("; nothing was changed")
    assert str(caught.value).count("nothing was changed") == 1


@pytest.mark.parametrize("bridge", ["", "x" * 16, "a/b", "..", "xen br0"])
def test_a_bridge_name_that_is_none_is_refused(bridge: str) -> None:
    """It becomes a device and part of paths."""
    with pytest.raises(InputError, match="bridge: "):
        build(DHCP, bridge=bridge)


def test_a_nic_that_is_absent_may_be_named_with_its_mac() -> None:
    """The reset may be for a NIC that a reboot brings."""
    assert build({**DHCP, "device": "eth9", "mac": MAC}).pif_for_bridge("xenbr0").device == "eth9"
