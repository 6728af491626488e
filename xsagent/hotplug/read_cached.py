"""The cache's records -> what hotplug asks of them, whether or not the switch has it. I/O: reads one file.

`cached` imports it when something is missing: without a daemon the records and their parser were a seventh of an event.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from xsagent.desired.mtu import build_network_mtus
from xsagent.desired.resolve import build_aliases
from xsagent.sources.dbcache import read_dbcache
from xsagent.sources.dbcache_xml import DEFAULT_LIMITS

_MOST_BYTES: Final = 8 << 20
"""Of a cache that is read here: that of a host with 500 VLANs has a quarter. The daemon is to stay small."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedFacts:
    """What the records say.

    Attributes:
        aliases: the bridge that can stand for a bridge, by its name.
        mtus: of networks, bytes, by the name of their bridge.
    """

    aliases: Mapping[str, str] = field(default_factory=dict)
    mtus: Mapping[str, int] = field(default_factory=dict)


def read_cached(dbcache: Path) -> CachedFacts:
    """What the cache says.

    Raises:
        CacheError: it is missing, broken or too large.
    """
    snapshot = read_dbcache(dbcache, replace(DEFAULT_LIMITS, total_bytes=_MOST_BYTES))
    return CachedFacts(aliases=build_aliases(snapshot), mtus=build_network_mtus(snapshot))
