"""Bonds whose LACP a transaction switched off -> their members are let forward again. Effects.

Why: ovs-vswitchd (3.1 at least) asks whether a member may forward only when something about a link changed, and
switching LACP off is no such change: members that waited for a partner would wait for ever. The kernel is asked to tell
once more what it knows of each member, which changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from xsagent.apply.link_request import repeat_link
from xsagent.apply.packet_socket import require_device
from xsagent.errors import DeviceAbsentError
from xsagent.log import Logger
from xsagent.observed.bond_members import read_bond_members


def release_members(rundir: Path, bonds: Iterable[str], logger: Logger) -> None:
    """Have the switch look at the members of these bonds; idempotent. What the kernel refuses is logged."""
    for member in (member.name for bond in sorted(bonds) for member in read_bond_members(rundir, bond)):
        try:
            repeat_link(require_device(member))
        except (DeviceAbsentError, OSError) as error:
            logger.warning("pass_over_bond_member", subject=member, reason=str(error))
