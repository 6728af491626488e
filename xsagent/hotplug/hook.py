"""Runs the host's vif-hotplug hook after a device was attached or taken away. Effects.

The last thing that is done for a vif (features.md section 15): by then xenstore says it all, so whatever
the hook does, or how it ends, is its own affair. Hooks ask XAPI things and take their time: those of a burst run
beside one another, an attach does not wait for its own, and of a detach only the report that it is gone.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final

from xsagent.apply.scope import as_service
from xsagent.apply.xenstore import remove_hook_mark
from xsagent.child import run_child
from xsagent.config import Paths
from xsagent.errors import CommandError, XsagentError
from xsagent.hotplug.chains import Chains
from xsagent.log import get_logger
from xsagent.sources.xenstore import Xenstore, open_xenstore

if TYPE_CHECKING:
    from concurrent.futures import Future

HOOK: Final = "/etc/xapi.d/vif-hotplug"
DEADLINE_S: Final = 30.0
_LOG = get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class HookCall:
    """One call of the hook.

    Attributes:
        action: ``online`` or ``remove``.
        vif_uuid: of the VIF; empty when unknown.
        vm_uuid: of the VM, as the port was marked; empty when unknown.
        mark: what is to go from xenstore when the hook has ended (`apply/xenstore.HOOK_MARK`); empty for nothing.
    """

    action: str
    vif_uuid: str
    vm_uuid: str
    mark: str = ""


@dataclass(slots=True)
class Hooks:
    """The hook of one host, if it has one; those of one VIF run one after another.

    They share one connection to xenstored, which lets few wait for being accepted.
    """

    paths: Paths
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    _store: Xenstore | None = field(default=None, init=False)
    _chains: Chains = field(default_factory=partial(Chains, "hook"), init=False)
    _marked: dict[str, Future[None]] = field(default_factory=dict, init=False)

    def start(self, calls: Sequence[HookCall]) -> list[Future[None] | None]:
        """Start the hook for each call; waits for none, each ends at most DEADLINE_S seconds after it began.

        All are None where the host has no hook that can be executed.
        """
        if not self.is_there:
            return [None] * len(calls)
        self._marked = {mark: future for mark, future in self._marked.items() if not future.done()}
        return [self._submit(call) for call in calls]

    def is_pending(self, mark: str) -> bool:
        """Whether the hook with this mark was started and has not ended."""
        future = self._marked.get(mark)
        return future is not None and not future.done()

    @property
    def is_there(self) -> bool:
        """Whether the host has a hook that can be executed."""
        program = self.paths.below(HOOK)
        return os.access(program, os.X_OK) and program.is_file()

    def close(self) -> None:
        """Wait for all that run; idempotent."""
        self._chains.close()
        if self._store is not None:
            self._store.close()
            self._store = None

    def _submit(self, call: HookCall) -> Future[None]:
        future = self._chains.submit(call.vif_uuid, partial(self._run, call), awaited=call.action == "remove")
        if call.mark:
            self._marked[call.mark] = future
        return future

    def _run(self, call: HookCall) -> None:
        """A failure is logged and nothing else."""
        words = [str(self.paths.below(HOOK)), "-action", call.action]
        words += ["-vifuuid", call.vif_uuid, "-vmuuid", call.vm_uuid]
        try:
            run_child(as_service(words, self.paths, DEADLINE_S) or words, deadline_s=DEADLINE_S)
        except CommandError as error:
            _LOG.warning("ignore_hook", action=call.action, vif=call.vif_uuid, text=str(error))
        if call.mark:
            self._remove_mark(call.mark)

    def _remove_mark(self, mark: str) -> None:
        """A mark that stays costs one more call at the next resync."""
        try:
            with self._lock:
                if self._store is None or not self._store.is_open:
                    self._store = open_xenstore(self.paths)
                remove_hook_mark(self._store, mark)
        except XsagentError as error:
            _LOG.warning("keep_hook_mark", mark=mark, text=str(error))
