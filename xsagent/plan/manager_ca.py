"""The CA that was taken over from an ssl manager, across a change of manager -> steps on its files. Pure.

The first peer of a new manager is trusted (``set-ssl --bootstrap``), so the CA of the old one must be out of the way.
It is kept beside until the new manager connected: who goes back to the old one trusts nobody new.
`reconcile/control.py` reads both files and runs the steps before the transaction; `plan/manager.py` says what changes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from xsagent.plan.manager import ControlChange, normalise_target
from xsagent.plan.steps import FileStep
from xsagent.topology.control import ManagerState

BOOTSTRAPPED_CA: Final = "/etc/openvswitch/vswitchd.cacert"
"""Where ovsdb-server puts the CA of an ssl manager (wire.md section 6); without root prefix."""
KEPT_CA: Final = f"{BOOTSTRAPPED_CA}.old"
_OWNER: Final = "# CA of "
"""Begins the first line of the file that is kept; what reads PEM passes over it."""


def ca_steps(change: ControlChange, present: str | None, kept: str | None) -> tuple[FileStep, ...]:
    """What becomes of the CA and of the one that is kept; each step has its undo.

    Args:
        change: nothing is done unless its `new_ca` is set.
        present: text of BOOTSTRAPPED_CA; None when there is none.
        kept: likewise of KEPT_CA.
    """
    if not change.new_ca:
        return ()
    is_back = kept is not None and change.manager == "set" and _owner_of(kept) == normalise_target(change.target)
    wanted = kept.partition("\n")[2] if kept is not None and is_back else None
    to_keep = None if is_back or change.manager != "set" else kept
    if present is not None and change.ca_of and change.manager == "set":
        to_keep = f"{_OWNER}{normalise_target(change.ca_of)}\n{present}"
    return (
        # kept first: without room for it the change goes on, and the next manager's CA is the first that comes
        *_step(KEPT_CA, kept, to_keep, "the CA of the old manager, until the new one works", required=False),
        *_step(BOOTSTRAPPED_CA, present, wanted, "another manager, another CA", required=True),
    )


def is_kept_ca_done(target: str, managers: Iterable[ManagerState]) -> bool:
    """Whether the CA that is kept is of no use any more: the manager that is wanted now is connected."""
    return any(state.is_connected and normalise_target(state.target) == normalise_target(target) for state in managers)


def _owner_of(kept: str) -> str:
    line = kept.partition("\n")[0]
    return line.removeprefix(_OWNER) if line.startswith(_OWNER) else ""


def _step(path: str, before: str | None, after: str | None, reason: str, *, required: bool) -> tuple[FileStep, ...]:
    if before == after:
        return ()
    undo = FileStep(path=path, text=before, reason="as it was before the change of manager", required=required)
    return (FileStep(path=path, text=after, reason=reason, required=required, undo=(undo,)),)
