"""The daemons of a sandbox's dom0 and far hosts: how each is started, stopped and killed, real programs all. Effects.

Used by `dom0.Sandbox` at the start and by tests that take a peer away. Each daemon detaches itself, is then a
child of the sandbox's PID 1, and ends with the sandbox.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Protocol

from xsagent.errors import CommandError

STOP_DEADLINE_S = 10.0
_POLL_S = 0.01


class Run(Protocol):
    """`Sandbox.run`, or that of a far host."""

    def __call__(self, argv: list[str], *, check: bool = ...) -> CompletedProcess[str]:
        """Run argv inside."""


class Daemon:
    """One daemon with a pid file.

    Attributes:
        name: for messages.
        pid_file: as the daemon writes it, with its id inside the sandbox.
    """

    def __init__(self, name: str, argv: list[str], pid_file: Path, run: Run) -> None:
        self.name = name
        self.pid_file = pid_file
        self._argv = argv
        self._run = run

    @property
    def pid(self) -> int | None:
        """Process id inside the sandbox; None while it does not run."""
        try:
            pid = int(self.pid_file.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return None
        return pid if self._run(["kill", "-0", str(pid)], check=False).returncode == 0 else None

    def start(self) -> None:
        """Start it; returns when it answers. No effect while it runs."""
        if self.pid is None:
            self._run(self._argv)

    def stop(self) -> None:
        """End it in order (SIGTERM) and wait; no effect when it does not run."""
        self._signal("TERM")

    def kill(self) -> None:
        """End it with SIGKILL and wait, its pid file and sockets left as they are."""
        self._signal("KILL")

    def pause(self) -> None:
        """Let it hang (SIGSTOP) until `resume`."""
        self._run(["kill", "-STOP", str(self.pid)])

    def resume(self) -> None:
        """End a `pause`."""
        self._run(["kill", "-CONT", str(self.pid)])

    def _signal(self, signal: str) -> None:
        pid = self.pid
        if pid is not None:
            self._run(["kill", f"-{signal}", str(pid)])
            wait_for(lambda: self.pid is None, STOP_DEADLINE_S, f"{self.name} did not end on SIG{signal}")


def wait_for(condition: Callable[[], bool], deadline_s: float, sentence: str | Callable[[], str]) -> None:
    """Return once `condition` holds, looked at least once.

    Raises:
        CommandError: it did not within `deadline_s` seconds; `sentence` says what was awaited; a callable is asked
            then, with the log of then.
    """
    end = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > end:
            said = sentence if isinstance(sentence, str) else sentence()
            raise CommandError(f"{said} within {deadline_s:g} s in the sandbox")
        time.sleep(_POLL_S)


def ovsdb_server(rundir: Path, logdir: Path, run: Run) -> Daemon:
    """ovsdb-server on ``RUNDIR/db.sock``, with the database's managers and TLS files, as ovs-ctl(8) starts it."""
    argv = ["ovsdb-server", str(rundir / "conf.db"), f"--remote=punix:{rundir}/db.sock"]
    argv += ["--remote=db:Open_vSwitch,Open_vSwitch,manager_options"]
    argv += ["--private-key=db:Open_vSwitch,SSL,private_key", "--certificate=db:Open_vSwitch,SSL,certificate"]
    argv += ["--bootstrap-ca-cert=db:Open_vSwitch,SSL,ca_cert"]
    return _ovs_daemon("ovsdb-server", argv, rundir, logdir, run)


def ovs_vswitchd(rundir: Path, logdir: Path, run: Run) -> Daemon:
    """ovs-vswitchd with the userspace datapath available."""
    return _ovs_daemon("ovs-vswitchd", ["ovs-vswitchd", f"unix:{rundir}/db.sock"], rundir, logdir, run)


def _ovs_daemon(name: str, argv: list[str], rundir: Path, logdir: Path, run: Run) -> Daemon:
    pid_file = rundir / f"{name}.pid"
    options = ["--detach", "--no-chdir", f"--pidfile={pid_file}", f"--log-file={logdir}/{name}.log"]
    return Daemon(name, [*argv, *options, "-vconsole:emer", "-vsyslog:off"], pid_file, run)
