"""ovs-ofctl -> how many flows with one cookie a bridge holds. Reads only, one child program a bridge.

Asked only where it decides something: on a secure bridge below management (observed/host.py).
"""

from __future__ import annotations

from pathlib import Path

from xsagent.child import find_program, run_child
from xsagent.errors import CommandError

_DEFAULT = "/usr/bin/ovs-ofctl"
_DEADLINE_S = 5


def count_flows(rundir: Path, bridge: str, cookie: int) -> int | None:
    """Number of flows with this cookie; None when the switch does not say (it is dead, the bridge is new)."""
    words = [f"--timeout={_DEADLINE_S}", "--no-stats", "--no-names", "dump-flows", f"unix:{rundir / bridge}.mgmt"]
    try:
        program = find_program("ovs-ofctl", _DEFAULT)
        done = run_child([program, *words, f"cookie={cookie:#x}/-1"], deadline_s=_DEADLINE_S + 1)
    except CommandError:
        return None
    return sum("actions=" in line for line in done.stdout.splitlines())
