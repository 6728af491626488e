"""What firewalls print, as seen, to chains."""

from __future__ import annotations

import json

import pytest

from xsagent.observed.firewalld_text import parse_zone, parse_zones, rich_rule
from xsagent.observed.iptables_text import iptables_words, parse_iptables
from xsagent.observed.nft_text import input_tables, nft_expression, parse_nft_table
from xsagent.topology.firewall import FirewallRule

GRE, VXLAN, ESP = FirewallRule("gre"), FirewallRule("udp", 4789), FirewallRule("esp")
_EMPTY = "-P INPUT ACCEPT\n-P FORWARD ACCEPT\n-P OUTPUT ACCEPT\n"
_XENSERVER = """-P INPUT ACCEPT
-P FORWARD ACCEPT
-P OUTPUT ACCEPT
-N RH-Firewall-1-INPUT
-N elsewhere
-A INPUT -p gre -m comment --comment "xsagent: gre" -j ACCEPT
-A INPUT -p udp -m udp --dport 4789 -m comment --comment "xsagent: udp/4789" -j ACCEPT
-A INPUT -j RH-Firewall-1-INPUT
-A FORWARD -p gre -j DROP
-A elsewhere -p gre -j DROP
-A RH-Firewall-1-INPUT -i lo -j ACCEPT
-A RH-Firewall-1-INPUT -j REJECT --reject-with icmp-host-prohibited
"""


# --- iptables --------------------------------------------------------------------------------------------


def test_rules_of_ours_are_told_from_the_hosts() -> None:
    """By their comment; GRE in chains that no packet for this host comes through is no mention."""
    chain, is_used = parse_iptables("iptables", _XENSERVER)

    assert is_used
    assert [own.rule for own in chain.own] == [GRE, VXLAN]
    assert chain.own[0].handle == tuple(iptables_words(GRE))
    assert not chain.mentions_gre


@pytest.mark.parametrize("line", ["-A RH-Firewall-1-INPUT -p gre -j DROP", "-A INPUT -s 192.0.2.0/24 -p 47 -j ACCEPT"])
def test_a_mention_of_gre_is_seen(line: str) -> None:
    """For or against it, by name or number, in any chain that a packet for this host comes through."""
    assert parse_iptables("iptables", f"{_XENSERVER}{line}\n")[0].mentions_gre


def test_an_empty_chain_is_not_in_use() -> None:
    """Without a rule and with policy ACCEPT; rules of ours alone do not make it so."""
    assert not parse_iptables("iptables", _EMPTY)[1]
    assert not parse_iptables("iptables", f'{_EMPTY}-A INPUT {" ".join(iptables_words(ESP)[:-3])} "xsagent: esp" -j X')[
        1
    ]
    assert parse_iptables("iptables", _EMPTY.replace("INPUT ACCEPT", "INPUT DROP"))[1]


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        ('-p 50 -m comment --comment "xsagent: esp" -j ACCEPT', ESP),
        ('-p esp -m comment --comment "xsagent: esp" -j DROP', None),
        ('-s 192.0.2.1/32 -p gre -m comment --comment "xsagent: gre" -j ACCEPT', None),
        ('-p udp -m udp --dport 4790 -m comment --comment "xsagent: udp/4789" -j ACCEPT', None),
        ('-p gre -m comment --comment "xsagent: nothing" -j ACCEPT', None),
    ],
)
def test_a_rule_counts_only_when_it_is_what_its_tag_says(words: str, rule: FirewallRule | None) -> None:
    """Protocols may be printed as numbers."""
    (own,) = parse_iptables("iptables", f"-A INPUT {words}\n")[0].own

    assert own.rule == rule


def test_a_line_that_is_no_line_is_passed_over() -> None:
    """An open quote in a comment, as some tools leave it."""
    assert parse_iptables("iptables", '-A INPUT -m comment --comment "open -j DROP\n')[0].own == ()


# --- nftables --------------------------------------------------------------------------------------------


def table(*rules: dict[str, object], policy: str = "drop") -> str:
    """A table as nft lists it: chain ``input`` on the hook, chain ``sub`` beside it."""
    chain = {"family": "inet", "table": "t", "name": "input", "handle": 1, "type": "filter", "hook": "input", "prio": 0}
    items: list[object] = [{"metainfo": {}}, {"chain": {**chain, "policy": policy}}]
    items.append({"chain": {"family": "inet", "table": "t", "name": "sub", "handle": 2}})
    for number, rule in enumerate(rules, 10):
        items.append({"rule": {"family": "inet", "table": "t", "chain": "input", "handle": number, **rule}})
    return json.dumps({"nftables": items})


def test_nft_rules_of_ours_are_read_back() -> None:
    """With the number by which they can be taken out."""
    text = table(*({"comment": rule.tag, "expr": nft_expression(rule)} for rule in (GRE, VXLAN, ESP)))

    (chain,) = parse_nft_table(text)

    assert chain.where == ("inet", "t", "input")
    assert [(own.rule, own.handle) for own in chain.own] == [(GRE, ("10",)), (VXLAN, ("11",)), (ESP, ("12",))]
    assert not chain.mentions_gre


def test_protocols_without_a_name_are_read_back_too() -> None:
    """On a host without /etc/protocols nft prints numbers."""
    expression = json.loads(json.dumps(nft_expression(GRE)).replace('"gre"', "47"))

    (chain,) = parse_nft_table(table({"comment": GRE.tag, "expr": expression}))

    assert [own.rule for own in chain.own] == [GRE]


def test_an_edited_nft_rule_is_none() -> None:
    """Whatever its comment says."""
    (chain,) = parse_nft_table(table({"comment": VXLAN.tag, "expr": nft_expression(FirewallRule("udp", 9))}))

    assert [own.rule for own in chain.own] == [None]


def match(left: dict[str, object], right: object) -> dict[str, object]:
    """A rule that accepts by one comparison."""
    return {"expr": [{"match": {"op": "==", "left": left, "right": right}}, {"accept": None}]}


@pytest.mark.parametrize(
    "rule",
    [
        match({"meta": {"key": "l4proto"}}, "gre"),
        match({"meta": {"key": "l4proto"}}, 47),
        match({"payload": {"protocol": "ip", "field": "protocol"}}, {"set": ["esp", "gre"]}),
        match({"payload": {"protocol": "ip6", "field": "nexthdr"}}, "gre"),
        {"chain": "sub", **match({"meta": {"key": "l4proto"}}, "gre")},
    ],
)
def test_nft_mentions_of_gre_are_seen(rule: dict[str, object]) -> None:
    """In each way of saying it, and in a chain that is jumped to."""
    (chain,) = parse_nft_table(table({"expr": [{"jump": {"target": "sub"}}]}, rule))

    assert chain.mentions_gre


def test_a_47_that_is_no_protocol_is_no_mention() -> None:
    """A port, for example."""
    (chain,) = parse_nft_table(table(match({"payload": {"protocol": "udp", "field": "dport"}}, 47)))

    assert not chain.mentions_gre


def test_a_chain_that_cannot_block_is_none_of_ours() -> None:
    """Policy accept and nothing but counters and accepts."""
    counting = {"expr": [{"counter": {"packets": 0, "bytes": 0}}]}

    assert parse_nft_table(table(counting, policy="accept")) == []
    assert len(parse_nft_table(table(counting, {"expr": [{"reject": None}]}, policy="accept"))) == 1


def test_tables_of_iptables_are_left_to_it() -> None:
    """Where it is there; else they are tables like others."""
    chain = {"family": "ip", "table": "filter", "name": "INPUT", "type": "filter", "hook": "input"}
    other = {"family": "inet", "table": "t", "name": "x", "type": "filter", "hook": "input"}
    ingress = {"family": "netdev", "table": "n", "name": "y", "type": "filter", "hook": "ingress"}
    text = json.dumps({"nftables": [{"chain": item} for item in (chain, other, ingress)]})

    assert input_tables(text, has_iptables=True) == [("inet", "t")]
    assert input_tables(text, has_iptables=False) == [("ip", "filter"), ("inet", "t")]


# --- firewalld -------------------------------------------------------------------------------------------


def test_rich_rules_of_ours_are_told_by_their_priority() -> None:
    """There is no place for a comment."""
    lines = [rich_rule(VXLAN), rich_rule(GRE), 'rule priority="5" port port="22" protocol="tcp" accept']

    zone = parse_zone("public", "\n".join(lines), ["", "ssh dhcpv6-client"])

    assert [own.rule for own in zone.own] == [VXLAN, GRE]
    assert zone.own[0].handle == (rich_rule(VXLAN),)
    assert not zone.mentions_gre


def test_firewallds_mentions_of_gre_are_seen() -> None:
    """As a protocol, a service or a rich rule of the zone."""
    assert parse_zone("z", "", ["gre", ""]).mentions_gre
    assert parse_zone("z", 'rule protocol value="gre" drop', []).mentions_gre


def test_a_rich_rule_with_more_in_it_is_none() -> None:
    """Somebody narrowed it."""
    line = rich_rule(GRE).replace("protocol", 'source address="192.0.2.1" protocol', 1)

    assert [own.rule for own in parse_zone("z", line, []).own] == [None]


def test_active_zones_are_the_lines_that_are_not_indented() -> None:
    """Newer releases put a remark behind the name."""
    assert parse_zones("public (default)\n  interfaces: xenbr0\nwork\n  sources: 192.0.2.0/24\n") == ["public", "work"]
