"""One event on its way through an attempt: what was read, decided and reached so far. Values.

`attempt` and `lock` pass a list of these from phase to phase; a Work that has an error is passed over by all later
phases, so that one device's trouble stays its own.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from xsagent.errors import (
    BackendError,
    CommandLateError,
    InputError,
    OvsdbUnavailableError,
    SwitchDeadError,
    XenstoreUnavailableError,
    XsagentError,
)
from xsagent.hotplug.decision import Decision, Verdict
from xsagent.hotplug.event import Event
from xsagent.hotplug.places import PlacedPort
from xsagent.model.vif import Vif, VifPaths
from xsagent.topology.values import Link

if TYPE_CHECKING:
    from concurrent.futures import Future

_T = TypeVar("_T")
_PEERS_AWAY: Final = (CommandLateError, OvsdbUnavailableError, SwitchDeadError, XenstoreUnavailableError)
"""The first is ovs-ofctl's: a bridge on which the switch does not answer."""
AT_ONCE: Final = 16
"""Devices in one xenstore transaction: xenstored looks through all that a transaction touched at each access."""
_CERTAIN: Final = (InputError, BackendError)
"""Errors that no repetition mends, beside which everything may pass: a device, bridge or peer may come back."""


class Result(enum.StrEnum):
    """How one event ended."""

    DONE = "done"
    IGNORED = "ignored"
    WAITING = "waiting"
    """Not yet; the same attempt may work later."""
    FAILED = "failed"
    """No repetition mends it."""
    LEAVING = "leaving"
    """Off the switch, and its hook runs: `report.end_removals` is due when that ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one event ended, and why.

    Attributes:
        text: a sentence for people; empty when there is nothing to say.
        paths: the VIF's directories in xenstore; None while they are not known.
        placed: name of the bridge on which its port was put last; empty for none.
        ofport: number of that port, as it was verified; 0 for none.
        hook: what a device that is LEAVING waits for.
        peer_away: it is WAITING for Open vSwitch or xenstored themselves.
    """

    event: Event
    result: Result
    text: str = ""
    paths: VifPaths | None = None
    placed: str = ""
    ofport: int = 0
    hook: Future[None] | None = None
    peer_away: bool = False


def failed_outcome(event: Event, error: XsagentError, paths: VifPaths | None = None) -> Outcome:
    """The outcome of an event that met this error."""
    return Outcome(
        event=event,
        result=Result.FAILED if isinstance(error, _CERTAIN) else Result.WAITING,
        text=str(error),
        paths=paths,
        peer_away=isinstance(error, _PEERS_AWAY),
    )


@dataclass(slots=True, kw_only=True)
class Work:
    """One event in an attempt.

    Attributes:
        placed: as `decide`'s argument.
        told: what the device's status said when its last event had ended.
        pvs_helper: the program that keeps the rules of its PVS proxy, as the toolstack names it; None without proxy.
        before: its port as it was found; None when it had none.
        link: its netdev, as it was read last; None when it is not there.
        ofport: number of its port in the switch, once it has one.
        unlocked: why it is free, or soon will be, although its locking flows are in place; empty when they hold.
        hook: of its removal, while it may still run.
        error: what went wrong; nothing more is done then.
    """

    event: Event
    placed: str | None = None
    told: str = ""
    vif: Vif | None = None
    paths: VifPaths | None = None
    pvs_helper: str | None = None
    decision: Decision | None = None
    before: PlacedPort | None = None
    link: Link | None = None
    ofport: int = 0
    unlocked: str = ""
    hook: Future[None] | None = None
    error: XsagentError | None = None

    @property
    def known(self) -> Decision:
        """The decision of a Work that `has` a verdict."""
        if self.decision is None:
            raise RuntimeError(f"nothing was decided about {self.event.device}")
        return self.decision

    def has(self, *verdicts: Verdict) -> bool:
        """Whether it was decided so and nothing went wrong since."""
        return self.error is None and self.decision is not None and self.decision.verdict in verdicts

    @property
    def ofport_before(self) -> int:
        """Number of the port as it was found; 0 when it had none, as when its netdev is gone already."""
        interface = self.before.port.interfaces.get(self.event.device) if self.before else None
        return max(0, interface.ofport or 0) if interface else 0


def batched(items: Sequence[_T], size: int) -> Iterator[list[_T]]:
    """The items in parts of at most `size`."""
    yield from (list(items[start : start + size]) for start in range(0, len(items), size))


def for_each(works: Iterable[Work], action: Callable[[Work], None]) -> None:
    """Run an action on each Work; an error of ours ends that Work alone."""
    for work in works:
        try:
            action(work)
        except XsagentError as error:
            work.error = error


def for_all(works: list[Work], action: Callable[[list[Work]], None]) -> None:
    """Run an action on all of them at once; when it fails, on each alone, so that only the one at fault ends.

    A peer that is away is no device's fault, and asking it again for each would take as many deadlines.
    """
    if not works:
        return
    try:
        action(works)
    except _PEERS_AWAY as error:
        for work in works:
            work.error = error
    except XsagentError as error:
        if len(works) == 1:
            works[0].error = error
            return
        for_each(works, lambda work: action([work]))
