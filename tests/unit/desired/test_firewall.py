"""Which rules tunnels need."""

from __future__ import annotations

import pytest

from xsagent.desired.firewall import attached_tunnels, build_firewall_rules, is_tunnel
from xsagent.model.records import Network, Pif, Ref, Tunnel
from xsagent.model.snapshot import Snapshot
from xsagent.topology.firewall import FirewallRule, TunnelPort, is_tag, parse_tag

GRE = FirewallRule("gre")
IPSEC = {FirewallRule("udp", 500), FirewallRule("udp", 4500), FirewallRule("esp")}


def rules(*ports: TunnelPort, records: tuple[str, ...] = (), vxlan_port: int = 4789) -> set[FirewallRule]:
    """The rules beside GRE's, which is always there."""
    found = build_firewall_rules(ports, records, vxlan_port=vxlan_port)
    assert GRE in found
    return set(found - {GRE})


def port(kind: str, **options: str) -> TunnelPort:
    """A tunnel port."""
    return TunnelPort(name="t", type=kind, options=options)


@pytest.mark.parametrize(
    ("kind", "rule"),
    [
        ("vxlan", FirewallRule("udp", 4789)),
        ("geneve", FirewallRule("udp", 6081)),
        ("lisp", FirewallRule("udp", 4341)),
        ("gtpu", FirewallRule("udp", 2152)),
        ("stt", FirewallRule("tcp", 7471)),
    ],
)
def test_each_kind_has_its_port(kind: str, rule: FirewallRule) -> None:
    """The one that Open vSwitch takes by default."""
    assert rules(port(kind)) == {rule}


def test_gre_needs_nothing_beside_itself() -> None:
    """GRE over IPv6 and ERSPAN are GRE on the wire."""
    assert rules(port("gre"), port("ip6gre"), port("erspan")) == set()


def test_a_port_of_its_own_counts() -> None:
    """options:dst_port, also beside a tunnel without one; key vxlan_port for VXLAN tunnels that name none."""
    assert rules(port("vxlan", dst_port="8472"), port("vxlan"), vxlan_port=4790) == {
        FirewallRule("udp", 8472),
        FirewallRule("udp", 4790),
    }


@pytest.mark.parametrize("text", ["0", "65536", "-1", "x", "", "٤٧٨٩", "9" * 5000])
def test_what_is_no_port_is_ignored(text: str) -> None:
    """As Open vSwitch ignores it."""
    assert rules(port("geneve", dst_port=text)) == {FirewallRule("udp", 6081)}


def test_bareudp_without_a_port_opens_nothing() -> None:
    """It has no default."""
    assert rules(port("bareudp")) == set()
    assert rules(port("bareudp", dst_port="6635")) == {FirewallRule("udp", 6635)}


@pytest.mark.parametrize("key", ["psk", "remote_cert", "remote_name"])
def test_keys_of_ipsec_open_ike_and_esp(key: str) -> None:
    """Beside what the tunnel itself needs."""
    assert rules(port("geneve", **{key: "x"})) == {FirewallRule("udp", 6081), *IPSEC}


def test_an_old_ipsec_type_does_too() -> None:
    """ipsec_gre of Open vSwitch before 2.6."""
    assert rules(port("ipsec_gre")) == IPSEC


def test_an_attached_tunnel_of_xapi_counts_like_a_port() -> None:
    """XAPI's tunnels are GRE or VXLAN."""
    assert rules(records=("gre", "vxlan")) == {FirewallRule("udp", 4789)}


def test_a_tunnel_is_attached_while_its_bridge_is_there() -> None:
    """Whatever the record of the access PIF says."""
    snapshot = Snapshot(
        source="a test",
        pifs={Ref("p"): Pif(ref=Ref("p"), uuid="p", device="tunnel0", network=Ref("n"), tunnel_access_of=(Ref("t"),))},
        networks={Ref("n"): Network(ref=Ref("n"), uuid="n", bridge="xapi5")},
        tunnels={
            Ref("t"): Tunnel(ref=Ref("t"), uuid="t", access_pif=Ref("p"), transport_pif=Ref("q"), protocol="vxlan"),
            Ref("u"): Tunnel(ref=Ref("u"), uuid="u", access_pif=Ref("gone"), transport_pif=Ref("q")),
        },
    )

    assert attached_tunnels(snapshot, {"xapi5", "xenbr0"}) == {"vxlan"}
    assert attached_tunnels(snapshot, {"xenbr0"}) == frozenset()


def test_other_ports_are_no_tunnels() -> None:
    """Neither internal ports nor patches nor NICs."""
    assert [kind for kind in ("internal", "patch", "", "tap", "gre", "stt") if is_tunnel(kind)] == ["gre", "stt"]


@pytest.mark.parametrize("rule", [GRE, FirewallRule("esp"), FirewallRule("udp", 4789), FirewallRule("tcp", 7471)])
def test_a_tag_names_its_rule(rule: FirewallRule) -> None:
    """And can be read back."""
    assert is_tag(rule.tag)
    assert parse_tag(rule.tag) == rule


@pytest.mark.parametrize("comment", ["", "xsagent", "xsagent: sctp/1", "xsagent: udp", "theirs xsagent: gre"])
def test_other_comments_name_none(comment: str) -> None:
    """A malformed one of ours is no rule either."""
    assert parse_tag(comment) is None
