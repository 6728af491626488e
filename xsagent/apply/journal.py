"""The journal: what was begun and how to take it back, on disk before each effect (DESIGN.md rule 5).

Lines of JSON below /var/lib/xsagent, each fsynced before the effect that it speaks of. Written by the executor; read
after a crash by the next run or the daemon, which finish the undo. It names the boot: after a reboot only files are
restored, since the kernel and the switch started afresh.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xsagent.errors import InputError
from xsagent.plan.steps import FileStep, Plan, Step
from xsagent.topology.codec import from_json, to_json
from xsagent.topology.desired import Desired
from xsagent.topology.values import Json

NAME = "journal"


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntries:
    """What a journal left behind says.

    Attributes:
        boot: boot id of the run that wrote it.
        operation: what was asked, for messages.
        begun: steps whose effect may have happened, in order.
        desired: what the run wanted; None when the line was cut off.
        armed: the run was under the deadman: what it did may stay only if the gateway answers.
    """

    boot: str
    operation: str
    armed: bool = False
    begun: tuple[Step, ...] = ()
    desired: Desired | None = None

    def undo_steps(self, present_boot: str) -> tuple[Step, ...]:
        """Steps that take back what was begun, the last first; after a reboot only files."""
        steps = tuple(undo for step in reversed(self.begun) for undo in step.undo)
        if present_boot == self.boot:
            return steps
        return tuple(step for step in steps if isinstance(step, FileStep))


@dataclass(slots=True)
class Journal:
    """An open journal; nothing is on disk before the first step begins."""

    directory: Path
    boot: str
    operation: str
    desired: Desired
    armed: bool = False
    _stream: Any = field(default=None, init=False)

    def begin(self, step: Step) -> None:
        """Put the step on disk before its effect.

        Raises:
            OSError: it cannot be written (disk full, read-only): the effect must not happen.
        """
        if self._stream is None:
            self._open()
        self._write({"begin": to_json(step)})

    def commit(self) -> None:
        """The operation ended well, or was wholly undone: nothing is left to take back."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None
            remove_journal(self.directory)

    def close(self) -> None:
        """Leave the journal for the next run (Stuck, or this process ends)."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _open(self) -> None:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._stream = (self.directory / NAME).open("w", encoding="utf-8")
        _sync_directory(self.directory)
        self._write(
            {"boot": self.boot, "operation": self.operation, "armed": self.armed, "desired": to_json(self.desired)}
        )

    def _write(self, entry: dict[str, Json]) -> None:
        self._stream.write(json.dumps(entry) + "\n")
        self._stream.flush()
        os.fsync(self._stream.fileno())


def read_journal(directory: Path) -> JournalEntries | None:
    """What an earlier run left; None when it left nothing. A cut-off last line was never acted on."""
    try:
        lines = (directory / NAME).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return None
    entries: list[dict[str, Json]] = []
    for line in lines:
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            break
        if not isinstance(entry, dict):
            break
        entries.append(entry)
    return _parse(entries[0], entries[1:]) if entries else JournalEntries(boot="", operation="")


def remove_journal(directory: Path) -> None:
    """Remove the journal durably."""
    (directory / NAME).unlink(missing_ok=True)
    _sync_directory(directory)


def _parse(head: dict[str, Json], rest: list[dict[str, Json]]) -> JournalEntries:
    desired: Desired | None = None
    begun: tuple[Step, ...] = ()
    # another version of xsagent may have written it: what cannot be read is passed over, the rest still counts
    with contextlib.suppress(InputError, KeyError):
        desired = from_json(Desired, head["desired"])
    for entry in rest:
        with contextlib.suppress(InputError, KeyError):
            begun += from_json(Plan, {"steps": [entry["begin"]]}).steps
    return JournalEntries(
        boot=str(head.get("boot", "")),
        operation=str(head.get("operation", "")),
        armed=head.get("armed") is True,
        begun=begun,
        desired=desired,
    )


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
