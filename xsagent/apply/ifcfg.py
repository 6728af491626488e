"""IfupStep, IfdownStep, UpdateIssueStep -> the host's own scripts (`ip_backend` ifcfg). Effects.

Their files are written by FileSteps before; their exit status counts, and a static address is verified by the flow
afterwards. Undo of an ifup is an ifdown, and the other way round.
"""

from __future__ import annotations

import os
from typing import Final

from xsagent.apply.orphans import MARK
from xsagent.apply.packet_socket import require_device
from xsagent.child import find_program, run_child
from xsagent.config import Paths
from xsagent.errors import CommandError, DeviceAbsentError
from xsagent.plan.steps import IfdownStep, IfupStep

_IFUP_S: Final = 45.0
"""Beside the wait for a lease: initscripts' own duplicate address detection and link wait take some 15 s."""

_DHCLIENT_S: Final = 60.0
"""After so long without an answer dhclient goes into the background and lets ifup end (dhclient.conf(5), timeout)."""

_IFDOWN_S: Final = 45.0
_UPDATE_ISSUE_S: Final = 20.0
_UPDATE_ISSUE: Final = "/sbin/update-issue"


def run_ifup(step: IfupStep, paths: Paths, dhcp_wait_s: float) -> None:
    """Run ifup for a device, which may be up already.

    Blocking, 45 s and `dhcp_wait_s`, for which ifup may wait for a lease, but at least as long as dhclient makes it
    wait. Its exit status 0 ends that wait: with PERSISTENT_DHCLIENT it succeeds though no server answered, and the
    client keeps asking.

    Raises:
        CommandError: it failed or passed its deadline; the sentence has what ifup said.
    """
    program = find_program("ifup", str(paths.below("/sbin/ifup")))
    deadline_s = _IFUP_S + max(dhcp_wait_s, _DHCLIENT_S)
    run_child([program, step.device], deadline_s=deadline_s, environment={MARK: str(paths.root)})


def run_ifdown(step: IfdownStep, paths: Paths) -> None:
    """Run ifdown for a device; one that is not there needs none.

    Raises:
        CommandError: it failed while the device is there, or passed its deadline; the sentence has what ifdown said.
    """
    program = find_program("ifdown", str(paths.below("/sbin/ifdown")))
    try:
        run_child([program, step.device], deadline_s=_IFDOWN_S, environment={MARK: str(paths.root)})
    except CommandError:
        try:
            require_device(step.device)
        except DeviceAbsentError:
            return
        raise


def update_issue(paths: Paths) -> str | None:
    """Let the console's greeting show the address: run update-issue where it is installed.

    Never fatal: returns a sentence when it failed, None when it did its work or is not installed.
    """
    try:
        installed = paths.below(_UPDATE_ISSUE)
        program = str(installed) if os.access(installed, os.X_OK) else find_program("update-issue", _UPDATE_ISSUE)
    except CommandError:
        return None
    try:
        run_child([program], deadline_s=_UPDATE_ISSUE_S)
    except CommandError as error:
        return str(error)
    return None
