"""One reconfigure at a time: a lock file with its owner's name and a deadline.

Taken by the flow before it reads anything, released when it ends. The lock is flock(2)'s, so it dies with its owner;
the text in the file only names the owner for the one who waits.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from xsagent.errors import ApplyError, FileError, LockHeldError

_POLL_S = 0.05


@contextlib.contextmanager
def hold_lock(path: Path, owner: str, wait_s: float, go_on: Callable[[str], None] | None = None) -> Iterator[None]:
    """Hold the lock while the block runs.

    Args:
        path: of the lock's file.
        owner: who we are, for the one who waits; one line.
        wait_s: how long to wait for another owner, seconds.
        go_on: told why there can be no lock, where the block is to run all the same: nobody else can have one either.
            None: that is an error.

    Raises:
        LockHeldError: another owner kept it for longer than that; it is named.
        FileError: the file cannot be made.
        ApplyError: the run was told to end meanwhile.
    """
    try:
        descriptor = _open(path)
    except FileError as error:
        if go_on is None:
            raise
        descriptor = None
        go_on(error.cause)
    if descriptor is None:
        yield
        return
    try:
        _acquire(descriptor, path, wait_s)
        os.ftruncate(descriptor, 0)
        # a name for whoever waits is worth no run: on a disk without room there is none
        with contextlib.suppress(OSError):
            os.pwrite(descriptor, f"{os.getpid()} {owner}\n".encode(), 0)
        yield
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def is_held(path: Path) -> bool:
    """Whether somebody holds the lock now; never waits, and leaves the file as it is."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _open(path: Path) -> int:
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except PermissionError:
        # the edge knows what who is not root is to do
        raise
    except OSError as error:
        raise FileError(f"the lock {path} could not be made: {error.strerror}; nothing was changed") from error


def _acquire(descriptor: int, path: Path, wait_s: float) -> None:
    deadline = time.monotonic() + wait_s
    try:
        while not _is_acquired(descriptor):
            if time.monotonic() >= deadline:
                holder = _read_holder(descriptor)
                raise LockHeldError(f"{path} has been held by {holder} for over {wait_s:.0f} s; nothing was changed")
            time.sleep(_POLL_S)
    except ApplyError as error:
        holder = _read_holder(descriptor)
        raise ApplyError(f"{error} while it waited for {path}, held by {holder}; nothing was changed") from None


def _is_acquired(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read_holder(descriptor: int) -> str:
    named = os.pread(descriptor, 200, 0).decode(errors="replace").strip()
    return f"process {named}" if named else "a process that did not say which"
