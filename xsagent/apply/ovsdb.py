"""One OvsdbStep -> one transaction, done when the switch reports it. Effects.

`apply/executor.py` calls it; precondition: ovs-vswitchd lives (observed/switch_alive.py). Each attempt looks up the
rows (`ovsdb_resolve`), renders a guarded transaction (`ovsdb_render`) and sends it; a guard that fails on a row that
was merely looked up means looking again. Undo: the step's own undo, another OvsdbStep.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from xsagent.apply.ovsdb_guards import Guard
from xsagent.apply.ovsdb_render import Transaction, render_step
from xsagent.apply.ovsdb_resolve import parse_rows, resolve_selects, takes_bridge
from xsagent.errors import ConflictError, OvsdbUnavailableError, SwitchDeadError, SwitchRefusedError
from xsagent.observed.ovsdb_connection import Operation, OvsdbConnection, TransactionRefusedError, rows_of
from xsagent.observed.ovsdb_json import EMPTY_SET, Row
from xsagent.observed.vif_ports import read_homes
from xsagent.plan.describe_operation import describe_relied
from xsagent.plan.steps import OvsdbStep
from xsagent.topology.values import Json

_RETRY_PAUSE_S: Final = 0.01
_COMMIT_TRIES: Final = 3
"""For a refusal at commit that another writer may have caused (a name taken, a row gone)."""
_ANSWER_GRACE_S: Final = 1.0
"""For the answer of a ``wait`` that ovsdb-server itself ends at the deadline."""
_TIMED_OUT: Final = "timed out"


@dataclass(frozen=True, slots=True, kw_only=True)
class OvsdbResult:
    """How a step ended.

    Attributes:
        changed: False when the database already was as the step leaves it; then nothing was written.
        next_cfg: number of the configuration that the switch has taken over; None when nothing was written.
        ofports: OpenFlow port number of each interface in the step's `ports`.
    """

    changed: bool = False
    next_cfg: int | None = None
    ofports: Mapping[str, int] = field(default_factory=dict)


def apply_ovsdb(
    connection: OvsdbConnection,
    step: OvsdbStep,
    deadline: float,
    *,
    before: Callable[[], None] | None = None,
    meanwhile: Callable[[], None] | None = None,
) -> OvsdbResult:
    """Run the step as one transaction and wait until the switch has taken it over.

    Idempotent where the step relies on nothing. After ConflictError and OvsdbError nothing was changed; after
    SwitchDeadError and SwitchRefusedError the database was, and the caller runs the undo.

    Args:
        connection: open; a step with no operations does not use it.
        step: what to do.
        deadline: a time of ``time.monotonic()`` for everything, the switch's report included.
        before: run when the transaction stands and nothing was changed yet; what it raises ends the step. It may run
            again.
        meanwhile: run once the database has the change, while the switch takes it over.

    Raises:
        ConflictError: what the plan relied on is no longer so: plan afresh.
        OvsdbError: the database refused the transaction.
        OvsdbUnavailableError: ovsdb-server went away; the sentence says whether the change can have been made.
        SwitchDeadError: committed, but ovs-vswitchd did not take it over in time.
        SwitchRefusedError: taken over, but the switch reports an error for one of the step's ports.
    """
    if not step.operations:
        return OvsdbResult()
    number = _commit(connection, step, deadline, before)
    if meanwhile is not None:
        meanwhile()
    if number is None and not step.ports:
        return OvsdbResult()
    ofports = _await_switch(connection, number or 0, step.ports, deadline)
    return OvsdbResult(changed=number is not None, next_cfg=number, ofports=ofports)


# --- committing ------------------------------------------------------------------------------------------


def _commit(
    connection: OvsdbConnection, step: OvsdbStep, deadline: float, before: Callable[[], None] | None
) -> int | None:
    """Commit and return the new next_cfg; None when there was nothing to change."""
    commit_refusals = 0
    while True:
        transaction = _render(connection, step, deadline)
        if before is not None:
            before()
        try:
            return _send(connection, transaction, step.reason, deadline)
        except TransactionRefusedError as refused:
            guard = _failed_guard(refused, transaction.guards)
            if guard is None:
                commit_refusals += 1
                if not refused.word.endswith("violation") or commit_refusals >= _COMMIT_TRIES:
                    raise
            elif guard.relied is not None:
                raise ConflictError(
                    f"the plan relies on {describe_relied(guard.relied)}, which is no longer so; nothing was changed"
                ) from refused
            if time.monotonic() + _RETRY_PAUSE_S > deadline:
                raise ConflictError("the Open vSwitch database kept changing; nothing was changed") from refused
        time.sleep(_RETRY_PAUSE_S)


def _render(connection: OvsdbConnection, step: OvsdbStep, deadline: float) -> Transaction:
    schema = connection.schema(deadline)
    selects = resolve_selects(step)
    results = connection.transact(selects, deadline)
    rows = parse_rows(selects, [rows_of(result) for result in results])
    if not takes_bridge(step):
        rows.place_ports(read_homes(connection, rows.uuids("Port"), deadline))
    return render_step(step, rows, schema)


def _send(connection: OvsdbConnection, transaction: Transaction, reason: str, deadline: float) -> int | None:
    guards = [guard.operation for guard in transaction.guards]
    if not transaction.operations:
        # What the plan relied on is checked all the same; a transaction of waits leaves no record.
        connection.transact(guards, deadline)
        return None
    operations: list[Operation] = [
        *guards,
        *transaction.operations,
        {"op": "mutate", "table": "Open_vSwitch", "where": [], "mutations": [["next_cfg", "+=", 1]]},
        {"op": "comment", "comment": f"xsagent: {reason}" if reason else "xsagent"},
        {"op": "select", "table": "Open_vSwitch", "where": [], "columns": ["next_cfg"]},
    ]
    try:
        results = connection.transact(operations, deadline)
    except OvsdbUnavailableError as error:
        raise OvsdbUnavailableError(f"{error}; whether the change was made is not known") from error
    return _number(rows_of(results[-1])[0], "next_cfg")


def _failed_guard(refused: TransactionRefusedError, guards: Sequence[Guard]) -> Guard | None:
    return guards[refused.index] if refused.index < len(guards) and refused.word == _TIMED_OUT else None


# --- the switch's report ---------------------------------------------------------------------------------


def _await_switch(connection: OvsdbConnection, number: int, ports: Sequence[str], deadline: float) -> Mapping[str, int]:
    """Wait until the switch runs this configuration and has numbered the ports; ovsdb-server does the waiting."""
    waits = [_wait("Open_vSwitch", [["cur_cfg", ">=", number]], "cur_cfg", deadline)]
    waits += [
        _wait("Interface", [["name", "==", port], ["ofport", "!=", EMPTY_SET]], "ofport", deadline) for port in ports
    ]
    selects = [_select_report(port) for port in ports]
    try:
        results = connection.transact([*waits, *selects], deadline + _ANSWER_GRACE_S)[len(waits) :]
    except TransactionRefusedError as refused:
        if refused.word != _TIMED_OUT:
            raise
        if refused.index == 0:
            raise SwitchDeadError(
                "ovs-vswitchd did not take over the new configuration in time; the database holds it"
            ) from refused
        results = connection.transact(selects, deadline + _ANSWER_GRACE_S)
    return _accepted({port: rows_of(result) for port, result in zip(ports, results, strict=True)})


def _accepted(reports: Mapping[str, Sequence[Row]]) -> Mapping[str, int]:
    """Each port's number.

    Raises:
        SwitchRefusedError: the switch reports an error instead for one, or has no number for it.
    """
    numbers: dict[str, int] = {}
    problems: dict[str, str] = {}
    for port, rows in reports.items():
        report = rows[0] if rows else {}
        number, error = _number(report, "ofport"), report.get("error")
        if isinstance(error, str) and error:
            problems[port] = f"the switch refuses port {port}: {error}"
        elif number is None:
            problems[port] = f"the switch gave port {port} no number in time"
        elif number < 0:
            problems[port] = f"the switch refuses port {port} without a reason"
        else:
            numbers[port] = number
    if problems:
        first = next(iter(problems.values()))
        raise SwitchRefusedError(f"{first}; the database holds the port", problems)
    return numbers


def _wait(table: str, where: list[Json], column: str, deadline: float) -> Operation:
    """A wait until some row matches."""
    milliseconds = max(0, int((deadline - time.monotonic()) * 1000))
    return {
        "op": "wait",
        "timeout": milliseconds,
        "table": table,
        "where": where,
        "columns": [column],
        "until": "!=",
        "rows": [],
    }


def _select_report(port: str) -> Operation:
    return {"op": "select", "table": "Interface", "where": [["name", "==", port]], "columns": ["ofport", "error"]}


def _number(row: Row, column: str) -> int | None:
    value = row.get(column)
    return value if isinstance(value, int) else None
