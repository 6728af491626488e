"""A request -> who does it: the hotplug thread, a worker, or the daemon itself. Between `server` and those.

What is not ours to do is declined with a reason, and the client does it in its own process.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Final

from xsagent.config import Paths, read_usable_settings
from xsagent.daemon.hotplug import HotplugThread
from xsagent.daemon.protocol import Answer, Request
from xsagent.daemon.resync_request import MARGIN_S, answer_resync
from xsagent.errors import XsagentError
from xsagent.hotplug.event import Event, parse_call, parse_rules_call
from xsagent.hotplug.handle import patience_s
from xsagent.hotplug.work import Outcome, Result
from xsagent.topology.values import Json

HOTPLUG_COMMANDS: Final = frozenset({"vif", "setup-vif-rules"})
OWN_COMMANDS: Final = frozenset({"status", "resync"})
_OUR_OPTIONS: Final = ("--root-prefix=", "--no-syslog")
_PLACES: Final = ("OVS_RUNDIR", "XENSTORED_PATH")


class DeclinedError(Exception):
    """The client must do it itself; nothing was done. The text says why."""


class Requests:
    """What the daemon does of what it is asked."""

    def __init__(
        self,
        paths: Paths,
        environ: Mapping[str, str],
        hotplug: HotplugThread,
        status: Callable[[], Mapping[str, Json]],
    ) -> None:
        self._paths = paths
        self._environ = environ
        self._hotplug = hotplug
        self._status = status

    async def answer(self, request: Request) -> Answer:
        """Do one of HOTPLUG_COMMANDS or OWN_COMMANDS; events, a resync's too, are waited for until they have ended.

        Raises:
            DeclinedError: nothing was done.
        """
        if request.command in HOTPLUG_COMMANDS:
            return await self._hotplug_event(request)
        if request.command == "status":
            return Answer(status=0, stdout=json.dumps(self._status(), sort_keys=True) + "\n")
        settings = read_usable_settings(self._paths, request.environment)[0]
        return await answer_resync(self._hotplug, settings.hotplug_s + MARGIN_S)

    async def _hotplug_event(self, request: Request) -> Answer:
        try:
            event, patience = self._read(request)
        except XsagentError as error:
            # its own process says it best, with the usage
            raise DeclinedError(str(error)) from error
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        outcomes: list[Outcome] = []

        def end(outcome: Outcome) -> None:
            outcomes.append(outcome)
            loop.call_soon_threadsafe(ended.set)

        self._hotplug.submit(event, patience_s=patience, done=end)
        await ended.wait()
        if outcomes[0].result is not Result.FAILED:
            return Answer(status=0)
        return Answer(status=1, stderr=f"{request.command}: {' '.join(outcomes[0].text.split())}\n")

    def _read(self, request: Request) -> tuple[Event, float]:
        """The event, and how long its caller's settings let it wait."""
        for name in _PLACES:
            # one who names none, as udev's children, means the daemon's
            if request.environment.get(name) not in {None, self._environ.get(name)}:
                raise DeclinedError(f"{name} names another host than the daemon's")
        settings = read_usable_settings(self._paths, request.environment)[0]
        words = [word for word in request.arguments if not word.startswith(_OUR_OPTIONS)]
        event = parse_call(words, request.environment) if request.command == "vif" else parse_rules_call(words)
        return event, float(patience_s(event, settings))
