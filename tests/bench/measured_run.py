"""interface-reconfigure run in this process with a clock around its parts; writes a report. A program of `make bench`.

Usage: measured_run.py REPORT INTERFACE-RECONFIGURE-ARGUMENT...  What an earlier report names as modules (variable
BENCH_MODULES) is imported first, so that no lazy import falls into a measured part. The product knows nothing of this:
the functions below are wrapped by name, and a name that is gone ends the run.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

PARTS = {
    "read XAPI": ("xsagent.operations", "read_from_xapi"),
    "read cache": ("xsagent.sources.boot", "read_boot_state"),
    "read OVSDB": ("xsagent.observed.ovsdb", "read_ovsdb"),
    "read bridge names": ("xsagent.observed.bridge_names", "read_bridge_parents"),
    "read host": ("xsagent.observed.host", "observe_host"),
    "decide": ("xsagent.operations", "build_operation"),
    "plan": ("xsagent.plan.diff", "build_plan"),
    "apply": ("xsagent.apply.executor", "execute"),
    "transaction": ("xsagent.apply.ovsdb", "apply_ovsdb"),
    "save cache": ("xsagent.operations", "save_snapshot"),
}
VERIFY = ("xsagent.apply.deadman", "Deadman", "verify")


def main() -> int:
    """Run the command; the report holds the spans of its parts as [name, start, end] in seconds from its start."""
    report, *arguments = sys.argv[1:]
    spans: list[tuple[str, float, float]] = []
    started = time.monotonic()
    for name in json.loads(os.environ.get("BENCH_MODULES", "[]")):
        import_module(name)
    import_module("xsagent.cli.reconfigure_run")
    command = import_module("xsagent.cli.interface_reconfigure")
    imported = time.monotonic()
    watch(spans)
    begun, processor = time.monotonic(), time.process_time()
    code: int = command.main(arguments)
    ended = time.monotonic()
    figures = {
        "exit": code,
        "import_s": imported - started,
        "run_s": ended - begun,
        "cpu_s": time.process_time() - processor,
        "spans": [(name, start - begun, end - begun) for name, start, end in spans],
        "peak_kib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        "modules": sorted(name for name in sys.modules if not name.startswith("__")),
    }
    Path(report).write_text(json.dumps(figures), encoding="utf-8")
    return code


def watch(spans: list[tuple[str, float, float]]) -> None:
    """Put the clock around every part, in each module that has it by name."""
    for part, (module, name) in PARTS.items():
        function = getattr(import_module(module), name)
        timed = _timed(part, function, spans)
        for user in [user for key, user in sys.modules.items() if key.startswith("xsagent.")]:
            if getattr(user, name, None) is function:
                setattr(user, name, timed)
    module, kind, name = VERIFY
    owner = getattr(import_module(module), kind)
    setattr(owner, name, _timed("verify", getattr(owner, name), spans))


def _timed(part: str, function: Callable[..., Any], spans: list[tuple[str, float, float]]) -> Callable[..., Any]:
    def timed(*arguments: Any, **named: Any) -> Any:
        start = time.monotonic()
        try:
            return function(*arguments, **named)
        finally:
            spans.append((part, start, time.monotonic()))

    return timed


if __name__ == "__main__":
    sys.exit(main())
