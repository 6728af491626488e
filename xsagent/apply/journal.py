"""The journal: what was begun and how to take it back, on disk before each effect (DESIGN.md rule 5).

Lines of JSON below /var/lib/xsagent, each fsynced before the effect that it speaks of. Written by the executor; read
after a crash by the next run or the daemon, which finish the undo. It names the boot: after a reboot only files are
restored, since the kernel and the switch started afresh.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from xsagent.apply.files import sync_directory
from xsagent.apply.room import Room
from xsagent.errors import ApplyError, InputError
from xsagent.model.keep_out import PifConfiguration
from xsagent.plan.steps import FileStep, Plan, Step
from xsagent.topology.codec import from_json, to_json
from xsagent.topology.desired import Desired
from xsagent.topology.values import IPV4, IPV6, Json

NAME = "journal"


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntries:
    """What a journal left behind says.

    Attributes:
        boot: boot id of the run that wrote it.
        operation: what was asked, for messages.
        begun: steps whose effect may have happened, in order.
        desired: what the run wanted; None when the line was cut off.
        answered: families (4, 6) whose gateway answered before: what the run did may stay only if they answer still.
        configuration: of the PIF that was brought up: to be remembered when it is taken back.
    """

    boot: str
    operation: str
    answered: frozenset[int] = frozenset()
    begun: tuple[Step, ...] = ()
    desired: Desired | None = None
    configuration: PifConfiguration | None = None

    def undo_steps(self, present_boot: str) -> tuple[Step, ...]:
        """Steps that take back what was begun, the last first; after a reboot only files."""
        steps = tuple(undo for step in reversed(self.begun) for undo in step.undo)
        if present_boot == self.boot:
            return steps
        return tuple(step for step in steps if isinstance(step, FileStep))


@dataclass(slots=True)
class Journal:
    """An open journal; nothing is on disk before the first step begins.

    Attributes:
        room: kept on disk for the way back from the first step on.
        go_on: told why nothing can be put on disk, where the run is to go on all the same: at a boot there is nothing
            to go back to that another run would miss. None: no step begins then.
        begun: steps that were put on disk, or would have been.
    """

    directory: Path
    boot: str
    operation: str
    desired: Desired | None
    answered: frozenset[int] = frozenset()
    configuration: PifConfiguration | None = None
    room: Room | None = None
    go_on: Callable[[str], None] | None = None
    begun: list[Step] = field(default_factory=list, init=False)
    _descriptor: int | None = field(default=None, init=False)
    _given_up: bool = field(default=False, init=False)

    def begin(self, step: Step) -> None:
        """Put the step on disk before its effect.

        A step without undo has nothing to take back, so it does not wait for the disk by itself: at a boot with
        500 VLANs that is nearly every step.

        Raises:
            ApplyError: it cannot be written (disk full, read-only), or there is no room for the way back: the effect
                must not happen. Not where the run is to go on.
        """
        if not self._given_up:
            try:
                self._put(step)
            except ApplyError as error:
                if self.go_on is None:
                    raise
                self._give_up()
                self.go_on(error.cause)
        self.begun.append(step)

    def _put(self, step: Step) -> None:
        try:
            if self._descriptor is None:
                self._descriptor = self._open()
                if self.room is not None:
                    self.room.hold()
                self._write(self._descriptor, self._head())
            self._write(self._descriptor, {"begin": to_json(step)}, sync=bool(step.undo))
        except OSError as error:
            raise ApplyError(f"the journal {self.directory / NAME} could not be written: {error.strerror}") from error

    def _give_up(self) -> None:
        """Leave no part of the journal behind: a run that takes back a part of what was done makes it worse."""
        self._given_up = True
        with contextlib.suppress(OSError):
            self.commit()
        self.close()

    def give_room(self, undo: Sequence[Step]) -> Sequence[Step]:
        """The way back begins: what was kept free on disk for it is given up. Returns the steps as they are."""
        if self.room is not None:
            self.room.release()
        return undo

    def commit(self) -> None:
        """The operation ended well, or was wholly undone: nothing is left to take back.

        Raises:
            OSError: it could be neither emptied nor removed; the next run looks at it.
        """
        if self._descriptor is None:
            return
        # emptied first: that works without room, and says the same as removed
        os.ftruncate(self._descriptor, 0)
        os.fsync(self._descriptor)
        self.close()
        remove_journal(self.directory)

    def close(self) -> None:
        """Leave the journal for the next run (Stuck, or this process ends)."""
        self.give_room(())
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> int:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC
        descriptor = os.open(self.directory / NAME, flags, 0o600)
        try:
            sync_directory(self.directory)
        except BaseException:
            # nothing was begun, so nothing is left for another run to look at
            os.close(descriptor)
            (self.directory / NAME).unlink(missing_ok=True)
            raise
        return descriptor

    def _head(self) -> dict[str, Json]:
        return {
            "boot": self.boot,
            "operation": self.operation,
            "answered": to_json(self.answered),
            "desired": to_json(self.desired),
            "configuration": to_json(self.configuration),
        }

    def _write(self, descriptor: int, entry: dict[str, Json], *, sync: bool = True) -> None:
        """One line, unbuffered: what could not be written must not come out later by itself."""
        data = json.dumps(entry).encode() + b"\n"
        while data:
            data = data[os.write(descriptor, data) :]
        if sync:
            os.fsync(descriptor)


def read_journal(directory: Path) -> JournalEntries | None:
    """What an earlier run left; None when it left nothing. A cut-off last line was never acted on."""
    try:
        lines = (directory / NAME).read_text(encoding="utf-8", errors="replace").splitlines()
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
    sync_directory(directory)


def _parse(head: dict[str, Json], rest: list[dict[str, Json]]) -> JournalEntries:
    desired: Desired | None = None
    configuration: PifConfiguration | None = None
    answered: frozenset[int] = frozenset()
    begun: tuple[Step, ...] = ()
    # another version of xsagent may have written it: what cannot be read is passed over, the rest still counts
    with contextlib.suppress(InputError, KeyError):
        desired = from_json(Desired, head["desired"])
    with contextlib.suppress(InputError, KeyError):
        configuration = from_json(PifConfiguration, head["configuration"])
    with contextlib.suppress(InputError, KeyError):
        answered = from_json(frozenset[int], head["answered"])
    if "answered" not in head and head.get("armed") is True:
        # written before families were told apart: one of those that a gateway is recorded for, or of all, answered
        management = desired.management if desired is not None else None
        recorded = {gateway.version for gateway in management.gateways} if management is not None else set[int]()
        answered = frozenset(recorded or {IPV4, IPV6})
    for entry in rest:
        with contextlib.suppress(InputError, KeyError):
            begun += from_json(Plan, {"steps": [entry["begin"]]}).steps
    return JournalEntries(
        boot=str(head.get("boot", "")),
        operation=str(head.get("operation", "")),
        answered=answered,
        begun=begun,
        desired=desired,
        configuration=configuration,
    )
