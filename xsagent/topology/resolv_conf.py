"""Text of resolv.conf(5) <-> Resolver, and the merge of several sources into one. Pure, standard library alone.

Used by observed/ (what is there), apply/resolver.py (what ResolverStep and the DHCP hook write).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

from xsagent.topology.values import Resolver

_SERVER = "nameserver"
_SEARCH = ("search", "domain")


def parse_resolv_conf(text: str) -> Resolver:
    """Return the servers and search domains that a resolv.conf names; of several search lines the last counts."""
    servers: list[str] = []
    search: tuple[str, ...] = ()
    for line in text.splitlines():
        words = line.split()
        if len(words) > 1 and words[0] == _SERVER:
            servers.append(words[1])
        elif len(words) > 1 and words[0] in _SEARCH:
            search = tuple(words[1:])
    return Resolver(servers=_unique(servers), search=search)


def merge_sources(static: Resolver, leased: Sequence[Resolver], learnt: Resolver, present: Resolver) -> Resolver:
    """Return what resolv.conf must name: static servers before DHCP's before routers', for each family by itself.

    A family takes its servers from the first source that has any, so a static IPv4 server does not hide what
    DHCPv6 gave. A list that works is never replaced by an empty one (pains.md 7).

    Args:
        static: from the record, or guessed (`guess_static`).
        leased: from DHCP clients on the DNS device, IPv4's before IPv6's.
        learnt: from router advertisements.
        present: what resolv.conf names now.
    """
    given = _joined(leased)
    families = {_family(server) for server in static.servers}
    servers = list(static.servers)
    for source in (given, learnt):
        servers += [server for server in source.servers if _family(server) not in families]
        families |= {_family(server) for server in source.servers}
    search = static.search or given.search or learnt.search or present.search
    return Resolver(servers=_unique(servers) or present.servers, search=search)


def guess_static(leased: Sequence[Resolver], present: Resolver) -> Resolver:
    """Return what in a resolv.conf no lease accounts for: servers of families that leases do not name, and its search.

    Args:
        present: without the search domains when they are known to have come from a lease.
    """
    covered = {_family(server) for server in _joined(leased).servers}
    servers = tuple(server for server in present.servers if _family(server) not in covered)
    return Resolver(servers=servers, search=present.search)


def _joined(sources: Sequence[Resolver]) -> Resolver:
    return Resolver(
        servers=_unique(server for source in sources for server in source.servers),
        search=_unique(domain for source in sources for domain in source.search),
    )


def render_resolv_conf(text: str, resolver: Resolver) -> str:
    """Return a resolv.conf's text with other servers and search domains; every other line stays as it is.

    Lines that name them already, in this order, stay too: an unchanged list gives the unchanged text.
    """
    present = parse_resolv_conf(text)
    if present.search != resolver.search:
        lines = [f"search {' '.join(resolver.search)}"] if resolver.search else []
        text = _exchange(text, _SEARCH, lines)
    if present.servers != resolver.servers:
        text = _exchange(text, (_SERVER,), [f"{_SERVER} {server}" for server in resolver.servers])
    return text


def _exchange(text: str, words: Iterable[str], lines: list[str]) -> str:
    """Put lines where the first line that begins with one of the words stood, at the end without one."""
    kept: list[str] = []
    place: int | None = None
    for line in text.splitlines():
        if line.split()[:1] and line.split()[0] in words:
            place = len(kept) if place is None else place
        else:
            kept.append(line)
    place = len(kept) if place is None else place
    return "".join(f"{line}\n" for line in [*kept[:place], *lines, *kept[place:]])


def _unique(items: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(items))


def _family(server: str) -> int:
    """Return 4 or 6; 0 for what is no address, which is a family of its own."""
    try:
        return ipaddress.ip_address(server).version
    except ValueError:
        return 0
