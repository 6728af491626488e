"""The members of a boot set that are still to be tried -> which of them next, after a run that was taken back. Pure.

A failure that names nobody is looked for by halves. Asked by `xsagent/up_all.py`, which tells how each try ended.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from xsagent.model.records import Ref


@dataclass(slots=True)
class BootGroups:
    """Groups of members that wait, and the one that is tried.

    Attributes:
        waiting: the next one first.
        tried: empty before the first.
    """

    waiting: list[list[Ref]]
    tried: list[Ref] = field(default_factory=list)
    _in_halves: bool = False
    """The first that waits is the other half of what is tried, and both together failed."""

    @property
    def postponed(self) -> list[Ref]:
        """All that waits."""
        return [ref for group in self.waiting for ref in group]

    def take(self, left_out: Collection[Ref]) -> bool:
        """Go on to the next group, without what is left out; returns False where none waits."""
        while self.waiting:
            self.tried = [ref for ref in self.waiting.pop(0) if ref not in left_out]
            if self.tried:
                return True
        return False

    def came_up(self) -> None:
        """What is tried came up: where it was half of what failed, the fault is in the other half."""
        if self._in_halves and len(self.waiting[0]) > 1:
            self._halve(self.waiting.pop(0))
        else:
            self._in_halves = False

    def failed(self) -> None:
        """What is tried failed, more than one member, and nobody knows which."""
        self._halve(self.tried)

    def found(self) -> None:
        """Who was at fault is left out: nothing speaks against the others, so they are tried together again."""
        self.waiting = [[*self.tried, *self.postponed]]
        self._in_halves = False

    def _halve(self, group: list[Ref]) -> None:
        middle = len(group) // 2
        self.waiting[:0] = [group[:middle], group[middle:]]
        self._in_halves = True
