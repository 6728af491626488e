"""daemon/unixctl.py: a control socket that cannot be made leaves nothing behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import os, sys, threading
from pathlib import Path
from xsagent.config import Paths
from xsagent.daemon.unixctl import ControlSocket

rundir = Path(sys.argv[1])
(rundir / "xsagentd.pid").mkdir()
control = ControlSocket(Paths(ovs_rundir_override=rundir), flush=int, end=int)
before = len(os.listdir("/proc/self/fd"))
for _ in range(5):
    try:
        control.run(threading.Event())
    except OSError:
        pass
print(len(os.listdir("/proc/self/fd")) - before, *sorted(path.name for path in rundir.iterdir()))
"""


def test_a_pid_file_that_cannot_be_made_costs_no_descriptor(tmp_path: Path) -> None:
    """It is tried again every minute, for as long as the daemon lives; no file is left over either."""
    # in a child: the ovs package takes over signals and the interpreter's end
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)

    assert done.stdout.split() == ["0", "xsagentd.pid"]
