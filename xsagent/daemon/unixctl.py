"""``ovs-appctl -t xsagentd flush-cache`` and ``exit``, as the peers' ovs-xapi-sync has them (features.md 12). I/O.

The only module that imports the `ovs` package, whose server for this protocol it is. A service: it waits for its
clients in a thread of its own.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import ovs.fatal_signal
import ovs.poller
import ovs.unixctl
import ovs.unixctl.server

from xsagent.apply.run_dir import hold_pid_file, remove_run_file
from xsagent.config import Paths
from xsagent.errors import CommandError
from xsagent.topology.values import Json

PROGRAM: Final = "xsagentd"


class ControlSocket:
    """The service.

    Attributes:
        name: of the service.
    """

    name = "unixctl"

    def __init__(self, paths: Paths, *, flush: Callable[[], None], end: Callable[[], None]) -> None:
        """Commands are known to the process from here on; clients are served by `run`. For the main thread.

        Args:
            paths: of this host.
            flush: has everything read afresh.
            end: ends the daemon in order.
        """
        self._pid_file = paths.ovs_rundir / f"{PROGRAM}.pid"
        self._socket = paths.ovs_rundir / f"{PROGRAM}.{os.getpid()}.ctl"
        self._listening = False
        # the library takes over signals at its first file, which only the main thread may do; the loop takes them back
        ovs.fatal_signal.add_file_to_unlink(str(self._socket))
        ovs.unixctl.command_register("flush-cache", "", 0, 0, _reply, flush)
        ovs.unixctl.command_register("exit", "", 0, 0, _reply, end)

    def run(self, stop: threading.Event) -> None:
        """Serve until `stop` is set, which is noticed when a client comes.

        Raises:
            CommandError: the socket cannot be made, for example because Open vSwitch has no run directory yet.
            OSError: the pid file cannot be made.
        """
        error, server = ovs.unixctl.server.UnixctlServer.create(str(self._socket))
        if error:
            raise CommandError(f"{self._socket} cannot be made: {os.strerror(error)}")
        try:
            pid_file = hold_pid_file(self._pid_file)
            self._listening = True
            try:
                while not stop.is_set():
                    server.run()
                    poller = ovs.poller.Poller()
                    server.wait(poller)
                    poller.block()
            finally:
                self._listening = False
                os.close(pid_file)
        finally:
            server.close()
            self.remove()

    def remove(self) -> None:
        """Leave nothing behind; idempotent."""
        remove_run_file(self._pid_file)
        remove_run_file(self._socket)

    def status(self) -> Mapping[str, Json]:
        """Whether clients are served."""
        return {"connected": self._listening}

    def flush(self) -> None:
        """Nothing is kept here."""


def _reply(connection: object, _arguments: Sequence[str], act: Callable[[], None]) -> None:
    act()
    reply = getattr(connection, "reply")  # noqa: B009 - the library publishes no type
    reply("")
