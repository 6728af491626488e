"""A command -> the same command in a systemd scope of its own, where systemd runs.

For the two children that must outlive their starter (the DHCP client and the guardian): in a scope they are no part
of the starter's unit, so stopping xapi or xsagentd, or killing a run with its cgroup, does not end them.
"""

from __future__ import annotations

from collections.abc import Sequence

from xsagent.child import find_program
from xsagent.config import Paths
from xsagent.errors import CommandError


def scoped(command: Sequence[str], paths: Paths) -> list[str] | None:
    """The command behind ``systemd-run --scope``, which executes it in its place; None without systemd.

    It may still fail at run time (no bus): the caller then starts the plain command, which lives where we do.
    """
    if not paths.below("/run/systemd/system").is_dir():
        return None
    try:
        program = find_program("systemd-run", "/usr/bin/systemd-run")
    except CommandError:
        return None
    return [program, "--scope", "--quiet", "--collect", "--", *command]
