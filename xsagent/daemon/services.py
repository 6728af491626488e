"""Things that run beside hotplug, each in a thread of its own, started again when they fail. Effects: theirs.

A service is what follows a peer for as long as the daemon lives: XAPI's events, the switch's database, xenstored. It
waits where its peer lets it (a long poll, a descriptor), so an idle one costs nothing.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from xsagent.log import get_logger
from xsagent.topology.values import Json

_FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 60.0
_GOOD_RUN_S: Final = 300.0
"""A service that ran for so long did well: its next failure is a first one."""
_LOG = get_logger()


class Service(Protocol):
    """What the daemon runs beside hotplug."""

    @property
    def name(self) -> str:
        """One word, for status and log."""

    def run(self, stop: threading.Event) -> None:
        """Do the work until `stop` is set; an exception ends this run and a pause comes before the next.

        Connections are opened here and closed at the end: a run starts from nothing. It may be left in the middle
        of a wait when the daemon ends.
        """

    def status(self) -> Mapping[str, Json]:
        """How it stands, for `xsagent status --json`; called from another thread at any time."""

    def flush(self) -> None:
        """Read everything afresh soon (`ovs-appctl -t xsagentd flush-cache`); called from another thread."""


@dataclass(slots=True)
class _Running:
    service: Service
    thread: threading.Thread | None = None
    failures: int = 0
    error: str = ""
    since: float = field(default_factory=time.time)


class Services:
    """All services of one daemon."""

    def __init__(self, services: Sequence[Service]) -> None:
        self._stop = threading.Event()
        self._running = [_Running(service) for service in services]

    def start(self) -> None:
        """Start each in its thread; these end with the process at the latest."""
        for running in self._running:
            running.thread = threading.Thread(
                target=self._keep_running, args=(running,), name=running.service.name, daemon=True
            )
            running.thread.start()

    def stop(self) -> None:
        """Tell all to end; waits for nobody."""
        self._stop.set()

    def flush(self) -> None:
        """Have each read everything afresh."""
        for running in self._running:
            running.service.flush()

    def status(self) -> dict[str, Json]:
        """How each stands, by name."""
        return {
            running.service.name: {
                "error": running.error,
                "failures": running.failures,
                "since": running.since,
                **running.service.status(),
            }
            for running in self._running
        }

    def _keep_running(self, running: _Running) -> None:
        pause = _FIRST_PAUSE_S
        while not self._stop.is_set():
            began = time.monotonic()
            self._run_once(running)
            if time.monotonic() - began > _GOOD_RUN_S:
                pause = _FIRST_PAUSE_S
            if self._stop.wait(pause):
                return
            pause = min(2 * pause, _LONGEST_PAUSE_S)

    def _run_once(self, running: _Running) -> None:
        running.since = time.time()
        name = running.service.name
        try:
            running.service.run(self._stop)
        except Exception as error:  # noqa: BLE001 - an edge: one service's trouble is not the others'
            running.failures += 1
            running.error = str(error) or repr(error)
            _LOG.error("service_failed", service=name, error=repr(error), trace=traceback.format_exc())
        else:
            running.error = ""
