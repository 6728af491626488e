"""How an operation ended: one of four values, never half done and silent (DESIGN.md rule 5). Pure.

Made by `apply/executor.py` and the flow, turned into an exit code by `cli/`, shown by `xsagent status`.
"""

from __future__ import annotations

from dataclasses import dataclass

from xsagent.plan.steps import Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """The host is what was wanted, and was seen to be. `changed` is False when it had been so already."""

    changed: bool = True
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Unverified:
    """Everything was done, but the gateway or a DHCP server did not answer; there is nothing better to go back to."""

    reason: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RolledBack:
    """A step failed, or the result did not verify: the host is as it was.

    Attributes:
        conflict: what the plan relied on changed meanwhile: a fresh plan may well work.
        lost: sentences about what could not come back, since somebody else took away meanwhile what it needs.
    """

    cause: str
    conflict: bool = False
    lost: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stuck:
    """A step failed, and so did its undo.

    Attributes:
        left: the undo steps that remain.
        problems: why each of them failed.
    """

    cause: str
    left: tuple[Step, ...]
    problems: tuple[str, ...] = ()


Outcome = Applied | Unverified | RolledBack | Stuck
