"""Name servers and search domains -> resolv.conf, merged with what DHCP and routers gave. Effects, stdlib alone.

Run by ResolverStep and, when a lease changes in the background, by the hook of our DHCP client. Undo: a ResolverStep
with what was there before.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from xsagent.config import Paths
from xsagent.observed.lease_results import read_leased_resolvers
from xsagent.topology.resolv_conf import merge_sources, parse_resolv_conf, render_resolv_conf
from xsagent.topology.values import Resolver

_STATIC: Final = "resolver.conf"
_LINKS: Final = 8
_SELINUX: Final = "security.selinux"


def apply_resolver(resolver: Resolver, paths: Paths) -> bool:
    """Make resolv.conf name `resolver` first, then what leases give for families it has no server of.

    Idempotent; foreign lines, mode and SELinux label stay, a symlink is followed, an equal text is not written, a
    working list is never emptied. Blocks while the DHCP hook does the same.

    Returns whether the file was written. Raises OSError when it cannot be; then it is as it was.
    """
    return _merge(resolver, paths)


def merge_leases(paths: Paths) -> bool:
    """Bring a changed lease's servers into resolv.conf; static ones come from /var/lib/xsagent/resolver.conf.

    Without that file, servers of a family that no lease names are taken for static. Otherwise as `apply_resolver`.
    """
    try:
        static = parse_resolv_conf((paths.state_dir / _STATIC).read_text(encoding="utf-8", errors="replace"))
    except OSError:
        static = None
    return _merge(static, paths)


def _merge(static: Resolver | None, paths: Paths) -> bool:
    with _lock(paths.run_dir):
        target = _follow(paths)
        try:
            text = target.read_text(encoding="utf-8", errors="surrogateescape")
        except FileNotFoundError:
            text = ""
        present = parse_resolv_conf(text)
        wanted = merge_sources(static, read_leased_resolvers(paths.run_dir), Resolver(), present)
        changed = render_resolv_conf(text, wanted)
        if changed == text:
            return False
        _replace(target, changed)
        return True


@contextlib.contextmanager
def _lock(run: Path) -> Iterator[None]:
    """Let one process at a time read, merge and write."""
    run.mkdir(parents=True, exist_ok=True)
    with (run / "resolver.lock").open("w", encoding="ascii") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _follow(paths: Paths) -> Path:
    """Return the file that resolv.conf is, following symlinks as they count below the root prefix."""
    path = paths.resolv_conf
    for _ in range(_LINKS):
        if not path.is_symlink():
            break
        link = path.readlink()
        path = paths.below(link) if link.is_absolute() else path.parent / link
    return path


def _replace(target: Path, text: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape") as stream:
            stream.write(text)
            stream.flush()
            _copy_metadata(target, stream.fileno())
            os.fsync(stream.fileno())
        Path(name).replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise
    directory = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _copy_metadata(source: Path, descriptor: int) -> None:
    try:
        status = source.stat()
    except FileNotFoundError:
        os.fchmod(descriptor, 0o644)
        return
    os.fchmod(descriptor, status.st_mode & 0o7777)
    with contextlib.suppress(OSError):  # not root, or a file system without labels
        os.fchown(descriptor, status.st_uid, status.st_gid)
        os.setxattr(descriptor, _SELINUX, os.getxattr(source, _SELINUX))
