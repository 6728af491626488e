"""Services: each in its thread, started again after a failure, shown in the status, flushed together."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from xsagent.daemon.services import Services
from xsagent.topology.values import Json


class Failing:
    """Fails in its first run, then waits to be told to stop."""

    name = "failing"

    def __init__(self) -> None:
        self.runs = 0
        self.flushed = 0
        self.second = threading.Event()
        self.ended = threading.Event()

    def run(self, stop: threading.Event) -> None:
        """Fail once."""
        self.runs += 1
        if self.runs == 1:
            raise ValueError("the first run failed")
        self.second.set()
        stop.wait()
        self.ended.set()

    def status(self) -> Mapping[str, Json]:
        """How often it ran."""
        return {"runs": self.runs}

    def flush(self) -> None:
        """Count."""
        self.flushed += 1


def test_a_service_that_failed_runs_again_and_tells_why_it_failed() -> None:
    """Its error does not reach the others, nor the daemon."""
    service = Failing()
    services = Services([service])
    services.start()
    assert service.second.wait(30)

    shown = services.status()["failing"]
    services.flush()
    services.stop()

    assert isinstance(shown, dict)
    assert (shown["error"], shown["failures"], shown["runs"]) == ("the first run failed", 1, 2)
    assert service.flushed == 1
    assert service.ended.wait(30)
