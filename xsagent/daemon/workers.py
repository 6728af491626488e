"""Requests that take long, each in a process of its own that is forked from a warm one. Effects: theirs.

A reconfigure waits for XAPI, DHCP and the deadman, reads what its caller's environment says and prints: in a process
all of that is its own, it shares no interpreter lock with hotplug, its memory goes when it ends, and a run that hangs
can be killed (DECISIONS.md). The nursery is forked before the daemon has any thread; it holds every module that a
reconfigure needs and does nothing but fork.
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
from typing import Final, NoReturn

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
_LONGEST_MESSAGE: Final = 2 * LONGEST_REQUEST
_TAKEN: Final = b"t"
_GONE: Final = b"g"
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
    ) -> None:
        """Fork it. Precondition: this process has one thread, and has imported what the commands need.

        Args:
            commands: by name, as a request names them.
            not_theirs: descriptors that must end with the daemon: a lock, or a socket that it listens on, which a
                worker would keep although nobody serves it any more.
            rehearse: what a worker does while it waits, so that its request finds it warm; must not wait for a peer.
        """
        self.commands = frozenset(commands)
        ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.pid = os.fork()
        if self.pid == 0:
            ours.close()
            for descriptor in not_theirs:
                os.close(descriptor)
            _run_nursery(its, commands, rehearse)
        its.close()
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

    def stop(self) -> None:
        """End the nursery; workers go on until they are done."""
        self._socket.close()
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)


# --- in the nursery ----------------------------------------------------------------------------------------


def _run_nursery(
    requests: socket.socket, commands: Mapping[str, Command], rehearse: Callable[[], None] | None
) -> NoReturn:
    """Fork a worker for each request until the daemon is gone; one always waits for the next."""
    for number in _ENDING:
        # who ends the daemon's process group in order ends the daemon, and that ends us
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # so that the kernel reaps
    # what is here stays as it is: pages that a collection never writes to stay shared
    gc.collect()
    gc.freeze()
    while True:
        try:
            if not _fork_worker(requests, commands, rehearse):
                os._exit(0)
        except OSError as error:
            # no memory or descriptor to spare now: requests wait, or their clients do it themselves
            _LOG.error("fork_failed", reason=str(error))
            if _is_daemon_gone(requests):
                os._exit(1)
            time.sleep(_PAUSE_S)


def _fork_worker(requests: socket.socket, commands: Mapping[str, Command], rehearse: Callable[[], None] | None) -> bool:
    """Fork the worker of the next request, and wait until it has it; False when the daemon is gone.

    It is there before the request, so that nobody waits for the fork.
    """
    told, tell = os.pipe()
    try:
        if os.fork() == 0:
            try:
                os.close(told)
                _wait_for_request(requests, tell, commands, rehearse)
            finally:
                # whatever happens in it, a worker never becomes a nursery
                os._exit(1)
        os.close(tell)
        tell = -1
        # a worker that was killed before it took anything says nothing
        return os.read(told, 1) != _GONE
    finally:
        for descriptor in {told, tell} - {-1}:
            os.close(descriptor)


def _is_daemon_gone(requests: socket.socket) -> bool:
    """Whether its end is closed, whatever it sent before."""
    poll = select.poll()
    poll.register(requests, 0)
    return any(event & select.POLLHUP for _, event in poll.poll(0))


def _rehearse_unless_asked(requests: socket.socket, rehearse: Callable[[], None]) -> None:
    """Not at once: the run that was begun just now may want this processor, and the next request may be there."""
    if select.select([requests], [], [], _PAUSE_S)[0]:
        return
    try:
        rehearse()
    except Exception as error:  # noqa: BLE001 - a worker that ended here would be followed by one that does too
        _LOG.error("rehearse_failed", error=repr(error), trace=traceback.format_exc())


# --- in a worker -------------------------------------------------------------------------------------------


def _wait_for_request(
    requests: socket.socket, tell: int, commands: Mapping[str, Command], rehearse: Callable[[], None] | None
) -> NoReturn:
    """Take the next request, tell the nursery so, and do it."""
    if rehearse is not None:
        _rehearse_unless_asked(requests, rehearse)
    line, descriptors, _, _ = socket.recv_fds(requests, _LONGEST_MESSAGE, 1)
    os.write(tell, _TAKEN if line else _GONE)
    os.close(tell)
    requests.close()
    if not line:
        os._exit(0)
    _run_worker(line, descriptors[0], commands)


def _run_worker(line: bytes, descriptor: int, commands: Mapping[str, Command]) -> NoReturn:
    """Do one request and answer it."""
    status = 1
    try:
        os.setsid()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for number in _ENDING:
            signal.signal(number, signal.SIG_DFL)
        client = socket.socket(fileno=descriptor)
        client.setblocking(True)
        _answer(client, parse_request(line), commands)
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
    _end_with_client(client)
    client.sendall(render_answer(run_captured(command, request)))


def _end_with_client(client: socket.socket) -> None:
    """A client that goes away while it waits was told to end, and so is its run: as one in its own process."""
    descriptor = client.fileno()
    fcntl.fcntl(descriptor, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGTERM)
    fcntl.fcntl(descriptor, fcntl.F_SETFL, fcntl.fcntl(descriptor, fcntl.F_GETFL) | os.O_ASYNC)


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
