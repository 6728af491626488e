"""Which state a host boots from: the chain from the cache down to the installer's choice (features.md section 22).

Reads only. Called by ``--force``, and by ``--pif-uuid`` when XAPI cannot answer; the Snapshot goes on to `desired/`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Final

from xsagent.config import Paths
from xsagent.errors import CacheError
from xsagent.model.snapshot import Snapshot
from xsagent.sources.dbcache import read_dbcache
from xsagent.sources.management_conf import read_management_conf
from xsagent.sources.network_reset import is_reset_requested, read_network_reset
from xsagent.sources.networkd_db import read_networkd_db

_Source = Callable[[Paths], Snapshot]


def read_boot_state(paths: Paths) -> Snapshot:
    """The best state that this host has; every source that was passed over is a warning in it.

    Normally: the cache, its previous generation, xcp-networkd's database, management.conf. While an emergency reset
    is asked for (/var/tmp/network-reset), state of ours and xcp-networkd's is not looked at (features.md section 24).

    Raises:
        CacheError: none can be used; the sentence names each that was tried, and why.
    """
    if is_reset_requested(paths):
        asked = f"{paths.network_reset} asks for a reset, so every other state was passed over"
        return _first(paths, _RESET, asked)
    return _first(paths, _NORMAL)


def _first(paths: Paths, sources: tuple[_Source, ...], *warnings: str) -> Snapshot:
    passed_over: list[str] = []
    for read in sources:
        try:
            snapshot = _with_pifs(read(paths))
        except CacheError as error:
            passed_over.append(error.cause)
            continue
        return dataclasses.replace(
            snapshot, warnings=(*warnings, *_used_instead(passed_over, snapshot.source), *snapshot.warnings)
        )
    raise CacheError(
        f"no state to start from: {'; '.join(passed_over)}; `interface-reconfigure --force BRIDGE rewrite --device=NIC "
        "--mac=x --mode=dhcp|static ...` writes one for management; nothing was changed"
    )


def _with_pifs(snapshot: Snapshot) -> Snapshot:
    """A state without any PIF is none to start from."""
    if not snapshot.pifs:
        raise CacheError(f"{snapshot.source} holds no PIF that can be used")
    return snapshot


def _used_instead(passed_over: list[str], source: str) -> tuple[str, ...]:
    return (f"{'; '.join(passed_over)}; {source} is used instead",) if passed_over else ()


_NORMAL: Final[tuple[_Source, ...]] = (
    lambda paths: read_dbcache(paths.dbcache),
    lambda paths: read_dbcache(paths.dbcache_previous),
    read_networkd_db,
    read_management_conf,
)
_RESET: Final[tuple[_Source, ...]] = (read_management_conf, read_network_reset)
