"""What a worker does with a request: the caller's environment alone, its output kept, its faults answered."""

from __future__ import annotations

import os
import resource
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest

from xsagent.daemon import nursery as nursery_process
from xsagent.daemon import workers
from xsagent.daemon.nursery import Nursery
from xsagent.daemon.protocol import Answer, Request
from xsagent.daemon.workers import run_captured


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


def _report_pid(_words: Sequence[str]) -> int:
    sys.stdout.write(str(os.getpid()))
    return 0


def _pids(nursery: Nursery, runs: int) -> list[str]:
    """Whose each of some runs was; each begins when the nursery has nothing more to do about the one before."""
    found = []
    for _ in range(runs):
        answer = nursery.run(Request(command="x"))
        assert answer is not None
        found.append(answer.stdout)
        time.sleep(0.02)
    return found


def test_a_worker_whose_run_was_short_and_ended_well_takes_the_next(tmp_path: Path) -> None:
    """Also where somebody signals it meanwhile: what ends a run must not end one that waits."""

    def command(words: Sequence[str]) -> int:
        (tmp_path / "words").open("a").write(f"{words}{sorted(os.environ)}")
        return _report_pid(words)

    nursery = Nursery({"x": command})
    try:
        pids = _pids(nursery, 40)
        used = next(pid for pid, after in pairwise(pids) if pid == after)
        os.kill(int(pids[-1]), signal.SIGTERM)
        more = _pids(nursery, 5)
    finally:
        nursery.stop()

    assert used
    assert pids[-1] in more
    assert set((tmp_path / "words").read_text().split("[]")) == {"()", ""}


def test_a_worker_ends_after_some_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """What runs left in its memory goes with it."""
    monkeypatch.setattr(workers, "_MOST_RUNS", 3)
    nursery = Nursery({"x": _report_pid})
    try:
        counts = Counter(_pids(nursery, 30))
    finally:
        nursery.stop()

    assert max(counts.values()) == 3


_kept: list[bytearray] = []


def _keep_much(_words: Sequence[str]) -> int:
    _kept.append(bytearray(b"x" * (8 << 20)))
    return _report_pid(())


def _fail(_words: Sequence[str]) -> int:
    _report_pid(())
    return 1


def _leave_a_child(_words: Sequence[str]) -> int:
    if os.fork() == 0:
        os.closerange(0, 100)
        time.sleep(5)
        os._exit(0)
    return _report_pid(())


def _take_long(_words: Sequence[str]) -> int:
    time.sleep(0.2)
    return _report_pid(())


@pytest.mark.parametrize("command", [_fail, _leave_a_child, _take_long, _keep_much])
def test_a_worker_takes_no_other_request_where(command: workers.Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its run failed, left a process that it must reap or much in memory, or was so long that another one waits."""
    monkeypatch.setattr(nursery_process, "_RUN_S", 0.1)
    nursery = Nursery({"x": command})
    try:
        pids = _pids(nursery, 6)
    finally:
        nursery.stop()

    assert len(set(pids)) == 6


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


class Learner:
    """A memory of what was said so far."""

    def __init__(self) -> None:
        self.known = b""
        self.said = b""

    def news(self) -> bytes:
        """What was said."""
        return self.said

    def learn(self, news: bytes) -> None:
        """Know it too, unless it is nonsense."""
        if news == b"nonsense":
            raise ValueError(news)
        self.known += news


def test_what_a_worker_learnt_those_after_it_know() -> None:
    """Also the one that waited already when it was said; however long it is; a fault in it costs nobody the service."""
    memory = Learner()

    def command(words: Sequence[str]) -> int:
        sys.stdout.write(str(len(memory.known)))
        memory.said = "".join(words).encode()
        return 0

    nursery = Nursery({"x": command}, memory=memory)

    def run(*words: str) -> str:
        answer = nursery.run(Request(command="x", arguments=words))
        assert answer is not None
        return answer.stdout

    def becomes(length: int) -> bool:
        deadline = time.monotonic() + 30
        while run() != str(length) and time.monotonic() < deadline:
            time.sleep(0.01)
        return run() == str(length)

    try:
        assert run("once") == "0"
        assert becomes(4)
        run("n" * 60_000)
        assert becomes(60_004)
        run("nonsense")
        assert becomes(60_004)
    finally:
        nursery.stop()


def test_news_come_through_though_the_client_goes_with_its_answer(tmp_path: Path) -> None:
    """A client that closes at once after its answer does not end the worker: its run was over."""

    class Noting(Learner):
        def learn(self, _news: bytes) -> None:
            (tmp_path / "learnt").open("a").write("x")

    memory = Noting()

    def command(_words: Sequence[str]) -> int:
        memory.said = b"n"
        return 0

    nursery = Nursery({"x": command}, memory=memory)
    try:
        assert all(_ask_and_leave(nursery) for _ in range(40))
        deadline = time.monotonic() + 30
        while len((tmp_path / "learnt").read_text()) < 40 and time.monotonic() < deadline:
            time.sleep(0.01)
    finally:
        nursery.stop()

    assert len((tmp_path / "learnt").read_text()) == 40


def _ask_and_leave(nursery: Nursery) -> bool:
    """Take both lines as a command does, and close without waiting for the other side's end."""
    ours, its = socket.socketpair()
    with ours:
        with its:
            nursery.start(Request(command="x"), its.fileno())
        heard = b""
        while heard.count(b"\n") < 2:
            heard += ours.recv(4096)
    return b'"status":0' in heard


def test_each_of_many_requests_at_once_is_done_once(tmp_path: Path) -> None:
    """Workers are replaced meanwhile, since each has news."""
    memory = Learner()

    def command(words: Sequence[str]) -> int:
        (tmp_path / words[0]).open("a").write("x")
        memory.said = b"n"
        return 0

    nursery = Nursery({"x": command}, memory=memory)
    try:
        with ThreadPoolExecutor(8) as pool:
            names = [str(number) for number in range(60)]
            answers = list(pool.map(lambda name: nursery.run(Request(command="x", arguments=(name,))), names))
    finally:
        nursery.stop()

    assert [answer is not None and answer.status for answer in answers] == [0] * 60
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == dict.fromkeys(names, "x")


def test_a_nursery_that_was_killed_is_not_alive() -> None:
    """The daemon's status says so; it is reaped when the daemon ends."""
    nursery = Nursery({"x": lambda _words: 7})
    before = nursery.is_alive()

    os.kill(nursery.pid, signal.SIGKILL)
    os.waitid(os.P_PID, nursery.pid, os.WEXITED | os.WNOWAIT)

    assert (before, nursery.is_alive()) == (True, False)
    nursery.stop()
    assert not nursery.is_alive()
