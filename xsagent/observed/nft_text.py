"""What ``nft -j`` prints -> chains on the input hook, rules of ours in them, mentions of GRE in others'. Pure.

`observed/firewall.py` asks the program. A rule of ours counts only when it accepts just what its tag says.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from xsagent.topology.firewall import FirewallChain, FirewallRule, OwnRule, is_tag, parse_tag

_FAMILIES: Final = frozenset({"ip", "ip6", "inet"})
_IPTABLES_CHAIN: Final = "INPUT"
_MAY_BLOCK: Final = frozenset({"drop", "reject", "jump", "goto", "queue", "xt", "vmap"})
_NUMBERS: Final[Mapping[str, int]] = {"gre": 47, "esp": 50}
"""As nft prints them on a host without /etc/protocols."""
_GRE_NAMES: Final = frozenset({"gre", "47"})
_PROTOCOL_FIELDS: Final = frozenset({"l4proto", "protocol", "nexthdr"})


def input_tables(text: str, *, has_iptables: bool) -> list[tuple[str, str]]:
    """Tables with a chain that filters what comes in, of ``nft -j list chains``; those of iptables-nft are its own.

    Args:
        has_iptables: there is an iptables whose tables these may be.
    """
    chains = [chain for chain in _objects(text, "chain") if _is_input(chain)]
    native = [chain for chain in chains if not (has_iptables and _is_of_iptables(chain))]
    return list(dict.fromkeys((str(chain["family"]), str(chain["table"])) for chain in native))


def parse_nft_table(text: str) -> list[FirewallChain]:
    """The chains of one table, of ``nft -j list table``, that can block what comes in for this host."""
    rules: dict[str, list[Mapping[str, Any]]] = {}
    for rule in _objects(text, "rule"):
        rules.setdefault(str(rule["chain"]), []).append(rule)
    chains = [_nft_chain(chain, rules) for chain in _objects(text, "chain") if _is_input(chain)]
    return [chain for chain in chains if chain is not None]


def nft_expression(rule: FirewallRule) -> list[dict[str, Any]]:
    """A rule of ours in nft's JSON (libnftables-json(5))."""
    left: dict[str, Any] = {"meta": {"key": "l4proto"}}
    right: str | int = rule.protocol
    if rule.port:
        left, right = {"payload": {"protocol": rule.protocol, "field": "dport"}}, rule.port
    return [{"match": {"op": "==", "left": left, "right": right}}, {"accept": None}]


def _nft_chain(chain: Mapping[str, Any], rules: Mapping[str, list[Mapping[str, Any]]]) -> FirewallChain | None:
    mine = [rule for rule in rules.get(str(chain["name"]), []) if is_tag(str(rule.get("comment", "")))]
    foreign = [rule for name in _nft_reachable(str(chain["name"]), rules) for rule in rules.get(name, [])]
    foreign = [rule for rule in foreign if rule not in mine]
    blocks = chain.get("policy") == "drop" or any(_keys(rule["expr"]) & _MAY_BLOCK for rule in foreign)
    if not blocks and not mine:
        return None
    return FirewallChain(
        backend="nftables",
        where=(str(chain["family"]), str(chain["table"]), str(chain["name"])),
        own=tuple(OwnRule(rule=_nft_rule(rule), handle=(str(rule["handle"]),)) for rule in mine),
        mentions_gre=any(_speaks_of_gre(rule["expr"]) for rule in foreign),
    )


def _nft_rule(found: Mapping[str, Any]) -> FirewallRule | None:
    rule = parse_tag(str(found.get("comment", "")))
    if rule is None:
        return None
    expected = nft_expression(rule)
    unnamed = nft_expression(rule)
    unnamed[0]["match"]["right"] = _NUMBERS.get(rule.protocol, rule.port)
    return rule if found["expr"] in (expected, unnamed) else None


def _nft_reachable(start: str, rules: Mapping[str, list[Mapping[str, Any]]]) -> set[str]:
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += [target for rule in rules.get(name, []) for target in _targets(rule["expr"])]
    return seen


def _targets(expression: object) -> Iterator[str]:
    for name, value in _nodes(expression):
        if name in {"jump", "goto"} and isinstance(value, dict):
            yield str(value.get("target", ""))


def _speaks_of_gre(expression: object) -> bool:
    """Whether a match compares a protocol with GRE, alone or in a set."""
    for name, value in _nodes(expression):
        if name == "match" and isinstance(value, dict) and _PROTOCOL_FIELDS & _values(value["left"]):
            return bool(_GRE_NAMES & _values(value["right"]))
    return False


def _values(node: object) -> set[str]:
    """All plain values below a node."""
    if isinstance(node, dict):
        return {text for value in node.values() for text in _values(value)}
    if isinstance(node, list):
        return {text for value in node for text in _values(value)}
    return {str(node)}


def _keys(node: object) -> set[str]:
    return {name for name, _ in _nodes(node)}


def _nodes(node: object) -> Iterator[tuple[str, object]]:
    """Every named node, outer ones first."""
    if isinstance(node, dict):
        for name, value in node.items():
            yield name, value
            yield from _nodes(value)
    elif isinstance(node, list):
        for value in node:
            yield from _nodes(value)


def _objects(text: str, kind: str) -> Iterator[Mapping[str, Any]]:
    for item in json.loads(text)["nftables"]:
        if kind in item:
            yield item[kind]


def _is_input(chain: Mapping[str, Any]) -> bool:
    return chain.get("hook") == "input" and chain.get("type") == "filter" and chain.get("family") in _FAMILIES


def _is_of_iptables(chain: Mapping[str, Any]) -> bool:
    return chain["family"] in {"ip", "ip6"} and chain["table"] == "filter" and chain["name"] == _IPTABLES_CHAIN
