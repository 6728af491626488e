"""The manager's reconciliation for xsagentd: in a process of its own, by the plugin's code. Effects: that process's.

It reads a whole pool, holds the lock and may wait for the deadman; its memory goes with it (`cli/manager_update.py`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from xsagent.apply.manager_port import open_manager_port
from xsagent.child import own_command, run_child
from xsagent.config import Paths, Settings
from xsagent.errors import CommandError, XsagentError
from xsagent.reconcile.manager import ControlHooks, update_manager
from xsagent.topology.codec import from_json, to_json
from xsagent.topology.values import Json

_LONGEST_S: Final = 300.0
"""Lock, XAPI, ovsdb-server, the switch and the deadman's window, each at its longest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagerOrder:
    """What the process is told on stdin."""

    settings: Settings = field(default_factory=Settings)


class ManagerUpdateError(XsagentError):
    """The reconciliation failed; the switch is as it was."""


def update_manager_apart(paths: Paths, settings: Settings) -> str:
    """`update_manager`; its answer.

    Raises:
        ManagerUpdateError: with the sentence of what failed.
    """
    words = [*own_command("xsagent.cli.manager_update"), f"--root-prefix={paths.root}"]
    order = json.dumps(to_json(ManagerOrder(settings=settings)))
    try:
        form: Json = json.loads(run_child(words, deadline_s=_LONGEST_S, input_text=order).stdout)
    except (CommandError, ValueError) as error:
        raise ManagerUpdateError(f"the process that updates the manager failed: {error}") from error
    if not isinstance(form, dict) or "result" not in form:
        raise ManagerUpdateError(str(form.get("error", form) if isinstance(form, dict) else form))
    return str(form["result"])


def parse_manager_order(text: str) -> ManagerOrder:
    """The order on the process's stdin; InputError for anything else."""
    return from_json(ManagerOrder, json.loads(text))


def answer_manager_order(paths: Paths, order: ManagerOrder) -> Json:
    """What the process writes: the plugin's answer, or what went wrong.

    Marks and cache are not rewritten: XAPI has its plugin do that. The locking flows of guests are put back by the
    change itself; xsagentd looks at all guests afterwards.
    """
    try:
        hooks = ControlHooks(listen=partial(open_manager_port, paths))
        return {"result": update_manager(paths, order.settings, None, hooks)}
    except (XsagentError, OSError) as error:
        return {"error": str(error)}
