"""What changed in the stand-in's tables since a token -> the answer of event.from, in XAPI's order and encoding.

Reads `xapi_database` under its lock; the waiting is the only effect. Adds come first, then modifications, then
deletions; a deletion has no snapshot; only the last few hundred deletions are known (wire.md section 8). The answer's
token is the generation of the last change that it tells, and the old one where it tells none (xapi_event.ml).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from xsagent.sandbox.xapi_database import Database, Table, render_struct, render_value

_DAY_S = 24 * 3600.0


class TokenError(Exception):
    """The token is none that event.from gave out."""


def parse_token(token: str) -> int:
    """The generation that a token stands for; 0 (everything is new) for the empty one."""
    if not token:
        return 0
    parts = token.split(",")
    if len(parts) != 2 or not all(part.isdigit() for part in parts):  # noqa: PLR2004 - generation, message id
        raise TokenError(token)
    return int(parts[0])


def wait_for_events(
    database: Database, classes: list[str], token: str, timeout_s: float, alive: Callable[[], bool]
) -> str:
    """The XML-RPC value of event.from: at once when something changed, else after a change or the timeout.

    Args:
        database: the tables.
        classes: class names in any case, ``class/ref`` for one object, ``*`` for all.
        token: of the previous answer, or empty.
        timeout_s: seconds to wait; negative means 24 hours.
        alive: becomes false when the session was ended meanwhile; then the answer is empty.
    """
    since = parse_token(token)
    deadline = time.monotonic() + (timeout_s if timeout_s >= 0 else _DAY_S)
    with database.changed:
        while True:
            events = list(_events(database, classes, since))
            left = deadline - time.monotonic()
            if events or left <= 0 or not alive():
                last = max((generation for generation, _ in events), default=since)
                return _answer(database, classes, "".join(text for _, text in events), last)
            database.changed.wait(left)


def render_token(generation: int) -> str:
    """The token that stands for a generation."""
    return f"{generation:020d},{0:020d}"


def _answer(database: Database, classes: list[str], events: str, last: int) -> str:
    counts = {
        name.lower(): len(table.records) for name, table in database.tables.items() if _wanted(classes, name, None)
    }
    return render_struct(
        [
            ("events", f"<value><array><data>{events}</data></array></value>"),
            ("valid_ref_counts", render_value(counts)),
            ("token", render_value(render_token(last))),
        ]
    )


def _wanted(classes: list[str], name: str, ref: str | None) -> bool:
    """Whether a subscription covers the class (`ref` None) or the object."""
    for wanted in classes:
        kind, _, one = wanted.partition("/")
        if kind == "*" or (kind.lower() == name.lower() and (not one or ref is None or ref == one)):
            return True
    return False


def _events(database: Database, classes: list[str], since: int) -> Iterator[tuple[int, str]]:
    """Generation and text of each event."""
    tables = [(name, table) for name, table in database.tables.items() if _wanted(classes, name, None)]
    for operation, find in (("add", _added), ("mod", _modified), ("del", _deleted)):
        for name, table in tables:
            for ref, generation in find(table, since):
                if _wanted(classes, name, ref):
                    snapshot = None if operation == "del" else table.xml(ref)
                    yield generation, _event(name, ref, operation, generation, snapshot)


def _added(table: Table, since: int) -> Iterator[tuple[str, int]]:
    if since == 0:
        yield from ((ref, table.modified.get(ref, 1)) for ref in table.records)
        return
    yield from ((ref, created) for ref, created in table.created.items() if created > since)


def _modified(table: Table, since: int) -> Iterator[tuple[str, int]]:
    if since == 0:
        return
    for ref, modified in table.modified.items():
        if modified > since >= table.created.get(ref, 1):
            yield ref, modified


def _deleted(table: Table, since: int) -> Iterator[tuple[str, int]]:
    yield from ((ref, deleted) for ref, created, deleted in table.deleted if created <= since < deleted)


def _event(name: str, ref: str, operation: str, generation: int, snapshot: str | None) -> str:
    members = [
        ("id", render_value(str(generation))),
        ("timestamp", render_value("0.0")),
        ("class", render_value(name.lower())),
        ("operation", render_value(operation)),
        ("ref", render_value(ref)),
    ]
    if snapshot is not None:
        members.append(("snapshot", snapshot))
    return render_struct(members)
