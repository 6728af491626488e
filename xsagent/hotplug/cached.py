"""The cache's records -> bridges that stand for others, and MTUs of networks, when they are asked for. I/O: reads only.

Between reading the switch and `decide`, and only where switch or toolstack do not say: the records cost more than the
rest.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from xsagent.config import Paths
from xsagent.errors import CacheError
from xsagent.hotplug.places import find_place
from xsagent.log import get_logger
from xsagent.topology.values import Bridge

if TYPE_CHECKING:
    from xsagent.hotplug.read_cached import CachedFacts

_LOG = get_logger()


@dataclass(slots=True)
class CachedNetworks:
    """What the cache's records say, kept until the file is another; without a cache they say nothing."""

    paths: Paths
    _signature: tuple[int, int, int] | None = None
    _facts: CachedFacts | None = None

    def find_aliases(self, bridges: Mapping[str, Bridge], names: Collection[str]) -> dict[str, str]:
        """What stands for those of these names that are no bridge of the switch.

        Args:
            bridges: observed, VLAN bridges among their ports.
            names: of bridges that are wanted.
        """
        missing = {name for name in names if name and find_place(bridges, name) is None}
        facts = self._read() if missing else None
        found = {name: facts.aliases[name] for name in missing if name in facts.aliases} if facts else {}
        return {name: other for name, other in found.items() if find_place(bridges, other) is not None}

    def find_mtus(self, names: Collection[str]) -> dict[str, int]:
        """MTUs of the networks of these bridges, bytes, by the bridge's name, where the cache knows one."""
        facts = self._read() if names else None
        return {name: facts.mtus[name] for name in names if name in facts.mtus} if facts else {}

    def _read(self) -> CachedFacts | None:
        from xsagent.hotplug.read_cached import read_cached  # noqa: PLC0415 - see its head

        path, signature = self.paths.dbcache, None
        with contextlib.suppress(OSError):
            status = path.stat()
            signature = (status.st_ino, status.st_size, status.st_mtime_ns)
        if signature != self._signature:
            self._signature, self._facts = signature, None
            try:
                self._facts = read_cached(path)
            except CacheError as error:
                _LOG.warning("no_cached_networks", reason=str(error))
        return self._facts
