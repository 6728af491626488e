"""Room on disk for the way back: kept before the first effect, given up when the way back begins. Effects.

A disk that fills up in the middle of a run must not keep the run from taking back what it did: files are restored by
writing them, and ovsdb-server logs each transaction. Nor is a run to end well whose cache, which the next boot follows,
cannot be written then. Used by the journal; a killed run's room is given up by whoever finishes it.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from xsagent.config import Paths
from xsagent.errors import ApplyError
from xsagent.plan.steps import FileStep, OvsdbStep, Plan, Step

NAME: Final = ".xsagent-room"
_SPARE: Final = 64 * 1024
"""For what no step names: resolv.conf, a DHCP client's files, directories."""
_OPERATION: Final = 4 * 1024
"""A row of a bridge or port in ovsdb-server's log, with columns of others, has less."""
_BLOCK: Final = 4096
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


@dataclass(frozen=True, slots=True)
class Room:
    """What is kept free while a run may have to go back.

    Attributes:
        directories: one on each file system that the run writes to.
        size: bytes on each.
    """

    directories: tuple[Path, ...]
    size: int

    def hold(self) -> None:
        """Take the room; nothing is kept after a failure. A disk that cannot be written to at all needs none.

        Raises:
            ApplyError: a disk has less left.
        """
        for directory in self.directories:
            try:
                _allocate(directory / NAME, self.size)
            except OSError as error:
                if error.errno not in _FULL:
                    continue
                self.release()
                raise ApplyError(
                    f"{directory} has no room of {self.size // 1024} KiB for what the run may have to write: "
                    f"{error.strerror}; nothing was changed"
                ) from error

    def release(self) -> None:
        """Give the room up; never fails for a disk's sake."""
        for directory in self.directories:
            with contextlib.suppress(OSError):
                (directory / NAME).unlink(missing_ok=True)


def room_for(plan: Plan, paths: Paths, *, saves_cache: bool = False) -> Room:
    """The room that taking this plan back may need, and writing the cache where that is to follow its success."""
    needed = sum(map(_needs, _undo_steps(plan)))
    if not saves_cache:
        return Room(tuple(_by_disk(paths).values()), _SPARE + needed if needed else 0)
    if needed:
        return Room(tuple(_by_disk(paths, paths.dbcache.parent).values()), _SPARE + needed + _cache_size(paths))
    return Room((_by_disk(paths, paths.dbcache.parent)[_disk_of(paths.dbcache.parent)],), _cache_size(paths))


def release_room(paths: Paths) -> None:
    """Give up what a killed run kept."""
    Room(tuple(_by_disk(paths, paths.dbcache.parent).values()), 0).release()


def _by_disk(paths: Paths, *more: Path) -> dict[int, Path]:
    """Where the journal lies; the configuration, and more, where they are on other file systems."""
    found: dict[int, Path] = {}
    for directory in (paths.state_dir, paths.below("/etc"), *more):
        found.setdefault(_disk_of(directory), directory)
    return found


def _disk_of(directory: Path) -> int:
    """The file system that it is on; the journal makes its own directory, so that of a first run is yet to come."""
    return next(place for place in (directory, *directory.parents) if place.exists()).stat().st_dev


def _cache_size(paths: Paths) -> int:
    """Bytes for the successor of the cache, which is written whole beside it."""
    try:
        return paths.dbcache.stat().st_size + _BLOCK
    except OSError:
        return _SPARE


def _undo_steps(plan: Plan) -> Iterator[Step]:
    yield from (undo for step in plan.steps for undo in step.undo)


def _needs(step: Step) -> int:
    match step:
        case FileStep(text=str(text)):
            return _BLOCK * (2 + len(text) // _BLOCK)
        case OvsdbStep(operations=operations):
            return _OPERATION * len(operations)
    return 0


def _allocate(path: Path, size: int) -> None:
    path.unlink(missing_ok=True)
    if size == 0:
        return
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, size)
    finally:
        os.close(descriptor)
