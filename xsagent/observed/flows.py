"""ovs-ofctl -> how many flows with one cookie a bridge holds. Reads only, one child program a bridge.

Asked only where it decides something: on a secure bridge below management (observed/host.py).
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

_DEFAULT = "/usr/bin/ovs-ofctl"
_DEADLINE_S = 5


def count_flows(rundir: Path, bridge: str, cookie: int) -> int | None:
    """Number of flows with this cookie; None when the switch does not say (it is dead, the bridge is new)."""
    program = shutil.which("ovs-ofctl") or _DEFAULT
    words = [program, f"--timeout={_DEADLINE_S}", "--no-stats", "dump-flows", f"unix:{rundir / bridge}.mgmt"]
    try:
        done = subprocess.run(
            [*words, f"cookie={cookie:#x}/-1"],
            capture_output=True,
            text=True,
            timeout=_DEADLINE_S + 1,
            check=True,
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"},
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return sum("actions=" in line for line in done.stdout.splitlines())
