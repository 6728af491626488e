"""The toolstack's udev rules on this host -> without their two network lines, and back. Effects.

What a rule file becomes is `hotplug/udev_rules` (pure). A file in /etc/udev/rules.d is changed in place, its original
saved; one in /usr/lib is shadowed by a changed copy of its name in /etc, which is udev's own way (udev(7)).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

from xsagent.apply.files import replace_file
from xsagent.config import Paths
from xsagent.errors import FileError
from xsagent.hotplug.udev_rules import MARK, put_back_network_lines, take_out_network_lines
from xsagent.installation.divert import give_back_file, put_text, saved_path
from xsagent.installation.layout import UDEV_RULES

_ETC: Final = "/etc/udev/rules.d"
_USR: Final = ("/usr/lib/udev/rules.d", "/lib/udev/rules.d")


def wanted_rules(paths: Paths, ours: tuple[str, ...]) -> dict[str, bytes]:
    """Every rule file that must be another: content by path, always in /etc/udev/rules.d.

    Args:
        paths: of the host.
        ours: paths that an earlier run wrote: shadows are made anew from what they shadow.
    """
    wanted = {}
    for path, source in _rule_files(paths, ours):
        text = _read(source)
        changed = take_out_network_lines(text)
        if changed != text or (path in ours and MARK in text):
            wanted[path] = _bytes(changed)
    return dict(sorted(wanted.items()))


def put_rules(paths: Paths, path: str, data: bytes) -> bool:
    """Put a rule file in place; what we changed before is no original to save. Returns whether anything changed."""
    place = paths.below(path)
    return put_text(paths, path, data, save=not (place.is_file() and MARK in _read(place)))


def give_back_rules(paths: Paths, path: str) -> bool:
    """Put a rule file back byte for byte; one that was edited since keeps the edits, its lines active again."""
    place, saved = paths.below(path), saved_path(paths, path)
    if not place.is_file():
        return give_back_file(paths, path, ours=False)
    text = _read(place)
    source = saved if saved.exists() else _shadowed(paths, path)
    if source is not None and take_out_network_lines(_read(source)) == text:
        return give_back_file(paths, path, ours=True)
    give_back_file(paths, path, ours=False)
    if (restored := put_back_network_lines(text)) == text:
        return False
    replace_file(place, _bytes(restored))
    return True


def _rule_files(paths: Paths, ours: tuple[str, ...]) -> Iterator[tuple[str, Path]]:
    """(path in /etc, file to take its text from) of every rule file that udev reads and that is not ours."""
    etc = {place.name: place for place in _listed(paths.below(_ETC))}
    for name, place in etc.items():
        path = f"{_ETC}/{name}"
        shadow = path in ours and not saved_path(paths, path).exists()
        if path != UDEV_RULES and not place.is_symlink():
            yield path, (_shadowed(paths, path) if shadow else None) or place
    seen = set(etc)
    for directory in _USR:
        for place in _listed(paths.below(directory)):
            if place.name not in seen:
                seen.add(place.name)
                yield f"{_ETC}/{place.name}", place


def _listed(directory: Path) -> list[Path]:
    return sorted(place for place in directory.glob("*.rules") if place.is_file()) if directory.is_dir() else []


def _shadowed(paths: Paths, path: str) -> Path | None:
    """The file in /usr/lib that one in /etc stands before."""
    for directory in _USR:
        place = paths.below(directory) / PurePosixPath(path).name
        if place.is_file():
            return place
    return None


def _read(place: Path) -> str:
    try:
        return place.read_bytes().decode("utf-8", "surrogateescape")
    except OSError as error:
        raise FileError(f"{place} cannot be read: {error.strerror}; it was left as it was") from error


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
