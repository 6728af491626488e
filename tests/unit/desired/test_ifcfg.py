"""Text of ifcfg-DEV, route-DEV and /etc/sysconfig/network, as the recorded cases have them."""

from __future__ import annotations

import dataclasses

import pytest
from records_builder import HOST, IFCFG, Records, management, static

from xsagent.desired.ifcfg import role_holders, set_role

_SCRIPTS = "/etc/sysconfig/network-scripts"


def test_a_dhcp_interface_has_the_legacy_file() -> None:
    """Recorded case 01, byte for byte."""
    records = Records()
    files = records.up(records.nic(0, **management()), options=IFCFG).topology.files
    assert files[f"{_SCRIPTS}/ifcfg-xenbr0"] == (
        "XEMANAGED=yes\nDEVICE=xenbr0\nONBOOT=no\nNOZEROCONF=yes\nTYPE=Ethernet\nBOOTPROTO=dhcp\n"
        "PERSISTENT_DHCLIENT=yes\nMTU=1500\n"
    )
    assert files[f"{_SCRIPTS}/route-xenbr0"] == ""
    assert files["/etc/sysconfig/network"] == ("NETWORKING=yes\nHOSTNAME=host0\nDNSDEV=xenbr0\nGATEWAYDEV=xenbr0\n")


def test_a_static_interface_has_the_legacy_file() -> None:
    """Recorded case 02, byte for byte."""
    records = Records()
    fields = static(dns="192.0.2.2,192.0.2.3", other_config={"domain": "example.com,lab.example.com"})
    files = records.up(records.nic(0, **management(**fields)), options=IFCFG).topology.files
    assert files[f"{_SCRIPTS}/ifcfg-xenbr0"] == (
        "XEMANAGED=yes\nDEVICE=xenbr0\nONBOOT=no\nNOZEROCONF=yes\nTYPE=Ethernet\nBOOTPROTO=none\n"
        "NETMASK=255.255.255.0\nIPADDR=192.0.2.10\nGATEWAY=192.0.2.1\nMTU=1500\nDNS1=192.0.2.2\n"
        "DNS2=192.0.2.3\nDOMAIN='example.com lab.example.com'\n"
    )


def test_offloads_and_settings_of_the_network_stand_in_the_file() -> None:
    """Recorded case 18e."""
    records = Records()
    nic = records.nic(0, **management())
    records.change_network(nic, other_config={"ethtool-tx": "off", "ethtool-autoneg": "on", "ethtool-sg": "true"})
    text = records.up(nic, options=IFCFG).topology.files[f"{_SCRIPTS}/ifcfg-xenbr0"] or ""
    assert 'ETHTOOL_OPTS="autoneg on"\nETHTOOL_OFFLOAD_OPTS="tx off sg on"\nMTU=1500\n' in text


def test_an_empty_gateway_is_left_out() -> None:
    """The legacy scripts wrote an empty GATEWAY=."""
    records = Records()
    text = records.up(records.nic(0, **management(**static(gateway=""))), options=IFCFG).topology.files
    assert "GATEWAY" not in (text[f"{_SCRIPTS}/ifcfg-xenbr0"] or "")


def test_the_gateway_stands_in_the_file_of_an_interface_without_the_role() -> None:
    """It is left out by GATEWAYDEV, and uses it when the role comes back."""
    records = Records()
    records.nic(0, **management())
    desired = records.up(records.nic(1, **static("198.51.100.5", "198.51.100.1")), options=IFCFG)
    assert "GATEWAY=198.51.100.1\n" in (desired.topology.files[f"{_SCRIPTS}/ifcfg-xenbr1"] or "")
    assert "/etc/sysconfig/network" not in desired.topology.files


def test_the_first_boot_waits_longer_for_dhcp() -> None:
    """DHCLIENTARGS as the legacy scripts wrote it."""
    records = Records()
    host = dataclasses.replace(HOST, first_boot=True)
    files = records.up(records.nic(0, **management()), host, IFCFG).topology.files
    assert 'PERSISTENT_DHCLIENT=yes\nDHCLIENTARGS="-T 240"\n' in (files[f"{_SCRIPTS}/ifcfg-xenbr0"] or "")


def test_static_routes_stand_in_the_route_file() -> None:
    """Recorded case 18g; IPv6 routes in a file of their own."""
    records = Records()
    nic = records.nic(0, **management(**static("192.168.0.2", "192.168.0.1")))
    routes = "172.16.0.0/15/192.168.0.3,172.18.0.0/16/192.168.0.4,10.0.0.0/8/,2001:db8:1::/48/fe80::1"
    records.change_network(nic, other_config={"static-routes": routes})
    files = records.up(nic, options=IFCFG).topology.files
    assert files[f"{_SCRIPTS}/route-xenbr0"] == (
        "10.0.0.0/8 dev xenbr0\n172.16.0.0/15 via 192.168.0.3 dev xenbr0\n172.18.0.0/16 via 192.168.0.4 dev xenbr0\n"
    )
    assert files[f"{_SCRIPTS}/route6-xenbr0"] == "2001:db8:1::/48 via fe80::1 dev xenbr0\n"


@pytest.mark.parametrize(
    ("fields", "lines"),
    [
        ({"ipv6_mode": "Autoconf"}, "IPV6INIT=yes\nIPV6_AUTOCONF=yes\n"),
        ({"ipv6_mode": "DHCP"}, "IPV6INIT=yes\nIPV6_AUTOCONF=no\nDHCPV6C=yes\n"),
        (
            {"ipv6_mode": "Static", "ipv6": ("2001:db8::2/64", "2001:db8::3/64"), "ipv6_gateway": "2001:db8::1"},
            (
                "IPV6INIT=yes\nIPV6_AUTOCONF=no\nIPV6ADDR=2001:db8::2/64\nIPV6ADDR_SECONDARIES='2001:db8::3/64'\n"
                "IPV6_DEFAULTGW=2001:db8::1\n"
            ),
        ),
    ],
)
def test_ipv6_has_the_network_scripts_own_keys(fields: dict[str, object], lines: str) -> None:
    """The legacy scripts had no IPv6."""
    records = Records()
    files = records.up(records.nic(0, **management(**fields)), options=IFCFG).topology.files
    assert lines in (files[f"{_SCRIPTS}/ifcfg-xenbr0"] or "")


def test_f26_all_duplicate_lines_of_a_role_are_replaced_by_one() -> None:
    """The stale one must not win; other lines stay as they are."""
    text = "A=1\nGATEWAYDEV=eth9\n# GATEWAYDEV=x\nexport GATEWAYDEV='xenbr7'\nB = 2\n  GATEWAYDEV=\n"
    assert set_role(text, "GATEWAYDEV", "xenbr0") == "A=1\nGATEWAYDEV=xenbr0\n# GATEWAYDEV=x\nB = 2\n"
    assert set_role(text, "GATEWAYDEV", None) == "A=1\n# GATEWAYDEV=x\nB = 2\n"
    assert role_holders(text, "GATEWAYDEV") == {"eth9", "xenbr7", ""}


def test_a_role_that_nobody_has_yet_is_appended() -> None:
    """Also to a file that does not end in a newline, or is not there."""
    assert set_role("A=1", "DNSDEV", "xenbr0") == "A=1\nDNSDEV=xenbr0\n"
    assert set_role("", "DNSDEV", "xenbr0") == "DNSDEV=xenbr0\n"


def test_a_file_that_is_right_is_not_spoken_about() -> None:
    """No rewriting of what is equal."""
    records = Records()
    nic = records.nic(0, **management())
    host = dataclasses.replace(HOST, sysconfig_network="DNSDEV='xenbr0'\nGATEWAYDEV=xenbr0\n")
    text = records.up(nic, host, IFCFG).topology.files["/etc/sysconfig/network"]
    host = dataclasses.replace(HOST, sysconfig_network=text or "")
    assert "/etc/sysconfig/network" not in records.up(nic, host, IFCFG).topology.files


def test_the_role_of_an_interface_that_is_not_concerned_stays() -> None:
    """Recorded case 09: raising a VLAN without IP leaves /etc/sysconfig/network as it is."""
    records = Records()
    nic = records.nic(0, **management())
    desired = records.up(records.vlan(nic, 100), options=IFCFG)
    assert "/etc/sysconfig/network" not in desired.topology.files
