"""Decisions and warnings as they are taken, each once; they end as `Desired.reasons`. No I/O.

Every builder of `desired/` writes here instead of logging: pure code returns its reasons.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from xsagent.topology.desired import Reason


@dataclass(slots=True)
class Notes:
    """Reasons in the order in which they were first given."""

    _reasons: dict[Reason, None] = field(default_factory=dict)

    def decide(self, event: str, subject: str, text: str) -> None:
        """Note a decision."""
        self._reasons[Reason(event=event, subject=subject, text=text)] = None

    def warn(self, event: str, subject: str, text: str) -> None:
        """Note something that a person should look at."""
        self._reasons[Reason(event=event, subject=subject, text=text, warning=True)] = None

    def as_reasons(self) -> tuple[Reason, ...]:
        """Everything noted so far."""
        return tuple(self._reasons)
