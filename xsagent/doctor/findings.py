"""Finding: one thing that is wrong, with its reason and the command that mends it. Pure.

Made by the checks of this folder, put in order by `examine.py`, printed by `render.py`.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


class Severity(enum.StrEnum):
    """How bad it is."""

    ERROR = "error"
    """Traffic is lost now, or would be at the next change or boot."""
    WARNING = "warning"
    """It works, with less than was asked for, or not for long."""
    INFO = "info"
    """Worth knowing; nothing to do."""


_RANK = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.INFO: 2}

EXIT_ERRORS = 1
EXIT_WARNINGS = 3
"""Only warnings; 2 is a wrong command line, as everywhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One finding.

    Attributes:
        id: its kind, a stable word for machines, for example ``no-carrier``.
        subject: the object, for example ``eth0``.
        problem: what is wrong, one clause.
        reason: why it matters, one clause.
        mend: commands that mend it, to be run in order as they stand; empty where no command of this host can.
        by_hand: what a person does where no command can, or before it.
        is_cause: others follow from it, so it comes before them.
    """

    id: str
    severity: Severity
    subject: str
    problem: str
    reason: str
    mend: tuple[str, ...] = ()
    by_hand: str = ""
    is_cause: bool = False


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The worst first; then what others follow from; then by kind and object."""
    return tuple(
        sorted(
            set(findings),
            key=lambda one: (_RANK[one.severity], not one.is_cause, one.id, one.subject, one.problem),
        )
    )


def exit_code(findings: Sequence[Finding]) -> int:
    """0 for nothing or only information, EXIT_ERRORS, or EXIT_WARNINGS where nothing is worse than a warning."""
    severities = {finding.severity for finding in findings}
    if Severity.ERROR in severities:
        return EXIT_ERRORS
    return EXIT_WARNINGS if Severity.WARNING in severities else 0
