"""A service: PIFs that are not as XAPI wants them are reported, never repaired (DESIGN.md rule 7). Effects: none.

A worker compares every few minutes, and after something changed; what it finds twice is said. Its memory is its own.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from xsagent.apply.lock import is_held
from xsagent.config import Paths
from xsagent.daemon.nursery import Nursery, kept_environment
from xsagent.daemon.protocol import Request
from xsagent.errors import CommandError
from xsagent.log import get_logger
from xsagent.topology.values import Json

COMMAND: Final = "drift"
PERIOD_S: Final = 300.0
SHARE: Final = 0.0005
"""Of a core, at most, for comparisons that nobody asked for: where they are costly they are rarer."""
AFTER_CHANGE_S: Final = 10.0
"""A reconfigure changes many things one after the other."""
LEAST_S: Final = 60.0
"""Between two comparisons that changes ask for."""
AGAIN_S: Final = 15.0
"""What is found must still be so after that to be said: XAPI's records and the host change at different moments."""
_BUSY_S: Final = 5.0
_LOG = get_logger()


@dataclass(slots=True)
class DriftClock:
    """When to compare, and what to say. Pure: times are seconds of one monotonic clock.

    Attributes:
        said: sentences that were found twice.
        due: of the next comparison.
    """

    due: float = 0.0
    said: tuple[str, ...] = ()
    _found: tuple[str, ...] = ()
    _last: float | None = None

    def hear(self, now: float) -> None:
        """Something changed."""
        soonest = now + AFTER_CHANGE_S
        if self._last is not None:
            soonest = max(soonest, self._last + LEAST_S)
        self.due = min(self.due, soonest)

    def find(self, sentences: tuple[str, ...], now: float, cost_s: float) -> None:
        """A comparison ended with this."""
        confirmed = tuple(sentence for sentence in sentences if sentence in self._found or sentence in self.said)
        self.said, self._found, self._last = confirmed, sentences, now
        news = len(confirmed) < len(sentences)
        self.due = now + (AGAIN_S if news else max(PERIOD_S, cost_s / SHARE))

    def fail(self, now: float) -> None:
        """It could not be made; what was said stays."""
        self.due = now + PERIOD_S


@dataclass(slots=True)
class _Report:
    at: float | None = None
    owner: str = ""
    unread: Mapping[str, Json] = field(default_factory=dict)
    cpu_s: float = 0.0


class PifDrift:
    """The service.

    Attributes:
        name: of the service.
    """

    name = "pif-drift"

    def __init__(self, paths: Paths, environ: Mapping[str, str], nursery: Nursery) -> None:
        self._paths = paths
        self._request = Request(command=COMMAND, arguments=(str(paths.root),), environment=kept_environment(environ))
        self._nursery = nursery
        self._clock = DriftClock(due=time.monotonic() + AFTER_CHANGE_S)
        self._report = _Report()
        self._lock = threading.Lock()
        self._woken = threading.Event()

    def run(self, stop: threading.Event) -> None:
        """Compare when it is due, until `stop` is set."""
        while not stop.is_set():
            self._woken.wait(max(0.0, self._clock.due - time.monotonic()))
            self._woken.clear()
            if self._clock.due > time.monotonic() or stop.is_set():
                continue
            if is_held(self._paths.lock):
                # somebody is at it: what is half done is no drift
                stop.wait(_BUSY_S)
                continue
            self._compare()

    def hear(self) -> None:
        """Something changed; callable from any thread."""
        with self._lock:
            self._clock.hear(time.monotonic())
        self._woken.set()

    def status(self) -> Mapping[str, Json]:
        """The sentences, when they were found, and what they cost."""
        said: list[Json] = list(self._clock.said)
        report = self._report
        return {
            "drift": said,
            "at": report.at,
            "owner": report.owner,
            "unread": dict(report.unread),
            "cpu_s": round(report.cpu_s, 3),
        }

    def flush(self) -> None:
        """Compare now."""
        with self._lock:
            self._clock.due = 0.0
        self._woken.set()

    def _compare(self) -> None:
        answer = self._nursery.run(self._request)
        if answer is None or answer.status != 0:
            with self._lock:
                self._clock.fail(time.monotonic())
            raise CommandError(f"PIFs could not be compared: {answer.stderr.strip() if answer else 'no worker'}")
        form = json.loads(answer.stdout)
        sentences, before = tuple(form["drift"]), self._clock.said
        with self._lock:
            self._clock.find(sentences, time.monotonic(), form["cpu_s"])
        self._report = _Report(at=time.time(), owner=form["owner"], unread=form["unread"], cpu_s=form["cpu_s"])
        for sentence in self._clock.said:
            if sentence not in before:
                _LOG.warning("find_drift", text=sentence)
