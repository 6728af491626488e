"""Jobs in threads beside the hotplug thread; those with the same key run one after another. Effects: the jobs'.

What `hook` and `pvs` run of other people's programs: it takes its time, and no device waits for another's.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from xsagent.log import get_logger

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

AWAITED: Final = 64
"""Programs at once for which the toolstack waits; every one takes dom0's memory. A VIF that leaves does not wait for a
hook that has no place (`leaving`). For a PVS proxy it does: 500 with helpers that are killed after 15 s take 120 s, and
the toolstack waits 300."""
UNAWAITED: Final = 8
_LOG = get_logger()


class Chains:
    """For one thread, which submits; a job must end."""

    def __init__(self, name: str, *, unawaited: int = UNAWAITED) -> None:
        self._name = name
        self._at_once = {False: unawaited, True: AWAITED}
        self._pools: dict[bool, ThreadPoolExecutor] = {}
        self._chains: dict[str, _Chain] = {}

    def submit(self, key: str, job: Callable[[], None], *, awaited: bool) -> Future[None]:
        """Run the job when those submitted for this key have ended, however they did; waits for nothing.

        The future says that it is running as soon as there is a place for it, also while earlier ones of its key run.

        Args:
            key: whom it is about.
            job: logs what goes wrong.
            awaited: the toolstack waits for it: it does not queue behind jobs that nobody waits for, nor do those
                with its key that are to run before it.
        """
        from concurrent.futures import Future, ThreadPoolExecutor  # noqa: PLC0415 - most hosts have no such programs

        if awaited not in self._pools:
            self._pools[awaited] = ThreadPoolExecutor(self._at_once[awaited], thread_name_prefix=self._name)
        self._chains = {key: chain for key, chain in self._chains.items() if not chain.last.done()}
        future = Future[None]()
        chain = self._chains.setdefault(key, _Chain(last=future))
        chain.last = future
        chain.jobs.append((job, future))
        self._pools[awaited].submit(chain.run_until, future)
        return future

    def close(self) -> None:
        """Wait for all that run; idempotent."""
        for pool in self._pools.values():
            pool.shutdown()
        self._pools.clear()


@dataclass(slots=True)
class _Chain:
    """The jobs of one key that have not begun, in their order."""

    last: Future[None]
    jobs: deque[tuple[Callable[[], None], Future[None]]] = field(default_factory=deque)
    lock: threading.Lock = field(default_factory=threading.Lock)
    state: threading.Lock = field(default_factory=threading.Lock)
    """Of the futures, which another's worker may end before theirs has begun."""

    def run_until(self, wanted: Future[None]) -> None:
        """Run jobs until this one has ended; who has the lock runs jobs too, so waiting for it ends."""
        with self.state:
            if not wanted.done():
                wanted.set_running_or_notify_cancel()
        with self.lock:
            while not wanted.done():
                job, future = self.jobs.popleft()
                try:
                    job()
                except Exception as error:  # noqa: BLE001 - an edge: who waits for a job learns that it ended
                    _LOG.error("internal_error", error=repr(error))
                with self.state:
                    future.set_result(None)
