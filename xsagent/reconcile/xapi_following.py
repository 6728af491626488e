"""XAPI's records and the switch's ids, followed and compared. Effects: one transaction where ids differ.

Level-triggered: XAPI's events and the switch's updates are hints, the ids are compared as a whole. Reads XAPI in bulk
once (`pool_reading.py`), then follows its events (`xapi_stream.py`); where XAPI is away it looks for it now and then.
The manager is `manager_apart.py`'s, on the word of XAPI alone.
"""

from __future__ import annotations

import os
import select
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from xsagent.apply.ovsdb import apply_ovsdb
from xsagent.config import Paths, Settings
from xsagent.errors import ConflictError, OvsdbUnavailableError, XsagentError
from xsagent.log import get_logger
from xsagent.observed.ovsdb_connection import OvsdbConnection
from xsagent.observed.ovsdb_control import read_managers
from xsagent.observed.ovsdb_ids import read_switch_ids
from xsagent.reconcile.agenda import Agenda, BackOff
from xsagent.reconcile.control import forget_kept_ca
from xsagent.reconcile.external_ids import build_ids_step, guest_vms, unknown_vms
from xsagent.reconcile.internal_bridges import differing_bridges, update_internal_bridges
from xsagent.reconcile.manager_apart import update_manager_apart
from xsagent.reconcile.pool_reading import PoolReading, read_pool_apart
from xsagent.reconcile.switch_hints import watch_ids
from xsagent.reconcile.xapi_report import FOLLOWED, XapiReport
from xsagent.reconcile.xapi_state import ControlWord, XapiState
from xsagent.reconcile.xapi_stream import XapiStream
from xsagent.sources.xapi import is_xapi_there
from xsagent.sources.xapi_events import EventBatch

_PAUSES: Final = {"connect": 0.0, "read": 10.0, "guests": 3.0, "ids": 1.0, "control": 5.0, "look": 0.0}
"""Shortest time between two runs of a task, seconds."""
_SOON_S: Final = 0.2
"""A burst's rows come together."""
_CONTROL_S: Final = 3.0
"""XAPI runs its plugin for the same reason, and whoever comes second finds nothing to do; the plugin is to answer."""
_RESYNC_S: Final = 300.0
"""Between two comparisons for which nobody asked."""
_REPORT_S: Final = 3.0
"""How long ovsdb-server takes to report the state of a new manager."""
_REREAD_S: Final = 3600.0
"""Between two bulk reads for which nobody asked: events do not get lost, so this finds nothing."""
_RECONNECT_S: Final = 1.0
_APPLY_S: Final = 20.0
_LONGEST_SLEEP_S: Final = 300.0

_LOG = get_logger()


class Following:
    """One run of the service: its connections, its records, and what is due."""

    def __init__(
        self, paths: Paths, settings: Settings, tell: Callable[[str], None], report: XapiReport, wake: int
    ) -> None:
        self._paths = paths
        self._settings = settings
        self._tell = tell
        self._report = report
        self._wake = wake
        self._agenda = Agenda(_PAUSES)
        self._mail: deque[EventBatch | XsagentError] = deque()
        self._database: OvsdbConnection | None = None
        self._stream: XapiStream | None = None
        self._state: XapiState | None = None
        self._word: ControlWord | None = None
        self._read_at = 0.0
        self._back_offs = {
            # one connect
            "look": BackOff(1.0, 30.0),
            # a process for a fraction of a second
            "read": BackOff(1.0, 120.0),
            "ids": BackOff(1.0, 60.0),
            # a process, and nothing helps until somebody mends what it complains of
            "control": BackOff(30.0, 3600.0),
        }
        self._agenda.ask("connect", time.monotonic())

    def close(self) -> None:
        """End the connections."""
        self._end_stream()
        if self._database is not None:
            self._database.close()

    def flush(self) -> None:
        """Read everything again, and now."""
        self._agenda.hurry("read" if self._database is not None else "connect", time.monotonic())

    def step(self) -> None:
        """Wait for something, then do what is due."""
        self._wait()
        while self._mail:
            self._take(self._mail.popleft())
        task = self._agenda.take(time.monotonic())
        if task is None:
            return
        try:
            self._do(task)
            self._report.errors = {name: text for name, text in self._report.errors.items() if name != task}
        except XsagentError as error:
            self._fail(task, error)
        self._agenda.end(task, time.monotonic())

    def _wait(self) -> None:
        due = self._agenda.next_due()
        left = _LONGEST_SLEEP_S if due is None else max(0.0, due - time.monotonic())
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        channel = self._database.channel if self._database is not None else None
        if channel is not None:
            poll.register(channel.fileno(), select.POLLIN)
        ready = {descriptor for descriptor, _ in poll.poll(min(left, _LONGEST_SLEEP_S) * 1000)}
        if self._wake in ready:
            os.eventfd_read(self._wake)
        if channel is not None:
            self._take_hints(channel.fileno() in ready)

    def _do(self, task: str) -> None:
        match task:
            case "connect":
                self._connect()
            case "read":
                self._read()
            case "guests":
                self._read_guests()
            case "ids":
                self._compare()
            case "control":
                self._update_manager()
            case _:
                self._look()

    def _fail(self, task: str, error: XsagentError) -> None:
        """Say it, and try again later; a conflict at once."""
        now = time.monotonic()
        if isinstance(error, ConflictError):
            self._agenda.ask(task, now, _SOON_S)
            return
        if self._report.errors.get(task) != str(error):
            _LOG.warning("xapi_task_failed", task=task, reason=str(error))
        self._report.errors = {**self._report.errors, task: str(error)}
        if isinstance(error, OvsdbUnavailableError):
            self._lose_database(_RECONNECT_S)
            self._agenda.ask(task, now, _RECONNECT_S)
        elif task in {"read", "guests"}:
            self._lose_xapi(error)
        else:
            self._agenda.ask(task, now, self._back_offs.get(task, self._back_offs["ids"]).next_s())

    # -- the switch's database -------------------------------------------------------------------------------

    def _connect(self) -> None:
        """Open the connection and have changes of ids said; then everything is compared."""
        self._database = OvsdbConnection.open(self._paths.ovsdb_socket, 0)
        watch_ids(self._database)
        now = time.monotonic()
        self._agenda.ask("ids", now)
        if self._state is None:
            self._agenda.ask("read", now)

    def _lose_database(self, after_s: float) -> None:
        if self._database is not None:
            self._database.close()
        self._database = None
        self._agenda.ask("connect", time.monotonic(), after_s)

    def _take_hints(self, readable: bool) -> None:
        """Note that something changed; whatever it was, all ids are compared."""
        if self._database is None:
            return
        channel = self._database.channel
        try:
            if readable:
                channel.receive(time.monotonic())
        except OSError as error:
            _LOG.info("lose_ovsdb", reason=str(error))
            self._lose_database(_SOON_S)
            return
        if channel.notifications:
            channel.notifications.clear()
            self._agenda.ask("ids", time.monotonic(), _SOON_S)

    def _open_database(self) -> OvsdbConnection:
        if self._database is None:
            raise OvsdbUnavailableError("ovsdb-server is away; nothing was changed")
        return self._database

    # -- XAPI ------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        """XAPI is away: see whether it came back, which costs one connect."""
        if is_xapi_there(self._paths.xapi_sockets):
            self._agenda.ask("read", time.monotonic())
        else:
            self._agenda.ask("look", time.monotonic(), self._back_offs["look"].next_s())

    def _read(self) -> None:
        """Read everything anew, and follow what comes after it."""
        if not is_xapi_there(self._paths.xapi_sockets):
            self._lose_xapi(None)
            return
        present = guest_vms(read_switch_ids(self._open_database()))
        reading = read_pool_apart(self._paths, self._settings, present)
        self._end_stream()
        self._mail.clear()
        state = XapiState.begin(reading, present)
        self._state, self._read_at = state, time.monotonic()
        self._stream = XapiStream(self._paths, reading.token, state.kinds(), self._deliver)
        self._stream.start()
        self._note_state(state)
        self._note_reading(reading)
        self._judge_manager(state)
        self._agenda.drop("guests")
        self._agenda.ask("ids", time.monotonic())

    def _note_reading(self, reading: PoolReading) -> None:
        report, control = self._report, reading.control
        report.xapi, report.read_at = FOLLOWED, time.time()
        report.decided, report.refused = control is not None, reading.refused
        report.wanted = control.manager.target if control is not None and control.manager is not None else ""
        _LOG.info("read_xapi", networks=len(reading.networks), vms=len(reading.guests.vms))

    def _note_state(self, state: XapiState) -> None:
        self._report.networks, self._report.vms = len(state.networks), len(state.vms)

    def _read_guests(self) -> None:
        """Read about VMs that were plugged since."""
        state, present = self._state, guest_vms(read_switch_ids(self._open_database()))
        if state is None:
            return
        state.keep_guests(present)
        missing = unknown_vms(present, state.records) - state.asked
        if missing:
            state.add_guests(read_pool_apart(self._paths, self._settings, missing, whole=False).guests, missing)
        if self._stream is not None:
            self._stream.follow(state.kinds())
        self._note_state(state)
        self._agenda.ask("ids", time.monotonic())

    def _deliver(self, word: EventBatch | XsagentError) -> None:
        self._mail.append(word)
        os.eventfd_write(self._wake, 1)

    def _take(self, word: EventBatch | XsagentError) -> None:
        """What the stream says."""
        if isinstance(word, XsagentError):
            _LOG.info("lose_events", reason=str(word))
            self._lose_xapi(word)
            return
        now = time.monotonic()
        self._report.batches += 1
        if self._state is None:
            return
        changes = self._state.absorb(word)
        self._note_state(self._state)
        if changes.lost:
            self._agenda.ask("read", now, self._back_offs["read"].next_s())
        else:
            # a good reading alone shows nothing: what follows it may fail each time, and it is costly
            self._back_offs["look"].reset()
            self._back_offs["read"].reset()
        if changes.control:
            self._judge_manager(self._state)
        if changes.ids:
            self._agenda.ask("ids", now)

    def _lose_xapi(self, error: XsagentError | None) -> None:
        """The records that were read stay: they are the best there is."""
        self._end_stream()
        self._report.xapi = "away" if error is None else str(error)
        self._agenda.drop("read")
        back_off = self._back_offs["look" if error is None else "read"]
        self._agenda.ask("look", time.monotonic(), back_off.next_s())

    def _end_stream(self) -> None:
        if self._stream is not None:
            self._stream.stop()
            self._stream = None

    # -- what is done ----------------------------------------------------------------------------------------

    def _compare(self) -> None:
        """Make all ids right; nothing is written when they are."""
        connection, state, now = self._open_database(), self._state, time.monotonic()
        self._report.managers = read_managers(connection)
        if self._report.decided and self._report.wanted:
            forget_kept_ca(self._paths, self._report.wanted, self._report.managers)
        is_new = any("state" not in manager.status for manager in self._report.managers)
        self._agenda.ask("ids", now, _REPORT_S if is_new else _RESYNC_S)
        if state is None:
            return
        switch = read_switch_ids(connection)
        step = build_ids_step(switch, state.records)
        if step is not None:
            apply_ovsdb(connection, step, now + _APPLY_S)
            self._report.transactions += 1
            _LOG.info("set_ids", rows=len(step.operations))
        if unknown_vms(guest_vms(switch), state.records) - state.asked:
            self._agenda.ask("guests", now)
        wanted = differing_bridges(switch, state.networks, state.pool)
        if wanted:
            update_internal_bridges(self._paths, self._settings, wanted)
            self._tell(f"fail mode or in-band control of {', '.join(sorted(wanted))} changed")
        if now - self._read_at > _REREAD_S:
            self._agenda.ask("read", now)
        self._back_offs["ids"].reset()

    def _judge_manager(self, state: XapiState) -> None:
        """Reconcile the manager when XAPI's word changed, and at first when it names one that the switch lacks.

        At first an admin's manager is left alone where XAPI names none: that is no word of XAPI's to take it away
        (DECISIONS.md).
        """
        before, self._word = self._word, state.word
        if before is None:
            self._report.managers = read_managers(self._open_database())
        if before != state.word if before is not None else self._report.lacks_manager:
            self._report.decided = before is None
            self._agenda.ask("control", time.monotonic(), _CONTROL_S)

    def _update_manager(self) -> None:
        # whoever is wanted now is to be shown, also when that cannot be done
        self._agenda.ask("read", time.monotonic())
        result = update_manager_apart(self._paths, self._settings)
        self._back_offs["control"].reset()
        self._report.update = result.strip()
        _LOG.info("update_manager", result=result.strip())
        self._tell("the manager was reconciled")
        self._agenda.ask("ids", time.monotonic())
