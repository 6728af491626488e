"""Jobs in threads beside the hotplug thread; those with the same key run one after another. Effects: the jobs'.

What `hook` and `pvs` run of other people's programs: it takes its time, and no device waits for another's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

_AT_ONCE: Final = 8


class Chains:
    """For one thread, which submits; a job must end."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._pool: ThreadPoolExecutor | None = None
        self._last: dict[str, Future[None]] = {}

    def submit(self, key: str, job: Callable[[], None]) -> Future[None]:
        """Run the job when those submitted for this key have ended, however they did; waits for nothing."""
        if self._pool is None:
            from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - most hosts have no such programs

            self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix=self._name)
        self._last = {key: future for key, future in self._last.items() if not future.done()}
        future = self._pool.submit(_run, job, self._last.get(key))
        self._last[key] = future
        return future

    def close(self) -> None:
        """Wait for all that run; idempotent."""
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None


def _run(job: Callable[[], None], earlier: Future[None] | None) -> None:
    """`earlier` began before, so waiting for it ends."""
    if earlier is not None:
        earlier.exception()  # waits for its end
    job()
