"""ovs-ofctl -> the flows with one cookie that a bridge holds. Reads only, one child program a bridge.

Asked only where it decides something: on a secure bridge (observed/host.py, reconcile/control.py).
"""

from __future__ import annotations

import re
from pathlib import Path

from xsagent.errors import CommandError
from xsagent.ofctl import dump_flows

_DEADLINE_S = 5
_HEAD = re.compile(r"cookie=\w+, *(?:table=0, *)?")


def read_flow_lines(rundir: Path, bridge: str, cookie: int) -> tuple[str, ...] | None:
    """The flows with this cookie, ports by name, without the cookie; None when the switch does not say.

    It does not where it is dead or the bridge is new.
    """
    try:
        shown = dump_flows(rundir, bridge, cookie, deadline_s=_DEADLINE_S, options=["--names"])
    except CommandError:
        return None
    lines = (line.strip() for line in shown.splitlines())
    return tuple(sorted(_HEAD.sub("", line, count=1) for line in lines if "actions=" in line))
