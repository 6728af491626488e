"""Open vSwitch's daemons -> which of them run, and whether the switch ran before in this boot. I/O.

Reads pid files, /proc and /sys only: these answers are needed before a daemon can be asked, or when one hangs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

_COMM_LENGTH: Final = 15
"""The kernel keeps this much of a process's name."""


def read_daemon_pid(rundir: Path, proc: Path, name: str) -> int | None:
    """Process id of a daemon that runs, as its pid file has it; None where there is no such process.

    A pid file that a crash left, or that names what is another program by now, counts for nothing.
    """
    try:
        pid = int((rundir / f"{name}.pid").read_text(encoding="ascii"))
        comm = (proc / str(pid) / "comm").read_text(encoding="utf-8").strip()
        state = (proc / str(pid) / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0]
    except (OSError, ValueError, IndexError):
        return None
    return pid if comm == name[:_COMM_LENGTH] and state != "Z" else None


def has_pid_file(rundir: Path, name: str) -> bool:
    """Whether a daemon left its pid file, running or not."""
    return (rundir / f"{name}.pid").exists()


def is_kernel_datapath_there(sys: Path) -> bool:
    """Whether the kernel has ovs-vswitchd's datapath: then the switch ran in this boot, whoever started it."""
    return (sys / "class/net/ovs-system").exists()


def read_uptime(proc: Path) -> float | None:
    """Seconds since the kernel started; None where /proc does not say."""
    try:
        return float((proc / "uptime").read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return None
