"""xenstore in the VM, through Xen's own tools: by no code of the product. Effects."""

from __future__ import annotations

import os
import select
import subprocess
import time
from collections.abc import Callable
from typing import TypeVar

from shell import GuestError, run

_T = TypeVar("_T")
_CHUNK = 65536


def read(path: str) -> str:
    """A node's value; empty when absent."""
    done = subprocess.run(["xenstore-read", path], check=False, capture_output=True, encoding="utf-8", timeout=120)
    return done.stdout.removesuffix("\n") if done.returncode == 0 else ""


def write(values: dict[str, str]) -> None:
    """Write some nodes in one transaction."""
    run(["xenstore-write", *(word for pair in values.items() for word in pair)])


def remove(path: str) -> None:
    """Remove a node that is there, with all below it."""
    run(["xenstore-rm", path])


def tree(path: str) -> list[str]:
    """All nodes below one, as ``PATH = "VALUE"``; none when it is absent."""
    done = subprocess.run(["xenstore-ls", "-f", path], check=False, capture_output=True, encoding="utf-8", timeout=120)
    return done.stdout.splitlines()


def await_change(path: str, ask: Callable[[], _T], deadline_s: float) -> _T:
    """The first true answer, asked for whenever something changed at or below a node; GuestError when there is none.

    By a watch: the processes of a poll would take the one processor away from what is waited for.
    """
    end = time.monotonic() + deadline_s
    with subprocess.Popen(["xenstore-watch", path], stdout=subprocess.PIPE) as watch:
        descriptor = watch.stdout.fileno() if watch.stdout else -1
        try:
            # xenstored tells of the node once when the watch is set, and then of each change.
            while select.select([descriptor], [], [], max(0.0, end - time.monotonic()))[0]:
                os.read(descriptor, _CHUNK)
                if answer := ask():
                    return answer
        finally:
            watch.kill()
    raise GuestError(f"{path} in xenstore did not come to what was waited for within {deadline_s:g} s: {tree(path)}")
