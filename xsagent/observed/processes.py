"""procfs -> names of running processes, and ovs-vswitchd's threads that handle upcalls. Reads only.

Asked by the doctor, at Open vSwitch's start and for the firewall. Names are those of /proc/PID/comm, fifteen
characters at most.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

_HANDLER = "handler"
"""How ovs-vswitchd names these threads (ofproto/ofproto-dpif-upcall.c), with a number behind."""


def read_process_names(proc: Path) -> frozenset[str]:
    """Names of all processes; empty where there is no procfs."""
    return frozenset(_names(proc.glob("[0-9]*/comm")))


def read_handler_threads(rundir: Path, proc: Path) -> int | None:
    """How many threads of ovs-vswitchd take packets that no flow of the datapath matches; None when it cannot be told.

    None at all: each such packet is lost (udev-xen.md: seen where Open vSwitch 3.1 started within ten seconds of boot).

    Args:
        rundir: OVS_RUNDIR, for the pid file.
        proc: /proc below the root prefix.
    """
    try:
        pid = int((rundir / "ovs-vswitchd.pid").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    if "ovs-vswitchd" not in _names([proc / str(pid) / "comm"]):
        return None
    names = list(_names((proc / str(pid) / "task").glob("*/comm")))
    return sum(name.startswith(_HANDLER) for name in names) if names else None


def _names(paths: Iterator[Path] | list[Path]) -> Iterator[str]:
    for path in paths:
        try:
            yield path.read_text(encoding="utf-8", errors="replace").rstrip("\n")
        except OSError:  # it ended meanwhile
            continue
