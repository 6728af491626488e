"""xcp-networkd's database of every generation becomes the records that bring the host up again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from xsagent.config import Paths
from xsagent.errors import CacheError, InputError
from xsagent.model.records import UNTAGGED
from xsagent.model.snapshot import Snapshot
from xsagent.sources.networkd_db import parse_networkd_db, read_networkd_db

MAC = "00:1b:21:0a:0b:01"
OTHER_MAC = "00:1b:21:0a:0b:02"
UUID = "e65a64e7-d3e1-5188-9362-812424459b12"
PLAIN: dict[str, Any] = {
    "interface_config": {
        "eth0": {"persistent_i": True, "ethtool_settings": {"speed": "1000"}, "ethtool_offload": {"gro": "off"}},
        "xenbr0": {
            "ipv4_conf": ["Static4", [["192.0.2.10", 24]]],
            "ipv4_gateway": "192.0.2.1",
            "ipv6_conf": ["Static6", [["2001:db8::10", 64]]],
            "ipv6_gateway": "fe80::1",
            "ipv4_routes": [{"subnet": "10.0.0.0", "netmask": 8, "gateway": "192.0.2.254"}],
            "dns": [["192.0.2.2", "192.0.2.3"], ["example.com", "lab.example.com"]],
            "mtu": 9000,
            "persistent_i": True,
        },
    },
    "bridge_config": {
        "xenbr0": {
            "ports": {"eth0": {"interfaces": ["eth0"], "kind": "Basic_port"}},
            "bridge_mac": MAC,
            "other_config": {"network-uuids": UUID, "vswitch-disable-in-band": "true", "auto_poweron": "true"},
            "persistent_b": True,
        }
    },
    "gateway_interface": "xenbr0",
    "dns_interface": "xenbr0",
}


def parse(database: object, management: str = "xenbr0") -> Snapshot:
    """As if read from the file."""
    text = json.dumps(database) if not isinstance(database, str) else database
    return parse_networkd_db(text, "networkd.db", management, {"eth0": MAC, "eth1": OTHER_MAC}.get)  # type: ignore[arg-type] # only these are asked for


def test_a_bridge_on_a_nic() -> None:
    """Addresses, gateway, DNS, routes, MTU and ethtool settings, each where XAPI's record has it."""
    snapshot = parse(PLAIN)

    pif = snapshot.pif_for_bridge("xenbr0")
    assert (pif.device, pif.mac, pif.vlan, pif.physical, pif.management) == ("eth0", MAC, UNTAGGED, True, True)
    assert (pif.ip_mode, pif.ip, pif.netmask, pif.gateway) == ("Static", "192.0.2.10", "255.255.255.0", "192.0.2.1")
    assert (pif.ipv6_mode, pif.ipv6, pif.ipv6_gateway) == ("Static", ("2001:db8::10/64",), "fe80::1")
    assert (pif.dns, pif.primary_address_type) == ("192.0.2.2,192.0.2.3", "IPv4")
    assert pif.other_config == {
        "domain": "example.com,lab.example.com",
        "ethtool-speed": "1000",
        "ethtool-gro": "off",
    }
    network = snapshot.network_of(pif)
    assert (network.uuid, network.mtu, network.pifs) == (UUID, "9000", (pif.ref,))
    assert network.other_config == {"static-routes": "10.0.0.0/8/192.0.2.254", "vswitch-disable-in-band": "true"}
    assert not snapshot.complete
    assert snapshot.warnings == ()


def test_dhcp_leaves_name_servers_alone() -> None:
    """Files of 25.28 and older hold empty lists; a learnt one is not static either."""
    database = {
        "interface_config": {"xenbr0": {"ipv4_conf": "DHCP4", "dns": [["192.0.2.9"], []]}},
        "bridge_config": {"xenbr0": {"ports": {"eth0": {"interfaces": ["eth0"]}}}},
    }

    pif = parse(database).pif_for_bridge("xenbr0")

    assert (pif.ip_mode, pif.ip, pif.dns, pif.mac) == ("DHCP", "", "", MAC)


@pytest.mark.parametrize(
    ("value", "mode"),
    [("DHCP4", "DHCP"), (["DHCP4"], "DHCP"), ("None4", "None"), (["None4"], "None"), (["Static4", []], "Static")],
)
def test_variants_of_every_generation(value: object, mode: str) -> None:
    """Words, or arrays of one word."""
    database = {
        "interface_config": {"xenbr0": {"ipv4_conf": value}},
        "bridge_config": {"xenbr0": {"ports": {"eth0": {"interfaces": ["eth0"]}}}},
    }

    assert parse(database).pif_for_bridge("xenbr0").ip_mode == mode


def test_very_old_routes_and_pair_lists() -> None:
    """Routes as [gateway, netmask, subnet], objects as lists of pairs, optional values in arrays."""
    ports = [["eth0", [["interfaces", ["eth0"]]]]]
    database = [
        [
            "interface_config",
            [["xenbr0", [["ipv4_conf", ["DHCP4"]], ["ipv4_routes", [["192.0.2.254", 8, "10.0.0.0"]]]]]],
        ],
        [
            "bridge_config",
            [["xapi1", [["vlan", ["xenbr0", 5]]]], ["xenbr0", [["ports", ports], ["bridge_mac", [MAC]]]]],
        ],
        ["gateway_interface", ["xenbr0"]],
    ]

    snapshot = parse(database, management="")

    pif = snapshot.pif_for_bridge("xenbr0")
    assert (pif.device, pif.ip_mode, pif.management) == ("eth0", "DHCP", True)
    assert snapshot.network_of(pif).other_config["static-routes"] == "10.0.0.0/8/192.0.2.254"
    assert snapshot.pif_for_bridge("xapi1").vlan == 5


def test_a_vlan_on_a_bond() -> None:
    """Carriers are read first, whatever their order in the file; the bond has its mode and all members."""
    properties = {"mode": "lacp", "hashing-algorithm": "tcpudp_ports"}
    database = {
        "interface_config": {"xapi5": {"ipv4_conf": "DHCP4"}, "eth1": {"ethtool_offload": {"tso": "off"}}},
        "bridge_config": {
            "xapi5": {"vlan": ["xapi0", 10], "bridge_mac": MAC},
            "xapi0": {
                "ports": {
                    "pvs": {"interfaces": ["pvs0"], "kind": "PVS_proxy"},
                    "bond0": {"interfaces": ["eth0", "eth1"], "bond_properties": properties, "bond_mac": MAC},
                },
                "igmp_snooping": True,
            },
        },
    }

    snapshot = parse(database, management="xapi5")

    pif = snapshot.pif_for_bridge("xapi5")
    assert (pif.device, pif.vlan, pif.ip_mode, pif.management, pif.physical) == ("bond0", 10, "DHCP", True, False)
    carrier = snapshot.carrier_of(pif)
    assert carrier is not None
    assert (carrier.device, carrier.mac, carrier.physical) == ("bond0", MAC, False)
    assert snapshot.vlan_pifs_on(carrier) == (pif,)
    bond = snapshot.bond_of(carrier)
    assert bond is not None
    assert (bond.mode, bond.properties) == ("lacp", {"hashing-algorithm": "tcpudp_ports"})
    members = snapshot.members_of(bond)
    assert [(member.device, member.mac) for member in members] == [("eth0", MAC), ("eth1", OTHER_MAC)]
    assert members[1].other_config == {"ethtool-tso": "off"}
    assert snapshot.pool is not None
    assert snapshot.pool.igmp_snooping_enabled


def test_an_internal_network_has_no_pif() -> None:
    """A bridge without ports."""
    snapshot = parse({"bridge_config": {"xapi3": {}, **PLAIN["bridge_config"]}})

    assert {network.bridge for network in snapshot.networks.values()} == {"xapi3", "xenbr0"}
    assert len(snapshot.pifs) == 1


def test_gateway_and_dns_elsewhere_than_management_are_kept() -> None:
    """As the keys by which XAPI chose them."""
    database = {
        "bridge_config": {
            "xenbr0": {"ports": {"eth0": {"interfaces": ["eth0"]}}},
            "xenbr1": {"ports": {"eth1": {"interfaces": ["eth1"]}}},
        },
        "gateway_interface": "xenbr1",
        "dns_interface": "xenbr1",
    }

    snapshot = parse(database, management="xenbr0")

    assert snapshot.pif_for_bridge("xenbr0").management
    assert snapshot.pif_for_bridge("xenbr1").other_config == {"defaultroute": "true", "peerdns": "true"}


def test_macs_are_taken_from_raw_octets(tmp_path: Path) -> None:
    """interface_order holds six bytes that are no UTF-8; they count before what the NIC has now."""
    order = (
        b'[{"name":"eth0","position":0,"mac":"\xfe\x1b!\\n\x0b\xff","pci":{"domain":0,"bus":0,"dev":0,"fn":0},'
        b'"present":true},{"name":"eth1","mac":"short"},7]'
    )
    paths = Paths(tmp_path)
    paths.networkd_db.parent.mkdir(parents=True)
    paths.networkd_db.write_bytes(
        b'{"bridge_config":{"xenbr0":{"ports":{"eth0":{"interfaces":["eth0"]}}}},"interface_order":' + order + b"}"
    )

    assert read_networkd_db(paths).pif_for_bridge("xenbr0").mac == "fe:1b:21:0a:0b:ff"


@pytest.mark.parametrize(
    ("name", "config", "reason"),
    [
        ("xapi1", {"vlan": ["nothere", 10]}, "its carrier 'nothere'"),
        ("xapi1", {"vlan": ["xenbr0", "10"]}, "is not a whole number"),
        ("xapi1", {"vlan": [["xenbr0"]]}, "is not a pair of carrier and tag"),
        ("xapi1", {"vlan": [[]]}, "is not a pair of carrier and tag"),
        ("a/b", {}, "is not a device name"),
        ("xapi1", 7, "is not an object"),
        ("xapi1", {"ports": {"x": {"interfaces": ["../x"]}}}, "is not a device name"),
        ("xapi1", {"other_config": {"a": 1}}, "is not text"),
    ],
)
def test_a_bridge_that_cannot_be_understood_is_left_out(name: str, config: object, reason: str) -> None:
    """With a warning; the others come up."""
    snapshot = parse({**PLAIN, "bridge_config": {name: config, **PLAIN["bridge_config"]}})

    assert snapshot.pif_for_bridge("xenbr0").device == "eth0"
    assert reason in snapshot.warnings[0]
    assert len(snapshot.networks) == 1


@pytest.mark.parametrize(
    "interface",
    [
        {"ipv4_conf": "Magic4"},
        {"ipv4_conf": []},
        {"ipv4_conf": ["Static4", [["192.0.2.300", 24]]]},
        {"ipv4_conf": ["Static4", [["192.0.2.1", 33]]]},
        {"ipv4_conf": ["Static4", [["192.0.2.1"]]]},
        {"ipv6_conf": ["Static6", [["x", 64]]]},
        {"mtu": "x"},
        {"mtu": True},
        {"ipv4_routes": [["192.0.2.1", 8]]},
        7,
    ],
)
def test_a_bridge_whose_interface_is_nonsense_is_left_out(interface: object) -> None:
    """Each value is checked before it becomes part of a record."""
    snapshot = parse({**PLAIN, "interface_config": {"xenbr0": interface}})

    assert snapshot.pifs == {}
    assert "bridge 'xenbr0' was left out" in snapshot.warnings[0]


@pytest.mark.parametrize(
    "text", ["", "x", "[]", "7", "{}", '{"bridge_config": {}}', "[" * 100_000, '{"bridge_config": 7}']
)
def test_what_is_no_database_is_refused(text: str) -> None:
    """Never with another exception."""
    with pytest.raises(InputError):
        parse(text)


def test_a_missing_or_huge_database_is_a_cache_error(tmp_path: Path) -> None:
    """The next source is tried."""
    paths = Paths(tmp_path)
    with pytest.raises(CacheError, match=r"networkd\.db cannot be read: No such file"):
        read_networkd_db(paths)
    paths.networkd_db.parent.mkdir(parents=True)
    paths.networkd_db.write_bytes(b" " * (5 << 20))
    with pytest.raises(CacheError, match="larger than"):
        read_networkd_db(paths)
