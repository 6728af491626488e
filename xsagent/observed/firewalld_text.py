"""What firewall-cmd prints -> a zone with rich rules of ours and mentions of GRE in others'. Pure.

`observed/firewall.py` asks the program.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from xsagent.topology.firewall import FirewallChain, FirewallRule, OwnRule

RICH_PRIORITY: Final = -9797
"""firewalld keeps no comments: a rich rule of this priority is ours."""
_MENTION: Final = re.compile(r"\bgre\b")
_RICH_PORT: Final = re.compile(r'port port="(\d+)" protocol="(udp|tcp)" accept')
_RICH_PROTOCOL: Final = re.compile(r'protocol value="(gre|esp)" accept')


def parse_zones(text: str) -> list[str]:
    """Names of ``firewall-cmd --get-active-zones``, whose other lines are indented; some releases add a remark."""
    return [line.split()[0] for line in text.splitlines() if line and not line[0].isspace()]


def parse_zone(zone: str, rich_rules: str, others: Iterable[str]) -> FirewallChain:
    """One zone.

    Args:
        rich_rules: as ``--list-rich-rules`` prints them.
        others: what its other lists print.
    """
    lines = [line.strip() for line in rich_rules.splitlines() if line.strip()]
    own = [line for line in lines if f'priority="{RICH_PRIORITY}"' in line]
    foreign = [line for line in lines if line not in own]
    return FirewallChain(
        backend="firewalld",
        where=(zone,),
        own=tuple(OwnRule(rule=_rich_rule(line), handle=(line,)) for line in own),
        mentions_gre=any(_MENTION.search(text) for text in (*foreign, *others)),
    )


def rich_rule(rule: FirewallRule) -> str:
    """A rule of ours as firewalld writes it (firewalld.richlanguage(5))."""
    if rule.port:
        return f'rule priority="{RICH_PRIORITY}" port port="{rule.port}" protocol="{rule.protocol}" accept'
    return f'rule priority="{RICH_PRIORITY}" protocol value="{rule.protocol}" accept'


def _rich_rule(line: str) -> FirewallRule | None:
    rest = line.removeprefix(f'rule priority="{RICH_PRIORITY}" ')
    if found := _RICH_PORT.fullmatch(rest):
        return FirewallRule("udp" if found[2] == "udp" else "tcp", int(found[1]))
    if found := _RICH_PROTOCOL.fullmatch(rest):
        return FirewallRule("gre" if found[1] == "gre" else "esp")
    return None
