"""A service: a journal that a killed run left is finished by a worker, where no guardian did (DESIGN.md section 3, 5).

The lock tells a run that is under way from one that is dead. What is stuck is tried again, ever more rarely.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Final

from xsagent.apply.journal import NAME
from xsagent.config import Paths
from xsagent.daemon.nursery import Nursery, kept_environment
from xsagent.daemon.protocol import Request
from xsagent.topology.values import Json

COMMAND: Final = "recover"
_LOOK_S: Final = 10.0
_LONGEST_S: Final = 600.0


class Recovery:
    """The service.

    Attributes:
        name: of the service.
    """

    name = "recovery"

    def __init__(self, paths: Paths, environ: Mapping[str, str], nursery: Nursery) -> None:
        self._paths = paths
        self._request = Request(command=COMMAND, arguments=(str(paths.root),), environment=kept_environment(environ))
        self._nursery = nursery
        self._attempts = 0
        self._left = False

    def run(self, stop: threading.Event) -> None:
        """Look for a journal until `stop` is set."""
        pause = _LOOK_S
        while True:
            self._left = self._has_journal() and not self._recover()
            pause = min(2 * pause, _LONGEST_S) if self._left else _LOOK_S
            if stop.wait(pause):
                return

    def status(self) -> Mapping[str, Json]:
        """Whether something is left to take back, and how often that was tried."""
        return {"left": self._left, "attempts": self._attempts}

    def flush(self) -> None:
        """Nothing is kept here."""

    def _has_journal(self) -> bool:
        try:
            return (self._paths.state_dir / NAME).stat().st_size > 0
        except OSError:
            return False

    def _recover(self) -> bool:
        """Whether a worker ended with nothing left; waits for it."""
        self._attempts += 1
        answer = self._nursery.run(self._request)
        return answer is not None and answer.status == 0
