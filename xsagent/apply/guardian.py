"""Starts and ends the guardian, the process that takes back for a run that was killed (`xsagent/cli/guardian.py`).

Used by the deadman alone. It runs before the first effect and outlives its starter, its process group and its cgroup.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NoReturn

from xsagent import log
from xsagent.apply.scope import scoped
from xsagent.child import own_command
from xsagent.config import Paths
from xsagent.errors import ApplyError

READY = b"ready\n"
DONE = b"done\n"
_START_S = 15.0
_END_S = 5.0
_LOG = log.get_logger()


@dataclass(slots=True)
class Guardian:
    """A guardian that runs.

    Attributes:
        word: writes to its standard input.
        life: its standard output, which ends when it does.
    """

    pid: int
    word: int
    life: int

    def dismiss(self) -> None:
        """Nothing is at risk any more: it ends without doing anything."""
        with contextlib.suppress(BrokenPipeError):  # killed from outside: nothing is left to tell
            os.write(self.word, DONE)
        ended, _, _ = select.select([self.life], [], [], _END_S)
        self.hand_over()
        if not ended:
            _kill(self.pid)
        _reap(self.pid)

    def hand_over(self) -> None:
        """Leave the rest to it: it takes the lock once we have let go of it, and tries again what we could not."""
        os.close(self.word)
        os.close(self.life)


StartGuardian = Callable[[Paths, float], Guardian]
"""Starts a guardian for this process, given the deadman's window in seconds; returns when it watches.

Raises ApplyError: it cannot be started, so nothing may be put at risk."""


def exec_guardian(paths: Paths, window_s: float) -> Guardian:
    """A guardian that is a program of its own, in a scope of its own where systemd runs (`StartGuardian`)."""
    plain = [*own_command("xsagent.cli.guardian"), *guardian_words(paths, window_s)]
    commands = [command for command in (scoped(plain, paths), plain) if command is not None]
    return spawn_guardian(*(partial(_execute, command) for command in commands))


def guardian_words(paths: Paths, window_s: float) -> list[str]:
    """What a guardian of this process is told."""
    return [f"--root-prefix={paths.root}", f"--window={window_s:.0f}", f"--run={os.getpid()}"]


def spawn_guardian(*ways: Callable[[], NoReturn]) -> Guardian:
    """Fork a process that is to run as a guardian, in the first of these ways in which it says in time that it watches.

    Raises:
        ApplyError: none does.
    """
    for run in ways:
        guardian = _spawn(run)
        if guardian is not None:
            return guardian
    raise ApplyError("the guardian of the management interface could not be started; nothing was changed")


def _spawn(run: Callable[[], NoReturn]) -> Guardian | None:
    try:
        pid, (heard, word), (life, says) = _fork_with_pipes()
    except OSError as error:  # no process or descriptor to spare
        _LOG.error("fork_failed", reason=str(error))
        return None
    if pid == 0:
        try:
            os.setsid()
            os.chdir("/")
            os.dup2(heard, 0)
            os.dup2(says, 1)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            log.end()
            # the run's lock among them, and whatever tells others that the run has ended
            os.closerange(3, os.sysconf("SC_OPEN_MAX"))
            run()
        finally:
            os._exit(1)
    os.close(heard)
    os.close(says)
    guardian = Guardian(pid, word, life)
    ready, _, _ = select.select([life], [], [], _START_S)
    # a pipe gives six bytes at once
    if ready and os.read(life, len(READY)) == READY:
        return guardian
    _kill(pid)
    guardian.hand_over()
    _reap(pid)
    return None


def _fork_with_pipes() -> tuple[int, tuple[int, int], tuple[int, int]]:
    """Fork with a pipe to the child and one back; OSError when that cannot be, and no descriptor is left open."""
    with contextlib.ExitStack() as undo:
        pipes = []
        for _ in range(2):
            pipes.append(os.pipe())
            for end in pipes[-1]:
                undo.callback(os.close, end)
        pid = os.fork()
        undo.pop_all()
    return pid, pipes[0], pipes[1]


def _execute(command: list[str]) -> NoReturn:
    os.execv(command[0], command)  # noqa: S606 - no shell is wanted


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # it has ended, and nobody had to reap it
        os.kill(pid, signal.SIGKILL)


def _reap(pid: int) -> None:
    with contextlib.suppress(ChildProcessError):  # whoever started us lets the kernel reap
        os.waitpid(pid, 0)
