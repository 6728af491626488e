"""What a worker does with a request: the caller's environment alone, its output kept, its faults answered."""

from __future__ import annotations

import os
import resource
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from xsagent.daemon.protocol import Answer, Request
from xsagent.daemon.workers import Nursery, run_captured


@pytest.fixture(autouse=True)
def _environment() -> object:
    """Give the environment back: a worker has its own, a test has not."""
    kept = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(kept)


def test_a_command_sees_the_callers_environment_and_no_other() -> None:
    """PATH finds the child programs, XSAGENT_* are settings: those of the one who asks."""
    os.environ["XSAGENT_LOG_LEVEL"] = "error"

    def command(words: Sequence[str]) -> int:
        sys.stdout.write(f"{words} {dict(os.environ)}")
        sys.stderr.write("warned\n")
        return 3

    answer = run_captured(command, Request(command="x", arguments=("up",), environment={"PATH": "/mine"}))

    assert answer == Answer(status=3, stdout="('up',) {'PATH': '/mine'}", stderr="warned\n")


def test_a_fault_of_ours_is_a_sentence() -> None:
    """No traceback at a user, and exit status 1."""

    def command(_words: Sequence[str]) -> int:
        raise KeyError("x")

    answer = run_captured(command, Request(command="interface-reconfigure"))

    assert (answer.status, answer.stdout) == (1, "")
    assert answer.stderr == "interface-reconfigure: internal error (KeyError: 'x')\n"


def test_a_worker_that_waits_rehearses_and_a_fault_there_costs_nothing(tmp_path: Path) -> None:
    """It has done so before its request comes; whatever happens in it, the request is done."""

    def rehearse() -> None:
        (tmp_path / str(os.getpid())).touch()
        raise ValueError

    def command(_words: Sequence[str]) -> int:
        sys.stdout.write(str(os.getpid()))
        return 0

    nursery = Nursery({"x": command}, rehearse=rehearse)
    try:
        deadline = time.monotonic() + 30
        while not list(tmp_path.iterdir()) and time.monotonic() < deadline:
            time.sleep(0.01)
        answer = nursery.run(Request(command="x"))
    finally:
        nursery.stop()

    assert answer is not None
    assert (tmp_path / answer.stdout).exists()


def test_a_nursery_without_a_descriptor_to_spare_goes_on_afterwards() -> None:
    """It is the daemon's only one: what it cannot fork now it forks later."""
    nursery = Nursery({"x": lambda _words: 7})
    limits = resource.prlimit(nursery.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(nursery.pid, resource.RLIMIT_NOFILE, (4, limits[1]))
    ours, its = socket.socketpair()
    with ours, its:
        # a worker that waited already takes one at the most; between its tries the nursery sleeps
        assert all(nursery.start(Request(command="x"), its.fileno()) for _ in range(2))
        deadline = time.monotonic() + 30
        while _is_alive(nursery.pid) and _sleeps(nursery.pid) < 6 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert _is_alive(nursery.pid)
        resource.prlimit(nursery.pid, resource.RLIMIT_NOFILE, limits)

        assert nursery.run(Request(command="x")) == Answer(status=7)
    nursery.stop()


def _is_alive(pid: int) -> bool:
    return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()


def _sleeps(pid: int) -> int:
    """How often it went to sleep so far."""
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(lines["voluntary_ctxt_switches"])
