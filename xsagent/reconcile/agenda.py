"""What is to be done when: tasks by name, each put off until it is worth while. Pure: the caller has the clock.

Reasons come in bursts; a task that was asked for ten times is done once, and not again before its own pause is over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(slots=True)
class Agenda:
    """Times are seconds of one monotonic clock.

    Attributes:
        pauses: by task the shortest time from the end of one run to the next.
    """

    pauses: Mapping[str, float]
    _due: dict[str, float] = field(default_factory=dict)
    _ended: dict[str, float] = field(default_factory=dict)

    def ask(self, task: str, now: float, after_s: float = 0.0) -> None:
        """Have a task done after some seconds, or sooner if it was asked for sooner."""
        due = max(now + after_s, self._ended.get(task, now - self.pauses[task]) + self.pauses[task])
        self._due[task] = min(due, self._due.get(task, due))

    def drop(self, task: str) -> None:
        """Have it not done, until it is asked for again."""
        self._due.pop(task, None)

    def hurry(self, task: str, now: float) -> None:
        """Have it done now, whatever its pause."""
        self._due[task] = now

    def next_due(self) -> float | None:
        """When the next task is due; None when there is none."""
        return min(self._due.values(), default=None)

    def take(self, now: float) -> str | None:
        """The task that is due longest; it is asked for no more."""
        task = min(self._due, key=self._due.__getitem__, default=None)
        if task is None or self._due[task] > now:
            return None
        del self._due[task]
        return task

    def end(self, task: str, now: float) -> None:
        """It was done, well or badly."""
        self._ended[task] = now


@dataclass(slots=True)
class BackOff:
    """Pauses that double, in seconds."""

    first_s: float
    longest_s: float
    _next_s: float = 0.0

    def next_s(self) -> float:
        """The pause after one more failure."""
        pause = self._next_s or self.first_s
        self._next_s = min(2 * pause, self.longest_s)
        return pause

    def reset(self) -> None:
        """It went well."""
        self._next_s = 0.0
