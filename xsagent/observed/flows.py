"""ovs-ofctl -> how many flows with one cookie a bridge holds. Reads only, one child program a bridge.

Asked only where it decides something: on a secure bridge below management (observed/host.py).
"""

from __future__ import annotations

from pathlib import Path

from xsagent.errors import CommandError
from xsagent.ofctl import run_ofctl

_DEADLINE_S = 5


def count_flows(rundir: Path, bridge: str, cookie: int) -> int | None:
    """Number of flows with this cookie; None when the switch does not say (it is dead, the bridge is new)."""
    try:
        done = run_ofctl(rundir, bridge, ["--no-stats", "dump-flows"], [f"cookie={cookie:#x}/-1"], _DEADLINE_S)
    except CommandError:
        return None
    return sum("actions=" in line for line in done.stdout.splitlines())
