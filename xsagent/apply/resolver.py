"""Name servers and search domains -> resolv.conf, merged with what DHCP and routers gave. Effects, stdlib alone.

Run by ResolverStep and, when a lease changes in the background, by the hook of our DHCP client. Undo: a ResolverStep
with what was there before.
"""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from xsagent.apply.files import replace_file
from xsagent.config import Paths
from xsagent.observed.lease_results import read_leased_resolvers
from xsagent.observed.resolver import read_resolver_text
from xsagent.topology.resolv_conf import merge_sources, parse_resolv_conf, render_resolv_conf
from xsagent.topology.values import Resolver

_STATIC: Final = "resolver.conf"


def apply_resolver(resolver: Resolver, paths: Paths) -> bool:
    """Make resolv.conf name `resolver` first, then what leases give for families it has no server of.

    Idempotent; foreign lines, mode and SELinux label stay, a symlink is followed, an equal text is not written, a
    working list is never emptied. Blocks while the DHCP hook does the same.

    Returns whether the file was written. Raises FileError when it cannot be; then it is as it was.
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
        text = read_resolver_text(paths.resolv_conf, paths.root)
        present = parse_resolv_conf(text)
        wanted = merge_sources(static, read_leased_resolvers(paths.run_dir), Resolver(), present)
        changed = render_resolv_conf(text, wanted)
        if changed == text:
            return False
        data = changed.encode("utf-8", "surrogateescape")
        paths.resolv_conf.parent.mkdir(parents=True, exist_ok=True)
        replace_file(paths.resolv_conf, data, follow_links_below=paths.root)
        return True


@contextlib.contextmanager
def _lock(run: Path) -> Iterator[None]:
    """Let one process at a time read, merge and write."""
    run.mkdir(parents=True, exist_ok=True)
    with (run / "resolver.lock").open("w", encoding="ascii") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
