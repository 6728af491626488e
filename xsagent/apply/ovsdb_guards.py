"""What a transaction relies on, as ``wait`` operations with timeout 0. Pure.

`apply/ovsdb_render.py` collects the guards of a step here; they go before its operations, so that all of them speak
about the database as the transaction finds it. Source: RFC 7047 section 5.2.6.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from xsagent.apply.ovsdb_resolve import MEMBERS, FoundRow, Reference, Rows, reference_set
from xsagent.errors import ConflictError
from xsagent.observed.ovsdb_connection import Operation
from xsagent.plan.describe_operation import describe_relied
from xsagent.plan.steps import Relied
from xsagent.topology.values import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """A ``wait`` that the transaction begins with.

    Attributes:
        operation: the wait.
        relied: what the plan relied on; None for a row that was only looked up, where looking again may help.
    """

    operation: Operation
    relied: Relied | None = None


class GuardList:
    """The guards of one transaction, each once.

    Attributes:
        guards: in the order of sending.
    """

    def __init__(self, rows: Rows) -> None:
        self.guards: list[Guard] = []
        self._rows = rows
        self._seen: set[str] = set()
        self._relied_members: dict[tuple[str, str], tuple[Relied, set[Reference]]] = {}

    def rely(self, entry: Relied) -> None:
        """Guard something the plan relied on.

        Raises:
            ConflictError: a member that was relied on is in no place at all any more.
        """
        where = where_name(entry.table, entry.record)
        if entry.column == "name":
            expected: list[Json] = [{"name": entry.record}] if entry.value else []
            self._add(entry.table, where, "name", expected, relied=entry)
        elif _is_about_members(entry):
            self._rely_on_members(entry)
        else:
            self._add(entry.table, where, entry.column, [{entry.column: entry.value}], relied=entry)

    def _rely_on_members(self, entry: Relied) -> None:
        column, part_table = MEMBERS[entry.table]
        _, known = self._relied_members.setdefault((entry.table, entry.record), (entry, set()))
        for name in entry.value if isinstance(entry.value, list) else []:
            part = self._rows.find(part_table, str(name))
            if part is None:
                raise ConflictError(
                    f"the plan relies on {describe_relied(entry)}, but {name} is gone; nothing was changed"
                )
            known.add(part.reference)
            where: list[Json] = [*where_name(entry.table, entry.record), [column, "includes", list(part.reference)]]
            self._add(entry.table, where, "name", [{"name": entry.record}], relied=entry)

    def same(self, row: FoundRow) -> None:
        """The row must still be the one of its name."""
        if row.reference[0] == "uuid":
            self._add(row.table, [["_uuid", "==", list(row.reference)]], "name", [{"name": row.name}])

    def absent(self, table: str, name: str) -> None:
        """No row may have this name."""
        self._add(table, where_name(table, name), "name", [])

    def member(self, row: FoundRow, owner: FoundRow) -> None:
        """The port (interface) must still be in its bridge (port)."""
        if "named-uuid" not in {row.reference[0], owner.reference[0]}:
            column = MEMBERS[owner.table][0]
            where: list[Json] = [["_uuid", "==", list(owner.reference)], [column, "includes", list(row.reference)]]
            self._add(owner.table, where, "name", [{"name": owner.name}])

    def known_members(self, row: FoundRow, taken_out: Iterable[Reference]) -> None:
        """Nothing may have been plugged into a row that is deleted, where the plan relied on its members."""
        if (row.table, row.name) in self._relied_members:
            entry, known = self._relied_members[row.table, row.name]
            expected = sorted(reference for reference in {*known, *taken_out} if reference[0] == "uuid")
            column, _ = MEMBERS[row.table]
            self._add(
                row.table, where_name(row.table, row.name), column, [{column: reference_set(expected)}], relied=entry
            )

    def _add(
        self, table: str, where: list[Json], column: str, expected: list[Json], *, relied: Relied | None = None
    ) -> None:
        operation: Operation = {
            "op": "wait",
            "timeout": 0,
            "table": table,
            "where": where,
            "columns": [column],
            "until": "==",
            "rows": expected,
        }
        if repr(operation) not in self._seen:
            self._seen.add(repr(operation))
            self.guards.append(Guard(operation=operation, relied=relied))


def _is_about_members(entry: Relied) -> bool:
    return entry.table in MEMBERS and MEMBERS[entry.table][0] == entry.column


def where_name(table: str, name: str) -> list[Json]:
    """A condition that finds a row by its name."""
    return [] if table == "Open_vSwitch" else [["name", "==", name]]
