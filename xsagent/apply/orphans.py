"""ifup and ifdown of a run that was killed -> ended, before its work is taken back. Effects.

They run in sessions of their own and go on without their run; an ifup that waits for a lease would set its address
after the recovery. Called by the recovery alone, under the lock, so that no live run has such children.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path
from typing import Final

from xsagent.config import Paths

MARK: Final = "RECONFIGURE_ROOT"
"""Variable in the environment of such a child: the root prefix of its run."""
_SCRIPTS: Final = frozenset({"ifup", "ifdown"})
_END_S: Final = 5.0
_POLL_S: Final = 0.05


def end_orphans(paths: Paths) -> int:
    """Kill what is left of a dead run's ifup and ifdown, with their process groups; returns how many there were.

    A DHCP client that they put into the background is in a session of its own and stays.
    """
    orphans = _find(paths)
    for pid in orphans:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
    end = time.monotonic() + _END_S
    while orphans and _find(paths) and time.monotonic() < end:
        time.sleep(_POLL_S)
    return len(orphans)


def _find(paths: Paths) -> list[int]:
    """Leaders of their sessions, as each child of ours is, that bear our mark and run one of these scripts."""
    mark = f"{MARK}={paths.root}".encode()
    found: list[int] = []
    for entry in paths.proc.iterdir() if paths.proc.is_dir() else ():
        if entry.name.isdecimal() and _is_script(entry) and mark in _read(entry / "environ"):
            pid = int(entry.name)
            with contextlib.suppress(ProcessLookupError):
                found += [pid] if os.getsid(pid) == pid else []
    return found


def _is_script(entry: Path) -> bool:
    return any(Path(os.fsdecode(word)).name in _SCRIPTS for word in _read(entry / "cmdline"))


def _read(path: Path) -> list[bytes]:
    try:
        return path.read_bytes().split(b"\0")
    except OSError:  # it ended, or is another user's
        return []
