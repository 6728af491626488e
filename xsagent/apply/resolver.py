"""Name servers and search domains -> resolv.conf, merged with what DHCP and routers gave. Effects, stdlib alone.

Run by ResolverStep and, when a lease changes in the background, by the hook of our DHCP client. Undo: a ResolverStep
with what was there before.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from xsagent.apply.files import replace_file
from xsagent.apply.lock import hold_lock
from xsagent.config import Paths
from xsagent.observed.lease_results import (
    gone_path,
    gone_results,
    read_learnt_resolver,
    read_lease_result,
    read_leased_resolvers,
)
from xsagent.observed.resolver import read_resolver_text
from xsagent.topology.resolv_conf import guess_static, merge_sources, parse_resolv_conf, render_resolv_conf
from xsagent.topology.values import Resolver

_LEASED_SEARCH: Final = "leased-search"
"""Remembers the search domains that came from a lease, over reboots as resolv.conf does: others are somebody's own."""

_LOCK_S: Final = 5.0
"""Reading, merging and writing take milliseconds; a process that hangs in them must not keep others."""


def apply_resolver(resolver: Resolver, paths: Paths) -> bool:
    """Make resolv.conf name `resolver` first, then what leases give for families it has no server of.

    Idempotent; foreign lines, mode and SELinux label stay, a symlink is followed, an equal text is not written, a
    working list is never emptied. Blocks while the DHCP hook does the same, five seconds at most.

    Returns:
        Whether the file was written.

    Raises:
        FileError: it cannot be written; it is as it was.
        LockHeldError: another process does not end; the file is as it was.
    """
    return _merge(resolver, paths)


def merge_leases(paths: Paths) -> bool:
    """Bring a changed lease's or router's servers and search domains into resolv.conf.

    What is static is not known here: servers of a family that no lease or router names, and search domains that came
    from none, are taken for it and stay. Otherwise as `apply_resolver`.
    """
    return _merge(None, paths)


def forget_source(result: Path) -> None:
    """Have a client's or router's result count no longer; the next merge takes out of resolv.conf what it named.

    Idempotent. What no other source replaces stays even so, where the list would be empty.

    Args:
        result: ClientFiles.result, or `learnt_path`.
    """
    with contextlib.suppress(FileNotFoundError):
        result.replace(gone_path(result))


def drop_forgotten(static: Resolver | None, paths: Paths) -> bool:
    """Take out of resolv.conf what forgotten sources named; reads nothing where there are none.

    Args:
        static: what the record of the DNS interface says; None when that is not known.

    Otherwise as `apply_resolver`.
    """
    return bool(gone_results(paths.run_dir)) and _merge(static, paths)


def _merge(static: Resolver | None, paths: Paths) -> bool:
    # where there can be no lock, nobody else has it
    with hold_lock(paths.run_dir / "resolver.lock", "a change of resolv.conf", _LOCK_S, go_on=lambda _problem: None):
        text = read_resolver_text(paths.resolv_conf, paths.root)
        gone = gone_results(paths.run_dir)
        present, leased = parse_resolv_conf(text), read_leased_resolvers(paths.run_dir)
        present, usable = _without_forgotten(present, gone)
        learnt = read_learnt_resolver(paths.run_dir)
        search = () if present.search == _read_leased_search(paths) else present.search
        if static is not None:
            static = replace(static, search=static.search or search)
        else:
            static = guess_static([*leased, learnt], Resolver(servers=usable, search=search))
        wanted = merge_sources(static, leased, learnt, present)
        if not static.search and any(source.search for source in (*leased, learnt)):
            _write_leased_search(paths, wanted.search)
        changed = render_resolv_conf(text, wanted)
        if changed != text:
            data = changed.encode("utf-8", "surrogateescape")
            paths.resolv_conf.parent.mkdir(parents=True, exist_ok=True)
            replace_file(paths.resolv_conf, data, follow_links_below=paths.root)
        for path in gone:
            path.unlink(missing_ok=True)
        return changed != text


def _without_forgotten(present: Resolver, gone: Sequence[Path]) -> tuple[Resolver, tuple[str, ...]]:
    """What is in force, without the search domains of forgotten sources; and its servers without theirs."""
    forgotten = [result.resolver for path in gone if (result := read_lease_result(path)) is not None]
    servers = {server for resolver in forgotten for server in resolver.servers}
    usable = tuple(server for server in present.servers if server not in servers)
    if present.search in [resolver.search for resolver in forgotten]:
        present = replace(present, search=())
    return present, usable


def _read_leased_search(paths: Paths) -> tuple[str, ...]:
    try:
        return tuple((paths.state_dir / _LEASED_SEARCH).read_text(encoding="ascii", errors="replace").split())
    except OSError:
        return ()


def _write_leased_search(paths: Paths, search: tuple[str, ...]) -> None:
    if search != _read_leased_search(paths):
        paths.state_dir.mkdir(parents=True, exist_ok=True)
        replace_file(paths.state_dir / _LEASED_SEARCH, f"{' '.join(search)}\n".encode())
