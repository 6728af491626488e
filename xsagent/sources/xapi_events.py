"""XAPI's event stream -> typed batches: what changed since a token, for a daemon that re-reads what they name.

Goes beside a bulk read by `xapi`: start from `fresh_start`, never from the empty token, whose answer is every record
of the pool (wire.md section 8). Events are hints: a batch says which objects to look at, in no order of time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from xsagent.errors import XapiError
from xsagent.model.records import NULL_REF, Ref
from xsagent.sources.xapi_session import RawRecord, XapiSession

EVENTS_LOST: Final = frozenset({"EVENTS_LOST", "EVENT_FROM_TOKEN_PARSE_FAILURE"})
"""Error codes after which the token is worthless: read in bulk again and start from a fresh token."""
_NO_BATCH: Final = "XAPI's answer to event.from has not the form of one; nothing was changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One object that changed.

    Attributes:
        kind: its class in lower case.
        operation: ``add``, ``mod`` or ``del``.
        snapshot: its record; None for ``del``.
    """

    kind: str
    ref: Ref
    operation: str
    snapshot: RawRecord | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventBatch:
    """One answer of event.from.

    Attributes:
        token: for the next call.
        counts: objects there are of each class; fewer than expected means that a deletion was lost.
    """

    token: str
    events: tuple[Event, ...]
    counts: Mapping[str, int]


def read_events(session: XapiSession, kinds: Sequence[str], token: str, timeout_s: float) -> EventBatch:
    """Wait for changes of these classes since `token`.

    Blocks until something changed, at most `timeout_s`; the session's deadline must be later than that.

    Raises:
        XapiUnavailableError: XAPI is away or hangs.
        XapiError: it answered with an error; `code` in EVENTS_LOST means that the token is worthless.
    """
    return parse_batch(session.call("event.from", list(kinds), token, float(timeout_s)))


def fresh_start(session: XapiSession, kinds: Sequence[str]) -> EventBatch:
    """A token for "from now on", and how many objects of each class there are, without the pool's records.

    Take it before a bulk read, so that what changes during the read comes as an event. The numbers come from asking for
    an object of each class that does not exist. The token of such an answer is no good: it is that of the last event
    told, of which there is none. event.inject has the database's generation; our session is touched for it, of which
    nobody gets events. A server that refuses that call may be one whose every token is the generation.
    """
    token = _generation(session)
    counted = parse_batch(session.call("event.from", [f"{kind}/{NULL_REF}" for kind in kinds], "", 0.0))
    return counted if token is None else replace(counted, token=token)


def _generation(session: XapiSession) -> str | None:
    try:
        return str(session.call("event.inject", "session", session.ref))
    except XapiError:
        return None


def parse_batch(value: object) -> EventBatch:
    """XAPI's answer to event.from as a batch.

    Raises:
        XapiError: it has not the form of one.
    """
    answer = _struct(value)
    counts = _struct(answer.get("valid_ref_counts", {}))
    return EventBatch(
        token=str(answer.get("token", "")),
        events=tuple(_event(_struct(item)) for item in _items(answer.get("events", []))),
        counts={str(kind).lower(): _number(count) for kind, count in counts.items()},
    )


def _event(raw: Mapping[str, object]) -> Event:
    snapshot = raw.get("snapshot")
    return Event(
        kind=str(raw.get("class", "")).lower(),
        ref=Ref(str(raw.get("ref", ""))),
        operation=str(raw.get("operation", "")),
        snapshot=snapshot if isinstance(snapshot, dict) else None,
    )


def _struct(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise XapiError(_NO_BATCH)
    return value


def _number(value: object) -> int:
    try:
        return int(str(value))
    except ValueError as error:
        raise XapiError(_NO_BATCH) from error


def _items(value: object) -> Iterable[object]:
    return value if isinstance(value, list) else ()
