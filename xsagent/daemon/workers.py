"""Requests that take long, each in a process of its own that is forked from a warm one. Effects: theirs.

A reconfigure waits for XAPI, DHCP and the deadman, reads what its caller's environment says and prints: in a process
all of that is its own, it shares no interpreter lock with hotplug, its memory goes when it ends, and a run that hangs
can be killed (DECISIONS.md). The nursery is forked before the daemon has any thread; it holds every module that a
reconfigure needs, and what workers that ended learnt for those to come, and does nothing but fork.
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
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NoReturn, Protocol

from xsagent.daemon.protocol import (
    LONGEST_REQUEST,
    Answer,
    Request,
    parse_answer,
    parse_request,
    render_answer,
    render_begun,
    render_declined,
    render_request,
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


_LONGEST_MESSAGE: Final = 2 * LONGEST_REQUEST
_TAKEN: Final = b"t"
_GONE: Final = b"g"
_NEWS: Final = b"n"
_RETIRE: Final = b"r"
_ENDING: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_CHUNK: Final = 1 << 16
_PAUSE_S: Final = 0.1
_LOG = get_logger()


def kept_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Of the daemon's environment what a command that the daemon itself asks for may read."""
    kept = {name: value for name, value in environ.items() if name.startswith("XSAGENT_")}
    return kept | {name: environ[name] for name in ("PATH", "OVS_RUNDIR", "XENSTORED_PATH") if name in environ}


class Nursery:
    """The process that forks workers, seen from the daemon."""

    def __init__(
        self,
        commands: Mapping[str, Command],
        not_theirs: Sequence[int] = (),
        rehearse: Callable[[], None] | None = None,
        memory: Memory | None = None,
    ) -> None:
        """Fork it. Precondition: this process has one thread, and has imported what the commands need.

        Args:
            commands: by name, as a request names them.
            not_theirs: descriptors that must end with the daemon: a lock, or a socket that it listens on, which a
                worker would keep although nobody serves it any more.
            rehearse: what a worker does while it waits, so that its request finds it warm; must not wait for a peer.
            memory: what the commands of one worker leave to those of the next.
        """
        self.commands = frozenset(commands)
        ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        news, tell = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.pid = os.fork()
        if self.pid == 0:
            ours.close()
            for descriptor in not_theirs:
                os.close(descriptor)
            _run_nursery(its, news, _Kit(commands, rehearse, memory, tell))
        for theirs in (its, news, tell):
            theirs.close()
        self._socket = ours

    def start(self, request: Request, client: int) -> bool:
        """Have a request done; its worker answers the client, whose socket it gets.

        Args:
            request: of one of `commands`.
            client: descriptor of the client's socket; the caller closes its own.

        Returns:
            False when the nursery is gone: the client must do it itself.
        """
        try:
            socket.send_fds(self._socket, [render_request(request)], [client])
        except OSError as error:
            _LOG.error("nursery_gone", reason=str(error))
            return False
        return True

    def run(self, request: Request) -> Answer | None:
        """Have a request done and wait for its end; None when the nursery is gone, or the worker died."""
        ours, its = socket.socketpair()
        with ours:
            with its:
                if not self.start(request, its.fileno()):
                    return None
            return parse_answer(b"".join(iter(lambda: ours.recv(_CHUNK), b"")))

    def is_alive(self) -> bool:
        """Whether it still is there; whatever it ended of is left for `stop` to reap."""
        try:
            return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
        except ChildProcessError:
            return False

    def stop(self) -> None:
        """End the nursery; workers go on until they are done."""
        self._socket.close()
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)


# --- in the nursery ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Kit:
    """What workers are made with.

    Attributes:
        tell: takes their news to the nursery.
    """

    commands: Mapping[str, Command]
    rehearse: Callable[[], None] | None
    memory: Memory | None
    tell: socket.socket


def _run_nursery(requests: socket.socket, news: socket.socket, kit: _Kit) -> NoReturn:
    """Fork a worker for each request until the daemon is gone; soon after each one waits for the next."""
    for number in _ENDING:
        # who ends the daemon's process group in order ends the daemon, and that ends us
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # so that the kernel reaps
    # what is here stays as it is: pages that a collection never writes to stay shared
    gc.collect()
    gc.freeze()
    while True:
        try:
            if not _fork_worker(requests, news, kit):
                os._exit(0)
            # not at once: the run that was begun just now may want this processor, for itself or for a peer
            _is_asked(requests, _PAUSE_S)
        except OSError as error:
            # no memory or descriptor to spare now: requests wait, or their clients do it themselves
            _LOG.error("fork_failed", reason=str(error))
            if _is_daemon_gone(requests):
                os._exit(1)
            time.sleep(_PAUSE_S)


def _fork_worker(requests: socket.socket, news: socket.socket, kit: _Kit) -> bool:
    """Fork the worker of the next request, and wait until another is needed; False when the daemon is gone.

    It is there before the request, so that nobody waits for the fork.
    """
    ours, its = socket.socketpair()
    with ours:
        with its:
            if os.fork() == 0:
                try:
                    ours.close()
                    _wait_for_request(requests, its, kit)
                finally:
                    # whatever happens in it, a worker never becomes a nursery
                    os._exit(1)
        return _outlive(ours, news, kit.memory)


def _outlive(worker: socket.socket, news: socket.socket, memory: Memory | None) -> bool:
    """Wait until the worker that waits took a request, was killed, or is told to end since we know more than it does.

    Returns:
        False when the daemon is gone.
    """
    while True:
        ready = select.select([worker, news], [], [])[0]
        if news in ready:
            _learn(news, memory)
            with contextlib.suppress(OSError):
                worker.send(_RETIRE)
        if worker in ready:
            try:
                return worker.recv(1) != _GONE
            except ConnectionError:
                # killed before it took anything
                return True


def _is_daemon_gone(requests: socket.socket) -> bool:
    """Whether its end is closed, whatever it sent before."""
    poll = select.poll()
    poll.register(requests, 0)
    return any(event & select.POLLHUP for _, event in poll.poll(0))


def _learn(news: socket.socket, memory: Memory | None) -> None:
    _, descriptors, _, _ = socket.recv_fds(news, 1, 1)
    if memory is None or not descriptors:
        return
    with os.fdopen(descriptors[0], "rb") as stream:
        stream.seek(0)
        try:
            memory.learn(stream.read())
        except Exception as error:  # noqa: BLE001 - without a nursery nobody would serve the next request
            _LOG.error("learn_failed", error=repr(error), trace=traceback.format_exc())
    gc.freeze()


def _is_asked(requests: socket.socket, wait_s: float) -> bool:
    """Whether a request is there, or comes within so many seconds."""
    return bool(select.select([requests], [], [], wait_s)[0])


def _rehearse_unless_asked(requests: socket.socket, rehearse: Callable[[], None]) -> None:
    if _is_asked(requests, 0):
        return
    try:
        rehearse()
    except Exception as error:  # noqa: BLE001 - a worker that ended here would be followed by one that does too
        _LOG.error("rehearse_failed", error=repr(error), trace=traceback.format_exc())


# --- in a worker -------------------------------------------------------------------------------------------


def _wait_for_request(requests: socket.socket, nursery: socket.socket, kit: _Kit) -> NoReturn:
    """Take the next request, tell the nursery so, and do it; or end, when the nursery says so or is gone."""
    if kit.rehearse is not None:
        _rehearse_unless_asked(requests, kit.rehearse)
    line, descriptors = _take_request(requests, nursery)
    nursery.send(_TAKEN if line else _GONE)
    nursery.close()
    requests.close()
    if not line:
        os._exit(0)
    _run_worker(line, descriptors[0], kit)


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


def _run_worker(line: bytes, descriptor: int, kit: _Kit) -> NoReturn:
    """Do one request and answer it; then tell the nursery what is new."""
    status = 1
    try:
        os.setsid()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for number in _ENDING:
            signal.signal(number, signal.SIG_DFL)
        client = socket.socket(fileno=descriptor)
        client.setblocking(True)
        _answer(client, parse_request(line), kit.commands)
        client.close()
        _tell_news(kit)
        status = 0
    except OSError:
        # the client is gone; what it asked for was not begun, or ended as its signal would have ended it
        status = 1
    finally:
        os._exit(status)


def _answer(client: socket.socket, request: Request, commands: Mapping[str, Command]) -> None:
    command = commands.get(request.command)
    if command is None:
        client.sendall(render_declined(f"{request.command} is not run here"))
        return
    client.sendall(render_begun())
    flags = _end_with_client(client)
    answer = run_captured(command, request)
    # a client closes as soon as it has its answer: that is no word to end any more
    fcntl.fcntl(client.fileno(), fcntl.F_SETFL, flags)
    client.sendall(render_answer(answer))


def _tell_news(kit: _Kit) -> None:
    try:
        _send_news(kit)
    except Exception as error:  # noqa: BLE001 - the last edge of a process: its run is done, those after it read anew
        _LOG.error("news_lost", error=repr(error), trace=traceback.format_exc())


def _send_news(kit: _Kit) -> None:
    news = b"" if kit.memory is None else kit.memory.news()
    if not news:
        return
    with os.fdopen(os.memfd_create("xsagent-news"), "wb") as stream:
        stream.write(news)
        stream.flush()
        socket.send_fds(kit.tell, [_NEWS], [stream.fileno()])


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
