"""A process of xsagentd's that does a command for a client: waits, does it, answers, says what it learnt. Effects.

A reconfigure waits for XAPI, DHCP and the deadman, reads what its caller's environment says and prints: in a process
all of that is its own, it shares no interpreter lock with hotplug, its memory goes soon after, and a run that hangs can
be killed (DECISIONS.md). `daemon/nursery.py` forks it from a warm one. One whose run was short, ended well and left
nothing takes the next request too: it is as warm as a process can be.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import io
import os
import select
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn, Protocol

from xsagent.daemon.protocol import (
    LONGEST_REQUEST,
    Answer,
    Request,
    parse_request,
    render_answer,
    render_begun,
    render_declined,
)
from xsagent.log import get_logger

Command = Callable[[Sequence[str]], int]
"""A command as its process edge runs it: arguments to exit status, with `os.environ`, stdout and stderr its own."""


class Memory(Protocol):
    """What workers know beside their request; a forked process begins with what it is in the nursery."""

    def news(self) -> bytes:
        """In a worker that is done: what those after it should know; empty for nothing new."""

    def learn(self, news: bytes) -> None:
        """In the nursery: take it over."""


@dataclass(frozen=True, slots=True)
class Kit:
    """What workers are made with.

    Attributes:
        tell: takes their news to the nursery.
    """

    commands: Mapping[str, Command]
    rehearse: Callable[[], None] | None
    memory: Memory | None
    tell: socket.socket


TAKEN: Final = b"t"
FREE: Final = b"f"
GONE: Final = b"g"
"""A worker's words to the nursery: it does a request, may take another one, found the daemon gone."""
NEWS: Final = b"n"
ENDING: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_LONGEST_MESSAGE: Final = 2 * LONGEST_REQUEST
_ASIDE_S: Final = 1.0
_MOST_RUNS: Final = 50
_MOST_GROWN_KIB: Final = 4 << 10
"""Runs of one worker, and memory that they may leave behind: a big pool's records end with who read them."""
_LOG = get_logger()


def work(requests: socket.socket, nursery: socket.socket, kit: Kit) -> NoReturn:
    """Take the next request, tell the nursery so, and do it, again and again; or end, when the nursery is gone."""
    if kit.rehearse is not None:
        _rehearse_unless_asked(requests, kit.rehearse)
    small = _own_kib()
    for _ in range(_MOST_RUNS):
        line, descriptors = _take_request(requests, nursery)
        _tell(nursery, TAKEN if line else GONE)
        if not line or not _run_worker(line, descriptors[0], kit) or _own_kib() > small + _MOST_GROWN_KIB:
            break
        _tell(nursery, FREE)
    _end_threads()
    os._exit(0)


def _end_threads() -> None:
    """Wait for what a run still does aside, such as repeating an announcement; none of it takes long."""
    for thread in set(threading.enumerate()) - {threading.current_thread()}:
        thread.join(_ASIDE_S)


def _own_kib() -> int:
    """KiB of memory that are this process's alone: what it wrote to since it was forked (proc(5), smaps_rollup)."""
    lines = Path("/proc/self/smaps_rollup").read_text(encoding="ascii").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_Dirty:"))


def _tell(nursery: socket.socket, word: bytes) -> None:
    # one that waited no longer for this worker has another, and need not know
    with contextlib.suppress(ConnectionError):
        nursery.send(word)


def _take_request(requests: socket.socket, nursery: socket.socket) -> tuple[bytes, list[int]]:
    """A request's line with its client's descriptor; an empty line when the daemon is gone."""
    while True:
        ready = select.select([requests, nursery], [], [])[0]
        if requests in ready:
            # another one that waits may have been quicker
            with contextlib.suppress(BlockingIOError):
                line, descriptors, _, _ = socket.recv_fds(requests, _LONGEST_MESSAGE, 1, socket.MSG_DONTWAIT)
                return line, descriptors
        if nursery in ready:
            os._exit(0)


def _run_worker(line: bytes, descriptor: int, kit: Kit) -> bool:
    """Do one request and answer it; then tell the nursery what is new.

    Returns:
        Whether this process may take another one.
    """
    if os.getsid(0) != os.getpid():
        os.setsid()
    for number in ENDING:
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with socket.socket(fileno=descriptor) as client:
        client.setblocking(True)
        status = _answer(client, parse_request(line), kit.commands)
    if _tell_news(kit) or status != 0 or _has_children():
        return False
    _wait_as_before()
    return True


def _wait_as_before() -> None:
    """Be as before the run, but for what it warmed."""
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)
    gc.collect()


def _has_children() -> bool:
    """Whether a run left a process that this one is to reap, such as a guardian."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _answer(client: socket.socket, request: Request, commands: Mapping[str, Command]) -> int:
    """Do a request and answer it; returns its exit status."""
    command = commands.get(request.command)
    if command is None:
        client.sendall(render_declined(f"{request.command} is not run here"))
        return 1
    client.sendall(render_begun())
    flags = _end_with_client(client)
    answer = run_captured(command, request)
    # a client closes as soon as it has its answer: that is no word to end any more
    fcntl.fcntl(client.fileno(), fcntl.F_SETFL, flags)
    client.sendall(render_answer(answer))
    return answer.status


def _tell_news(kit: Kit) -> bool:
    """Tell the nursery what is new; whether anything was."""
    try:
        return _send_news(kit)
    except Exception as error:  # noqa: BLE001 - the last edge of a process: its run is done, those after it read anew
        _LOG.error("news_lost", error=repr(error), trace=traceback.format_exc())
        return True


def _send_news(kit: Kit) -> bool:
    news = b"" if kit.memory is None else kit.memory.news()
    if not news:
        return False
    with os.fdopen(os.memfd_create("xsagent-news"), "wb") as stream:
        stream.write(news)
        stream.flush()
        socket.send_fds(kit.tell, [NEWS], [stream.fileno()])
    return True


def _end_with_client(client: socket.socket) -> int:
    """A client that goes away while it waits was told to end, and so is its run: as one in its own process.

    Returns:
        The socket's flags with which that is not so.
    """
    descriptor = client.fileno()
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    fcntl.fcntl(descriptor, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGTERM)
    fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | os.O_ASYNC)
    return flags


def is_asked(requests: socket.socket, wait_s: float) -> bool:
    """Whether a request is there, or comes within so many seconds."""
    return bool(select.select([requests], [], [], wait_s)[0])


def _rehearse_unless_asked(requests: socket.socket, rehearse: Callable[[], None]) -> None:
    if is_asked(requests, 0):
        return
    try:
        rehearse()
    except Exception as error:  # noqa: BLE001 - a worker that ended here would be followed by one that does too
        _LOG.error("rehearse_failed", error=repr(error), trace=traceback.format_exc())


def run_captured(command: Command, request: Request) -> Answer:
    """Run a command with the request's environment alone; what it prints is kept for the answer."""
    os.environ.clear()
    os.environ.update(request.environment)
    output, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        try:
            status = command(request.arguments)
        except Exception as error:  # noqa: BLE001 - a process edge: the client gets a sentence, the log the trace
            _LOG.error("internal_error", error=repr(error), trace=traceback.format_exc())
            sys.stderr.write(f"{request.command}: internal error ({type(error).__name__}: {error})\n")
            status = 1
    return Answer(status=status, stdout=output.getvalue(), stderr=errors.getvalue())
