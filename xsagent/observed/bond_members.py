"""ovs-vswitchd -> what each member of a bond is doing now. I/O: one question on its control socket.

The database names the active member alone (Port.bond_active_slave) and is written every few seconds; this is what
ovs-appctl(8) prints for ``bond/show``. Asked before a change below management is kept (`apply/bond_settling.py`).
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from xsagent.observed.jsonrpc import RemoteError
from xsagent.observed.switch_alive import open_switch_control

_ANSWER_S: Final = 2.0
_MEMBER: Final = re.compile(
    r"^(?:member|slave) (?P<name>[^\s:]+): (?P<state>enabled|disabled)$"
    r"(?:\n(?!(?:member|slave) ).*)*?\n\s+may_enable: (?P<may>true|false)$",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BondMember:
    """One member, as the switch has it.

    Attributes:
        enabled: it forwards.
        may_enable: it has carrier, and LACP's word where the bond speaks it. Where this differs from `enabled` the
            switch waits for the bond's updelay or downdelay, and then follows it.
    """

    name: str
    enabled: bool
    may_enable: bool


def read_bond_members(rundir: Path, bond: str) -> tuple[BondMember, ...]:
    """Members of a bond; empty where the switch does not answer, or has no such bond."""
    channel = open_switch_control(rundir)
    if channel is None:
        return ()
    try:
        text = channel.call("bond/show", [bond], time.monotonic() + _ANSWER_S)
    except (OSError, RemoteError):
        return ()
    finally:
        channel.close()
    return parse_bond_show(str(text))


def parse_bond_show(text: str) -> tuple[BondMember, ...]:
    """Members of one bond in the words of ``bond/show``; before Open vSwitch 2.15 they are slaves."""
    return tuple(
        BondMember(name=found["name"], enabled=found["state"] == "enabled", may_enable=found["may"] == "true")
        for found in _MEMBER.finditer(text)
    )
