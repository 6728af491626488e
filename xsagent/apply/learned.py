"""A bridge's name -> its switch forgets which port each MAC is behind (``fdb/flush``), and decides anew. Effects.

Why: where nothing but a mirror came or went, Open vSwitch (3.1 at least) goes on with what it decided for traffic that
runs already: it is not mirrored, or still is. It learns again from the next frame of each MAC.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from xsagent.log import get_logger
from xsagent.observed.jsonrpc import RemoteError
from xsagent.observed.switch_alive import open_switch_control

_ANSWER_S: Final = 5.0
_LOG = get_logger()


def forget_learned(rundir: Path, bridge: str) -> None:
    """Have the MACs that a bridge learned forgotten; idempotent, nothing to undo. A switch that cannot is logged.

    Args:
        rundir: OVS_RUNDIR.
        bridge: real bridge.
    """
    channel = open_switch_control(rundir)
    if channel is None:
        return
    try:
        channel.call("fdb/flush", [bridge], time.monotonic() + _ANSWER_S)
    except (OSError, RemoteError) as error:
        _LOG.warning("cannot_forget_learned", bridge=bridge, text=f"what runs is mirrored as before: {error}")
    finally:
        channel.close()
