"""Records of a pool -> tables that answer get_all, filters and events, each record rendered to XML-RPC once.

In memory only, used by the XAPI stand-in's threads under one lock. Records come from a JSON file or from `xapi_pool`;
`xapi_calls` asks, `xapi_server` sends. A changed record is replaced, never edited, so that shared values stay whole.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from xml.sax.saxutils import escape

from xsagent.sandbox.xapi_filter import Expression, FilterError, alternatives, database_text, holds
from xsagent.sandbox.xapi_pool import Record, Records

REMEMBERED_DELETIONS = 500
"""XAPI forgets older deletions of a class (wire.md section 8)."""


def render_value(value: object) -> str:
    """`value` as XML-RPC, spelt as XAPI does: bare strings, int64 as they stand in the record."""
    match value:
        case bool():
            return f"<value><boolean>{int(value)}</boolean></value>"
        case int():
            return f"<value><i4>{value}</i4></value>"
        case float():
            return f"<value><double>{value}</double></value>"
        case Mapping():
            return render_struct((str(key), render_value(item)) for key, item in value.items())
        case list() | tuple():
            items = "".join(render_value(item) for item in value)
            return f"<value><array><data>{items}</data></array></value>"
        case _:
            return f"<value>{escape(str(value))}</value>"


def render_struct(members: Iterable[tuple[str, str]]) -> str:
    """A struct of members whose values are XML already."""
    inner = "".join(f"<member><name>{escape(name)}</name>{xml}</member>" for name, xml in members)
    return f"<value><struct>{inner}</struct></value>"


@dataclass
class Table:
    """One class: its records and what events and answers need to know of each.

    Attributes:
        created: generation at which a record came to be.
        modified: generation of its last change.
        deleted: reference, creation and deletion generation of the last deletions.
    """

    records: dict[str, Record]
    created: dict[str, int] = field(default_factory=dict)
    modified: dict[str, int] = field(default_factory=dict)
    deleted: list[tuple[str, int, int]] = field(default_factory=list)
    _xml: dict[str, str] = field(default_factory=dict)
    _index: dict[str, dict[str, list[str]]] = field(default_factory=dict)

    def xml(self, ref: str) -> str:
        """The record as XML-RPC; rendered at the first use after a change."""
        text = self._xml.get(ref)
        if text is None:
            text = self._xml[ref] = render_value(self.records[ref])
        return text

    def changed(self, ref: str) -> None:
        """Forget what was derived from the record."""
        self._xml.pop(ref, None)
        self._index.clear()

    def matching(self, expression: Expression) -> list[str]:
        """References of the records that fit; FilterError for a field that the class lacks."""
        terms = alternatives(expression)
        if terms is None:
            return [ref for ref in self.records if holds(expression, partial(self._text, ref))]
        hits: dict[str, None] = {}
        for name, literal in terms:
            hits.update(dict.fromkeys(self._indexed(name).get(literal, [])))
        return list(hits)

    def _text(self, ref: str, name: str) -> str:
        if name == "_ref":
            return ref
        record = self.records[ref]
        if name not in record:
            raise FilterError(f"missing field {name}")
        return database_text(record[name])

    def _indexed(self, name: str) -> dict[str, list[str]]:
        if name not in self._index:
            index: dict[str, list[str]] = {}
            for ref in self.records:
                index.setdefault(self._text(ref, name), []).append(ref)
            self._index[name] = index
        return self._index[name]


class Database:
    """All tables, a generation that counts changes, and the lock that every caller holds.

    Attributes:
        changed: condition over the lock; notified after each change.
    """

    def __init__(self, records: Records) -> None:
        self.tables = {name: Table(dict(table)) for name, table in records.items()}
        self.generation = 1
        self.changed = threading.Condition(threading.RLock())

    def table(self, name: str) -> Table | None:
        """The class's table; XAPI takes the class's name in any case."""
        if name in self.tables:
            return self.tables[name]
        return next((table for key, table in self.tables.items() if key.lower() == name.lower()), None)

    def put(self, name: str, ref: str, fields: Record) -> None:
        """Change these fields of a record, or create it from them."""
        with self.changed:
            table = self.tables.setdefault(name, Table({}))
            self.generation += 1
            if ref not in table.records:
                table.created[ref] = self.generation
            table.modified[ref] = self.generation
            table.records[ref] = table.records.get(ref, {}) | fields
            table.changed(ref)
            self.changed.notify_all()

    def delete(self, name: str, ref: str) -> None:
        """Remove a record; nothing happens when it is gone already."""
        with self.changed:
            table = self.tables[name]
            if ref not in table.records:
                return
            self.generation += 1
            del table.records[ref]
            table.deleted.append((ref, table.created.pop(ref, 1), self.generation))
            del table.deleted[:-REMEMBERED_DELETIONS]
            table.modified.pop(ref, None)
            table.changed(ref)
            self.changed.notify_all()

    def drop_field(self, name: str, field_name: str) -> None:
        """Take a field out of every record of a class, as on a server that is too old for it."""
        with self.changed:
            table = self.tables[name]
            for ref, record in table.records.items():
                table.records[ref] = {key: value for key, value in record.items() if key != field_name}
                table.changed(ref)

    def render_all(self) -> None:
        """Render every record now, so that the first answers are as quick as later ones."""
        with self.changed:
            for table in self.tables.values():
                for ref in table.records:
                    table.xml(ref)
