"""The process that forks xsagentd's workers, one before each is asked for. Effects.

It is forked before the daemon has any thread; it holds every module that a reconfigure needs, and what workers that
ended learnt for those to come, and does nothing but fork them (`daemon/workers.py`).
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import socket
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NoReturn

from xsagent.daemon.protocol import Answer, Request, parse_answer, render_request
from xsagent.daemon.workers import ENDING, FREE, GONE, Command, Kit, Memory, is_asked, work
from xsagent.log import get_logger

_RETIRE: Final = b"r"
_CHUNK: Final = 1 << 16
_PAUSE_S: Final = 0.1
_RUN_S: Final = 1.0
"""After so long a worker is replaced though nobody asks: its run may take as long as a DHCP server does."""
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
        # both processes then pass over what is here, and share its pages for good: a collection writes to all it sees
        gc.collect()
        gc.freeze()
        self.pid = os.fork()
        if self.pid == 0:
            ours.close()
            for descriptor in not_theirs:
                os.close(descriptor)
            _run_nursery(its, news, Kit(commands, rehearse, memory, tell))
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
        if not self.is_alive():
            # a worker that is busy still hears us, but nobody would follow it
            return False
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


def _run_nursery(requests: socket.socket, news: socket.socket, kit: Kit) -> NoReturn:
    """Fork a worker for each request until the daemon is gone; soon after each one waits for the next."""
    for number in ENDING:
        # who ends the daemon's process group in order ends the daemon, and that ends us
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # so that the kernel reaps
    while True:
        try:
            if not _fork_worker(requests, news, kit):
                os._exit(0)
        except OSError as error:
            # no memory or descriptor to spare now: requests wait, or their clients do it themselves
            _LOG.error("fork_failed", reason=str(error))
            if _is_daemon_gone(requests):
                os._exit(1)
            time.sleep(_PAUSE_S)


def _fork_worker(requests: socket.socket, news: socket.socket, kit: Kit) -> bool:
    """Fork the worker of the next request, and wait until another is needed; False when the daemon is gone.

    It is there before the request, so that nobody waits for the fork.
    """
    ours, its = socket.socketpair()
    with ours:
        with its:
            if os.fork() == 0:
                try:
                    ours.close()
                    work(requests, its, kit)
                finally:
                    # whatever happens in it, a worker never becomes a nursery
                    os._exit(1)
        while _outlive(ours, news, kit.memory):
            # not at once: the run that was begun just now may want this processor, for itself or for a peer
            if not _is_free_again(ours, requests):
                return True
        return False


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
                return worker.recv(1) != GONE
            except ConnectionError:
                # killed before it took anything
                return True


def _is_free_again(worker: socket.socket, requests: socket.socket) -> bool:
    """Whether a worker soon takes the next request; False when it has ended, or another one is needed before."""
    ready = select.select([worker, requests], [], [], _RUN_S)[0]
    if worker not in ready:
        return False
    with contextlib.suppress(ConnectionError):
        if worker.recv(1) == FREE:
            return True
    is_asked(requests, _PAUSE_S)
    return False


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
