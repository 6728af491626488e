"""Files below /run: the daemon's socket, its pid files, whether it hears udev's events; what leases gave. Effects.

Nothing here outlives a boot, so nothing is synced to a disk. Each writer has its remover; all are idempotent.
"""

from __future__ import annotations

import fcntl
import os
import socket
from pathlib import Path
from typing import Final

from xsagent.config import Paths
from xsagent.errors import LockHeldError
from xsagent.unix_socket import short_address

BACKLOG: Final = 512
"""Hooks of a burst that are not accepted yet."""


def hold_daemon_lock(paths: Paths) -> int:
    """Be the only daemon of this host for as long as the returned descriptor is open; the file names us.

    Raises:
        LockHeldError: another one runs; it is named.
        OSError: the file cannot be made.
    """
    path = paths.run_dir / "xsagentd.pid"
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
        os.close(descriptor)
        raise LockHeldError(f"xsagentd runs already (process {holder}); nothing was changed") from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def bind_daemon_socket(path: Path) -> socket.socket:
    """Listen on the daemon's socket, mode 0600. Precondition: `hold_daemon_lock`, so whoever was there is dead."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    before = os.umask(0o177)
    try:
        with short_address(path) as address:
            listener.bind(address)
    finally:
        os.umask(before)
    listener.listen(BACKLOG)
    return listener


def hold_pid_file(path: Path) -> int:
    """Put a pid file in place as Open vSwitch's tools want one: locked (fcntl(2)) for as long as the process lives.

    Returns the descriptor that holds the lock; the caller keeps it open.

    Raises:
        OSError: it cannot be made; nothing is left of it.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        temporary.rename(path)
    except OSError:
        os.close(descriptor)
        temporary.unlink(missing_ok=True)
        raise
    return descriptor


def write_run_file(path: Path, text: str) -> None:
    """Put a small file in place whole; its directory is made where it is missing."""
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="ascii")
    temporary.rename(path)


def remove_run_file(path: Path) -> None:
    """Remove a file; absent is fine."""
    path.unlink(missing_ok=True)


def send_uevent(sysfs: Path, nonce: str) -> None:
    """Have the kernel send a ``change`` uevent of the loopback device that carries SYNTH_UUID=`nonce`.

    (Documentation/ABI/testing/sysfs-uevent of Linux.) It changes nothing; udev passes it on to its listeners.

    Raises:
        OSError: sysfs does not take it.
    """
    descriptor = os.open(sysfs / "class/net/lo/uevent", os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, f"change {nonce}".encode("ascii"))
    finally:
        os.close(descriptor)
