"""Starts the namespaces of a sandbox and runs commands in them, with unshare(1) and nsenter(1). Effects.

As root it takes network, mount, PID and UTS namespaces; as an ordinary user a user namespace besides, in which
that user is root. Used by `dom0.Sandbox`; everything else reaches the inside through `Namespaces`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import xsagent
from xsagent.errors import CommandError, NotFoundError, XsagentError

START_DEADLINE_S = 20.0
_SBIN = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class SandboxError(XsagentError):
    """The sandbox could not be set up; what was started of it has ended."""


def search_path() -> str:
    """PATH of the caller plus the sbin folders, which ordinary users lack."""
    return f"{os.environ.get('PATH', '')}:{_SBIN}".removeprefix(":")


def _supervisor_environment() -> dict[str, str]:
    """Environment in which the interpreter finds this very package, installed or not."""
    source = str(Path(xsagent.__file__).parent.parent)
    python_path = os.pathsep.join(filter(None, [source, os.environ.get("PYTHONPATH", "")]))
    return os.environ | {"PATH": search_path(), "PYTHONPATH": python_path}


@dataclass(slots=True)
class Namespaces:
    """The namespaces of one running sandbox.

    Attributes:
        pid: id of the supervisor (PID 1 inside) as the machine counts.
        own_user: they include a user namespace, so that entering them keeps the caller's credentials.
    """

    pid: int
    own_user: bool
    _unshare: subprocess.Popen[str]

    @classmethod
    def start(cls, directory: Path, *, keep: bool) -> Namespaces:
        """Make the namespaces and their supervisor.

        Args:
            directory: of the sandbox; holds ``root`` and ``log``.
            keep: the supervisor outlives this process.

        Raises:
            SandboxError: the kernel or the machine's policy refused, or it took over START_DEADLINE_S.
        """
        own_user = os.geteuid() != 0
        command = ["unshare", *(["--map-root-user"] if own_user else [])]
        command += ["--net", "--mount", "--pid", "--uts", "--fork", "--kill-child"]
        command += [sys.executable, "-m", "xsagent.sandbox.supervisor", str(directory)]
        log = directory / "log/supervisor.log"
        with log.open("w", encoding="utf-8") as errors:
            process = subprocess.Popen(
                [*command, "--keep"] if keep else command,
                stdin=subprocess.DEVNULL if keep else subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=_supervisor_environment(),
                start_new_session=True,  # an interrupt from the terminal must not end it before its owner
            )
        line = process.stdout.readline() if process.stdout else ""
        if not line.strip().isdecimal():
            _end(process)
            raise SandboxError(_refusal(log.read_text(encoding="utf-8").strip(), own_user=own_user))
        return cls(pid=int(line), own_user=own_user, _unshare=process)

    def stop(self) -> None:
        """End every process inside and wait until they are gone; idempotent."""
        _end(self._unshare)
        self._wake_entries()

    def _wake_entries(self) -> None:
        """Let each nsenter(1) end: it stopped itself when its command was stopped, and nobody told it of that's end."""
        entry = f"nsenter\0--target={self.pid}\0".encode()
        for cmdline in Path("/proc").glob("[0-9]*/cmdline"):
            # whoever has ended meanwhile needs no waking
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                if cmdline.read_bytes().startswith(entry):
                    os.kill(int(cmdline.parent.name), signal.SIGCONT)

    def entry(self, host: str = "") -> list[str]:
        """The nsenter(1) command after which a command's words follow.

        Args:
            host: network namespace to enter (a far host or guest); empty: dom0's.
        """
        command = ["nsenter", f"--target={self.pid}", "--mount", "--pid", "--uts"]
        if self.own_user:
            command += ["--user", "--preserve-credentials"]
        # ip-netns(8) binds its namespaces in the sandbox's own mounts, seen from here through its root.
        command += [f"--net=/proc/{self.pid}/root/run/netns/{host}" if host else "--net", "--"]
        return command


def _end(process: subprocess.Popen[str]) -> None:
    """Close the supervisor's stdin, which ends it; kill it where that does not help."""
    for stream in (process.stdin, process.stdout):
        if stream:
            stream.close()
    try:
        process.wait(5 if process.stdin else 0)
    except subprocess.TimeoutExpired:
        process.kill()  # --kill-child passes it on
        process.wait()


def _refusal(reason: str, *, own_user: bool) -> str:
    """The sentence for a sandbox that did not start."""
    advice = "; user namespaces may be switched off here: try as root" if own_user else ""
    return f"the sandbox's namespaces cannot be made: {reason or 'no reason given'}{advice}"


def run_command(
    command: Sequence[str], *, env: Mapping[str, str], timeout: float, input_text: str | None, check: bool
) -> subprocess.CompletedProcess[str]:
    """Run a command in a session of its own, text in and out.

    Args:
        timeout: deadline in seconds; then the whole process group is killed.
        check: an exit status other than 0 is an error.

    Raises:
        CommandError: the deadline passed, or `check` and the command failed.
    """
    words = list(command)
    process = subprocess.Popen(
        words,
        stdin=subprocess.DEVNULL if input_text is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env=dict(env),
        start_new_session=True,
    )
    try:
        out, err = process.communicate(input_text, timeout)
    except subprocess.TimeoutExpired as expired:
        out, err = _kill_group(process)
        raise CommandError(
            f"{_words_inside(words)} passed its deadline of {timeout:g} s in the sandbox; it wrote: {out}{err}"
        ) from expired
    if check and process.returncode:
        raise CommandError(
            f"{_words_inside(words)} ended with {process.returncode} in the sandbox: {err.strip() or out.strip()}"
        )
    return subprocess.CompletedProcess(words, process.returncode, out, err)


def _kill_group(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Kill a process group; what it wrote, unless a daemon of another session still holds the pipe."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    try:
        return process.communicate(timeout=1)
    except subprocess.TimeoutExpired:
        return "", "(a child that runs on still holds its output)"


def _words_inside(command: list[str]) -> str:
    """The command without the entry before it, for messages."""
    return " ".join(command[command.index("--") + 1 :] if "--" in command else command)


def pid_of(process: subprocess.Popen[str]) -> int:
    """Process id, as the machine counts, of the command behind a `Sandbox.spawn`, once it runs.

    Raises:
        NotFoundError: it has ended.
    """
    while process.poll() is None:
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                name, _end, rest = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")
                # Until it has executed the command, the child is a copy of nsenter.
                if int(rest.split()[1]) == process.pid and not name.endswith("(nsenter"):
                    return int(stat.parent.name)
        time.sleep(0.01)
    raise NotFoundError(f"the command behind process {process.pid} has ended")
