"""Parts of a burst of events -> the outcomes of each, the parts overlapping. Effects through `attempt`.

The daemon's hotplug thread gives it what comes. Most of a part's time goes to two peers, the switch and xenstored:
while the switch takes over the ports of one part, the part before it is reported and the one after it is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from xsagent.hotplug.attempt import Attempt
from xsagent.hotplug.peers import Peers
from xsagent.hotplug.work import Outcome, Work


def attempt_parts(peers: Peers, parts: Iterable[list[Work]]) -> Iterator[list[Outcome]]:
    """Try part after part, as `attempt` does each; yields the outcomes of one as soon as it has come to its end.

    Args:
        peers: as `attempt`.
        parts: asked for the next one early; a device is in no part before its earlier one has been yielded.
    """
    return _Burst(peers, iter(parts)).run()


class _Burst:
    """The part whose turn it is, with the one before and the one after it."""

    def __init__(self, peers: Peers, parts: Iterator[list[Work]]) -> None:
        self._peers = peers
        self._parts = parts
        self._before: Attempt | None = None
        self._next: Attempt | None = None
        self._is_beside_done = False

    def run(self) -> Iterator[list[Outcome]]:
        now = self._begin()
        while now is not None:
            self._change(now)
            if self._before is not None:
                yield self._before.outcomes()
            if self._next is None or now.is_small:
                now.report()
            self._before, now = now, self._next or self._begin()
        if self._before is not None:
            self._before.unlock()
            yield self._before.outcomes()

    def _begin(self) -> Attempt | None:
        works = next(self._parts, None)
        if works is None:
            return None
        found = Attempt(self._peers, works)
        found.read()
        return found

    def _change(self, now: Attempt) -> None:
        self._next, self._is_beside_done = None, False
        now.change(self._beside)
        self._beside()

    def _beside(self) -> None:
        """What does not need the switch, and last what waits until it has time again."""
        if self._is_beside_done:
            return
        self._is_beside_done = True
        if self._before is not None:
            self._before.report()
        self._next = self._begin()
        if self._before is not None:
            self._before.unlock()
