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
    """Everything was done, but not all of it was seen to work: gateway, DHCP server, guests' locking flows.

    There is nothing better to go back to.

    Attributes:
        path_works: the configuration itself was seen to work, so a boot may use it: only guests may not be locked.
    """

    reason: str
    path_works: bool = False
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a failure is about, where that is known.

    Attributes:
        things: netdevs, ports, and files by their paths.
        ip_devices: netdevs of which only the addresses, routes or leases are concerned: what rides on them is not.
    """

    things: frozenset[str] = frozenset()
    ip_devices: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class RolledBack:
    """A step failed, or the result did not verify: the host is as it was.

    Attributes:
        conflict: what the plan relied on changed meanwhile: a fresh plan may well work.
        lost: sentences about what did not come back: what it needs was taken away meanwhile, a guest is not locked, or
            the gateway does not answer as it did before.
    """

    cause: str
    conflict: bool = False
    subject: Subject = Subject()
    lost: tuple[str, ...] = ()

    def tell(self, thing: str) -> str:
        """The sentence for a person; `thing` is what was changed: the host, the switch."""
        if not self.lost:
            return f"{self.cause}; {thing} is as it was before"
        return f"{self.cause}; all was taken back but for this: {'; '.join(self.lost)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stuck:
    """A step failed, and so did its undo.

    Attributes:
        left: the undo steps that remain.
        problems: why each of them failed.
        lost: as RolledBack.lost.
    """

    cause: str
    left: tuple[Step, ...]
    problems: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()

    def tell(self) -> str:
        """The sentence for a person."""
        failed = f"{len(self.left)} steps of the way back failed: {self.problems[0]}"
        return "; ".join((f"{self.cause}; and {failed}; run the command again", *self.lost))


Outcome = Applied | Unverified | RolledBack | Stuck
