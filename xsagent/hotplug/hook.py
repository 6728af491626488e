"""Runs the host's vif-hotplug hook after a device was attached or taken away. Effects.

The last thing that `attempt` does for a vif (features.md section 15): by then xenstore says it all, so whatever
the hook does, or how it ends, is its own affair. Hooks ask XAPI things and take their time: those of a burst run
beside one another, an attach does not wait for its own, and of a detach only the report that it is gone.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from xsagent.child import run_child
from xsagent.config import Paths
from xsagent.errors import CommandError
from xsagent.log import get_logger

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

HOOK: Final = "/etc/xapi.d/vif-hotplug"
DEADLINE_S: Final = 30.0
_AT_ONCE: Final = 8
_LOG = get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class HookCall:
    """One call of the hook.

    Attributes:
        action: ``online`` or ``remove``.
        vif_uuid: of the VIF; empty when unknown.
        vm_uuid: of the VM, as the port was marked; empty when unknown.
    """

    action: str
    vif_uuid: str
    vm_uuid: str


@dataclass(slots=True)
class Hooks:
    """The hook of one host, if it has one; those of one VIF run one after another."""

    paths: Paths
    _pool: ThreadPoolExecutor | None = field(default=None, init=False)
    _last: dict[str, Future[None]] = field(default_factory=dict, init=False)

    def start(self, calls: Sequence[HookCall]) -> list[Future[None] | None]:
        """Start the hook for each call; waits for none, each ends at most DEADLINE_S seconds after it began.

        All are None where the host has no hook that can be executed.
        """
        program = self.paths.below(HOOK)
        if not os.access(program, os.X_OK) or not program.is_file():
            return [None] * len(calls)
        self._last = {vif: future for vif, future in self._last.items() if not future.done()}
        return [self._submit(str(program), call) for call in calls]

    def close(self) -> None:
        """Wait for all that run; idempotent."""
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None

    def _submit(self, program: str, call: HookCall) -> Future[None]:
        if self._pool is None:
            from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - most hosts have no hook

            self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="hook")
        future = self._pool.submit(_run, program, call, self._last.get(call.vif_uuid))
        self._last[call.vif_uuid] = future
        return future


def _run(program: str, call: HookCall, earlier: Future[None] | None) -> None:
    """A failure is logged and nothing else; `earlier` began before, so waiting for it ends."""
    if earlier is not None:
        earlier.exception()  # waits for its end
    words = [program, "-action", call.action, "-vifuuid", call.vif_uuid, "-vmuuid", call.vm_uuid]
    try:
        run_child(words, deadline_s=DEADLINE_S)
    except CommandError as error:
        _LOG.warning("ignore_hook", action=call.action, vif=call.vif_uuid, text=str(error))
