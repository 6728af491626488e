"""A request for a resync -> the answer, once what it found is done. Asks the hotplug thread, and waits beside it.

`requests` gives it what ``xsagent resync`` asks the daemon for; that command says the same of a resync of its own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterator
from typing import Final

from xsagent.daemon.hotplug import HotplugThread
from xsagent.daemon.protocol import Answer
from xsagent.reconcile.queue import State

MARGIN_S: Final = 60.0
"""Beyond the time that each device has: for peers that are away, and for many devices."""
_LOOK_S: Final = 0.02


async def answer_resync(hotplug: HotplugThread, wait_s: float) -> Answer:
    """Have everything looked at, and wait until all that this found has ended.

    Args:
        hotplug: the daemon's.
        wait_s: seconds, at most; what is not done then is said to be not right.
    """
    end = time.monotonic() + wait_s
    number = hotplug.request_resync("somebody asked for it")
    await _until(lambda: _is_over(hotplug, number), end)
    last = hotplug.last_resync
    if last is None or last.number < number:
        sentence = f"{why_not_looked(hotplug)}; xsagentd looks as soon as it can"
        return Answer(status=1, stderr=f"xsagent: {sentence}\n")
    # a busy host has new events at any time, which are nobody's here
    found = {name for name, status in hotplug.status().items() if status.waiting}
    await _until(lambda: not _waiting(hotplug, found), end)
    wrong = list(describe_wrong(hotplug, _waiting(hotplug, found)))
    return Answer(status=1 if wrong else 0, stderr="".join(f"xsagent: {sentence}\n" for sentence in wrong))


def describe_wrong(hotplug: HotplugThread, left: Collection[str]) -> Iterator[str]:
    """A sentence for each device that is not right, and for those that were to be done and are `left`."""
    for name, status in sorted(hotplug.status().items()):
        if status.state is State.ERROR or name in left:
            yield f"{name} is not right: {status.text or 'it was not come to'}"


def why_not_looked(hotplug: HotplugThread) -> str:
    """A sentence of why the devices could not be looked at."""
    reason = hotplug.put_off.reason if hotplug.put_off else "a peer did not answer in time"
    return f"the devices could not be looked at: {reason}"


async def _until(condition: Callable[[], bool], end: float) -> None:
    while not condition():
        if time.monotonic() > end:
            return
        await asyncio.sleep(_LOOK_S)


def _is_over(hotplug: HotplugThread, number: int) -> bool:
    """Whether it was made, or could not be."""
    return any(one is not None and one.number >= number for one in (hotplug.last_resync, hotplug.put_off))


def _waiting(hotplug: HotplugThread, devices: Collection[str]) -> set[str]:
    return {name for name, status in hotplug.status().items() if status.waiting and name in devices}
