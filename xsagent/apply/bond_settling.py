"""Bonds that a change concerned -> whether the switch is through with them. Reads and waits, no effect.

Between the gateway's first answer and the deadman's word that a change may stay: a member that may no longer forward,
as one whose partner speaks no LACP, goes on forwarding for the bond's downdelay, and the gateway answers meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from xsagent.observed.bond_members import read_bond_members
from xsagent.topology.desired import Desired
from xsagent.topology.values import Keep, Port, Topology

_LOOK_S: Final = 0.1
_LOOKS: Final = 2
"""In a row: the switch asks its members a moment after it took the change over."""


def changed_bonds(desired: Desired, observed: Topology) -> tuple[str, ...]:
    """Names of the bonds below management that are not as they were observed, in members or in what they speak. Pure.

    Args:
        desired: of the operation that was carried out.
        observed: before it.
    """
    if desired.management is None:
        return ()
    before = {port.name: port for bridge in observed.bridges.values() for port in bridge.ports.values()}
    ports = (port for bridge in desired.topology.bridges.values() for port in bridge.ports.values())
    below = [port for port in ports if port.name in desired.management.ports and len(port.interfaces) > 1]
    return tuple(sorted(port.name for port in below if _differs(port, before.get(port.name))))


def _differs(wanted: Port, before: Port | None) -> bool:
    if before is None or wanted.interfaces.keys() != before.interfaces.keys():
        return True
    columns = ((wanted.lacp, before.lacp), (wanted.bond_mode, before.bond_mode))
    if any(not isinstance(new, Keep) and new != old for new, old in columns):
        return True
    return any(before.other_config.get(key) != value for key, value in wanted.other_config.items())


def await_settled(rundir: Path, bonds: Iterable[str], deadline: float) -> str | None:
    """Wait until no member of these bonds is about to be disabled and one of each forwards.

    Returns the bond that has none at `deadline` (a time of ``time.monotonic()``); None when all is well, or where the
    switch does not say.
    """
    for bond in bonds:
        seen = 0
        while seen < _LOOKS:
            seen = seen + 1 if _is_settled(rundir, bond) else 0
            if seen < _LOOKS:
                if time.monotonic() >= deadline:
                    return bond
                time.sleep(_LOOK_S)
    return None


def _is_settled(rundir: Path, bond: str) -> bool:
    members = read_bond_members(rundir, bond)
    if not members:
        return True
    forwards = any(member.enabled and member.may_enable for member in members)
    return forwards and not any(member.enabled and not member.may_enable for member in members)
