"""xenopsd's file about one VIF (wire.md section 3) -> VifFile: JSON text to checked values. Pure.

The file lies at ``/var/run/nonpersistent/xenopsd/BACKEND/VM/UUID/vif.N``; `vif_reader` reads it, `vif` joins it
with the xenstore keys. Every member may be absent.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

from xsagent.errors import InputError
from xsagent.model.values import parse_device_name, parse_mac, shown
from xsagent.model.vif import Locking, LockingMode
from xsagent.sources.vif_values import (
    build_locking,
    check_trunks,
    parse_locking_mode,
    parse_mtu,
    parse_text,
    parse_uuid,
)
from xsagent.topology.values import Json

_T = TypeVar("_T")

MAX_FILE_BYTES: Final = 1 << 18
_TAGGED: Final = 2
"""Length of a variant with an argument, ``["Local", "xenbr0"]``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VifFile:
    """What the file says; None or empty where it says nothing.

    Attributes:
        bridge: None for a backend in another domain (not supported) or none at all.
        offloaded: the backend is an SR-IOV virtual function.
    """

    bridge: str | None = None
    offloaded: bool = False
    mac: str | None = None
    mtu: int | None = None
    trunks: tuple[int, ...] | None = None
    locking: Locking | None = None
    other_config: Mapping[str, str] = field(default_factory=dict)
    vif_uuid: str | None = None
    network_uuid: str | None = None


def load_vif_file(raw: bytes) -> Mapping[str, Json]:
    """The file's text as JSON.

    Raises:
        InputError: it is none, for example because it is being written.
    """
    if len(raw) > MAX_FILE_BYTES:
        raise InputError(f"the VIF file is longer than {MAX_FILE_BYTES} bytes")
    try:
        form: Json = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise InputError(f"the VIF file is not JSON: {error}") from error
    if not isinstance(form, dict):
        raise InputError("the VIF file is not a JSON object")
    return form


def parse_vif_file(form: Mapping[str, Json]) -> VifFile:
    """The file's members as values.

    Raises:
        InputError: a member that we use has a wrong form. The text names the member.
    """
    bridge, offloaded = _member(form, "backend", _parse_backend) or (None, False)
    keys = _member(form, "extra_private_keys", _parse_text_map) or {}
    return VifFile(
        bridge=bridge,
        offloaded=offloaded,
        mac=_member(form, "mac", lambda value: parse_mac(_text(value))),
        mtu=_member(form, "mtu", lambda value: parse_mtu(str(_integer(value)))),
        trunks=_member(form, "trunks", _parse_trunks),
        locking=_member(form, "locking_mode", _parse_locking),
        other_config=_member(form, "other_config", _parse_text_map) or {},
        vif_uuid=_member(keys, "vif-uuid", lambda value: parse_uuid(_text(value))),
        network_uuid=_member(keys, "network-uuid", lambda value: parse_uuid(_text(value))),
    )


def _member(form: Mapping[str, Json], name: str, parse: Callable[[Json], _T]) -> _T | None:
    """The parsed member, None when it is absent or null; InputError names it."""
    value = form.get(name)
    if value is None:
        return None
    try:
        return parse(value)
    except InputError as error:
        raise InputError(f"{name} of the VIF file: {error}") from error


def _text(value: Json) -> str:
    if not isinstance(value, str):
        raise InputError(f"{shown(repr(value))} is not text")
    return parse_text(value.encode("utf-8", "surrogatepass"))


def _integer(value: Json) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise InputError(f"{shown(repr(value))} is not a whole number")
    return value


def _items(value: Json) -> list[Json]:
    if not isinstance(value, list):
        raise InputError(f"{shown(repr(value))} is not a list")
    return value


def _parse_backend(value: Json) -> tuple[str | None, bool]:
    """Bridge, and whether a virtual function carries it; neither of a backend in another domain (wire.md section 3)."""
    items = _items(value)
    kind = _text(items[0]).lower() if items else ""
    if kind == "remote":
        return None, False
    if len(items) != _TAGGED or kind not in {"local", "sriov"}:
        raise InputError(f"{shown(repr(value))} is not a backend")
    return (parse_device_name(_text(items[1])) if kind == "local" else None), kind == "sriov"


def _parse_trunks(value: Json) -> tuple[int, ...]:
    return check_trunks(_integer(item) for item in _items(value))


def _parse_locking(value: Json) -> Locking:
    """``"Unlocked"``, ``"Disabled"`` or ``["Locked", {"ipv4": [...], "ipv6": [...]}]``."""
    items = [value] if isinstance(value, str) else _items(value)
    mode = parse_locking_mode(_text(items[0]) if items else "")
    addresses = items[1] if len(items) == _TAGGED else {}
    is_locked = mode is LockingMode.LOCKED
    if len(items) > _TAGGED or not isinstance(addresses, dict) or is_locked != (len(items) == _TAGGED):
        raise InputError(f"{shown(repr(value))} is not a locking mode with its addresses")
    return build_locking(mode, _addresses(addresses, "ipv4"), _addresses(addresses, "ipv6"))


def _addresses(form: Mapping[str, Json], family: str) -> list[str]:
    return [_text(item) for item in _items(form.get(family, []))]


def _parse_text_map(value: Json) -> dict[str, str]:
    """The members of an object that are printable text; others are none of ours to read."""
    if not isinstance(value, dict):
        raise InputError(f"{shown(repr(value))} is not an object")
    return {key: item for key, item in value.items() if isinstance(item, str)}
