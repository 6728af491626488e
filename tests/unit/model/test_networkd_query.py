"""xcp-networkd's query tool: what its callers parse, answered from this host's records (features.md section 22)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from xsagent.errors import NotFoundError
from xsagent.model.networkd_query import query_bridge, query_interface
from xsagent.model.records import Bond, Network, Pif, Ref, Vlan
from xsagent.model.snapshot import Snapshot

MACS = ("00:16:3e:00:00:00", "00:16:3e:00:00:01")


def pif(name: str, device: str, **fields: Any) -> Pif:
    """A PIF on the network of its own name."""
    return Pif(ref=Ref(name), uuid=name, device=device, network=Ref(f"net {name}"), **fields)


def snapshot(
    *pifs: Pif, bridges: dict[str, str], bonds: tuple[Bond, ...] = (), vlans: tuple[Vlan, ...] = ()
) -> Snapshot:
    """Records in which the PIF of each name is on that bridge."""
    networks = [Network(ref=Ref(f"net {name}"), uuid=name, bridge=bridge) for name, bridge in bridges.items()]
    return Snapshot(
        source="the cache",
        pifs={one.ref: one for one in pifs},
        networks={one.ref: one for one in networks},
        bonds={one.ref: one for one in bonds},
        vlans={one.ref: one for one in vlans},
    )


BOND = Bond(ref=Ref("b"), uuid="b", pif=Ref("bond0"), members=(Ref("eth0"), Ref("eth1")))
VLAN = Vlan(ref=Ref("v"), uuid="v", carrier=Ref("bond0"), pif=Ref("vlan"), tag="100")
HOST = snapshot(
    pif("eth0", "eth0", mac=MACS[0], physical=True, member_of=Ref("b")),
    pif("eth1", "eth1", mac=MACS[1], physical=True, member_of=Ref("b")),
    pif(
        "bond0", "bond0", bond=Ref("b"), ip_mode="Static", ip="192.0.2.10", netmask="255.255.255.0",
        gateway="192.0.2.1", dns="192.0.2.2, 192.0.2.3", other_config={"domain": "example.com lab.example.com"},
    ),
    pif("vlan", "bond0", vlan=100, vlan_record=Ref("v"), ip_mode="DHCP", ipv6_mode="Autoconf"),
    pif("plain", "eth2", physical=True, ipv6_mode="Static", ipv6=("2001:db8::1/64",), ipv6_gateway="fe80::1"),
    bridges={"eth0": "xenbr0", "eth1": "xenbr1", "bond0": "xapi0", "vlan": "xapi1", "plain": ""},
    bonds=(BOND,),
    vlans=(VLAN,),
)  # fmt: skip


def test_a_bonds_bridge_names_the_members_and_their_macs() -> None:
    """As many MACs as NICs, in the Bond record's order."""
    assert query_bridge(HOST, "xapi0") == (("interfaces", "eth0,eth1"), ("hwaddrs", ",".join(MACS)))


def test_a_nics_bridge_names_the_nic() -> None:
    """One NIC, one MAC."""
    assert query_bridge(HOST, "xenbr1") == (("interfaces", "eth1"), ("hwaddrs", MACS[1]))


def test_a_vlan_bridge_names_its_tag_and_the_carriers_bridge() -> None:
    """It has no NIC of its own: callers follow the parent to it."""
    lines = (("interfaces", ""), ("hwaddrs", ""), ("vlan", "100"), ("parent", "xapi0"))
    assert query_bridge(HOST, "xapi1") == lines


def test_a_static_interface_has_all_its_values() -> None:
    """Name servers and domains as one comma-separated list each."""
    assert query_interface(HOST, "xapi0") == (
        ("mode", "static"),
        ("ipaddr", "192.0.2.10"),
        ("netmask", "255.255.255.0"),
        ("gateway", "192.0.2.1"),
        ("dns", "192.0.2.2,192.0.2.3"),
        ("domain", "example.com,lab.example.com"),
    )


def test_a_dynamic_interface_has_its_modes_alone() -> None:
    """What a lease or a router brought is not configuration."""
    assert query_interface(HOST, "xapi1") == (("mode", "dhcp"), ("modev6", "autoconf"))


def test_a_bridgeless_networks_interface_is_its_nic() -> None:
    """Static IPv6 in CIDR form, and no line for the family that has no address."""
    lines = (("modev6", "static"), ("ipv6addr", "2001:db8::1/64"), ("gatewayv6", "fe80::1"))
    assert query_interface(HOST, "eth2") == lines


def test_an_interface_without_addresses_has_no_lines() -> None:
    """Known, and nothing to say of it: not an error."""
    assert query_interface(HOST, "xenbr0") == ()


@pytest.mark.parametrize("query", [query_bridge, query_interface])
def test_an_unknown_name_is_an_error_that_names_it(query: Callable[[Snapshot, str], object]) -> None:
    """Callers test the exit code, people read the sentence."""
    with pytest.raises(NotFoundError, match="xenbr9"):
        query(HOST, "xenbr9")
