"""Argument list -> a finished child program: found, bounded in time and output, its group killed when late.

Every child program that we wait for is started here.
No shell ever sees an argument (DESIGN.md rule 10). Standard library alone.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import xsagent
from xsagent.errors import CommandError, CommandLateError

_DIRECTORIES: Final = "/usr/sbin:/usr/bin:/sbin:/bin"
"""Where programs are looked for when PATH is empty and the absolute default is not there."""

_OUTPUT_LIMIT: Final = 65536
_SHOWN: Final = 300
_KILL_WAIT_S: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildResult:
    """How a child ended, with the beginning of each output."""

    status: int
    stdout: str
    stderr: str


def find_program(name: str, default: str) -> str:
    """Return the path of a program: through PATH, or `default` when PATH is empty or does not have it.

    Args:
        name: for example ``dhclient``.
        default: absolute path, for example ``/sbin/dhclient``.

    Raises:
        CommandError: the program is nowhere.
    """
    found = look_for_program(name, default)
    if found is None:
        raise CommandError(f"the program {name} is neither in PATH nor at {default}; it was not run")
    return found


def look_for_program(name: str, default: str) -> str | None:
    """The same for a program that a host may well lack: None then."""
    import shutil  # noqa: PLC0415 - imports every compression; a vif is connected before ovs-ofctl is looked for

    path = os.environ.get("PATH", "")
    found = shutil.which(name, path=path) if path else None
    if found is None and os.access(default, os.X_OK):
        return default
    if found is None and not path:
        found = shutil.which(name, path=_DIRECTORIES)
    return found


def package_directory() -> str:
    """The directory that has the package which runs now, installed or not."""
    return str(Path(xsagent.__file__).resolve().parent.parent)


def own_command(module: str) -> list[str]:
    """Words that start the ``main`` of a module of ours as a process of its own; its arguments go behind them.

    The interpreter finds the package that runs now; it is started as ours was, without `site` for example, which has a
    process that somebody waits for there much sooner.
    """
    main = f"import sys; sys.path.insert(0, sys.argv.pop(1)); from {module} import main; sys.exit(main())"
    isolated, no_site = "-I" * sys.flags.isolated, "-S" * sys.flags.no_site
    return [sys.executable, *filter(None, (isolated, no_site)), "-c", main, package_directory()]


def minimal_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a child: PATH, a fixed locale, OVS_RUNDIR, and what the caller adds."""
    environment = {"PATH": os.environ.get("PATH") or _DIRECTORIES, "LC_ALL": "C"}
    if "OVS_RUNDIR" in os.environ:
        environment["OVS_RUNDIR"] = os.environ["OVS_RUNDIR"]
    return environment | dict(extra or {})


def run_child(
    arguments: Sequence[str],
    *,
    deadline_s: float,
    input_text: str | None = None,
    environment: Mapping[str, str] | None = None,
    accepted: Sequence[int] = (0,),
    output_limit: int = _OUTPUT_LIMIT,
) -> ChildResult:
    """Run a program and wait for it to end.

    Blocking, at most `deadline_s` seconds and the time that killing takes; then the whole process group is killed.
    A background process that the child leaves behind does not keep us waiting for its output.

    Args:
        arguments: the program's path (see `find_program`) and its arguments.
        deadline_s: seconds.
        input_text: given on stdin; without it stdin is empty.
        environment: added to `minimal_environment`.
        accepted: exit statuses that are no error; an empty sequence accepts all.
        output_limit: bytes kept of each output.

    Raises:
        CommandLateError: the program passes its deadline, or one of its own (SIGALRM).
        CommandError: it cannot be started or ends with another status.
    """
    with contextlib.ExitStack() as stack:
        outputs = [stack.enter_context(_scratch(name)) for name in ("stdout", "stderr")]
        process = _start(arguments, input_text, environment, outputs)
        try:
            _wait(process, arguments, input_text, deadline_s, outputs)
        except BaseException:  # a signal that ends us too must not leave the child half way
            _kill(process)
            raise
        result = ChildResult(
            status=process.returncode, stdout=_text(outputs[0], output_limit), stderr=_text(outputs[1])
        )
    if accepted and result.status not in accepted:
        kind = CommandLateError if result.status == -signal.SIGALRM else CommandError
        raise kind(f"{_name(arguments)} failed with {_ending(result.status)}{_said(result)}")
    return result


def _scratch(name: str) -> IO[bytes]:
    """Return an unnamed file for an output: unlike a pipe it neither fills up nor waits for a child's children."""
    return os.fdopen(os.memfd_create(f"xsagent-{name}"), "w+b")


def _start(
    arguments: Sequence[str],
    input_text: str | None,
    environment: Mapping[str, str] | None,
    outputs: Sequence[IO[bytes]],
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            list(arguments),
            stdin=subprocess.DEVNULL if input_text is None else subprocess.PIPE,
            stdout=outputs[0],
            stderr=outputs[1],
            env=minimal_environment(environment),
            start_new_session=True,
        )
    except OSError as error:
        raise CommandError(f"cannot start {_name(arguments)}: {error.strerror or error}") from error


def _wait(
    process: subprocess.Popen[bytes],
    arguments: Sequence[str],
    input_text: str | None,
    deadline_s: float,
    outputs: Sequence[IO[bytes]],
) -> None:
    try:
        process.communicate(None if input_text is None else input_text.encode(), timeout=deadline_s)
    except subprocess.TimeoutExpired:
        _kill(process)
        said = _said(ChildResult(status=0, stdout=_text(outputs[0]), stderr=_text(outputs[1])))
        raise CommandLateError(f"{_name(arguments)} did not end within {deadline_s:g} s and was killed{said}") from None


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.returncode is not None:  # reaped: its number may be another's by now
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_KILL_WAIT_S)


def _text(output: IO[bytes], limit: int = _OUTPUT_LIMIT) -> str:
    output.seek(0)
    return output.read(limit).decode("utf-8", "replace")


def _name(arguments: Sequence[str]) -> str:
    return " ".join([Path(arguments[0]).name, *arguments[1:3]])


def _ending(status: int) -> str:
    return f"status {status}" if status >= 0 else f"signal {-status}"


def _said(result: ChildResult) -> str:
    """Return the last lines that the child wrote, for the end of a sentence."""
    text = " ".join((result.stderr.strip() or result.stdout.strip()).split())
    return f": {text[-_SHOWN:]}" if text else " and said nothing"
