"""Starts and ends the guardian, the process that takes back for a run that was killed (`xsagent/cli/guardian.py`).

Used by the deadman alone. It runs before the first effect and outlives its starter, its process group and its cgroup.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from xsagent.apply.child import own_command
from xsagent.apply.scope import scoped
from xsagent.config import Paths
from xsagent.errors import ApplyError

READY = b"ready\n"
DONE = b"done\n"
_START_S = 15.0
_END_S = 5.0


@dataclass(slots=True)
class Guardian:
    """A guardian that runs."""

    process: subprocess.Popen[bytes]

    def dismiss(self) -> None:
        """Nothing is at risk any more: it ends without doing anything."""
        stdin = self.process.stdin
        if stdin is not None:
            with contextlib.suppress(BrokenPipeError):  # killed from outside: nothing is left to tell
                stdin.write(DONE)
                stdin.flush()
        if self.process.stdout is not None:
            # its end closes this; Popen.wait would look for it again and again, in ever longer pauses
            select.select([self.process.stdout], [], [], _END_S)
        self._let_go()
        try:
            self.process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def hand_over(self) -> None:
        """Leave the rest to it: it takes the lock once we have let go of it, and tries again what we could not."""
        self._let_go()

    def _let_go(self) -> None:
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()


def start_guardian(paths: Paths, window_s: float) -> Guardian:
    """Start a guardian for this process; returns when it watches.

    Arguments:
        window_s: the deadman's window, seconds.

    Raises:
        ApplyError: it cannot be started, so nothing may be put at risk.
    """
    plain = [*own_command("xsagent.cli.guardian"), f"--root-prefix={paths.root}"]
    plain += [f"--window={window_s:.0f}", f"--run={os.getpid()}"]
    for command in (scoped(plain, paths), plain):
        guardian = _start(command) if command is not None else None
        if guardian is not None:
            return guardian
    raise ApplyError("the guardian of the management interface could not be started; nothing was changed")


def _start(command: Sequence[str]) -> Guardian | None:
    try:
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
        )
    except OSError:
        return None
    if process.stdout is not None and _hears(process.stdout.fileno()):
        return Guardian(process)
    process.kill()
    process.communicate()
    return None


def _hears(descriptor: int) -> bool:
    """Whether the word came, whole (a pipe gives six bytes at once)."""
    ready, _, _ = select.select([descriptor], [], [], _START_S)
    return bool(ready) and os.read(descriptor, len(READY)) == READY
