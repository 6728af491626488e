"""A Snapshot written as network.dbcache, with the generation before it kept: what the next boot starts from.

The last step of an operation that ended `Applied`, and of `rewrite` (features.md section 22). Rendering is
`sources/dbcache_render`, writing is `files`.
"""

from __future__ import annotations

from pathlib import Path

from xsagent.apply.files import replace_file
from xsagent.config import Paths
from xsagent.errors import CacheError, FileError
from xsagent.model.snapshot import Snapshot
from xsagent.sources.dbcache import parse_dbcache, read_dbcache
from xsagent.sources.dbcache_render import Texts, render_dbcache


def write_dbcache(paths: Paths, snapshot: Snapshot, texts: Texts | None = None) -> bool:
    """Replace the cache by this snapshot; returns whether the file changed.

    Idempotent: an equal cache is not touched. The previous generation is replaced only by a cache that can be read,
    so a corrupt one never takes the place of a good one. After a failure both generations are as they were,
    unless its sentence says otherwise (`replace_file`).

    Args:
        paths: of this host.
        snapshot: the records.
        texts: as `render_dbcache`.

    Raises:
        CacheError: the snapshot would not be read back as it is; nothing was written.
        FileError: the file could not be written.
    """
    path = paths.dbcache
    data = render_dbcache(snapshot, texts)
    if _is_equal(path, data):
        return False
    _check_readable(path, data)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"the directory of {path} could not be made: {error.strerror}") from error
    replace_file(path, data, keep_previous=paths.dbcache_previous if _is_good(path) else None)
    return True


def _is_equal(path: Path, data: bytes) -> bool:
    try:
        return path.stat().st_size == len(data) and path.read_bytes() == data
    except OSError:
        return False


def _check_readable(path: Path, data: bytes) -> None:
    """A snapshot beyond the reader's limits must not become the cache that boot cannot read."""
    try:
        parse_dbcache(data)
    except CacheError as error:
        raise CacheError(
            f"the cache {path} was left as it was, since the new one could not be read: {error}"
        ) from error


def _is_good(path: Path) -> bool:
    try:
        read_dbcache(path)
    except CacheError:
        return False
    return True
