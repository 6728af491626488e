"""Events by device -> batches that are due, with repetitions and a status for each. Pure: the caller has the clock.

The daemon's hotplug thread puts events in, takes batches out and settles each device of a batch. One device is in at
most one batch at a time; what comes for it meanwhile is folded together and follows. Times are seconds of one
monotonic clock, but for `Status.at`.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from xsagent.hotplug.event import Action, Event, Want, merge_events

FIRST_PAUSE_S: Final = 0.02
LONGEST_PAUSE_S: Final = 1.0
LONGEST_BACKGROUND_PAUSE_S: Final = 5.0
"""Between two tries for one device; what it waits for also wakes it (`hurry`)."""
HINT_S: Final = 2.0
"""From an event that does not count until its device is looked at, unless somebody's that counts comes meanwhile."""


class State(enum.StrEnum):
    """How it stands with one device."""

    PENDING = "pending"
    DONE = "done"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What `xsagent status` says of one device.

    Attributes:
        at: when it came to that, seconds of the wall clock.
        text: a sentence, empty when there is nothing to say.
        placed: name of the bridge on which its port was put last; empty for none.
        ofport: number of its port in the switch when it was verified last; 0 for none.
        waiting: events that are not done yet.
    """

    state: State
    at: float
    text: str = ""
    placed: str = ""
    ofport: int = 0
    waiting: int = 0


@dataclass(slots=True, kw_only=True)
class Pending:
    """One event that is to be done, or several folded into one.

    Attributes:
        deadline: when a failure that may pass counts as final.
        tickets: who waits for it.
        background: of a resync: gives way to what somebody outside asked for.
    """

    event: Event
    deadline: float
    tickets: list[int] = field(default_factory=list)
    background: bool = False


@dataclass(slots=True)
class _Key:
    status: Status
    waiting: list[Pending] = field(default_factory=list)
    busy: Pending | None = None
    due: float = 0.0
    pause: float = FIRST_PAUSE_S
    left: bool = False
    """The last thing done for it was to take it away, on somebody's word."""
    settled: Status | None = None
    """How the last event ended that counted."""
    hint: float | None = None
    """When to look at it: an event came that did not count."""
    lost_number: bool = False
    """While it was busy its port left the switch, so a number that was verified may be that of before."""

    def lose_number(self) -> None:
        """Its flows are nobody's now and may go, so the same number is another when it comes again."""
        self.status = replace(self.status, ofport=0)
        self.settled = self.settled and replace(self.settled, ofport=0)
        self.lost_number = self.busy is not None


class KeyedQueue:
    """The queue. Not for several threads at once: the caller has the lock."""

    def __init__(self) -> None:
        self._keys: dict[str, _Key] = {}
        self._numbers: dict[str, int] = {}

    def put(
        self,
        event: Event,
        *,
        now: float,
        at: float,
        patience_s: float,
        ticket: int | None = None,
        background: bool = False,
    ) -> None:
        """Let an event be done as soon as its device is free.

        An event of a resync is dropped when something else is under way for its device, which is then read afresh
        anyway, or when the toolstack had it taken away and it only still stands there.

        Args:
            event: asks for something.
            now: the monotonic clock.
            at: the wall clock.
            patience_s: until a failure that may pass counts as final.
            ticket: returned by `settle` when it is done.
            background: it comes from a resync.
        """
        key = self._keys.setdefault(event.device, _Key(Status(state=State.PENDING, at=at)))
        if background and (key.busy or key.waiting or (key.left and event.want is Want.ATTACHED)):
            return
        fresh = Pending(
            event=event,
            deadline=now + patience_s,
            tickets=[] if ticket is None else [ticket],
            background=background,
        )
        key.waiting = _fold([*key.waiting, fresh])
        key.due, key.pause = now, FIRST_PAUSE_S
        key.status = replace(key.status, state=State.PENDING, at=at, text="")

    def take(self, now: float, most: int) -> list[Pending]:
        """The events that are due, at most `most`, those of a resync last; their devices are busy from now on."""
        due = [key for key in self._keys.values() if key.busy is None and key.waiting and key.due <= now]
        due.sort(key=lambda key: key.waiting[0].background)
        for key in due[:most]:
            key.busy, key.lost_number = key.waiting.pop(0), False
        return [key.busy for key in due[:most] if key.busy is not None]

    def count_due(self, now: float) -> int:
        """Number of devices for which somebody outside asked and that are due."""
        return sum(
            key.busy is None and bool(key.waiting) and not key.waiting[0].background and key.due <= now
            for key in self._keys.values()
        )

    def next_due(self) -> float | None:
        """When the next event or hint is due; None when nothing waits."""
        idle = [key for key in self._keys.values() if key.busy is None]
        times = [*(key.due for key in idle if key.waiting), *(key.hint for key in idle if key.hint is not None)]
        return min(times, default=None)

    def is_late(self, device: str, now: float) -> bool:
        """Whether a busy device's failure is final: no try is left before its deadline."""
        key = self._keys[device]
        return key.busy is not None and now + key.pause > key.busy.deadline

    def retry(self, device: str, *, now: float, at: float, text: str) -> None:
        """A busy device's event could not be done yet: it is due again after a pause that grows."""
        key = self._keys[device]
        if key.busy is None:
            raise RuntimeError(f"{device} is not busy")
        superseded, longest = bool(key.waiting), LONGEST_BACKGROUND_PAUSE_S if key.busy.background else LONGEST_PAUSE_S
        key.waiting = _fold([key.busy, *key.waiting])
        key.busy = None
        key.due = now if superseded else now + key.pause
        key.pause = min(2 * key.pause, longest)
        key.status = replace(key.status, state=State.PENDING, at=at, text=text)

    def settle(
        self,
        device: str,
        *,
        now: float,
        at: float,
        text: str = "",
        error: bool = False,
        placed: str = "",
        ofport: int = 0,
    ) -> list[int]:
        """A busy device's event came to its end; returns the tickets of those who wait for it.

        Args:
            device: name.
            now, at: as in `put`.
            text: how it ended, where there is something to say.
            error: it could not be done.
            placed: bridge on which its port was put last; empty for none.
            ofport: number of its port, as it was verified; 0 for none.
        """
        key = self._keys[device]
        if key.busy is None:
            raise RuntimeError(f"{device} is not busy")
        ended, key.busy = key.busy, None
        key.due, key.pause = now, FIRST_PAUSE_S
        state = State.ERROR if error else State.DONE
        where, number = key.status.placed if error else placed, 0 if key.lost_number else ofport
        key.status = Status(state=state, at=at, text=text, placed=where, ofport=number)
        key.settled, key.hint = key.status, None
        if not error and not ended.background:
            key.left = ended.event.want is Want.DETACHED
        if not error and not key.waiting and ended.event.action is Action.REMOVE:
            del self._keys[device]
        return ended.tickets

    def pass_over(self, device: str, *, now: float, at: float, text: str) -> list[int]:
        """A busy device's event does not count: what is known of the device stays, and it is a hint. As `settle`."""
        key = self._keys[device]
        if key.busy is None:
            raise RuntimeError(f"{device} is not busy")
        ended, key.busy = key.busy, None
        key.due, key.hint = now, now + HINT_S
        key.status = key.settled or Status(state=State.DONE, at=at, text=text)
        return ended.tickets

    def take_hints(self, now: float) -> list[str]:
        """The devices that are to be looked at; those of which nothing else is known are forgotten."""
        hinted = [name for name, key in self._keys.items() if key.hint is not None and key.hint <= now]
        idle = [name for name in hinted if self._keys[name].busy is None and not self._keys[name].waiting]
        for name in hinted:
            self._keys[name].hint = None
        for name in idle:
            if self._keys[name].settled is None or self._keys[name].left:
                del self._keys[name]
        return idle

    def hear_numbers(self, numbers: Iterable[tuple[str, int]]) -> bool:
        """The switch gave these devices these numbers, 0 for none; whether `take_renumbered` is to be asked.

        What we do to a device brings it a number that is verified then, so that of a busy one is kept until it is done.
        """
        for name, ofport in numbers:
            key = self._keys.get(name)
            if key is None:
                continue
            if not ofport:
                self._numbers.pop(name, None)
                key.lose_number()
            elif key.busy or key.status.ofport != ofport:
                self._numbers[name] = ofport
        return bool(self._numbers)

    def take_renumbered(self) -> list[str]:
        """Devices that have another number than the one that was verified, and for which nothing is under way."""
        renumbered: list[str] = []
        for name in list(self._numbers):
            key = self._keys.get(name)
            if key is not None and key.busy is not None:
                continue
            ofport = self._numbers.pop(name)
            if key is not None and key.status.ofport != ofport and not key.waiting:
                renumbered.append(name)
        return renumbered

    def hurry(self, now: float) -> None:
        """What waits for another try is due at once: something that it may have waited for is there."""
        for key in self._keys.values():
            if key.waiting and key.busy is None:
                key.due, key.pause = now, FIRST_PAUSE_S

    def forget_others(self, devices: Collection[str]) -> None:
        """Drop the status of each device that is idle and not among these: nothing of it is left on the host."""
        idle = [name for name, key in self._keys.items() if key.busy is None and not key.waiting]
        for name in idle:
            if name not in devices:
                del self._keys[name]

    def is_open(self) -> bool:
        """Whether anything is left to be done."""
        return any(key.busy is not None or key.waiting for key in self._keys.values())

    def busy(self) -> Mapping[str, Event]:
        """The events that were taken and not settled yet, by device."""
        return {name: key.busy.event for name, key in self._keys.items() if key.busy is not None}

    def placed(self, device: str) -> str | None:
        """The bridge on which the device's port was put last; None when that is not known."""
        key = self._keys.get(device)
        return (key.status.placed or None) if key is not None else None

    def told(self, device: str) -> str:
        """What the device's status said when its last event had ended."""
        key = self._keys.get(device)
        return key.settled.text if key is not None and key.settled is not None else ""

    def status(self) -> Mapping[str, Status]:
        """How it stands, by device."""
        return dict(self._status())

    def _status(self) -> Iterator[tuple[str, Status]]:
        for name, key in sorted(self._keys.items()):
            count = len(key.waiting) + (key.busy is not None)
            status = key.status
            state = State.PENDING if count else status.state
            yield name, replace(status, state=state, waiting=count)


def _fold(events: list[Pending]) -> list[Pending]:
    """Neighbours that one event can stand for, folded.

    Whose word it is stays apart: udev's may not count (libxl/disable_udev), and setup-vif-rules has nothing reported.
    """
    folded: list[Pending] = []
    for pending in events:
        if folded and _fold_together(folded[-1].event, pending.event):
            folded[-1] = _merge(folded[-1], pending)
        else:
            folded.append(pending)
    return folded


def _fold_together(earlier: Event, later: Event) -> bool:
    return (earlier.from_udev, earlier.reports) == (later.from_udev, later.reports)


def _merge(earlier: Pending, later: Pending) -> Pending:
    event = merge_events(earlier.event, later.event)
    if earlier.event.want is Want.ATTACHED and later.event.action in {Action.MOVE, Action.REPAIR}:
        # the first attach has a hook to run, a move has not
        event = earlier.event
    return Pending(
        event=event,
        deadline=later.deadline,
        tickets=[*earlier.tickets, *later.tickets],
        background=earlier.background and later.background,
    )
