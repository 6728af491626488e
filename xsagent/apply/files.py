"""Files replaced and removed so that a crash at any moment leaves the old one or the new one, whole.

The only writer of files that outlive a run (DESIGN.md rule 9); called by the executor's file steps, `cache` and the
journal. Effects only; what to write is decided before.
"""

from __future__ import annotations

import contextlib
import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from xsagent.errors import FileError

_DEFAULT_MODE: Final = 0o644
_MARK: Final = ".xsagent-"
_MAX_LINKS: Final = 40


def replace_file(
    path: Path,
    data: bytes,
    *,
    mode: int | None = None,
    keep_previous: Path | None = None,
    follow_links_below: Path | None = None,
) -> None:
    """Put `data` in the place of the file `path`: temporary file, fsync, rename, fsync of the directory.

    Precondition: the directory exists. Effect: readers see the old file or the new one. Undo: write the old
    data. After a failure the old file is in place, unless the sentence says otherwise, and no temporary file is left.
    Idempotent, but not free: the planner does not call it for what is right already.

    Args:
        path: the file; it need not exist.
        data: its whole content.
        mode: permission bits; None keeps those of the file that is replaced (0644 for a new one). Owner, ACL and
            SELinux context are kept likewise.
        keep_previous: a path on the same file system that then names what was replaced, if anything was.
        follow_links_below: None replaces a symbolic link by a file. Otherwise what the link points to is replaced,
            and an absolute target is taken below this root (resolv.conf of a root prefix).

    Raises:
        FileError: names the file and the reason (a full disk, no directory ...).
    """
    with _named_errors(path, "replaced"):
        target = path if follow_links_below is None else _follow_links(path, follow_links_below)
        remove_leftovers(target)
        temporary = _temporary(target)
        try:
            _write_temporary(temporary, data, _status(target), target, mode)
            if keep_previous is not None:
                _keep(target, keep_previous)
            temporary.rename(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    _make_lasting(target, "replaced")


def remove_file(path: Path) -> None:
    """Remove a file or symbolic link; absent is fine. Lasting when it returns.

    Raises:
        FileError: names the file and the reason, and whether it is still there.
    """
    with _named_errors(path, "removed"):
        remove_leftovers(path)
        try:
            path.unlink()
        except (FileNotFoundError, NotADirectoryError):
            return
    _make_lasting(path, "removed")


def remove_leftovers(path: Path) -> None:
    """Remove temporary files for `path` that a killed process left; those of live processes stay."""
    prefix = f".{path.name}{_MARK}"
    try:
        names = [entry.name for entry in path.parent.iterdir() if entry.name.startswith(prefix)]
    except FileNotFoundError:
        return
    for name in names:
        pid = name.removeprefix(prefix).partition("-")[0]
        if pid.isascii() and pid.isdigit() and not _is_alive(int(pid)):
            (path.parent / name).unlink(missing_ok=True)


def sync_directory(directory: Path) -> None:
    """Make renames and removals in a directory lasting.

    Raises:
        OSError: the directory cannot be opened or synced.
    """
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _named_errors(path: Path, verb: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FileError(f"{path} could not be {verb}: {error.strerror}; it is as it was") from error


def _make_lasting(path: Path, verb: str) -> None:
    try:
        sync_directory(path.parent)
    except OSError as error:
        raise FileError(
            f"{path} is {verb}, but that may not outlive a power failure: "
            f"its directory could not be synced: {error.strerror}"
        ) from error


def _temporary(target: Path) -> Path:
    """In the same directory, hidden, and never that of another live process or thread."""
    return target.with_name(f".{target.name}{_MARK}{os.getpid()}-{threading.get_native_id()}")


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _status(target: Path) -> os.stat_result | None:
    """Of the regular file that is going to be replaced; None when there is none."""
    try:
        status = target.lstat()
    except FileNotFoundError:
        return None
    return status if stat.S_ISREG(status.st_mode) else None


def _write_temporary(
    temporary: Path, data: bytes, replaced: os.stat_result | None, target: Path, mode: int | None
) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, flags, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        if replaced is not None:
            _copy_attributes(target, replaced, descriptor)
        kept = _DEFAULT_MODE if replaced is None else stat.S_IMODE(replaced.st_mode)
        os.fchmod(descriptor, kept if mode is None else mode)
        stream.write(data)
        stream.flush()
        os.fsync(descriptor)


def _copy_attributes(target: Path, replaced: os.stat_result, descriptor: int) -> None:
    """Owner, SELinux context and ACL; where this process may not set one, the default that it got must do."""
    with contextlib.suppress(PermissionError):
        os.fchown(descriptor, replaced.st_uid, replaced.st_gid)
    try:
        names = os.listxattr(target, follow_symlinks=False)
    except OSError:  # a file system without attributes
        return
    for name in names:
        with contextlib.suppress(OSError):
            os.setxattr(descriptor, name, os.getxattr(target, name, follow_symlinks=False))


def _keep(target: Path, previous: Path) -> None:
    """A second name for the present file, put in place in one step; the file itself never goes away."""
    if _status(target) is None:
        return
    remove_leftovers(previous)
    link = _temporary(previous)
    link.unlink(missing_ok=True)
    link.hardlink_to(target)
    try:
        link.rename(previous)
    finally:
        link.unlink(missing_ok=True)  # rename() leaves both names when they are the same file already
    if previous.parent != target.parent:
        sync_directory(previous.parent)


def _follow_links(path: Path, root: Path) -> Path:
    for _ in range(_MAX_LINKS):
        if not path.is_symlink():
            return path
        points_to = path.readlink()
        place = root / str(points_to).lstrip("/") if points_to.is_absolute() else path.parent / points_to
        path = Path(os.path.normpath(place))
        if not path.is_relative_to(root):
            raise FileError(f"the link to {points_to} leads out of {root}; it is as it was")
    raise FileError(f"{path} is a link that leads in a circle; it is as it was")
