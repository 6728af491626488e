"""A stream of pings that goes on while something else is done, and its exact loss. Effects.

Made by `Sandbox.ping_stream` and `Guest.ping_stream`; the packets come from the program `ping_stream`.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from xsagent.errors import CommandError

PROGRAM = Path(__file__).with_name("ping_stream.py")
_POLL_S = 0.02
Spawn = Callable[[list[str]], subprocess.Popen[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamCounts:
    """What became of a stream's packets.

    Attributes:
        sent: packets sent, those that the kernel refused included.
        answered: packets with at least one answer.
        duplicates: answers beyond the first of each packet.
        refused: packets that the sender's own kernel refused (no route, no address).
        longest_gap: most packets lost in a row; times the interval, the longest outage.
    """

    sent: int
    answered: int
    duplicates: int
    refused: int
    longest_gap: int

    @property
    def lost(self) -> int:
        """Packets without an answer."""
        return self.sent - self.answered


class PingStream:
    """A running stream; as a context manager it ends with the block, and `result` then tells the counts."""

    def __init__(self, spawn: Spawn, target: str, interval_ms: float) -> None:
        self._process = spawn([sys.executable, "-I", str(PROGRAM), target, f"--interval-ms={interval_ms}"])
        self._result: StreamCounts | None = None
        if self._read_line() != "started":
            raise CommandError(f"the ping stream to {target} did not start: {self._end()[1]}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def result(self) -> StreamCounts:
        """The final counts; stops the stream if it still runs."""
        return self.stop()

    def counts(self) -> StreamCounts:
        """The counts so far; the newest packets may still be under way."""
        if self._process.stdin is None:
            raise CommandError("the ping stream has no input")
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return StreamCounts(**json.loads(self._read_line()))

    def wait_sent(self, more: int, deadline_s: float = 60.0) -> StreamCounts:
        """Return once `more` packets more than now were sent; CommandError after `deadline_s` seconds."""
        return self._wait(lambda counts: counts.sent, more, deadline_s, "sent")

    def wait_answered(self, more: int, deadline_s: float = 60.0) -> StreamCounts:
        """Return once `more` packets more than now were answered; CommandError after `deadline_s` seconds."""
        return self._wait(lambda counts: counts.answered, more, deadline_s, "answered")

    def stop(self) -> StreamCounts:
        """Send no more, wait a second at most for answers under way, and tell the counts. Idempotent."""
        if self._result is None:
            lines, errors = self._end()
            if not lines:
                raise CommandError(f"the ping stream broke off: {errors}")
            self._result = StreamCounts(**json.loads(lines.splitlines()[-1]))
        return self._result

    def _wait(self, value: Callable[[StreamCounts], int], more: int, deadline_s: float, what: str) -> StreamCounts:
        end = time.monotonic() + deadline_s
        counts = self.counts()
        goal = value(counts) + more
        while value(counts) < goal:
            if time.monotonic() > end:
                raise CommandError(f"the ping stream had not {more} packets more {what} in {deadline_s:g} s")
            time.sleep(_POLL_S)
            counts = self.counts()
        return counts

    def _read_line(self) -> str:
        return self._process.stdout.readline().strip() if self._process.stdout else ""

    def _end(self) -> tuple[str, str]:
        """Close the program's stdin; what it still wrote, and its errors."""
        with contextlib.suppress(BrokenPipeError):
            return self._process.communicate(timeout=10)
        return "", "its output is closed"
