"""Runs the toolstack's helper for the PVS proxy of a VIF, which keeps rules for it in the switch. Effects.

features.md section 16 and wire.md section 3: ``add`` when the port is in the switch and its number in xenstore, before
the link is up and anybody is told that it is attached; ``remove`` while the port is still there. Only a VIF with a key
``pvs-interface`` has one. The helper is xenopsd's: how it ends, or that it does not, is logged, and keeps no other
device waiting.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from xsagent.apply.scope import as_service
from xsagent.child import run_child
from xsagent.config import Paths
from xsagent.errors import CommandError, InputError
from xsagent.hotplug.chains import AWAITED, Chains
from xsagent.hotplug.work import Work
from xsagent.log import get_logger

if TYPE_CHECKING:
    from concurrent.futures import Future

_DEADLINE_S: Final = 15.0
_LOG = get_logger()


@dataclass(slots=True)
class _Added:
    """The call that put in a device's rules, or is about to.

    Attributes:
        state: which switch it was, and the port's number there.
        told: it was said since that the device is attached.
    """

    state: tuple[str, int]
    call: Future[None]
    told: bool = False


class PvsProxies:
    """The helper's calls of one host; those of one device run one after another."""

    def __init__(self, paths: Paths, hotplug_s: float) -> None:
        self._paths = paths
        # one call that hangs must leave who waits for it some of its time
        self._deadline_s = min(_DEADLINE_S, hotplug_s / 2)
        self._chains = Chains("pvs", unawaited=AWAITED)
        self._added: dict[str, _Added] = {}
        self._removals: dict[str, Future[None]] = {}

    def is_due(self, work: Work, *, again: bool) -> bool:
        """Whether the rules of an attached device are to be put in: `add` is due, with its number in xenstore.

        Args:
            work: with its port's number, as it was verified.
            again: also where that was done, and told, since the switch, which forgets all rules, was started.
        """
        if work.pvs_helper is None:
            return False
        added = self._added.get(work.event.device)
        return added is None or added.state != self._state(work) or (again and added.told)

    def add(self, work: Work) -> None:
        """Have the rules of a device put in; waits for nothing."""
        if work.pvs_helper is None:
            return
        self._removals.pop(work.event.device, None)
        self._added[work.event.device] = _Added(self._state(work), self._call("add", work, work.pvs_helper))

    def tell(self, device: str) -> None:
        """It was said that the device is attached."""
        if device in self._added:
            self._added[device].told = True

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

    def is_adding(self, device: str) -> bool:
        """Whether its rules are being put in."""
        return device in self._added and not self._added[device].call.done()

    def is_calling(self, device: str) -> bool:
        """Whether the device waits for a call that has not ended, which takes its time where many wait."""
        return self.is_adding(device) or (device in self._removals and not self._removals[device].done())

    def close(self) -> None:
        """Wait for all that run; idempotent."""
        self._chains.close()

    def _state(self, work: Work) -> tuple[str, int]:
        """Which process the switch is, empty when nobody says, and the number of the port there."""
        try:
            return (self._paths.ovs_rundir / "ovs-vswitchd.pid").read_text(encoding="ascii"), work.ofport
        except (OSError, ValueError):
            return "", work.ofport

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
        raise InputError(f"setup-pvs-proxy-rules names '{helper:.80}', which is not an absolute path; it was not run")
    program = paths.below(helper)
    if not (program.is_file() and os.access(program, os.X_OK)):
        raise InputError(f"setup-pvs-proxy-rules names {helper:.80}, which is not a program; it was not run")
    return program
