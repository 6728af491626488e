"""What drivers refused -> /var/lib/xsagent/refusals.json and back. Effects, standard library alone.

Written by apply/ethtool.py; read before planning, so that a second `up` neither tries in vain nor reports drift for
ever. An entry counts only while the device still has the driver, MAC and kernel that refused.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from xsagent.apply.files import replace_file
from xsagent.apply.packet_socket import device_mac
from xsagent.config import Paths
from xsagent.observed.ethtool import read_driver

_FILE: Final = "refusals.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusals:
    """Values that drivers refused, by device and by ethtool's word, as PlanOptions has them."""

    features: Mapping[str, Mapping[str, bool]] = field(default_factory=dict)
    settings: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def read_refusals(paths: Paths) -> Refusals:
    """Return what is remembered of the devices that are here now; nothing when the file is missing or damaged."""
    features: dict[str, dict[str, bool]] = {}
    settings: dict[str, dict[str, str]] = {}
    for device, entry in _read(paths).items():
        if entry["identity"] == _identity(device):
            features[device] = {name: bool(value) for name, value in entry["features"].items()}
            settings[device] = {name: str(value) for name, value in entry["settings"].items()}
    return Refusals(features=features, settings=settings)


def remember_refusals(
    paths: Paths,
    device: str,
    *,
    tried: Mapping[str, bool] | Mapping[str, str],
    refused: Mapping[str, bool] | Mapping[str, str],
    kind: str,
) -> None:
    """Remember which of the values tried were refused, and forget older refusals of those that were taken.

    Devices that are gone are forgotten as well: each start of a guest brings some of another name. An equal file is not
    written.

    Args:
        kind: ``features`` or ``settings``.

    Raises:
        FileError: the file cannot be written; it is as it was.
    """
    entries = _read(paths)
    entry = entries.get(device)
    identity = _identity(device)
    if entry is None or entry["identity"] != identity:
        entry = {"identity": identity, "features": {}, "settings": {}}
    known = {name: value for name, value in entry[kind].items() if name not in tried} | dict(refused)
    there = {name: one for name, one in entries.items() if _identity(name)}
    changed = there | {device: entry | {kind: known}}
    if not changed[device]["features"] and not changed[device]["settings"]:
        del changed[device]
    if changed != entries:
        paths.state_dir.mkdir(parents=True, exist_ok=True)
        replace_file(paths.state_dir / _FILE, json.dumps(changed, indent=1, sort_keys=True).encode())


def _identity(device: str) -> str:
    """Driver, MAC and kernel; empty for a device that is not there."""
    try:
        mac = device_mac(device).hex(":")
    except OSError:
        return ""
    return f"{read_driver(device)} {mac} {os.uname().release}"


def _read(paths: Paths) -> dict[str, dict[str, Any]]:
    """Return the entries by device; those of another form are dropped."""
    try:
        data = json.loads((paths.state_dir / _FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    entries = data.items() if isinstance(data, dict) else ()
    return {str(device): entry for device, entry in entries if _is_entry(entry)}


def _is_entry(entry: object) -> bool:
    return (
        isinstance(entry, dict)
        and isinstance(entry.get("identity"), str)
        and isinstance(entry.get("features"), dict)
        and isinstance(entry.get("settings"), dict)
    )
