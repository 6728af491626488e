"""xsagentd's service that keeps the switch in step with XAPI's records: a thread's loop around `xapi_following.py`.

Its events and the switch's own changes wake it; between them it sleeps.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping

from xsagent.config import Paths, Settings
from xsagent.reconcile.xapi_following import Following
from xsagent.reconcile.xapi_report import XapiReport
from xsagent.topology.values import Json


class XapiFollower:
    """The service.

    Attributes:
        name: for status and log.
    """

    name = "xapi"

    def __init__(self, paths: Paths, settings: Settings, tell: Callable[[str], None]) -> None:
        """Nothing is opened before `run`.

        Args:
            paths, settings: of this host.
            tell: takes the reason why all guests' flows must be looked at (`HotplugThread.request_resync`).
        """
        self._paths = paths
        self._settings = settings
        self._tell = tell
        self._report = XapiReport()
        self._flushed = threading.Event()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def run(self, stop: threading.Event) -> None:
        """Follow XAPI and the switch until `stop` is set, which is noticed when something happens or after a while."""
        following = Following(self._paths, self._settings, self._tell, self._report, self._wake)
        try:
            while not stop.is_set():
                if self._flushed.is_set():
                    self._flushed.clear()
                    following.flush()
                following.step()
        finally:
            following.close()

    def status(self) -> Mapping[str, Json]:
        """How it stands with XAPI and with the switch's managers."""
        return self._report.as_json()

    def flush(self) -> None:
        """Read everything again (``flush-cache``)."""
        self._flushed.set()
        os.eventfd_write(self._wake, 1)
