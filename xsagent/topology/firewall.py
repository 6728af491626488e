"""What the host's firewall lets in for tunnels: rules of ours, and where they go. Values only, pure.

`desired/firewall.py` builds rules, `observed/firewall.py` reads chains, `plan/firewall.py` compares the two,
`apply/firewall.py` writes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

Protocol = Literal["gre", "esp", "udp", "tcp"]
Backend = Literal["firewalld", "nftables", "iptables"]

_TAG: Final = re.compile(r"xsagent: (gre|esp)|xsagent: (udp|tcp)/([0-9]{1,5})")
_TAG_START: Final = "xsagent: "


@dataclass(frozen=True, slots=True, order=True)
class FirewallRule:
    """Accept this protocol from anywhere, IPv4 and IPv6.

    Attributes:
        port: destination port of udp and tcp; 0 for the others.
    """

    protocol: Protocol
    port: int = 0

    @property
    def tag(self) -> str:
        """The comment by which a rule is known as ours."""
        return f"{_TAG_START}{self.protocol}/{self.port}" if self.port else f"{_TAG_START}{self.protocol}"


def is_tag(comment: str) -> bool:
    """Whether a rule with this comment is ours."""
    return comment.startswith(_TAG_START)


def parse_tag(comment: str) -> FirewallRule | None:
    """The rule that a comment of ours promises; None for any other comment."""
    found = _TAG.fullmatch(comment)
    if found is None:
        return None
    if found[1]:
        return FirewallRule("gre" if found[1] == "gre" else "esp")
    return FirewallRule("udp" if found[2] == "udp" else "tcp", int(found[3]))


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnRule:
    """A rule of ours that is there.

    Attributes:
        rule: what it accepts; None when it is not what its tag says.
        handle: how the back end names it, for its removal: words of iptables, nft's number, firewalld's rich rule.
    """

    rule: FirewallRule | None
    handle: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FirewallChain:
    """A place where the host filters what comes in for itself.

    Attributes:
        where: nftables: family, table, chain; iptables: the program; firewalld: the zone.
        own: rules of ours.
        mentions_gre: a rule of somebody else speaks of GRE, for or against it.
    """

    backend: Backend
    where: tuple[str, ...]
    own: tuple[OwnRule, ...] = ()
    mentions_gre: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FirewallChange:
    """What is to be done to one chain.

    Attributes:
        remove: handles of rules of ours.
    """

    backend: Backend
    where: tuple[str, ...]
    add: tuple[FirewallRule, ...] = ()
    remove: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TunnelPort:
    """An Interface row of the switch that is a tunnel.

    Attributes:
        options: of the Interface (ovs-vswitchd.conf.db(5), Tunnel Options).
    """

    name: str
    type: str
    options: Mapping[str, str] = field(default_factory=dict)
