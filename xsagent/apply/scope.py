"""A command -> the same command in a systemd scope or service of its own, where systemd runs.

A scope is for the two children that must outlive their starter (the DHCP client and the guardian): there they are no
part of the starter's unit, so stopping xapi or xsagentd, or killing a run with its cgroup, does not end them. A service
is for programs of the host's owner: they have nothing of what xsagentd's unit forbids itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from xsagent.child import find_program
from xsagent.config import Paths
from xsagent.errors import CommandError

_QUIETLY: Final = ("--quiet", "--collect")


def scoped(command: Sequence[str], paths: Paths) -> list[str] | None:
    """The command behind ``systemd-run --scope``, which executes it in its place; None without systemd.

    It may still fail at run time (no bus): the caller then starts the plain command, which lives where we do.
    """
    program = _systemd_run(paths)
    return None if program is None else [program, "--scope", *_QUIETLY, "--", *command]


def as_service(command: Sequence[str], paths: Paths, deadline_s: float) -> list[str] | None:
    """The command as a service that ends with it, is killed after so many seconds, and prints and exits as it does.

    None without systemd.
    """
    program = _systemd_run(paths)
    words = ["--wait", "--pipe", "--service-type=exec", f"--property=RuntimeMaxSec={deadline_s:g}"]
    return None if program is None else [program, *words, *_QUIETLY, "--", *command]


def _systemd_run(paths: Paths) -> str | None:
    if not paths.below("/run/systemd/system").is_dir():
        return None
    try:
        return find_program("systemd-run", "/usr/bin/systemd-run")
    except CommandError:
        return None
