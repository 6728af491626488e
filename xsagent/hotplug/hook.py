"""Runs the host's vif-hotplug hook after a device was attached or taken away. Effects.

The last thing that `attempt` does for a vif (features.md section 15): by then xenstore says it all, so whatever
the hook does, or how it ends, is its own affair.
"""

from __future__ import annotations

import os
from typing import Final

from xsagent.apply.child import run_child
from xsagent.config import Paths
from xsagent.errors import CommandError
from xsagent.log import get_logger

HOOK: Final = "/etc/xapi.d/vif-hotplug"
DEADLINE_S: Final = 30.0
_LOG = get_logger()


def run_hook(paths: Paths, action: str, *, vif_uuid: str, vm_uuid: str) -> None:
    """Run the hook if the host has one that can be executed; a failure is logged and nothing else.

    Args:
        paths: of this host.
        action: ``online`` or ``remove``.
        vif_uuid: of the VIF; empty when unknown.
        vm_uuid: of the VM, as the port was marked; empty when unknown.
    """
    program = paths.below(HOOK)
    if not os.access(program, os.X_OK) or not program.is_file():
        return
    words = [str(program), "-action", action, "-vifuuid", vif_uuid, "-vmuuid", vm_uuid]
    try:
        run_child(words, deadline_s=DEADLINE_S)
    except CommandError as error:
        _LOG.warning("ignore_hook", action=action, vif=vif_uuid, text=str(error))
