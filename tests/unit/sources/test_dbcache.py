"""Reading network.dbcache: what real writers leave, and what hostile or broken files do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from xsagent.errors import CacheError, InputError
from xsagent.model.records import UNTAGGED, Ref
from xsagent.model.snapshot import Snapshot
from xsagent.sources.dbcache import parse_dbcache, read_dbcache
from xsagent.sources.dbcache_xml import Limits

DATA = Path(__file__).parent / "data"
EVERYTHING = b"""<?xml version="1.0" ?>
<xenserver-network-configuration>
  <pif ref="P0"><uuid>u0</uuid><management>False</management><network>N0</network><device>eth0</device>
    <bond_master_of/><bond_slave_of>B0</bond_slave_of><VLAN>-1</VLAN>
    <currently_attached>False</currently_attached></pif>
  <pif ref="P1"><uuid>u1</uuid><device>eth1</device><bond_slave_of>B0</bond_slave_of></pif>
  <pif ref="PB"><uuid>ub</uuid><management>True</management><network>NB</network><device>bond0</device>
    <bond_master_of><slave>B0</slave></bond_master_of><VLAN_slave_of><master>V0</master></VLAN_slave_of>
    <tunnel_transport_PIF_of><pif>T0</pif></tunnel_transport_PIF_of>
    <other_config><bond-mode>lacp</bond-mode><domain>example.com</domain></other_config>
    <currently_attached>True</currently_attached></pif>
  <pif ref="PV"><uuid>uv</uuid><device>bond0</device><VLAN>100</VLAN><VLAN_master_of>V0</VLAN_master_of></pif>
  <pif ref="PT"><uuid>ut</uuid><device>tunnel0</device>
    <tunnel_access_PIF_of><pif>T0</pif></tunnel_access_PIF_of></pif>
  <bond ref="B0"><uuid>b0</uuid><master>PB</master><slaves><slave>P0</slave><slave>P1</slave></slaves></bond>
  <vlan ref="V0"><uuid>v0</uuid><tagged_PIF>PB</tagged_PIF><untagged_PIF>PV</untagged_PIF></vlan>
  <tunnel ref="T0"><uuid>t0</uuid><access_PIF>PT</access_PIF><transport_PIF>PB</transport_PIF></tunnel>
  <network ref="N0"><uuid>n0</uuid><bridge>xenbr0</bridge><MTU>9000</MTU><PIFs><PIF>P0</PIF></PIFs>
    <other_config><static-routes>10.0.0.0/8/192.0.2.1</static-routes></other_config></network>
  <network ref="NB"><uuid>nb</uuid><bridge>xapi0</bridge></network>
  <pool ref="O0"><other_config><vswitch-controller-fail-mode>secure</vswitch-controller-fail-mode></other_config></pool>
</xenserver-network-configuration>
"""


def cache(inside: str) -> bytes:
    """A cache with these records."""
    return f"<xenserver-network-configuration>{inside}</xenserver-network-configuration>".encode()


def test_a_cache_of_the_legacy_scripts_is_read() -> None:
    """Every field of a static management PIF arrives."""
    snapshot = read_dbcache(DATA / "legacy-static.dbcache")

    pif = snapshot.pif_for_bridge("xenbr0")
    assert (pif.device, pif.ip_mode, pif.ip, pif.netmask) == ("eth0", "Static", "192.0.2.10", "255.255.255.0")
    assert (pif.gateway, pif.dns, pif.mac) == ("192.0.2.1", "192.0.2.2,192.0.2.3", "00:1b:21:0a:0b:01")
    assert pif.other_config == {"domain": "example.com,lab.example.com"}
    assert (pif.management, pif.physical, pif.vlan, pif.bond, pif.member_of) == (True, True, UNTAGGED, None, None)
    assert snapshot.network_of(pif).mtu == "1500"
    assert snapshot.complete
    assert snapshot.warnings == ()


def test_a_cache_of_the_installer_is_read() -> None:
    """Fields that it lacks have defaults, text may stand on lines of its own, and it is known to be partial."""
    snapshot = read_dbcache(DATA / "installer.dbcache")

    pif = snapshot.pif_for_bridge("xenbr0")
    assert (pif.uuid, pif.ip_mode, pif.currently_attached, pif.physical) == ("eth0Pif", "DHCP", False, True)
    assert snapshot.network_of(pif).mtu == ""
    assert snapshot.pool is None
    assert not snapshot.complete


def test_every_kind_of_record_is_modelled() -> None:
    """PIF, bond, VLAN, tunnel, network and pool arrive, each in its own table (legacy-faults.md F31)."""
    snapshot = parse_dbcache(EVERYTHING)

    bond = snapshot.bonds[Ref("B0")]
    assert (bond.uuid, bond.pif, bond.members, bond.mode) == ("b0", "PB", ("P0", "P1"), "")
    vlan = snapshot.vlans[Ref("V0")]
    assert (vlan.uuid, vlan.carrier, vlan.pif, vlan.tag) == ("v0", "PB", "PV", 100)
    tunnel = snapshot.tunnels[Ref("T0")]
    assert (tunnel.uuid, tunnel.access_pif, tunnel.transport_pif, tunnel.protocol) == ("t0", "PT", "PB", "gre")
    assert snapshot.pool is not None
    assert snapshot.pool.other_config == {"vswitch-controller-fail-mode": "secure"}
    assert snapshot.networks[Ref("N0")].other_config == {"static-routes": "10.0.0.0/8/192.0.2.1"}
    assert snapshot.networks[Ref("N0")].mtu == "9000"
    assert snapshot.unusable == {}


def test_currently_attached_is_read_as_it_stands() -> None:
    """True is true and absent is false; the legacy scripts read false always (legacy-faults.md F31)."""
    snapshot = parse_dbcache(EVERYTHING)

    assert snapshot.pif_by_uuid("ub").currently_attached
    assert not snapshot.pif_by_uuid("u0").currently_attached
    assert not snapshot.pif_by_uuid("u1").currently_attached


def test_only_nics_are_physical_in_a_legacy_cache() -> None:
    """The layout does not say so: it follows from the PIF being no bond, VLAN or tunnel."""
    snapshot = parse_dbcache(EVERYTHING)

    assert sorted(pif.uuid for pif in snapshot.pifs.values() if pif.physical) == ["u0", "u1"]


@pytest.mark.parametrize(
    ("text", "expected"), [("True", True), ("true", True), ("1", True), ("False", False), ("", False)]
)
def test_booleans_of_any_writer_are_understood(text: str, expected: bool) -> None:
    """Python's and XML-RPC's spellings."""
    snapshot = parse_dbcache(cache(f'<pif ref="P"><device>eth0</device><management>{text}</management></pif>'))

    assert snapshot.pifs[Ref("P")].management is expected


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ('<pif ref="P"><device>eth0</device><management>maybe</management></pif>', "its management: 'maybe'"),
        ('<pif ref="P"><device>eth0</device><VLAN> 1_500 </VLAN></pif>', "its VLAN: '1_500'"),
        ('<pif ref="P"><uuid>u</uuid></pif>', "it has no device"),
        ('<vlan ref="P"><untagged_PIF>Q</untagged_PIF></vlan>', "it has no carrier"),
        ('<bond ref="P"><master>OpaqueRef:NULL</master></bond>', "it has no pif"),
        ('<tunnel ref="P"><access_PIF>Q</access_PIF></tunnel>', "it has no transport pif"),
    ],
)
def test_a_record_that_cannot_be_used_is_set_aside(record: str, reason: str) -> None:
    """Others still work, and asking for it says why it cannot be used."""
    snapshot = parse_dbcache(cache(record + '<pif ref="Q"><device>eth1</device></pif>'))

    assert reason in snapshot.unusable[Ref("P")]
    assert snapshot.pif(Ref("Q")).device == "eth1"
    assert not snapshot.complete
    with pytest.raises(InputError, match="cannot be used"):
        snapshot.pif(Ref("P"))


def test_comments_and_unknown_parts_are_passed_over() -> None:
    """A comment was fatal to the legacy scripts (F21); the unknown is counted in one warning."""
    snapshot = parse_dbcache(
        b"<!-- a --><xenserver-network-configuration colour='red'><!-- b --><?target c?>"
        b"<pif ref='P' x='y'><device>et<!-- d -->h0</device><strange><device>no</device></strange>"
        b"<VLAN_slave_of><master>V<deeper>no</deeper>0</master></VLAN_slave_of></pif>"
        b"<rack><unit/></rack><pif><device>eth9</device></pif></xenserver-network-configuration>"
    )

    assert snapshot.pifs[Ref("P")].device == "eth0"
    assert snapshot.pifs[Ref("P")].vlans_on == ("V0",)
    assert len(snapshot.pifs) == 1
    assert "7 unknown elements and 2 unknown attributes" in snapshot.warnings[0]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "iso-8859-1", "windows-1252"])
def test_encodings_are_understood(encoding: str) -> None:
    """With a byte order mark or a declaration."""
    declared = "utf-8" if encoding == "utf-8-sig" else encoding
    text = (
        f'<?xml version="1.0" encoding="{declared}"?><xenserver-network-configuration><network ref="N">'
        "<bridge>xenbr0</bridge><other_config><mtu>é</mtu></other_config></network></xenserver-network-configuration>"
    )

    snapshot = parse_dbcache(text.encode(encoding))

    assert snapshot.networks[Ref("N")].other_config == {"mtu": "é"}


def test_dangling_references_are_warnings() -> None:
    """One for each kind, naming an example and the number of others; nothing fails."""
    snapshot = parse_dbcache(
        cache(
            '<pif ref="P"><uuid>u</uuid><device>eth0</device><network>N</network><bond_slave_of>B</bond_slave_of></pif>'
            '<pif ref="Q"><uuid>w</uuid><device>eth1</device><network>M</network></pif>'
            '<vlan ref="V"><uuid>v</uuid><tagged_PIF>P</tagged_PIF><untagged_PIF>X</untagged_PIF></vlan>'
            '<vlan ref="W"><uuid>other host</uuid><tagged_PIF>Y</tagged_PIF><untagged_PIF>X</untagged_PIF></vlan>'
        )
    )

    assert snapshot.warnings == (
        "PIF u refers to network N, which is in no record, and 1 more like it",
        "PIF u refers to bond B, which is in no record",
        "VLAN v refers to PIF X, which is in no record",
    )
    assert snapshot.bridge_of(snapshot.pifs[Ref("P")]) == ""


def test_the_last_of_two_records_with_one_reference_counts() -> None:
    """As for the legacy scripts."""
    snapshot = parse_dbcache(cache('<pif ref="P"><device>a</device></pif><pif ref="P"><device>b</device></pif>'))

    assert [pif.device for pif in snapshot.pifs.values()] == ["b"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "it is empty"),
        (b"   ", "no element found"),
        (b"\x00\x01\x02", "cannot be used"),
        (b"{}", "not well-formed"),
        (b"<xenserver-network-configuration>", "no element found"),
        (b"<xenserver-network-configuration><pif></xenserver-network-configuration>", "mismatched tag"),
        (b"<html/>", "its root element is 'html'"),
        (b"<!DOCTYPE xenserver-network-configuration><xenserver-network-configuration/>", "document type"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><xenserver-network-configuration/>', "document type"),
        (b'<?xml version="1.0" encoding="x-none"?><xenserver-network-configuration/>', "cannot be used"),
        (b'<?xml version="1.0" encoding="shift_jis"?><xenserver-network-configuration/>', "cannot be used"),
        (b"<xenserver-network-configuration>\xff</xenserver-network-configuration>", "not well-formed"),
        (b"<xenserver-network-configuration>&b;</xenserver-network-configuration>", "undefined entity"),
    ],
)
def test_what_is_no_cache_is_refused_in_one_sentence(data: bytes, reason: str) -> None:
    """The sentence names the cache, what is wrong, and that nothing was changed."""
    with pytest.raises(CacheError, match=reason) as caught:
        parse_dbcache(data, source="/var/xapi/network.dbcache")

    assert str(caught.value).startswith("the cache /var/xapi/network.dbcache cannot be used: ")
    assert str(caught.value).endswith("; nothing was changed")
    assert "\n" not in str(caught.value)


def test_a_cache_cut_off_anywhere_is_refused() -> None:
    """No prefix of a real cache is taken for a whole one."""
    whole = (DATA / "legacy-static.dbcache").read_bytes().rstrip()

    for length in range(len(whole)):
        with pytest.raises(CacheError):
            parse_dbcache(whole[:length])


@pytest.mark.parametrize(
    ("limits", "data"),
    [
        (Limits(total_bytes=100), cache("<x/>" * 50)),
        (Limits(elements=10), cache("<x/>" * 10)),
        (Limits(elements=10), cache("<x a='' b='' c='' d='' e='' f='' g='' h='' i=''/>")),
        (Limits(records=3), cache("<pif ref='P'><device>a</device></pif>" * 4)),
        (Limits(depth=8), cache("<x>" * 8 + "</x>" * 8)),
        (Limits(text_characters=10), cache("<pif ref='P'><device>" + "x" * 11 + "</device></pif>")),
        (Limits(extra_characters=10), cache("<pif ref='P'><device>a</device><xsagent>12345678901</xsagent></pif>")),
        (Limits(text_characters=1000), cache("<!--" + "x" * 300_000 + "-->")),
        (Limits(text_characters=1000), cache("<x y='" + "x" * 300_000 + "'/>")),
    ],
)
def test_each_limit_refuses(limits: Limits, data: bytes) -> None:
    """Size, elements, attributes, depth, text, JSON, comment and tag length are bounded."""
    with pytest.raises(CacheError):
        parse_dbcache(data, limits=limits)


def test_text_of_what_is_passed_over_has_no_limit_of_its_own() -> None:
    """It is not kept, so only the whole size counts."""
    snapshot = parse_dbcache(cache("<x>" + "y" * 5000 + "</x>"), limits=Limits(text_characters=1000))

    assert snapshot.pifs == {}


def test_many_unusable_records_are_refused() -> None:
    """Reasons are text too: they must not grow without bound."""
    with pytest.raises(CacheError, match="more than 1000 of its records"):
        parse_dbcache(cache("".join(f'<pif ref="P{number}"/>' for number in range(1001))))


def test_a_broken_extra_element_costs_only_what_it_held() -> None:
    """The legacy fields of the record still count, with a warning."""
    for text in ("{", "[]", '{"ipv6": "x"}', '{"other_config": {"a": 1}}', "[" * 5000, '{"management": NaN}'):
        snapshot = parse_dbcache(cache(f'<pif ref="P"><device>eth0</device><xsagent>{text}</xsagent></pif>'))

        assert snapshot.pifs[Ref("P")].device == "eth0"
        assert "xsagent element of pif 'P'" in snapshot.warnings[0]


def test_an_extra_element_of_a_later_version_is_read() -> None:
    """Keys that we do not know are passed over."""
    snapshot = parse_dbcache(
        cache('<pif ref="P"><device>eth0</device><xsagent>{"managed": false, "later": [1]}</xsagent></pif>')
    )

    assert not snapshot.pifs[Ref("P")].managed
    assert snapshot.warnings == ()


@pytest.mark.parametrize("attribute", ["{", "[]", '{"host_uuid": 1}', '{"sriovs": [1]}', '{"sriovs": [{}]}'])
def test_a_broken_root_attribute_makes_the_snapshot_incomplete(attribute: str) -> None:
    """Then absence proves nothing, so nothing may be pruned by it."""
    text = attribute.replace('"', "&quot;")

    snapshot = parse_dbcache(f'<xenserver-network-configuration xsagent="{text}"/>'.encode())

    assert not snapshot.complete
    assert len(snapshot.warnings) == 1


def test_a_root_attribute_that_sets_aside_too_much_is_refused_by_name() -> None:
    """As too many bad records are: the sentence says which file, and what was left as it was."""
    unusable = ", ".join(f"&quot;R{number}&quot;: &quot;bad&quot;" for number in range(1001))
    text = f"{{&quot;unusable&quot;: {{{unusable}}}}}"

    with pytest.raises(CacheError, match=r"the cache network\.dbcache cannot be used: more .*; nothing was changed"):
        parse_dbcache(f'<xenserver-network-configuration xsagent="{text}"/>'.encode())


def test_a_missing_cache_is_named(tmp_path: Path) -> None:
    """The sentence says which file does not exist."""
    with pytest.raises(CacheError, match=r"network\.dbcache does not exist; nothing was changed"):
        read_dbcache(tmp_path / "network.dbcache")


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    """A directory, or a FIFO that nobody writes to, does not stop us."""
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path, tmp_path / "fifo"):
        with pytest.raises(CacheError, match="not a regular file"):
            read_dbcache(path)


def test_a_file_over_the_limit_is_refused_unread(tmp_path: Path) -> None:
    """By its size alone."""
    path = tmp_path / "network.dbcache"
    with path.open("wb") as stream:
        stream.truncate(1 << 40)

    with pytest.raises(CacheError, match="larger than"):
        read_dbcache(path)


def test_an_empty_root_is_an_empty_snapshot() -> None:
    """A cache without records is no error of the file: what is asked for is then not found."""
    assert parse_dbcache(cache("")) == Snapshot(source="network.dbcache")
