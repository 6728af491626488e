"""The cache's records -> bridges that stand for others, whether or not the switch has them. I/O: reads one file.

`aliases` imports it when a bridge is missing: without a daemon the records and their parser were a seventh of an event.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from xsagent.desired.resolve import build_aliases
from xsagent.sources.dbcache import read_dbcache
from xsagent.sources.dbcache_xml import DEFAULT_LIMITS

_MOST_BYTES: Final = 8 << 20
"""Of a cache that is read here: that of a host with 500 VLANs has a quarter. The daemon is to stay small."""


def read_aliases(dbcache: Path) -> Mapping[str, str]:
    """What stands for which bridge, by name. Raises CacheError: the cache is missing, broken or too large."""
    return build_aliases(read_dbcache(dbcache, replace(DEFAULT_LIMITS, total_bytes=_MOST_BYTES)))
