"""Locked devices whose flows are in place -> those that are free all the same, and why. I/O: reads only.

`attempt` and the doctor ask, after the flows were compared: flows are no proof where Open vSwitch has one above them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from xsagent.observed.fail_open import OpenableBridge, is_open, read_openable
from xsagent.observed.ovsdb_connection import OvsdbConnection

REMEDY: Final = (
    "get a controller back, or have other_config:vswitch-controller-fail-mode of the network or the pool say secure"
)
"""What a person does about it."""


def find_unlocked(connection: OvsdbConnection, rundir: Path, ports: Mapping[str, tuple[str, int]]) -> dict[str, str]:
    """A clause for each device whose bridge forwards everything without its controllers, while these are away.

    Args:
        connection: open.
        rundir: OVS_RUNDIR.
        ports: by device its real bridge and its number in the switch.

    Raises:
        OvsdbUnavailableError, OvsdbError: as `read_openable`.
    """
    openable = read_openable(connection) if ports else {}
    found: dict[str, str] = {}
    for name in sorted(openable.keys() & {bridge for bridge, _ in ports.values()}):
        devices = {device: ofport for device, (bridge, ofport) in ports.items() if bridge == name}
        if text := _describe(name, openable[name], is_open(rundir, name, next(iter(devices.values())))):
            found |= dict.fromkeys(devices, text)
    return found


def _describe(name: str, bridge: OpenableBridge, open_now: bool | None) -> str:
    if not open_now and bridge.connected:
        return ""
    since = "while" if open_now else f"after {bridge.delay_s} s in which"
    return (
        f"it is NOT locked {since} bridge {name} is without its controllers: its fail mode is not secure, so Open "
        "vSwitch lets every frame through"
    )
