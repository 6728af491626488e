"""management.conf in every spelling of the installer and the reset, without xcp-networkd's quirks."""

from __future__ import annotations

from pathlib import Path

import pytest

from xsagent.config import Paths
from xsagent.errors import CacheError
from xsagent.model.records import UNTAGGED
from xsagent.model.snapshot import Snapshot
from xsagent.sources.management_conf import read_management_conf

MAC = "00:1b:21:0a:0b:01"


def read(root: Path, text: str, management_interface: str = "") -> Snapshot:
    """With this management.conf, on a host with eth0 and eth1."""
    files = {
        "etc/firstboot.d/data/management.conf": text,
        "etc/xensource-inventory": f"MANAGEMENT_INTERFACE='{management_interface}'\n",
        "sys/class/net/eth0/address": f"{MAC}\n",
        "sys/class/net/eth1/address": "00:1b:21:0a:0b:02\n",
    }
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return read_management_conf(Paths(root))


def test_a_static_management_interface(tmp_path: Path) -> None:
    """The example of wire.md section 6, untagged."""
    snapshot = read(
        tmp_path,
        "LABEL='eth0'\nMODE='static'\nIP='192.0.2.11'\nNETMASK='255.255.255.0'\nGATEWAY='192.0.2.1'\n"
        "DNS='192.0.2.2,192.0.2.3'\nDOMAIN='example.com lab.example.com'\nMODEV6='none'\n",
        "xenbr0",
    )

    pif = snapshot.pif_for_bridge("xenbr0")
    assert (pif.device, pif.mac, pif.vlan, pif.management) == ("eth0", MAC, UNTAGGED, True)
    assert (pif.ip_mode, pif.ip, pif.netmask, pif.gateway) == ("Static", "192.0.2.11", "255.255.255.0", "192.0.2.1")
    assert (pif.dns, pif.other_config) == ("192.0.2.2,192.0.2.3", {"domain": "example.com,lab.example.com"})
    assert snapshot.source.endswith("management.conf")
    assert not snapshot.complete
    assert snapshot.warnings == ()


def test_dns_counts_without_a_domain(tmp_path: Path) -> None:
    """xcp-networkd took it only with one; empty values are as good as none."""
    text = (
        "LABEL='eth0'\nMODE='static'\nIP='192.0.2.11'\nNETMASK='255.255.255.0'\nGATEWAY=''\nDNS='192.0.2.2'\nVLAN=''\n"
    )

    pif = read(tmp_path, text).pif_for_bridge("xenbr0")

    assert (pif.dns, pif.gateway, pif.vlan) == ("192.0.2.2", "", UNTAGGED)


def test_the_bridge_is_named_by_the_nic_where_the_inventory_does_not(tmp_path: Path) -> None:
    """As xcp-networkd names it."""
    assert read(tmp_path, "LABEL='eth1'\nMODE='dhcp'\n").pif_for_bridge("xenbr1").device == "eth1"
    assert read(tmp_path, "LABEL='ens3'\nMODE='dhcp'\n").pif_for_bridge("brens3").device == "ens3"


def test_a_vlan_lies_on_a_bridge_of_its_own(tmp_path: Path) -> None:
    """Beside the NIC's bridge, which never takes the VLAN's name."""
    snapshot = read(tmp_path, "LABEL='eth0'\nMODE='dhcp'\nVLAN='10'\n", "xapi0")

    pif = snapshot.pif_for_bridge("xapi0")
    carrier = snapshot.carrier_of(pif)
    assert carrier is not None
    assert (pif.vlan, snapshot.bridge_of(carrier), carrier.ip_mode) == (10, "xenbr0", "None")


def test_a_bond_has_its_mode_and_all_members(tmp_path: Path) -> None:
    """xcp-networkd used the first member alone (features.md section 22)."""
    text = "LABEL='eth0'\nMODE='dhcp'\nBOND_MODE='lacp'\nBOND_MEMBERS='eth0,eth1'\n"

    snapshot = read(tmp_path, text, "xapi0")

    pif = snapshot.pif_for_bridge("xapi0")
    bond = snapshot.bond_of(pif)
    assert bond is not None
    assert (pif.device, pif.mac, bond.mode) == ("bond0", MAC, "lacp")
    assert [member.device for member in snapshot.members_of(bond)] == ["eth0", "eth1"]


def test_ipv6_alone(tmp_path: Path) -> None:
    """MODE may be absent."""
    text = "LABEL='eth0'\nMODEV6='static'\nIPv6='2001:db8::11/64'\nIPv6_GATEWAY='2001:db8::1'\nDNS='2001:db8::2'\n"

    pif = read(tmp_path, text).pif_for_bridge("xenbr0")

    assert (pif.ip_mode, pif.ipv6_mode, pif.ipv6) == ("None", "Static", ("2001:db8::11/64",))
    assert (pif.ipv6_gateway, pif.dns, pif.primary_address_type) == ("2001:db8::1", "2001:db8::2", "IPv6")


def test_a_nic_that_is_absent_is_no_reason_to_give_up(tmp_path: Path) -> None:
    """Its MAC is unknown; that it is not there is found out, and told, where it is configured."""
    assert read(tmp_path, "LABEL='eth7'\nMODE='dhcp'\n").pif_for_bridge("xenbr7").mac == ""


@pytest.mark.parametrize(
    ("line", "left_out"),
    [
        ("DNS='192.0.2.300'", "--dns"),
        ("DOMAIN='a$(reboot)'", "--domain"),
        ("GATEWAY='198.51.100.1'", "--gateway"),
        ("GATEWAY='x'", "--gateway"),
    ],
)
def test_what_can_be_done_without_is_left_out_when_it_is_wrong(tmp_path: Path, line: str, left_out: str) -> None:
    """The host can still be reached, and a warning says what is missing."""
    text = f"LABEL='eth0'\nMODE='static'\nIP='192.0.2.11'\nNETMASK='255.255.255.0'\n{line}\n"

    snapshot = read(tmp_path, text)

    pif = snapshot.pif_for_bridge("xenbr0")
    assert (pif.ip, pif.dns, pif.gateway, pif.other_config) == ("192.0.2.11", "", "", {})
    assert f"left out {left_out}: " in snapshot.warnings[0]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "--mode or --mode-v6|an empty text"),
        ("LABEL='eth0'\n", "--mode or --mode-v6"),
        ("LABEL='eth0/..'\nMODE='dhcp'\n", "is not a device name"),
        ("LABEL='eth0'\nMODE='static'\nIP='192.0.2.300'\nNETMASK='255.255.255.0'\n", "is not an IPv4 address"),
        ("LABEL='eth0'\nMODE='dhcp'\nVLAN='9999'\n", "is not a VLAN tag"),
    ],
)
def test_what_describes_no_interface_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    """The sentence names the file."""
    with pytest.raises(CacheError, match=reason) as caught:
        read(tmp_path, text)

    assert "management.conf cannot be used" in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """It is the last resort."""
    with pytest.raises(CacheError, match=r"management\.conf does not exist"):
        read_management_conf(Paths(tmp_path))
