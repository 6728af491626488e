"""Runs the toolstack's helper for the PVS proxy of a VIF, which keeps rules for it in the switch. Effects.

features.md section 16 and wire.md section 3: ``add`` when the port is in the switch and its number in xenstore,
``remove`` while the port is still there. Only a VIF with a key ``pvs-interface`` has one. The helper is xenopsd's: how
it ends, or that it does not, is logged, and keeps no other device waiting.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from xsagent.apply.scope import as_service
from xsagent.child import run_child
from xsagent.config import Paths
from xsagent.errors import CommandError, InputError
from xsagent.hotplug.chains import Chains
from xsagent.hotplug.work import Work
from xsagent.log import get_logger

if TYPE_CHECKING:
    from concurrent.futures import Future

_DEADLINE_S: Final = 15.0
_LOG = get_logger()


class PvsProxies:
    """The helper's calls of one host; those of one device run one after another."""

    def __init__(self, paths: Paths, hotplug_s: float) -> None:
        self._paths = paths
        # one call that hangs must leave a removal, which waits for it, some of its time
        self._deadline_s = min(_DEADLINE_S, hotplug_s / 2)
        self._chains = Chains("pvs")
        self._added: dict[str, tuple[str, int]] = {}
        self._removals: dict[str, Future[None]] = {}

    def add(self, work: Work, *, again: bool) -> None:
        """Have the rules of an attached device put in; waits for nothing.

        Args:
            work: with its port's number in xenstore.
            again: also where we had it done since the switch, which forgets all rules, was started.
        """
        if work.pvs_helper is None:
            return
        device, state = work.event.device, (self._switch(), work.ofport)
        if not again and self._added.get(device) == state:
            return
        self._removals.pop(device, None)
        self._added[device] = state
        self._call("add", work, work.pvs_helper)

    def remove(self, work: Work) -> bool:
        """Have the rules of a device taken out whose port leaves or is gone; whether that has ended. Ask until then."""
        device = work.event.device
        self._added.pop(device, None)
        if work.pvs_helper is None:
            self._removals.pop(device, None)
            return True
        if device not in self._removals:
            self._removals[device] = self._call("remove", work, work.pvs_helper)
        if not self._removals[device].done():
            return False
        del self._removals[device]
        return True

    def is_removing(self, device: str) -> bool:
        """Whether a removal waits for a call that has not ended, which takes its time where many wait."""
        return device in self._removals and not self._removals[device].done()

    def close(self) -> None:
        """Wait for all that run; idempotent."""
        self._chains.close()

    def _switch(self) -> str:
        """Which process the switch is; empty when nobody says."""
        try:
            return (self._paths.ovs_rundir / "ovs-vswitchd.pid").read_text(encoding="ascii")
        except (OSError, ValueError):
            return ""

    def _call(self, action: str, work: Work, helper: str) -> Future[None]:
        if work.paths is None:
            raise RuntimeError(f"nobody knows where the keys of {work.event.device} are")
        words = [action, str(work.event.kind), work.event.device, work.paths.private, work.paths.hotplug]
        return self._chains.submit(work.event.device, partial(self._run, helper, words), awaited=action == "remove")

    def _run(self, helper: str, words: list[str]) -> None:
        """A failure is logged and nothing else."""
        try:
            command = [str(_find(self._paths, helper)), *words]
            run_child(as_service(command, self._paths, self._deadline_s) or command, deadline_s=self._deadline_s)
        except (CommandError, InputError) as error:
            _LOG.warning("ignore_pvs_helper", action=words[0], device=words[2], text=str(error))


def _find(paths: Paths, helper: str) -> Path:
    """The program that the toolstack names.

    Raises:
        InputError: that is no absolute path of one.
    """
    if not helper.startswith("/"):
        raise InputError(f"setup-pvs-proxy-rules names '{helper:.80}', which is no absolute path; it was not run")
    program = paths.below(helper)
    if not (program.is_file() and os.access(program, os.X_OK)):
        raise InputError(f"setup-pvs-proxy-rules names {helper:.80}, which is no program; it was not run")
    return program
