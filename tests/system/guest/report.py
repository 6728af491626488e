"""What happened in the VM, case by case, as JSON for the tests outside. Effects: one file, and a line a case on stdout.

A case that raises does not stop the next one: the tests outside fail each for its own reason.
"""

from __future__ import annotations

import json
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

REPORT = Path("/out/report.json")

Facts = dict[str, Any]
"""What a case found out, by name: JSON values."""


class Report:
    """The cases of one VM; written anew after each, so that a VM that dies, or boots again, leaves what it had."""

    def __init__(self) -> None:
        self._cases: dict[str, Facts] = json.loads(REPORT.read_text(encoding="utf-8")) if REPORT.exists() else {}

    def case(self, name: str, explain: Callable[[], str] = str) -> Case:
        """A block that collects the facts of one case; what it raises is reported and goes no further.

        `explain` is asked then: what else a person should see.
        """
        return Case(self, name, explain)

    def add(self, name: str, facts: Facts, error: str, seconds: float) -> None:
        """Report a case that ended."""
        self._cases[name] = {"facts": facts, "error": error, "seconds": round(seconds, 1)}
        REPORT.write_text(json.dumps(self._cases, indent=1), encoding="utf-8")
        sys.stdout.write(f"case {name}: {'raised' if error else 'ended'} after {seconds:.1f} s\n")
        sys.stdout.flush()


class Case:
    """One case while it runs, as a context manager that gives its facts to fill."""

    def __init__(self, report: Report, name: str, explain: Callable[[], str]) -> None:
        self._report = report
        self._explain = explain
        self._name = name
        self._facts: Facts = {}
        self._began = time.monotonic()

    def __enter__(self) -> Facts:
        return self._facts

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> bool:
        error = "".join(traceback.format_exception(kind, value, trace)) + self._explain() if value else ""
        self._report.add(self._name, self._facts, error, time.monotonic() - self._began)
        return isinstance(value, Exception)
