"""The hotplug thread's heartbeat -> signs of life for systemd, which kills a daemon that gives none. Effects."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from typing import Final

from xsagent.daemon.hotplug import HotplugThread
from xsagent.daemon.notify import notify, watchdog_s
from xsagent.log import get_logger

_HUNG_S: Final = 120.0
"""A batch that takes longer than its deadlines together hangs: systemd is to kill us while xenopsd waits (300 s)."""
_LOG = get_logger()


async def show_life(environ: Mapping[str, str], hotplug: HotplugThread) -> None:
    """Give a sign as often as systemd wants one, unless the hotplug thread hangs or ended; ends by being cancelled."""
    interval = watchdog_s(environ, os.getpid())
    while interval is not None:
        beat = hotplug.heartbeat
        if not hotplug.thread.is_alive():
            _LOG.error("hotplug_ended")
        elif beat is None or time.monotonic() - beat < _HUNG_S:
            notify(environ, "WATCHDOG=1")
        else:
            _LOG.error("hotplug_hangs", seconds=round(time.monotonic() - beat))
        await asyncio.sleep(interval / 2)
