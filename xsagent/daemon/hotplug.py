"""The hotplug thread: takes what is due from the queue, has it done in batches, settles it. Effects through `attempt`.

The only thread that touches guests' ports. Others put events in (`submit`) and ask for a resync; who waits for an
event is called back from this thread.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Final

from xsagent.apply.safety_flows import put_back_safety_flows
from xsagent.config import Paths, Settings
from xsagent.daemon.trim import give_back_memory
from xsagent.errors import XsagentError
from xsagent.hotplug.attempt import SWITCH_ANSWER_S
from xsagent.hotplug.burst import attempt_parts
from xsagent.hotplug.event import Event, Want, build_repair_event
from xsagent.hotplug.handle import check_hotplug_backend, ignore_udevs, is_still_there, report_failure
from xsagent.hotplug.leaving import Leaving
from xsagent.hotplug.look import look_at, look_at_all
from xsagent.hotplug.peers import Peers
from xsagent.hotplug.report import end_removals
from xsagent.hotplug.work import Outcome, Result, Work, failed_outcome
from xsagent.log import get_logger
from xsagent.observed.fail_open import OpenableBridge, describe_changes, read_openable
from xsagent.observed.ovsdb import read_ovsdb
from xsagent.observed.switch_alive import wait_for_switch
from xsagent.reconcile.queue import KeyedQueue, Pending, Status
from xsagent.reconcile.resync_clock import Resync, ResyncClock

_MANY: Final = 100
"""Devices after which it is worth giving memory back, which takes some milliseconds."""
MOST_AT_ONCE: Final = 250
"""Devices of one batch: each batch costs a reconfiguration, but the first of a burst are not to wait for the last."""
_QUIET_S: Final = 0.005
_LONGEST_GATHER_S: Final = 0.06
_CLOSE_S: Final = 0.05
"""Events that come so soon after a batch belong to a burst, and wait for one another."""

Done = Callable[[Outcome], None]
_LOG = get_logger()


class HotplugThread:
    """The queue with the thread that works on it.

    Attributes:
        thread: ends at `stop` alone.
        heartbeat: when the thread last began something, of the monotonic clock; it waits idly while None.
    """

    def __init__(self, paths: Paths, settings: Settings) -> None:
        self.heartbeat: float | None = None
        self._paths = paths
        self._settings = settings
        self._peers = Peers(paths, settings)
        self._queue = KeyedQueue()
        self._clock = ResyncClock(period_s=settings.resync_s)
        self._done_since_trim = 0
        self._openable: Mapping[str, OpenableBridge] = {}
        self._changed = threading.Condition()
        self._leaving = Leaving()
        self._waiters: dict[int, Done] = {}
        self._next_ticket = 0
        self._stopping = False
        self._last_end = 0.0
        self._batches = 0
        self.thread = threading.Thread(target=self._run, name="hotplug", daemon=True)

    def start(self) -> None:
        """Start the thread; it begins with a resync."""
        self._clock.ask("the daemon started", time.monotonic())
        self.thread.start()

    def stop(self, wait_s: float) -> None:
        """Let the thread end what it is at, waiting at most `wait_s` seconds. What is queued is for others."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self.thread.join(wait_s)

    def submit(self, event: Event, *, patience_s: float | None = None, done: Done | None = None) -> None:
        """Have an event done; returns at once.

        Args:
            event: of any caller; one that asks for nothing is done already.
            patience_s: until a failure that may pass counts as final; None for the setting ``hotplug_s``.
            done: called once, from the hotplug thread, when the event came to its end.
        """
        if event.want is Want.NOTHING:
            if done is not None:
                done(Outcome(event=event, result=Result.IGNORED, text=f"{event.action} asks for nothing"))
            return
        with self._changed:
            ticket = None
            if done is not None:
                self._next_ticket += 1
                ticket = self._next_ticket
                self._waiters[ticket] = done
            self._put(event, patience_s=patience_s, ticket=ticket)
            self._changed.notify_all()

    def request_resync(self, reason: str, *, urgent: bool = True) -> int:
        """Have everything looked at soon; several requests become one. What waits is tried again at once.

        Returns the number that `last_resync` or `put_off` has at least, when that has been done.
        """
        with self._changed:
            self._queue.hurry(time.monotonic())
            self._changed.notify_all()
            return self._clock.ask(reason, time.monotonic(), urgent=urgent)

    def hear_numbers(self, numbers: Iterable[tuple[str, int]]) -> None:
        """The switch gave these devices these port numbers, 0 for none; flows match only those verified before."""
        with self._changed:
            if self._queue.hear_numbers(numbers):
                self._changed.notify_all()

    def wait_idle(self, wait_s: float) -> bool:
        """Wait, at most `wait_s` seconds, until a resync was made and all that was asked for ended; whether it did."""
        with self._changed:
            return self._changed.wait_for(lambda: self.last_resync is not None and not self._queue.is_open(), wait_s)

    def status(self) -> dict[str, Status]:
        """How it stands with each device."""
        with self._changed:
            return dict(self._queue.status())

    @property
    def last_resync(self) -> Resync | None:
        """The last that was made; None before the first."""
        return self._clock.last

    @property
    def put_off(self) -> Resync | None:
        """The last that could not be made, and since when none can; None while that is not so."""
        return self._clock.put_off

    @property
    def batches(self) -> int:
        """How many attempts were made so far."""
        return self._batches

    def _put(
        self, event: Event, *, patience_s: float | None = None, ticket: int | None = None, background: bool = False
    ) -> None:
        patience = self._settings.hotplug_s if patience_s is None else patience_s
        self._queue.put(
            event, now=time.monotonic(), at=time.time(), patience_s=patience, ticket=ticket, background=background
        )

    # -- the thread ------------------------------------------------------------------------------------------

    def _run(self) -> None:
        with self._peers:
            while True:
                with self._changed:
                    work = self._await_work()
                    if self._stopping:
                        return
                self.heartbeat = time.monotonic()
                work()
                self.heartbeat = None
                with self._changed:
                    self._changed.notify_all()

    def _await_work(self) -> Callable[[], None]:
        """Wait for something to do; when told to stop it is a resync, which nobody makes."""
        while not self._stopping:
            now = time.monotonic()
            self._repair_renumbered()
            if left := self._leaving.ready(now):
                return partial(self._end_removals, left)
            if self._queue.count_due(now) > 1 and now - self._last_end < _CLOSE_S:
                self._gather()
            if batch := self._queue.take(time.monotonic(), MOST_AT_ONCE):
                return partial(self._do, batch)
            if hinted := self._queue.take_hints(now):
                return partial(self._look_at, hinted)
            if self._clock.is_due(now):
                break
            if self._done_since_trim >= _MANY:
                self._done_since_trim = 0
                return give_back_memory
            dues = (self._queue.next_due(), self._clock.next_due(), self._leaving.next_due())
            times = [due for due in dues if due is not None]
            self._changed.wait(max(0.0, min(times) - now) if times else None)
        return self._resync

    def _repair_renumbered(self) -> None:
        if renumbered := self._queue.take_renumbered():
            self._put_all(map(build_repair_event, renumbered))
            # flows of the old numbers go with that
            self._clock.ask("devices got other numbers in the switch", time.monotonic(), urgent=False)

    def _gather(self) -> None:
        """Events of a burst: let those come that are on their way. One that comes alone never gets here."""
        end = time.monotonic() + _LONGEST_GATHER_S
        while not self._stopping and time.monotonic() < end:
            before = self._queue.count_due(time.monotonic())
            self._changed.wait(_QUIET_S)
            if before >= MOST_AT_ONCE or self._queue.count_due(time.monotonic()) == before:
                return

    def _do(self, batch: list[Pending]) -> None:
        """Attempt a batch, and whatever becomes due meanwhile."""
        began, kinds = time.thread_time(), set[bool]()
        self._guard(
            lambda: self._settle_parts(attempt_parts(self._peers, self._parts(batch, kinds))),
            lambda text: self._fail_inside(self._busy().values(), text),
        )
        self._last_end = time.monotonic()
        if kinds == {True}:
            with self._changed:
                self._clock.charge(time.thread_time() - began)

    def _parts(self, batch: list[Pending], kinds: set[bool]) -> Iterator[list[Work]]:
        """The batch and those after it, as long as any is due, which may be for ever.

        `kinds` gets whether they are of a resync.
        """
        while batch:
            kinds.update(pending.background for pending in batch)
            self._batches += 1
            self.heartbeat = time.monotonic()
            yield self._works([pending.event for pending in batch])
            with self._changed:
                self._repair_renumbered()
                now = time.monotonic()
                batch = [] if self._stopping or self._leaving.ready(now) else self._queue.take(now, MOST_AT_ONCE)

    def _works(self, events: list[Event]) -> list[Work]:
        """What is to be attempted; events that are not to be, or cannot, are settled."""
        self._done_since_trim += len(events)
        try:
            check_hotplug_backend(self._peers)
            ignored = ignore_udevs(self._peers, events)
        except XsagentError as error:
            self._settle_all(failed_outcome(event, error) for event in events)
            return []
        for outcome in ignored:
            self._end(outcome, counts=False)
        settled = {outcome.event.device for outcome in ignored}
        return [
            Work(event=event, placed=self._queue.placed(event.device), told=self._queue.told(event.device))
            for event in events
            if event.device not in settled
        ]

    def _end_removals(self, leaving: Sequence[Outcome]) -> None:
        """They need not wait for their hooks any more."""
        for outcome in leaving:
            self._leaving.remove(outcome.event.device)
        events = [outcome.event for outcome in leaving]
        self._guard(lambda: self._settle_all(end_removals(self._peers, leaving)), partial(self._fail_inside, events))

    def _settle_parts(self, parts: Iterable[Sequence[Outcome]]) -> None:
        for outcomes in parts:
            self._settle_all(outcomes)

    def _settle_all(self, outcomes: Iterable[Outcome]) -> None:
        """Settle each event with its outcome; a fault in settling one does not touch the others."""
        for outcome in outcomes:
            self._guard(partial(self._settle, outcome), partial(self._fail_inside, [outcome.event]))

    def _guard(self, work: Callable[[], None], fail: Callable[[str], None]) -> None:
        """The thread's edge: `work` is done, or `fail` takes what was wrong; connections are made anew after that."""
        try:
            work()
        except Exception as error:  # noqa: BLE001 - an edge: a fault of ours must not end hotplug for all guests
            _LOG.error("internal_error", error=repr(error), trace=traceback.format_exc())
            self._peers.close()
            fail(f"internal error ({type(error).__name__}: {error}); the log has the details")

    # -- settling --------------------------------------------------------------------------------------------

    def _settle(self, outcome: Outcome) -> None:
        device = outcome.event.device
        if outcome.hook is not None:
            self._leaving.add(outcome, time.monotonic())
            outcome.hook.add_done_callback(self._wake)
            return
        if outcome.result in {Result.FAILED, Result.WAITING}:
            if not is_still_there(self._peers, outcome):
                outcome = Outcome(event=outcome.event, result=Result.IGNORED, text=f"{device} is gone")
            elif outcome.result is Result.WAITING and self._may_retry(outcome):
                return
            else:
                report_failure(self._peers, outcome)
                if outcome.peer_away:
                    self._look_when_it_answers(outcome.text)
                outcome = Outcome(event=outcome.event, result=Result.FAILED, text=outcome.text, paths=outcome.paths)
        self._end(outcome)

    def _look_when_it_answers(self, reason: str) -> None:
        """A resync waits for every peer. A peer that hung and goes on is noticed by nobody else: it was never lost."""
        with self._changed:
            self._clock.ask(reason, time.monotonic(), urgent=False)

    def _wake(self, _hook: Future[None]) -> None:
        with self._changed:
            self._changed.notify_all()

    def _may_retry(self, outcome: Outcome) -> bool:
        device, now = outcome.event.device, time.monotonic()
        with self._changed:
            if self._queue.is_late(device, now) and not self._peers.pvs.is_calling(device):
                return False
            self._queue.retry(device, now=now, at=time.time(), text=outcome.text)
        _LOG.debug("wait_hotplug", device=device, text=outcome.text)
        return True

    def _end(self, outcome: Outcome, *, counts: bool = True) -> None:
        device, now, at = outcome.event.device, time.monotonic(), time.time()
        error = outcome.result is Result.FAILED
        with self._changed:
            if counts:
                tickets = self._queue.settle(
                    device,
                    now=now,
                    at=at,
                    text=outcome.text,
                    error=error,
                    placed=outcome.placed,
                    ofport=outcome.ofport,
                )
            else:
                tickets = self._queue.pass_over(device, now=now, at=at, text=outcome.text)
            waiters = [self._waiters.pop(ticket) for ticket in tickets]
        for done in waiters:
            # one that cannot be told is no reason to leave the others, or the rest of a batch, without an end
            self._guard(partial(done, outcome), lambda _text: None)

    def _busy(self) -> dict[str, Event]:
        """Events that are under way, by device, those that wait for their hook left out."""
        with self._changed:
            return {device: event for device, event in self._queue.busy().items() if device not in self._leaving}

    def _fail_inside(self, events: Iterable[Event], text: str) -> None:
        """End events that met a fault of ours, unless settled before that or waiting for their hook."""
        for event in events:
            if event.device in self._busy():
                self._end(Outcome(event=event, result=Result.FAILED, text=text))

    # -- looking ---------------------------------------------------------------------------------------------

    def _look_at(self, devices: Sequence[str]) -> None:
        """What a resync would do for these alone: udev's word about them does not count, but may be true."""
        self._look(lambda: self._put_all(look_at(self._peers, devices)), self._look_when_it_answers)

    def _resync(self) -> None:
        """Look what every device needs and queue it; where that cannot be known now it is left to be done later."""
        reason = self._clock.begin(time.monotonic())
        self._look(partial(self._look_at_all, reason), self._put_off)

    def _look(self, look: Callable[[], None], fail: Callable[[str], None]) -> None:
        def try_to_look() -> None:
            try:
                look()
            except XsagentError as error:
                self._peers.drop_database()
                fail(str(error))

        self._guard(try_to_look, fail)

    def _put_all(self, events: Iterable[Event]) -> None:
        with self._changed:
            for event in events:
                self._put(event, background=True)

    def _put_off(self, text: str) -> None:
        _LOG.warning("put_off_resync", reason=text)
        self._clock.end_without(text, time.monotonic(), time.time())

    def _look_at_all(self, reason: str) -> None:
        began = time.thread_time()
        wait_for_switch(self._paths.ovs_rundir, SWITCH_ANSWER_S)
        put_back_safety_flows(self._paths, self._peers.database)
        bridges = read_ovsdb(self._peers.database).bridges
        self._follow_controllers(read_openable(self._peers.database))
        found = look_at_all(self._peers, bridges)
        with self._changed:
            self._queue.forget_others(found.devices)
            self._put_all(found.events)
            self._clock.end(time.time())
            self._clock.charge(time.thread_time() - began)
        _LOG.info("resync", reason=reason, events=len(found.events), vifs=found.vifs)

    def _follow_controllers(self, openable: Mapping[str, OpenableBridge]) -> None:
        """What the switch does to flows when controllers come or go, it does some time after the news of it."""
        with self._changed:
            for reason, settles_s in describe_changes(self._openable, openable):
                self._clock.ask_later(reason, time.monotonic() + settles_s)
        self._openable = openable
