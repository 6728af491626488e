"""One path of the host: ours put in its place with the original saved, and the original put back. Effects.

Every change is a rename: whoever looks sees the original or ours. The original is saved before, as a second name of
the same file where the file systems allow it, so that owner, times, ACL and SELinux context come back with it.
`take_over` decides which paths.
"""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path
from typing import Final

from xsagent.apply.files import replace_file, sync_directory
from xsagent.config import Paths
from xsagent.errors import FileError, ForeignObjectError
from xsagent.installation.layout import NOWHERE

_SCRATCH: Final = ".xsagent-new"


def saved_path(paths: Paths, path: str) -> Path:
    """Where the original of a path is kept."""
    return paths.state_dir / "saved" / path.lstrip("/")


def put_link(paths: Paths, path: str, target: str) -> bool:
    """Make `path` a symbolic link to `target`; returns whether anything changed.

    Precondition: none. Effect: the original, if any, is saved. Undo: `give_back_link`. Idempotent.

    Raises:
        ForeignObjectError: a directory stands there; it was left.
        FileError: it could not be done; the path is as it was.
    """
    place = paths.below(path)
    try:
        if is_link_to(paths, path, target):
            return False
        _save(paths, path)
        place.parent.mkdir(parents=True, exist_ok=True)
        scratch = place.with_name(f".{place.name}{_SCRATCH}")
        scratch.unlink(missing_ok=True)
        try:
            scratch.symlink_to(_link_text(paths, path, target))
            scratch.replace(place)
        finally:
            scratch.unlink(missing_ok=True)
        sync_directory(place.parent)
    except OSError as error:
        raise FileError(f"{place} could not be taken over: {error.strerror or error}; it is as it was") from error
    return True


def put_text(paths: Paths, path: str, data: bytes, *, save: bool) -> bool:
    """Make `path` a file with this content; otherwise as `put_link`.

    Args:
        paths: of the host.
        path: of the file.
        data: its content.
        save: what is there is an original, not an older one of ours.
    """
    place = paths.below(path)
    try:
        if place.is_file() and not place.is_symlink() and place.read_bytes() == data:
            return False
        if save:
            _save(paths, path)
        place.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"{place} could not be taken over: {error.strerror or error}; it is as it was") from error
    replace_file(place, data)
    return True


def give_back_link(paths: Paths, path: str, target: str) -> bool:
    """Put the original back where our link to `target` still is; returns whether anything changed.

    A path that somebody else has replaced meanwhile is theirs and stays, and so does nothing of ours. Idempotent.

    Raises:
        FileError: it could not be done; our link and the saved original are as they were.
    """
    return _give_back(paths, path, ours=is_link_to(paths, path, target))


def give_back_file(paths: Paths, path: str, *, ours: bool) -> bool:
    """As `give_back_link`, for a file that `put_text` wrote; the caller tells whether it is still `ours`."""
    return _give_back(paths, path, ours=ours)


def is_link_to(paths: Paths, path: str, target: str) -> bool:
    """Whether a symbolic link of ours to this target is there."""
    place = paths.below(path)
    return place.is_symlink() and str(place.readlink()) in (target, _link_text(paths, path, target))


def _link_text(paths: Paths, path: str, target: str) -> str:
    """What the link says: relative, so that it leads to the same place below any root, but for devices."""
    if target == NOWHERE:
        return target
    root = paths.root.resolve()
    folder = paths.below(path).parent.resolve()  # /etc/init.d may itself be a link
    return os.path.relpath(
        root / target.lstrip("/"), folder if folder.is_relative_to(root) else paths.below(path).parent
    )


def _give_back(paths: Paths, path: str, *, ours: bool) -> bool:
    place, saved = paths.below(path), saved_path(paths, path)
    try:
        if ours and os.path.lexists(saved):
            _move(saved, place)
        elif ours:
            place.unlink()
            sync_directory(place.parent)
        else:
            saved.unlink(missing_ok=True)  # replaced by its owner since: the newer one counts
        _remove_empty(saved.parent, paths.state_dir)
    except OSError as error:
        raise FileError(
            f"{place} could not be given back: {error.strerror or error}; its original is in {saved}"
        ) from error
    return ours


def _save(paths: Paths, path: str) -> None:
    """Keep what stands at a path; an older original is replaced, since its owner has brought a newer one."""
    place, saved = paths.below(path), saved_path(paths, path)
    try:
        mode = place.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return
    if stat.S_ISDIR(mode):
        raise ForeignObjectError(f"{place} is a directory, where a file of the toolstack should be; it was left")
    _make_directory(saved.parent, paths.state_dir)
    scratch = saved.with_name(f".{saved.name}{_SCRATCH}")
    scratch.unlink(missing_ok=True)
    try:
        _second_name(place, scratch)
        scratch.replace(saved)
    finally:
        scratch.unlink(missing_ok=True)
        _remove_empty(saved.parent, paths.state_dir)
    sync_directory(saved.parent)


def _second_name(source: Path, target: Path) -> None:
    """A hard link, or a whole copy where the file systems differ."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)
        status = source.lstat()
        os.chown(target, status.st_uid, status.st_gid, follow_symlinks=False)
        if not target.is_symlink():
            _sync(target)


def _move(saved: Path, place: Path) -> None:
    """The saved original takes its place again by rename, through a copy beside it where file systems differ."""
    scratch = place.with_name(f".{place.name}{_SCRATCH}")
    scratch.unlink(missing_ok=True)
    try:
        _second_name(saved, scratch)
        scratch.replace(place)
    finally:
        scratch.unlink(missing_ok=True)
    sync_directory(place.parent)
    saved.unlink()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _make_directory(directory: Path, top: Path) -> None:
    """A folder with all above it, or, where that fails, none of them."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError:
        while not directory.is_dir():
            directory = directory.parent
        _remove_empty(directory, top)
        raise


def _remove_empty(directory: Path, top: Path) -> None:
    while directory != top and directory.is_relative_to(top) and directory.is_dir() and not any(directory.iterdir()):
        directory.rmdir()
        directory = directory.parent
