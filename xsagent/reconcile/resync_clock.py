"""When the next resync is due: soon after somebody asked, and every few minutes. Pure: the caller has the clock."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NamedTuple

SOON_S: Final = 0.1
"""Reasons come in groups: a restarted switch is a lost peer, a found one and some changed rows."""
_FIRST_PUT_OFF_S: Final = 1.0
_LONGEST_PUT_OFF_S: Final = 30.0
ASKED_SHARE: Final = 0.05
SHARE: Final = 0.001
"""Of a core, at most, for resyncs that are not urgent, and for those that nobody asked for."""


class Resync(NamedTuple):
    """One that was made, or could not be.

    Attributes:
        at: when it ended, or since when none can be made; of the wall clock.
        reason: why it was made, or why it could not be.
        number: of all that were begun.
    """

    at: float
    reason: str
    number: int


@dataclass(slots=True, kw_only=True)
class ResyncClock:
    """Times are seconds of one monotonic clock.

    Attributes:
        period_s: between two resyncs for which nobody asked; longer where they are costly (SHARE).
        last: the last that was made.
        put_off: the last that could not be made; None once one was.
    """

    period_s: float
    last: Resync | None = None
    put_off: Resync | None = None
    _begun: int = 0
    _reasons: dict[str, None] = field(default_factory=dict)
    _asked: float | None = None
    _later: dict[str, float] = field(default_factory=dict)
    _periodic: float | None = None
    _put_off_s: float = _FIRST_PUT_OFF_S
    _begun_for: str = ""
    _begun_at: float = 0.0
    _cost_s: float = 0.0

    def ask(self, reason: str, now: float, *, urgent: bool = True) -> int:
        """Somebody has a reason to look. Returns the number of the first resync that begins after this.

        Args:
            reason: for the log and the status.
            now: the monotonic clock.
            urgent: guests may be unprotected or cut off. Otherwise resyncs take at most ASKED_SHARE of a core.
        """
        self._reasons[reason] = None
        due = now + SOON_S
        if not urgent:
            due = max(due, self._begun_at + self._cost_s / ASKED_SHARE)
        self._asked = due if self._asked is None else min(self._asked, due)
        return self._begun + 1

    def ask_later(self, reason: str, due: float) -> None:
        """There will be a reason at that time, also when a resync is made before; the same reason replaces it."""
        self._later[reason] = due

    def next_due(self) -> float | None:
        """When to begin; None while nothing was ever asked for."""
        times = (self._asked, self._periodic, *self._later.values())
        return min((due for due in times if due is not None), default=None)

    def is_due(self, now: float) -> bool:
        """Whether to begin now."""
        due = self.next_due()
        return due is not None and due <= now

    def begin(self, now: float) -> str:
        """A resync begins: its reasons. Those that come from here on are for the next."""
        for reason in [reason for reason, due in self._later.items() if due <= now]:
            self._reasons[reason] = None
            del self._later[reason]
        self._begun_for = "; ".join(self._reasons) or "time passed"
        self._reasons.clear()
        self._asked = None
        self._begun += 1
        self._begun_at, self._cost_s = now, 0.0
        self._periodic = now + self.period_s
        return self._begun_for

    def end_without(self, text: str, now: float, at: float) -> None:
        """It could not be made, for the reason `text`: once more, after a pause that grows. `at` as in `end`."""
        self.put_off = Resync(self.put_off.at if self.put_off else at, text, self._begun)
        self._reasons[self._begun_for if self._begun_for != "time passed" else text] = None
        self._asked = now + self._put_off_s
        self._put_off_s = min(2 * self._put_off_s, _LONGEST_PUT_OFF_S)

    def end(self, at: float) -> None:
        """Everything was looked at, and what that asks for is queued; `at` is of the wall clock."""
        self._put_off_s = _FIRST_PUT_OFF_S
        self.last = Resync(at, self._begun_for, self._begun)
        self.put_off = None

    def charge(self, cost_s: float) -> None:
        """The last resync took so much of a processor, or more of it: the next that nobody asks for comes later."""
        self._cost_s += cost_s
        self._periodic = self._begun_at + max(self.period_s, self._cost_s / SHARE)
