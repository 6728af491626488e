"""What ``iptables -S`` prints -> the INPUT chain with rules of ours and mentions of GRE in others'. Pure.

`observed/firewall.py` asks the program. A rule of ours counts only when it accepts just what its tag says.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from xsagent.topology.firewall import FirewallChain, FirewallRule, OwnRule, is_tag, parse_tag

INPUT: Final = "INPUT"
_NUMBERS: Final[Mapping[str, str]] = {"47": "gre", "50": "esp"}
"""Protocols without a name on a host without /etc/protocols."""


def parse_iptables(program: str, text: str) -> tuple[FirewallChain, bool]:
    """The INPUT chain of ``PROGRAM -S``, and whether anything of others stands in it (a policy, a rule)."""
    lines = [_split(line) for line in text.splitlines()]
    rules: dict[str, list[list[str]]] = {}
    for words in lines:
        if len(words) > 1 and words[0] == "-A":
            rules.setdefault(words[1], []).append(words[2:])
    own = [words for words in rules.get(INPUT, []) if is_tag(_after(words, "--comment"))]
    foreign = [words for name in _reachable(rules) for words in rules.get(name, []) if words not in own]
    policy = next((words[-1] for words in lines if words[:2] == ["-P", INPUT]), "ACCEPT")
    chain = FirewallChain(
        backend="iptables",
        where=(program,),
        own=tuple(OwnRule(rule=_iptables_rule(words), handle=tuple(words)) for words in own),
        mentions_gre=any(
            _NUMBERS.get(_after(words, "-p"), _after(words, "-p")) == "gre" and "!" not in words for words in foreign
        ),
    )
    return chain, policy != "ACCEPT" or bool(foreign)


def iptables_words(rule: FirewallRule) -> list[str]:
    """The words of a rule of ours, as ``-S`` prints them."""
    port = ["-m", rule.protocol, "--dport", str(rule.port)] if rule.port else []
    return ["-p", rule.protocol, *port, "-m", "comment", "--comment", rule.tag, "-j", "ACCEPT"]


def _iptables_rule(words: Sequence[str]) -> FirewallRule | None:
    rule = parse_tag(_after(words, "--comment"))
    named = [_NUMBERS.get(word, word) if before == "-p" else word for before, word in _pairs(words)]
    return rule if rule is not None and named == iptables_words(rule) else None


def _pairs(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    return zip(["", *words], words, strict=False)


def _reachable(rules: Mapping[str, Sequence[Sequence[str]]]) -> set[str]:
    """Chains that a packet for this host can come through."""
    seen: set[str] = set()
    waiting = [INPUT]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += [_after(words, option) for words in rules.get(name, []) for option in ("-j", "-g")]
    return seen


def _after(words: Sequence[str], option: str) -> str:
    """The word behind an option; empty without it."""
    return next((word for before, word in _pairs(words) if before == option), "")


def _split(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:
        return []
