"""This host's records as some process read them -> the same as they are now, for one call. I/O: reads only; blocks.

For xsagentd's workers, of which each begins where one before it ended (`daemon/workers.py`). Nothing that is remembered
is acted on before XAPI has said, after the request came, what has changed since: by event.from, at once, in the very
session in which the records were read. XAPI keeps no session over a restart, so a session that is still good means that
it is still the same database, whose generations the token counts. Where anything is doubtful all is read anew.
"""

from __future__ import annotations

import pickle
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from xsagent.errors import XapiError, XapiUnavailableError
from xsagent.model.records import Ref
from xsagent.model.snapshot import Snapshot
from xsagent.sources.dbcache_render import Texts, render_dbcache
from xsagent.sources.xapi import XapiSession, find_host, open_session, read_snapshot
from xsagent.sources.xapi_changes import CLASSES, absorb, subscriptions
from xsagent.sources.xapi_events import EventBatch, fresh_start, read_events

_FEW: Final = 50
"""Changed records that each worker reads again rather than tell those after it: telling costs more."""
_LEAST_S: Final = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """The records, and what proves them.

    Attributes:
        session: of our own, left open; in it they were read.
        host: this host's reference.
        token: of the last event that was taken over.
        counts: objects of each class in the whole pool: another number means one more or less.
    """

    session: Ref
    host: Ref
    token: str
    counts: Mapping[str, int]
    snapshot: Snapshot


@dataclass(slots=True)
class XapiMemory:
    """What this process, and those that are forked from it, remember of XAPI.

    Attributes:
        texts: of the cache's records, as rendered last.
    """

    texts: Texts = field(default_factory=dict)
    _kept: Remembered | None = None
    _is_news: bool = False

    def read(self, sockets: Sequence[Path], deadline_s: float, host_uuid: str, given: Ref | None = None) -> Snapshot:
        """This host's records as they are now.

        Args:
            sockets, deadline_s: as `open_session`.
            host_uuid: INSTALLATION_UUID of the inventory.
            given: the caller's session. It must be good, and is used for nothing else, since it ends with its caller,
                unless XAPI refuses us one of our own.

        Raises:
            XapiUnavailableError, XapiError: as `read_snapshot`.
        """
        end = time.monotonic() + deadline_s
        if given is not None:
            with open_session(sockets, deadline_s, given) as session:
                find_host(session, host_uuid)
        kept = self._kept
        current = self._renew(kept, sockets, end) if kept is not None and _may_last(kept, host_uuid) else None
        if current is None:
            ours = None if kept is None else kept.session
            try:
                with open_session(sockets, _left(end), ours, lasting=True) as session:
                    current = _read_whole(session, host_uuid)
            except XapiError:
                if given is None:
                    raise
                # we are refused where the caller is not
                with open_session(sockets, _left(end), given) as session:
                    return read_snapshot(session, host_uuid)
            self._is_news |= _may_last(current, host_uuid) or current.session != ours
        self._kept = current
        return current.snapshot

    def _renew(self, kept: Remembered, sockets: Sequence[Path], end: float) -> Remembered | None:
        """The same with what changed since; None where that is not certain."""
        try:
            with open_session(sockets, _left(end), kept.session, wait=False) as session:
                batch = read_events(session, subscriptions(kept.snapshot, kept.host), kept.token, 0.0)
        except XapiUnavailableError:
            if time.monotonic() >= end:
                raise
            return None
        except XapiError:
            return None
        snapshot = absorb(kept.snapshot, batch.events) if _counts(batch) == kept.counts else None
        if snapshot is None:
            return None
        if len(batch.events) > _FEW:
            self._is_news = True
        return replace(kept, token=batch.token, snapshot=snapshot)

    def news(self) -> bytes:
        """What those that come after this process should know; empty when it is nothing new to them."""
        return pickle.dumps(self._kept, pickle.HIGHEST_PROTOCOL) if self._is_news else b""

    def learn(self, news: bytes) -> None:
        """Take over what a process said that was forked from this one."""
        self._kept = pickle.loads(news)  # noqa: S301 - one of our own processes says it, over a socket of ours
        self.texts = {}
        if self._kept is not None:
            render_dbcache(self._kept.snapshot, self.texts)


def _read_whole(session: XapiSession, host_uuid: str) -> Remembered:
    host = find_host(session, host_uuid)
    start = fresh_start(session, CLASSES)
    snapshot = read_snapshot(session, host_uuid, host)
    return Remembered(session=session.ref, host=host, token=start.token, counts=_counts(start), snapshot=snapshot)


def _may_last(read: Remembered, host_uuid: str) -> bool:
    """Whether a later read can build on it: a record that cannot be used is looked at each time."""
    return read.snapshot.host_uuid == host_uuid and not read.snapshot.unusable and read.token.strip("0,") != ""


def _counts(batch: EventBatch) -> dict[str, int]:
    return {kind: batch.counts[kind] for kind in CLASSES if kind in batch.counts}


def _left(end: float) -> float:
    return max(_LEAST_S, end - time.monotonic())
