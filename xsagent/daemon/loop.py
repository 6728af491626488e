"""The daemon's main thread: starts everything, listens to udev and to clients, tells systemd, ends in order. Effects.

One asyncio loop that sleeps until something comes. Guests' ports belong to the hotplug thread (`hotplug`), what takes
long to workers (`workers`), what follows a peer to services (`services`).
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import signal
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from xsagent import __version__
from xsagent.apply.run_dir import bind_daemon_socket, hold_daemon_lock
from xsagent.config import Paths, Settings
from xsagent.daemon.hotplug import HotplugThread
from xsagent.daemon.life import show_life
from xsagent.daemon.notify import notify, take_listening_socket
from xsagent.daemon.nursery import Nursery
from xsagent.daemon.peer_watch import PeerWatch, follow_database, follow_switch, follow_xenstore
from xsagent.daemon.pif_drift import PifDrift
from xsagent.daemon.readiness import Readiness
from xsagent.daemon.recovery import Recovery
from xsagent.daemon.requests import Requests
from xsagent.daemon.server import Server
from xsagent.daemon.services import Service, Services
from xsagent.daemon.trim import share_one_arena
from xsagent.daemon.tunnel_firewall import TunnelFirewall
from xsagent.daemon.udev import EventsLostError, UdevMonitor
from xsagent.daemon.unixctl import ControlSocket
from xsagent.daemon.workers import Command, Memory
from xsagent.hotplug.event import parse_uevent
from xsagent.log import get_logger
from xsagent.reconcile.queue import State
from xsagent.reconcile.xapi_follower import XapiFollower
from xsagent.topology.values import Json

_END_S: Final = 10.0
"""For what is under way to end, once the daemon is told to."""
_EVENTS_AT_ONCE: Final = 1000
_NO_WORKERS: Final = "none is started any more: the process that forks them ended; restart xsagentd"
_LOG = get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonSetup:
    """What a daemon is started with.

    Attributes:
        environ: of the process: NOTIFY_SOCKET, LISTEN_FDS and so on.
        commands: what workers run, by name.
        rehearse: what a worker does while it waits.
        memory: what workers leave to those after them.
    """

    paths: Paths
    settings: Settings
    environ: Mapping[str, str]
    commands: Mapping[str, Command]
    rehearse: Callable[[], None] | None = None
    memory: Memory | None = None


def run_daemon(setup: DaemonSetup, more_services: Sequence[Service] = ()) -> int:
    """Run until told to end; returns the exit status.

    Precondition: one thread; everything that the commands need is imported.

    Raises:
        LockHeldError: a daemon runs already.
        OSError: the socket cannot be made.
    """
    share_one_arena()
    lock = hold_daemon_lock(setup.paths)
    listener = take_listening_socket(setup.environ, os.getpid()) or bind_daemon_socket(setup.paths.daemon_socket)
    nursery = Nursery(
        setup.commands,
        not_theirs=(lock, listener.fileno()),
        rehearse=setup.rehearse,
        memory=setup.memory,
    )
    try:
        return asyncio.run(_Daemon(setup, listener, nursery, more_services).run())
    finally:
        nursery.stop()
        os.close(lock)


class _Daemon:
    """The parts of a running daemon."""

    def __init__(
        self, setup: DaemonSetup, listener: socket.socket, nursery: Nursery, more_services: Sequence[Service]
    ) -> None:
        paths = setup.paths
        self._setup = setup
        self._began = time.time()
        self._end = asyncio.Event()
        self._readiness = Readiness(paths, setup.settings.resync_s)
        self._monitor: UdevMonitor | None = None
        self._hotplug = HotplugThread(paths, setup.settings)
        self._drift = PifDrift(paths, setup.environ, nursery)
        self._control = ControlSocket(paths, flush=self.flush, end=self._end_from_thread)
        watches = [
            PeerWatch(name=name, paths=paths, follow=follow, tell=self._look_again)
            for name, follow in (
                ("ovsdb-server", partial(follow_database, hear_numbers=self._hotplug.hear_numbers)),
                ("ovs-vswitchd", follow_switch),
                ("xenstored", follow_xenstore),
            )
        ]
        services: list[Service] = [
            *watches,
            self._control,
            Recovery(paths, setup.environ, nursery),
            XapiFollower(paths, setup.settings, self._look_again),
            self._drift,
            TunnelFirewall(paths, setup.environ, nursery),
        ]
        self._services = Services([*services, *more_services])
        requests = Requests(paths, setup.environ, self._hotplug, self.status)
        self._server = Server(listener, requests, nursery)
        self._nursery = nursery

    async def run(self) -> int:
        """Everything, from start to end."""
        self._loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._end.set)
        self._loop.add_signal_handler(signal.SIGHUP, self.flush)
        self._listen_to_udev()
        self._hotplug.start()
        self._services.start()
        async with await self._server.start():
            proof = asyncio.create_task(self._readiness.run())
            alive = asyncio.create_task(show_life(self._setup.environ, self._hotplug))
            self._tell_systemd("READY=1", f"STATUS=serving {self._setup.paths.daemon_socket}")
            _LOG.info("start", version=__version__, pid=os.getpid())
            await self._end.wait()
            await self._close(proof, alive)
        return 0

    async def _close(self, *tasks: asyncio.Task[None]) -> None:
        """End in order: from the first line on udev's rules start the hook for what is to come."""
        for task in tasks:
            task.cancel()
        self._readiness.withdraw("the daemon ends")
        self._tell_systemd("STOPPING=1")
        self._take_uevents()
        await self._server.drain(_END_S)
        await asyncio.to_thread(self._hotplug.stop, _END_S)
        self._services.stop()
        self._control.remove()
        _LOG.info("end")

    def _look_again(self, reason: str, *, urgent: bool = True) -> None:
        """Something changed beneath guests and PIFs; callable from any thread."""
        self._hotplug.request_resync(reason, urgent=urgent)
        self._drift.hear()

    def _end_from_thread(self) -> None:
        self._loop.call_soon_threadsafe(self._end.set)

    def flush(self) -> None:
        """Have everything read afresh; callable from any thread."""
        self._services.flush()
        self._hotplug.request_resync("flush-cache")
        self._loop.call_soon_threadsafe(self._readiness.doubt)

    # -- udev ------------------------------------------------------------------------------------------------

    def _listen_to_udev(self) -> None:
        """Without a monitor the daemon still serves its socket: it is never ready, so udev's rules start the hook."""
        try:
            self._monitor = UdevMonitor()
        except OSError as error:
            _LOG.error("no_udev_monitor", reason=error.strerror or str(error))
            return
        self._loop.add_reader(self._monitor.fileno(), self._take_uevents)

    def _take_uevents(self) -> None:
        if self._monitor is None:
            return
        with contextlib.suppress(BlockingIOError):
            try:
                for properties in self._monitor.take_events(_EVENTS_AT_ONCE):
                    self._take_uevent(properties)
            except EventsLostError:
                _LOG.warning("lose_uevents")
                self._hotplug.request_resync("the kernel dropped uevents")
                self._readiness.doubt()

    def _take_uevent(self, properties: Mapping[str, str]) -> None:
        if properties.get("SYNTH_UUID"):
            self._readiness.hear(properties["SYNTH_UUID"])
        event = parse_uevent(properties)
        if event is not None:
            self._hotplug.submit(event)

    # -- systemd ---------------------------------------------------------------------------------------------

    def _tell_systemd(self, *lines: str) -> None:
        notify(self._setup.environ, *lines)

    # -- status ----------------------------------------------------------------------------------------------

    def status(self) -> dict[str, Json]:
        """Everything that `xsagent status --json` shows of a daemon."""
        devices = self._hotplug.status()
        counts: dict[str, Json] = {str(state): sum(one.state is state for one in devices.values()) for state in State}
        last, put_off = self._hotplug.last_resync, self._hotplug.put_off
        return {
            "version": __version__,
            "pid": os.getpid(),
            "since": self._began,
            "ready": self._readiness.ready,
            "not_ready_because": self._readiness.reason,
            "counts": counts,
            "devices": {name: dataclasses.asdict(one) for name, one in devices.items()},
            "resync": None if last is None else {"at": last.at, "reason": last.reason},
            "resync_put_off": None if put_off is None else {"since": put_off.at, "reason": put_off.reason},
            "batches": self._hotplug.batches,
            "requests": {"served": self._server.served, "refused": self._server.refused},
            "workers": "" if self._nursery.is_alive() else _NO_WORKERS,
            "services": self._services.status(),
        }
