"""The first process (PID 1) of a sandbox: makes its mounts private, says that it is ready, and reaps. Effects.

Run by `namespaces` as ``unshare ... python -m xsagent.sandbox.supervisor DIRECTORY`` in new namespaces. When it
ends, the kernel kills every process of the PID namespace and takes all links down, so nothing survives; it ends
when its stdin is closed (its owner ended, orderly or not), or never with ``--keep``.
"""

from __future__ import annotations

import argparse
import os
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path


def _mount(*arguments: str) -> None:
    """mount(8) with these arguments."""
    subprocess.run(["mount", *arguments], check=True, capture_output=True, text=True)


def _make_private_etc(directory: Path) -> None:
    """Put an /etc of our own in front of the machine's: the same entries, but writable and with our resolv.conf.

    dhclient-script replaces /etc/resolv.conf through a new file beside it, and waits for ever where it may not
    make one: a bind mount of the one file is not enough for an ordinary user.
    """
    machine, private = directory / "machine-etc", directory / "etc"
    machine.mkdir()
    private.mkdir()
    for entry in os.scandir("/etc"):
        # A link is copied as it stands, since a relative one counts from /etc.
        target = str(Path(entry.path).readlink()) if entry.is_symlink() else str(machine / entry.name)
        if entry.name != "resolv.conf":
            (private / entry.name).symlink_to(target)
    (private / "resolv.conf").symlink_to(directory / "root/etc/resolv.conf")
    _mount("--rbind", "/etc", str(machine))
    if os.access(machine, os.W_OK):  # root: nobody inside is to reach the machine's own files through this path
        _mount("-o", "remount,bind,ro", str(machine))
    _mount("--bind", str(private), "/etc")


def _make_mounts(directory: Path) -> None:
    """Private /proc, /sys (that of the new network namespace), /etc, /run and dhclient's leases."""
    root = directory / "root"
    _mount("-t", "proc", "proc", "/proc")
    _mount("-t", "sysfs", "sysfs", "/sys")
    _make_private_etc(directory)
    _mount("--bind", str(root / "run"), "/run")
    if Path("/var/lib/dhcp").is_dir():
        _mount("--bind", str(root / "var/lib/dhcp"), "/var/lib/dhcp")
    _mount("--rbind", "/proc", str(root / "proc"))
    _mount("--rbind", "/sys", str(root / "sys"))


def _reap() -> None:
    """Collect every child that has ended."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return


def _serve(*, keep: bool) -> None:
    """Reap orphans until stdin is closed; with `keep` for ever."""
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    signal.set_wakeup_fd(wake_write)
    signal.signal(signal.SIGCHLD, lambda _signal, _frame: None)
    watched = [wake_read] if keep else [wake_read, sys.stdin.fileno()]
    while True:
        _reap()
        readable = select.select(watched, [], [])[0]
        if sys.stdin.fileno() in readable and not os.read(sys.stdin.fileno(), 1):
            return
        if wake_read in readable:
            os.read(wake_read, 4096)


def main() -> int:
    """Set up and serve; the one line on stdout is this process's id as the machine counts, once all is ready."""
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=Path)
    parser.add_argument("--keep", action="store_true")
    arguments = parser.parse_args()
    outer_pid = str(Path("/proc/self").readlink())  # the machine's /proc still
    socket.sethostname("sandbox")
    try:
        _make_mounts(arguments.directory)
    except subprocess.CalledProcessError as error:
        sys.stderr.write(f"{error.stderr.strip()}\n")
        return 1
    sys.stdout.write(f"{outer_pid}\n")
    sys.stdout.flush()
    _serve(keep=arguments.keep)
    return 0


if __name__ == "__main__":
    sys.exit(main())
