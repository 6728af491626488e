"""One JSON line a command on a second unix socket -> changes of the XAPI stand-in and what it saw.

The tests' side channel: it never goes through XAPI's socket, so that setting up a fault or reading the call log neither
shows up in the log nor meets the fault.
"""

from __future__ import annotations

import dataclasses
import json
import socket
from collections.abc import Callable
from typing import Any

from xsagent.sandbox.xapi_calls import Calls
from xsagent.sandbox.xapi_faults import Fault, Faults
from xsagent.sandbox.xapi_server import XapiServer


class Control:
    """Runs control commands; each is a JSON object whose `do` names one of the methods below."""

    def __init__(self, calls: Calls, faults: Faults) -> None:
        self._calls = calls
        self._faults = faults
        self.server = XapiServer(calls, faults, self.run)

    def handle(self, connection: socket.socket) -> None:
        """Answer each line of one control connection with a line: ``{"ok": ...}`` or ``{"error": text}``."""
        with connection, connection.makefile("rw") as lines:
            for line in lines:
                try:
                    answer = {"ok": self.run(json.loads(line))}
                except (KeyError, TypeError, ValueError) as error:
                    answer = {"error": repr(error)}
                lines.write(json.dumps(answer) + "\n")
                lines.flush()

    def run(self, command: dict[str, Any]) -> object:
        """Do one command; KeyError, TypeError or ValueError when it is malformed."""
        arguments = {key: value for key, value in command.items() if key != "do"}
        commands: dict[str, Callable[..., object]] = {
            "log": self._log,
            "clear_log": self.server.log.clear,
            "fault": lambda **rule: self._faults.add(Fault(**rule)),
            "clear_faults": self._faults.clear,
            "put": self._calls.database.put,
            "delete": self._calls.database.delete,
            "drop_field": self._calls.database.drop_field,
            "drop_class": lambda name: self._calls.database.tables.pop(name, None) and None,
            "record": lambda name, ref: self._calls.database.tables[name].records.get(ref),
            "sessions": lambda: {**self._calls.sessions.full, **self._calls.sessions.local},
            "open_session": lambda originator="": self._calls.sessions.open(originator),
            "expire": lambda ref=None: self._calls.sessions.expire(ref),
            "render_all": self._calls.database.render_all,
            "connections": lambda: self.server.connections,
        }
        return commands[command["do"]](**arguments)

    def _log(self) -> list[dict[str, object]]:
        return [dataclasses.asdict(call) for call in self.server.log]
