"""A profile -> the host's paths that we stand in for, and back. Effects; what the package's scriptlets call.

Before it: `checks` (may this host be taken over?) and the files of `stage`. Nothing that runs is restarted: links and
rules are read by whoever starts next.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath

from xsagent.apply.files import remove_file, replace_file
from xsagent.config import Paths
from xsagent.errors import FileError, XsagentError
from xsagent.installation.divert import give_back_link, put_link
from xsagent.installation.layout import INIT_SCRIPTS, Profile, links
from xsagent.installation.record import Record, read_record, record_path, render_record
from xsagent.installation.udev_rules import give_back_rules, put_rules, wanted_rules
from xsagent.log import get_logger
from xsagent.sources.host_files import read_text

_LOG = get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Divert:
    """One path: how it becomes ours, and how it is given back; each tells whether it changed anything."""

    path: str
    put: Callable[[], bool]
    give_back: Callable[[], bool]


def take_over(paths: Paths, profile: Profile) -> tuple[str, ...]:
    """Put the profile's links in place and silence others' rules for guests' devices; returns the changed paths.

    Idempotent: what is ours already is not touched. What an earlier profile or version had taken over and this one
    does not is given back. After a failure what this run had changed is as it was.

    Raises:
        FileError: something could not be written (a full disk ...).
        ForeignObjectError: a directory stands where a file of the toolstack should be.
        InputError: the record of an earlier run cannot be read; nothing was changed.
    """
    earlier = read_record(paths)
    wanted_links = {
        link.path: link.target
        for link in links(profile, _read_init_scripts(paths))
        if not link.beside or os.path.lexists(paths.below(link.beside))
    }
    rules = wanted_rules(paths, earlier.texts)
    missing = _missing_directories(paths, (*wanted_links, *rules))
    directories = tuple(sorted({*earlier.directories, *missing}))
    wanted = Record(profile=profile, links=wanted_links, texts=tuple(rules), directories=directories)
    _write_record(paths, earlier.merged(wanted))
    diverts = [*_link_diverts(paths, wanted_links), *_rule_diverts(paths, rules)]
    changed = _put_all(paths, diverts, earlier, directories)
    changed += _give_back_all(paths, earlier, keep=wanted)
    _write_record(paths, wanted)
    _LOG.info("take_over", profile=profile, changed=len(changed))
    return tuple(changed)


def give_back(paths: Paths) -> tuple[str, ...]:
    """Put every original back, and remove what was not there before; returns the changed paths. Idempotent.

    Raises:
        FileError: something could not be given back; its original stays saved, and the next run goes on there.
        InputError: the record cannot be read; nothing was changed.
    """
    record = read_record(paths)
    changed = _give_back_all(paths, record, keep=Record())
    _remove_directories(paths, record.directories)
    remove_file(record_path(paths))
    _LOG.info("give_back", changed=len(changed))
    return tuple(changed)


def _put_all(paths: Paths, diverts: list[_Divert], earlier: Record, directories: tuple[str, ...]) -> list[str]:
    """Take over one path after the other; what this call took over is given back when one fails."""
    done: list[_Divert] = []
    try:
        done.extend(divert for divert in diverts if divert.put())
    except XsagentError:
        with contextlib.suppress(FileError):  # the first failure is the one to tell; the record names what is left
            for divert in reversed(done):
                if divert.path not in earlier.links and divert.path not in earlier.texts:
                    divert.give_back()
            _remove_directories(paths, tuple(set(directories) - set(earlier.directories)))
            _write_record(paths, earlier)
        raise
    return [divert.path for divert in done]


def _give_back_all(paths: Paths, record: Record, *, keep: Record) -> list[str]:
    """Each path for itself: one that fails does not hold up the others."""
    links_left = {path: target for path, target in record.links.items() if path not in keep.links}
    rules_left = dict.fromkeys((path for path in record.texts if path not in keep.texts), b"")
    changed, failures = [], []
    for divert in (*_link_diverts(paths, links_left), *_rule_diverts(paths, rules_left)):
        try:
            if divert.give_back():
                changed.append(divert.path)
        except FileError as error:
            failures.append(str(error))
    if failures:
        raise FileError("; ".join(failures))
    return changed


def _link_diverts(paths: Paths, wanted: Mapping[str, str]) -> Iterator[_Divert]:
    for path, target in wanted.items():
        yield _Divert(
            path=path,
            put=partial(put_link, paths, path, target),
            give_back=partial(give_back_link, paths, path, target),
        )


def _rule_diverts(paths: Paths, wanted: Mapping[str, bytes]) -> Iterator[_Divert]:
    for path, data in wanted.items():
        yield _Divert(
            path=path, put=partial(put_rules, paths, path, data), give_back=partial(give_back_rules, paths, path)
        )


def _read_init_scripts(paths: Paths) -> dict[str, str]:
    """Units and init scripts of the installed version, by name."""
    folder = paths.below(INIT_SCRIPTS)
    places = sorted(folder.iterdir()) if folder.is_dir() else []
    return {place.name: read_text(place) or "" for place in places if place.is_file()}


def _missing_directories(paths: Paths, wanted: tuple[str, ...]) -> tuple[str, ...]:
    """Directories that are to be made for these paths, outermost first."""
    parents = {str(parent) for path in wanted for parent in PurePosixPath(path).parents}
    return tuple(sorted(parent for parent in parents if not paths.below(parent).exists()))


def _remove_directories(paths: Paths, directories: tuple[str, ...]) -> None:
    for directory in sorted(directories, key=len, reverse=True):
        with contextlib.suppress(OSError):  # others put something there meanwhile, or removed it
            paths.below(directory).rmdir()


def _write_record(paths: Paths, record: Record) -> None:
    place = record_path(paths)
    if record == Record():
        remove_file(place)
        return
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"{place.parent} could not be made: {error.strerror}; nothing was changed") from error
    if record != read_record(paths):
        replace_file(place, render_record(record))
