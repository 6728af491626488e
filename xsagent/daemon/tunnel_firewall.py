"""A service: the host's firewall is looked at when tunnels come and go, and now and then. Effects: a worker's.

What a firewall's reload took away comes back with the next look; what must be let in is decided by
`xsagent/firewall.py` from everything as it is then.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import threading
import time
from collections.abc import Mapping
from typing import Final

from xsagent.config import Paths
from xsagent.daemon.nursery import Nursery, kept_environment
from xsagent.daemon.protocol import Request
from xsagent.desired.firewall import TUNNEL_TYPES
from xsagent.errors import OvsdbUnavailableError
from xsagent.log import get_logger
from xsagent.observed.jsonrpc import JsonRpcChannel, RemoteError
from xsagent.observed.ovsdb_connection import DATABASE, OvsdbConnection
from xsagent.topology.values import Json

COMMAND: Final = "firewall"
PERIOD_S: Final = 300.0
SHARE: Final = 0.0005
"""Of a core, at most, for looks that nobody asked for: firewalld's program is slow."""
_SOON_S: Final = 1.0
"""A controller adds many ports one after the other."""
_LOOK_S: Final = 1.0
"""Between two looks for a database that is away."""
_CALL_S: Final = 10.0
_MONITORED: Final[dict[str, Json]] = {
    "Interface": [
        {
            "columns": ["type", "options"],
            "where": [["type", "==", kind] for kind in sorted(TUNNEL_TYPES)],
            "select": {"initial": False},
        }
    ],
}
"""Tunnels alone: a VLAN's bridge has an interface of type internal, and comes and goes without a look here."""
_LOG = get_logger()


class TunnelFirewall:
    """The service.

    Attributes:
        name: of the service.
    """

    name = "firewall"

    def __init__(self, paths: Paths, environ: Mapping[str, str], nursery: Nursery) -> None:
        self._paths = paths
        self._request = Request(command=COMMAND, arguments=(str(paths.root),), environment=kept_environment(environ))
        self._nursery = nursery
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._at: float | None = None
        self._cost_s = 0.0
        self._error = ""

    def run(self, stop: threading.Event) -> None:
        """Follow the switch's tunnel ports until `stop` is set; a database that is away is looked for."""
        while not stop.is_set():
            with (
                contextlib.suppress(OvsdbUnavailableError, OSError, RemoteError),
                OvsdbConnection.open(self._paths.ovsdb_socket, 0) as connection,
            ):
                deadline = time.monotonic() + _CALL_S
                connection.channel.call("monitor_cond", [DATABASE, None, dict(_MONITORED)], deadline)
                self._follow(connection.channel, stop)
            stop.wait(_LOOK_S)

    def status(self) -> Mapping[str, Json]:
        """When it was looked at last, what that cost, and what went wrong then."""
        return {"at": self._at, "cpu_s": round(self._cost_s, 3), "reason": self._error}

    def flush(self) -> None:
        """Look now."""
        os.eventfd_write(self._wake, 1)

    def _follow(self, channel: JsonRpcChannel, stop: threading.Event) -> None:
        due = time.monotonic()
        while not stop.is_set():
            now = time.monotonic()
            if now >= due:
                self._look()
                due = now + max(PERIOD_S, self._cost_s / SHARE)
            if self._hears(channel, due - time.monotonic()):
                due = min(due, time.monotonic() + _SOON_S)

    def _hears(self, channel: JsonRpcChannel, wait_s: float) -> bool:
        """Wait; whether there is a reason to look before time.

        Raises:
            OSError: the database went away.
        """
        poll = select.poll()
        for descriptor in (self._wake, channel.fileno()):
            poll.register(descriptor, select.POLLIN)
        ready = {descriptor for descriptor, _ in poll.poll(max(0.0, wait_s) * 1000)}
        if self._wake in ready:
            os.eventfd_read(self._wake)
        if channel.fileno() in ready:
            channel.receive(time.monotonic() + _CALL_S)
        heard = bool(channel.notifications) or self._wake in ready
        channel.notifications.clear()
        return heard

    def _look(self) -> None:
        answer = self._nursery.run(self._request)
        self._at = time.time()
        if answer is None or answer.status != 0:
            error = " ".join(answer.stderr.split()) if answer else "no worker"
            if error != self._error:
                _LOG.warning("firewall_failed", reason=error)
            self._error = error
            return
        self._error, self._cost_s = "", float(json.loads(answer.stdout)["cpu_s"])
