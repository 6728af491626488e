"""The TCP port on which a pssl manager comes in, opened and closed by XAPI's own tool. Effects.

The host's firewall is XAPI's there: its tool knows which one the host has (features.md section 20).
"""

from __future__ import annotations

from typing import Final

from xsagent.child import run_child
from xsagent.config import Paths
from xsagent.log import get_logger
from xsagent.topology.control import PSSL_PORT

_TOOL: Final = "/etc/xapi.d/plugins/firewall-port"
_DEADLINE_S: Final = 20.0


def open_manager_port(paths: Paths, is_open: bool) -> None:
    """Open or close the port, where there is such a tool; idempotent as that is.

    Raises:
        CommandError: the tool failed or passed its deadline.
    """
    program = paths.below(_TOOL)
    if program.exists():
        run_child([str(program), "open" if is_open else "close", str(PSSL_PORT)], deadline_s=_DEADLINE_S)
    elif is_open:
        get_logger().warning("pass_over_firewall", reason=f"{program} is not there; TCP {PSSL_PORT} may be closed")
