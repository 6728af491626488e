"""Writing network.dbcache: legacy readers take it, and nothing of ours is lost."""

from __future__ import annotations

import dataclasses
import xml.dom.minidom
from pathlib import Path

import pytest

from xsagent.model.records import Bond, Network, Pif, Pool, Ref, Sriov, Tunnel, Vlan
from xsagent.model.snapshot import Snapshot
from xsagent.sources.dbcache import parse_dbcache, read_dbcache
from xsagent.sources.dbcache_fields import _JSON_CHECKS
from xsagent.sources.dbcache_render import Texts, render_dbcache

DATA = Path(__file__).parent / "data"
FULL = Snapshot(
    source="network.dbcache",
    host_uuid="2918f291-8385-5b50-97ae-478fa33a6463",
    pifs={
        Ref("P0"): Pif(
            ref=Ref("P0"),
            uuid="u0",
            device="eth0",
            network=Ref("N0"),
            mac="00:1b:21:0a:0b:01",
            mtu="9000",
            physical=True,
            managed=False,
            management=True,
            currently_attached=True,
            ip_mode="Static",
            ip="192.0.2.10",
            netmask="255.255.255.0",
            ipv6_mode="Static",
            ipv6=("2001:db8::10/64",),
            ipv6_gateway="2001:db8::1",
            primary_address_type="IPv6",
            vlans_on=(Ref("V0"),),
            tunnel_transport_of=(Ref("T0"),),
            properties={"gro": "on"},
            other_config={"domain": "a.example,b.example", "ethtool-gro": "off", "a key": "1", "x\x01": "\x02"},
        ),
        Ref("P1"): Pif(
            ref=Ref("P1"), uuid="u1", device="eth0", network=None, vlan=10, vlan_record=Ref("V0"), ip_mode="DHCP"
        ),
        Ref("PB"): Pif(ref=Ref("PB"), uuid="ub", device="bond0", network=None, bond=Ref("B0")),
        Ref("PT"): Pif(ref=Ref("PT"), uuid="ut", device="tunnel0", network=None, tunnel_access_of=(Ref("T0"),)),
    },
    bonds={
        Ref("B0"): Bond(
            ref=Ref("B0"),
            uuid="b0",
            pif=Ref("PB"),
            members=(Ref("P2"), Ref("P3")),
            mode="lacp",
            properties={"hashing_algorithm": "tcpudp_ports"},
        )
    },
    vlans={Ref("V0"): Vlan(ref=Ref("V0"), uuid="v0", carrier=Ref("P0"), pif=Ref("P1"), tag=10)},
    tunnels={
        Ref("T0"): Tunnel(ref=Ref("T0"), uuid="t0", access_pif=Ref("PT"), transport_pif=Ref("P0"), protocol="vxlan")
    },
    networks={
        Ref("N0"): Network(
            ref=Ref("N0"),
            uuid="n0",
            bridge="xenbr0",
            name_label='Pool "0" <é>',
            mtu="1500",
            pifs=(Ref("P0"),),
            other_config={"static-routes": "10.0.0.0/8/192.0.2.1", "automatic": "true"},
        )
    },
    sriovs={Ref("S0"): Sriov(ref=Ref("S0"), uuid="s0", physical_pif=Ref("P0"), logical_pif=Ref("PS"))},
    pool=Pool(ref=Ref("O0"), uuid="o0", vswitch_controller="192.0.2.9", ha_enabled=True, other_config={"x": "y"}),
    unusable={Ref("bad"): "because"},
    complete=False,
)

LEGACY_KINDS = {"pif", "bond", "vlan", "tunnel", "network", "pool"}
LEGACY_SETS = {
    "bond_master_of": "slave",
    "VLAN_slave_of": "master",
    "tunnel_access_PIF_of": "pif",
    "tunnel_transport_PIF_of": "pif",
    "slaves": "slave",
    "PIFs": "PIF",
}
LEGACY_BOOLEANS = {"management", "currently_attached"}
LEGACY_TEXTS = {
    "pif": {
        *("uuid", "network", "device", "bond_slave_of", "VLAN", "VLAN_master_of", "ip_configuration_mode"),
        *("IP", "netmask", "gateway", "DNS", "MAC"),
    },
    "bond": {"uuid", "master"},
    "vlan": {"uuid", "tagged_PIF", "untagged_PIF"},
    "tunnel": {"uuid", "access_PIF", "transport_PIF"},
    "network": {"uuid", "bridge", "MTU"},
    "pool": set(),
}
Legacy = dict[str, dict[str, dict[str, object]]]


def legacy_text(element: xml.dom.minidom.Element) -> str:
    """A legacy reader joins text nodes alone (CDATA sections are other nodes) and strips the ends."""
    return "".join(node.data for node in element.childNodes if node.nodeType == node.TEXT_NODE).strip()


def read_as_legacy(data: bytes) -> Legacy:
    """What a reader that keeps the legacy scripts' rules finds; an assertion where theirs would give up.

    The rules: the document has one child, the root (so no comment beside it); below the root only white space and
    the six kinds of records, each with a reference; children of a record are looked up by name and others skipped.
    """
    document = xml.dom.minidom.parseString(data)  # noqa: S318 - our own bytes
    assert [node.nodeName for node in document.childNodes] == ["xenserver-network-configuration"]
    found: Legacy = {kind: {} for kind in LEGACY_KINDS}
    for node in document.documentElement.childNodes:
        if node.nodeName == "#text":
            continue
        assert node.nodeName in LEGACY_KINDS
        found[node.nodeName][node.attributes["ref"].value] = _legacy_record(node)
    return found


def _legacy_record(node: xml.dom.minidom.Element) -> dict[str, object]:
    record: dict[str, object] = {}
    for child in node.childNodes:
        name = child.nodeName
        if name in LEGACY_BOOLEANS:
            assert legacy_text(child) in {"True", "False"}
        if name in LEGACY_SETS:
            record[name] = [legacy_text(item) for item in child.childNodes if item.nodeName == LEGACY_SETS[name]]
        elif name == "other_config":
            record[name] = {item.nodeName: legacy_text(item) for item in child.childNodes if item.nodeName != "#text"}
        elif name in LEGACY_BOOLEANS | LEGACY_TEXTS[node.nodeName]:
            record[name] = legacy_text(child)
    return record


def test_a_legacy_reader_takes_what_we_write() -> None:
    """Every element that the legacy scripts know, spelt as they spell it."""
    found = read_as_legacy(render_dbcache(FULL))

    assert found["pif"]["P0"] == {
        "uuid": "u0",
        "management": "True",
        "network": "N0",
        "device": "eth0",
        "bond_master_of": [],
        "bond_slave_of": "OpaqueRef:NULL",
        "VLAN": "-1",
        "VLAN_master_of": "OpaqueRef:NULL",
        "VLAN_slave_of": ["V0"],
        "tunnel_access_PIF_of": [],
        "tunnel_transport_PIF_of": ["T0"],
        "ip_configuration_mode": "Static",
        "IP": "192.0.2.10",
        "netmask": "255.255.255.0",
        "gateway": "",
        "DNS": "",
        "MAC": "00:1b:21:0a:0b:01",
        "other_config": {"domain": "a.example,b.example", "ethtool-gro": "off"},
        "currently_attached": "True",
    }
    assert found["pif"]["PB"]["bond_master_of"] == ["B0"]
    assert found["bond"] == {"B0": {"uuid": "b0", "master": "PB", "slaves": ["P2", "P3"]}}
    assert found["vlan"] == {"V0": {"uuid": "v0", "tagged_PIF": "P0", "untagged_PIF": "P1"}}
    assert found["tunnel"] == {"T0": {"uuid": "t0", "access_PIF": "PT", "transport_PIF": "P0"}}
    assert found["network"]["N0"] == {
        "uuid": "n0",
        "bridge": "xenbr0",
        "MTU": "1500",
        "PIFs": ["P0"],
        "other_config": {"static-routes": "10.0.0.0/8/192.0.2.1"},
    }
    assert found["pool"] == {"O0": {"other_config": {}}}


def test_nothing_that_the_legacy_layout_has_no_place_for_is_lost() -> None:
    """IPv6, bond mode, tunnel protocol, SR-IOV, odd keys and the rest come back (legacy-faults.md F31)."""
    assert parse_dbcache(render_dbcache(FULL)).unusable == FULL.unusable
    assert dataclasses.replace(parse_dbcache(render_dbcache(FULL)), warnings=()) == FULL


def test_what_the_legacy_layout_holds_is_not_written_twice() -> None:
    """So a cache that a legacy script wrote gains nothing but the root's attribute."""
    before = read_dbcache(DATA / "legacy-static.dbcache")

    written = render_dbcache(before).decode()

    expected = (DATA / "legacy-static.dbcache").read_text()
    assert written == expected.replace(
        "<xenserver-network-configuration>",
        '<xenserver-network-configuration xsagent="{&quot;complete&quot;: true}">',
    )


def test_a_change_that_a_legacy_script_makes_is_seen() -> None:
    """Our additions say only what the legacy elements cannot, so those win where they speak."""
    edited = render_dbcache(FULL).replace(b"<IP>192.0.2.10</IP>", b"<IP>192.0.2.77</IP>")

    assert parse_dbcache(edited).pifs[Ref("P0")].ip == "192.0.2.77"


def test_texts_that_are_there_already_make_no_difference() -> None:
    """Of records that stayed, of some that changed, and of a VLAN whose tag is its PIF's."""
    texts: Texts = {}
    assert render_dbcache(FULL, texts) == render_dbcache(FULL, texts) == render_dbcache(FULL)
    vlan = next(iter(FULL.vlans.values()))
    changed = {
        Ref("P0"): dataclasses.replace(FULL.pifs[Ref("P0")], ip="192.0.2.77"),
        vlan.pif: dataclasses.replace(FULL.pifs[vlan.pif], vlan=FULL.pifs[vlan.pif].vlan + 1),
    }

    after = dataclasses.replace(FULL, pifs={**FULL.pifs, **changed})

    assert render_dbcache(after, texts) == render_dbcache(after) != render_dbcache(FULL)


def test_bytes_are_ascii_and_in_a_fixed_order() -> None:
    """Records by reference: the order in which a source listed them does not matter."""
    turned = dataclasses.replace(FULL, pifs=dict(reversed(FULL.pifs.items())))

    assert render_dbcache(turned) == render_dbcache(FULL)
    render_dbcache(FULL).decode("ascii")


@pytest.mark.parametrize("text", ["\x00", "a\x0bb", "\ufffe", "]]>", "<!--", "&#0;", " lead", "\r\n", "\U0001f4a9"])
def test_no_text_makes_the_cache_malformed(text: str) -> None:
    """The legacy scripts wrote malformed XML for values with markup (legacy-faults.md F03)."""
    pif = dataclasses.replace(FULL.pifs[Ref("P0")], device=text, other_config={"domain": text, text: text})
    network = dataclasses.replace(FULL.networks[Ref("N0")], bridge=text)
    snapshot = Snapshot(source="network.dbcache", pifs={pif.ref: pif}, networks={network.ref: network})

    read_as_legacy(render_dbcache(snapshot))
    parsed = parse_dbcache(render_dbcache(snapshot))

    assert (parsed.pifs, parsed.networks) == (snapshot.pifs, snapshot.networks)


@pytest.mark.parametrize("record", [Pif, Network, Bond, Vlan, Tunnel, Sriov, Pool])
def test_every_field_of_every_record_can_be_written(record: type) -> None:
    """A new field with a new kind of value must be taught to the cache, or boot would not know it."""
    assert {str(field.type) for field in dataclasses.fields(record)} <= _JSON_CHECKS.keys()


@pytest.mark.parametrize("physical", [True, False])
def test_an_sriov_pif_keeps_what_it_says_of_itself(*, physical: bool) -> None:
    """A reader takes PIF.physical from the other fields, and sriov_logical_PIF_of is in our JSON alone."""
    pif = Pif(
        ref=Ref("P"), uuid="u", device="eth0", network=None, physical=physical, sriov_logical_of=(Ref("OpaqueRef:s"),)
    )
    snapshot = Snapshot(source="network.dbcache", pifs={pif.ref: pif})

    assert parse_dbcache(render_dbcache(snapshot)).pifs == snapshot.pifs
