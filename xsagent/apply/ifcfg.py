"""IfupStep, IfdownStep, UpdateIssueStep -> the host's own scripts (`ip_backend` ifcfg). Effects.

Their files are written by FileSteps before; their exit status counts, and a static address is verified by the flow
afterwards. Undo of an ifup is an ifdown, and the other way round.
"""

from __future__ import annotations

import os
import time
from typing import Final

from xsagent.apply.child import find_program, run_child
from xsagent.apply.orphans import MARK
from xsagent.apply.packet_socket import first_ipv4, require_device
from xsagent.config import Paths
from xsagent.errors import CommandError, DeviceAbsentError, DhcpSilentError
from xsagent.plan.steps import IfdownStep, IfupStep

_IFUP_S: Final = 45.0
"""Beside the wait for a lease: initscripts' own duplicate address detection and link wait take some 15 s."""

_IFDOWN_S: Final = 45.0
_POLL_S: Final = 0.1
_UPDATE_ISSUE_S: Final = 20.0
_UPDATE_ISSUE: Final = "/sbin/update-issue"


def run_ifup(step: IfupStep, paths: Paths, dhcp_wait_s: float) -> None:
    """Run ifup for a device, which may be up already.

    Blocking, 45 s and `dhcp_wait_s`. With PERSISTENT_DHCLIENT ifup succeeds though no server answered, so a DHCP
    device is waited for here. Raises CommandError with what ifup said when it failed or passed its deadline,
    DhcpSilentError when the device has no address by then (the client keeps asking).
    """
    begin = time.monotonic()
    program = find_program("ifup", str(paths.below("/sbin/ifup")))
    run_child([program, step.device], deadline_s=_IFUP_S + dhcp_wait_s, environment={MARK: str(paths.root)})
    if _is_dhcp(paths, step.device):
        _wait_address(step.device, begin, dhcp_wait_s)


def _is_dhcp(paths: Paths, device: str) -> bool:
    """Whether the device's ifcfg file, which we wrote, says DHCP."""
    try:
        text = (paths.network_scripts / f"ifcfg-{device}").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return any(line.strip() in {"BOOTPROTO=dhcp", 'BOOTPROTO="dhcp"'} for line in text.splitlines())


def _wait_address(device: str, begin: float, wait_s: float) -> None:
    while first_ipv4(device) is None:
        if time.monotonic() - begin >= wait_s:
            raise DhcpSilentError(f"no DHCP server answered on {device} within {wait_s:g} s; the client keeps asking")
        time.sleep(_POLL_S)


def run_ifdown(step: IfdownStep, paths: Paths) -> None:
    """Run ifdown for a device; one that is not there needs none.

    Raises CommandError with what ifdown said when it failed while the device is there, or passed its deadline.
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
