"""One reconfigure at a time: a lock file with its owner's name and a deadline.

Taken by the flow before it reads anything, released when it ends. The lock is flock(2)'s, so it dies with its owner;
the text in the file only names the owner for the one who waits.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from xsagent.errors import LockHeldError

_POLL_S = 0.05


@contextlib.contextmanager
def hold_lock(path: Path, owner: str, wait_s: float) -> Iterator[None]:
    """Hold the lock while the block runs.

    Args:
        owner: who we are, for the one who waits; one line.
        wait_s: how long to wait for another owner, seconds.

    Raises:
        LockHeldError: another owner kept it for longer than that; it is named.
    """
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _acquire(descriptor, path, wait_s)
        os.ftruncate(descriptor, 0)
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


def _acquire(descriptor: int, path: Path, wait_s: float) -> None:
    deadline = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                named = os.pread(descriptor, 200, 0).decode(errors="replace").strip()
                holder = f"process {named}" if named else "a process that did not say which"
                raise LockHeldError(
                    f"{path} has been held by {holder} for over {wait_s:.0f} s; nothing was changed"
                ) from None
            time.sleep(_POLL_S)
        else:
            return
