"""Child programs in the VM, and waiting for a fact. Effects."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

_T = TypeVar("_T")


class GuestError(Exception):
    """A program that had to work failed, or a fact did not come about in time."""


def run(argv: Sequence[str], *, timeout_s: float = 60, text: str = "") -> str:
    """Output of a program that has to succeed; `text` is its standard input."""
    done = subprocess.run(list(argv), check=False, capture_output=True, encoding="utf-8", input=text, timeout=timeout_s)
    if done.returncode:
        raise GuestError(f"{' '.join(argv)}: exit {done.returncode}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def run_json(argv: Sequence[str]) -> list[Any]:
    """The JSON list that a program prints; one that prints nothing has an empty one."""
    found: list[Any] = json.loads(run(argv) or "[]")
    return found


def wait_for(what: str, ask: Callable[[], _T], deadline_s: float = 30, *, every_s: float = 0.1) -> _T:
    """The first true answer; GuestError when there is none in time.

    `every_s`: between two questions. One that starts a program takes half a second of the emulated processor, away
    from what is waited for.
    """
    end = time.monotonic() + deadline_s
    while True:
        if answer := ask():
            return answer
        if time.monotonic() > end:
            raise GuestError(f"{what}: not within {deadline_s:g} s")
        time.sleep(every_s)
