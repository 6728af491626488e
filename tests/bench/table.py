"""Rows of `make bench` -> the table that people read and bench.json. Writes one file; measures nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One measured thing.

    Attributes:
        group: heading under which it stands.
        name: what was measured.
        value: ours, a median where there are several runs.
        unit: of `value`, `baseline` and `target`.
        baseline: the same of the bash script, measured in turn; None where it has no such thing.
        target: at most this; None: stated only.
        note: what belongs to the number.
    """

    group: str
    name: str
    value: float
    unit: str
    baseline: float | None = None
    target: float | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without one."""
        return None if self.target is None else self.value <= self.target

    @property
    def ratio(self) -> float | None:
        """How many times the script's figure is ours; None where one of them is missing or nought."""
        return self.baseline / self.value if self.baseline and self.value else None


def write_json(rows: Iterable[Row], path: Path, **machine: object) -> None:
    """Write all rows, and what the machine was, to a file."""
    shown = [asdict(row) | {"met": row.met, "ratio": row.ratio} for row in rows]
    path.write_text(json.dumps({"machine": machine, "rows": shown}, indent=1) + "\n", encoding="utf-8")


def render_heading(title: str) -> str:
    """The heading of one group, with the names of the columns."""
    return f"\n{title}\n  {'':<52} {'xsagent':>10} {'script':>10} {'ratio':>6} {'at most':>10}"


def render_row(row: Row) -> str:
    """One line of the table; a second one for the note."""
    met = {True: "met", False: "NOT MET", None: ""}[row.met]
    ratio = f"{row.ratio:.1f}" if row.ratio is not None else ""
    cells = [_figure(row.value, row.unit), _figure(row.baseline, row.unit), ratio, _figure(row.target, row.unit)]
    line = f"  {row.name:<52} {cells[0]:>10} {cells[1]:>10} {cells[2]:>6} {cells[3]:>10}  {met}".rstrip()
    return f"{line}\n      {row.note}" if row.note else line


def _figure(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    if unit == "s":
        return f"{value * 1000:.0f} ms" if abs(value) < 1 else f"{value:.2f} s"
    if unit == "%":
        return f"{value:.2f} %"
    return f"{value:.0f} {unit}".rstrip()


def describe_machine() -> dict[str, object]:
    """What the figures depend on: processors, and how busy others keep them."""
    load = os.getloadavg()[0]
    return {"processors": os.cpu_count(), "load": round(load, 1), "busy": load > (os.cpu_count() or 1) / 2}
