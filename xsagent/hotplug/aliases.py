"""The cache's records -> bridges that stand for others, as far as the switch has them. I/O: reads only.

Between reading the switch and `decide`, and only for a bridge that is not there: the records cost more than the rest.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from xsagent.config import Paths
from xsagent.errors import CacheError
from xsagent.hotplug.places import find_place
from xsagent.log import get_logger
from xsagent.topology.values import Bridge

_LOG = get_logger()


@dataclass(slots=True)
class BondAliases:
    """What the cache's records say, kept until the file is another."""

    paths: Paths
    _signature: tuple[int, int, int] | None = None
    _aliases: Mapping[str, str] = field(default_factory=dict)

    def find(self, bridges: Mapping[str, Bridge], names: Collection[str]) -> dict[str, str]:
        """What stands for those of these names that are no bridge of the switch; without a cache nothing does.

        Args:
            bridges: observed, VLAN bridges among their ports.
            names: of bridges that are wanted.
        """
        missing = {name for name in names if name and find_place(bridges, name) is None}
        if not missing:
            return {}
        known = self._read()
        found = {name: known[name] for name in missing if name in known}
        return {name: other for name, other in found.items() if find_place(bridges, other) is not None}

    def _read(self) -> Mapping[str, str]:
        from xsagent.hotplug.cached_aliases import read_aliases  # noqa: PLC0415 - see its head

        path, signature = self.paths.dbcache, None
        with contextlib.suppress(OSError):
            status = path.stat()
            signature = (status.st_ino, status.st_size, status.st_mtime_ns)
        if signature != self._signature:
            self._signature, self._aliases = signature, {}
            try:
                self._aliases = read_aliases(path)
            except CacheError as error:
                _LOG.warning("no_bond_aliases", reason=str(error))
        return self._aliases
