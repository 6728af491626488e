"""Devices that are off the switch -> those whose report may be taken back: what they waited for has ended. Pure.

The daemon's hotplug thread puts in what is LEAVING, and has what comes out ended (`report.end_removals`). Times are
seconds of one monotonic clock, which is the caller's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from xsagent.hotplug.work import Outcome

PATIENCE_S: Final = 5.0
"""For a hook that has not begun, because too many run already: others' slow hooks are no reason to keep a VM from
shutting down. It is called all the same, when there is a place."""


@dataclass(slots=True)
class Leaving:
    """The devices, each with the time since when it waits."""

    _since: dict[str, tuple[Outcome, float]] = field(default_factory=dict)

    def __contains__(self, device: str) -> bool:
        """Whether this one waits."""
        return device in self._since

    def add(self, outcome: Outcome, now: float) -> None:
        """It waits for its hook from now on."""
        self._since[outcome.event.device] = (outcome, now)

    def remove(self, device: str) -> None:
        """It is being ended."""
        del self._since[device]

    def ready(self, now: float) -> list[Outcome]:
        """Those that need not wait any more: the hook has ended, or had no place for PATIENCE_S."""
        return [outcome for outcome, since in self._since.values() if _is_ready(outcome, since, now)]

    def next_due(self) -> float | None:
        """When the patience with the next one ends; None when all of them run."""
        waiting = (since for outcome, since in self._since.values() if not _has_begun(outcome))
        return min((since + PATIENCE_S for since in waiting), default=None)


def _is_ready(outcome: Outcome, since: float, now: float) -> bool:
    ended = outcome.hook is None or outcome.hook.done()
    return ended or (not _has_begun(outcome) and now - since >= PATIENCE_S)


def _has_begun(outcome: Outcome) -> bool:
    return outcome.hook is not None and (outcome.hook.running() or outcome.hook.done())
