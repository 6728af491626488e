"""Runs a command inside a sandbox and says what it took: time, processor time, processes, transactions. Effects.

Used by every group of rows of `make bench`. Times are taken from outside, around the same nsenter(1) for our command
and for the script that it stands beside.
"""

from __future__ import annotations

import json
import resource
import sys
import sysconfig
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from host_state import transactions

from xsagent.installation.layout import render_command, with_interpreter
from xsagent.sandbox.dom0 import Sandbox

FOLDER = Path(__file__).parent
_DEADLINE_S = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one command took; `cpu_s` counts its children too, of which it waited for the end."""

    wall_s: float
    cpu_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class InsideRun:
    """What one interface-reconfigure took by a clock inside its process.

    Attributes:
        import_s: all imports, those that the product makes late included.
        run_s: the command without imports and without the interpreter's start and end.
        cpu_s: the processor's time of that, its own process alone.
        spans: [part, start, end] in seconds since the run's begin, in order of their starts.
        peak_kib: most memory that it had.
    """

    import_s: float
    run_s: float
    cpu_s: float
    spans: list[tuple[str, float, float]]
    peak_kib: int

    def part(self, name: str) -> float:
        """Seconds in a part, all its calls together."""
        return sum(end - start for part, start, end in self.spans if part == name)

    def calls(self, name: str) -> int:
        """Number of calls of a part."""
        return sum(part == name for part, _, _ in self.spans)

    def before_effect(self, name: str) -> float:
        """Seconds in a part before the first effect."""
        begin = min((start for part, start, _ in self.spans if part == "apply"), default=float("inf"))
        return sum(end - start for part, start, end in self.spans if part == name and start < begin)

    @property
    def effect_to_verified_s(self) -> float:
        """From the first effect until the result was verified; 0 where nothing was to do."""
        starts = [start for part, start, _ in self.spans if part == "apply"]
        ends = [end for part, _, end in self.spans if part == "verify"]
        return max(ends) - min(starts) if starts and ends else 0.0


@dataclass(slots=True)
class Bench:
    """One sandbox to measure in; keeps which modules each kind of command ends up with."""

    sandbox: Sandbox
    _modules: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Put the commands in PATH as an installation has them: a development tree's start much slower."""
        install_command(self.sandbox, "interface-reconfigure", "xsagent.cli.interface_reconfigure:main")
        install_command(self.sandbox, "xsagentd", "xsagent.cli.xsagentd:main")

    def ours(self, *arguments: str) -> Run:
        """interface-reconfigure as peers run it."""
        return self._timed(["interface-reconfigure", f"--root-prefix={self.sandbox.root}", *arguments])

    def script(self, name: str, *arguments: str, lines: str = "") -> Run:
        """One of the scripts beside this file."""
        return self._timed(["bash", str(FOLDER / name), *arguments], lines)

    def inside(self, kind: str, *arguments: str) -> InsideRun:
        """interface-reconfigure with a clock in its process.

        Args:
            kind: commands of one kind import the same; the first of a kind finds out what, the others import it first.
            arguments: of interface-reconfigure.
        """
        report = self.sandbox.directory / "report.json"
        command = [sys.executable, str(FOLDER / "measured_run.py"), str(report)]
        self.sandbox.run(
            [*command, f"--root-prefix={self.sandbox.root}", *arguments],
            env={"BENCH_MODULES": json.dumps(self._modules.get(kind, []))},
            timeout=_DEADLINE_S,
        )
        found: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
        self._modules.setdefault(kind, found["modules"])
        spans = sorted(((str(n), float(s), float(e)) for n, s, e in found["spans"]), key=lambda span: span[1])
        return InsideRun(
            import_s=found["import_s"],
            run_s=found["run_s"],
            cpu_s=found["cpu_s"],
            spans=spans,
            peak_kib=int(found["peak_kib"]),
        )

    def processes(self, action: Callable[[], object]) -> int:
        """How many processes an action makes in the sandbox, its own first one left out.

        Process ids of the sandbox's own namespace are given one by one, threads among them.
        """
        before = self._next_pid()
        nothing = self._next_pid() - before
        action()
        return self._next_pid() - before - 3 * nothing

    def transactions(self, action: Callable[[], object]) -> int:
        """How many records an action adds to the database's log."""
        before = transactions(self.sandbox)
        action()
        return transactions(self.sandbox) - before

    def _next_pid(self) -> int:
        return int(self.sandbox.run(["sh", "-c", "echo $$"]).stdout)

    def _timed(self, argv: Sequence[str], lines: str = "") -> Run:
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        self.sandbox.run(argv, timeout=_DEADLINE_S, input_text=lines)
        ended, after = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return Run(wall_s=ended - started, cpu_s=cpu)


def install_command(sandbox: Sandbox, name: str, entry: str) -> None:
    """Have a command in a sandbox's PATH, with its package and all that this needs beside it."""
    script = _put_script(_library(sandbox) / "bin" / name, render_command(name, entry))
    link = sandbox.bin / name
    link.parent.mkdir(exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(script)


def install_hook(sandbox: Sandbox, place: Path) -> None:
    """Have hotplug's hook at a place of the toolstack's, as an installation has it: a link to where the package is."""
    text = (FOLDER.parents[1] / "udev/hotplug-hook").read_text("utf-8")
    script = _put_script(_library(sandbox) / "udev/hotplug-hook", text)
    place.unlink()
    place.symlink_to(script)


def _library(sandbox: Sandbox) -> Path:
    """layout.LIBRARY: our package with all that it needs."""
    library = sandbox.directory / "library"
    if not library.exists():
        library.mkdir()
        (library / "xsagent").symlink_to(FOLDER.parents[1] / "xsagent")
        for path in Path(sysconfig.get_path("purelib")).iterdir():
            if path.suffix != ".pth" and not path.name.startswith("__"):
                (library / path.name).symlink_to(path)
    return library


def _put_script(script: Path, text: str) -> Path:
    script.parent.mkdir(exist_ok=True)
    script.write_text(with_interpreter(text, str(Path(sys.executable).resolve())), "utf-8")
    script.chmod(0o755)
    return script


_PROCESSOR = """
import os, sys
total = 0
for pid in sys.argv[1:] or filter(str.isdigit, os.listdir("/proc")):
    try:
        fields = open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()
    except OSError:
        continue
    # with what its ended children took
    total += sum(map(int, fields[11:15]))
print(total / os.sysconf("SC_CLK_TCK"))
"""


def processor_s(sandbox: Sandbox, pids: Iterable[int] = ()) -> float:
    """Processor time so far of processes inside, or of all of dom0; of each with its children that have ended."""
    return float(sandbox.run([sys.executable, "-c", _PROCESSOR, *map(str, pids)]).stdout)


def in_turn(times: int, *actions: Callable[[], Run]) -> list[list[Run]]:
    """Run actions one after the other, `times` times over, so that a busy moment hits all; the runs of each."""
    runs: list[list[Run]] = [[] for _ in actions]
    for _ in range(times):
        for action, done in zip(actions, runs, strict=True):
            done.append(action())
    return runs


def wall(runs: Iterable[Run]) -> float:
    """Median time in seconds."""
    return median(run.wall_s for run in runs)


def describe(runs: Sequence[Run]) -> str:
    """What stands beside a median: the best run, and the processor's time."""
    return f"best {min(run.wall_s for run in runs):.3f} s, processor {median(run.cpu_s for run in runs):.3f} s"
