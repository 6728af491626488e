"""ethtool-* keys of other_config -> offloads and link settings (features.md section 9). Pure.

PIF.other_config speaks for NICs, network.other_config for the bridge's device. What is no valid value is warned about
and left alone. After it nic.py and ip.py put the result into a Link, ifcfg.py into a file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from xsagent.desired.notes import Notes
from xsagent.errors import InputError
from xsagent.model.values import parse_integer, shown

_PREFIX: Final = "ethtool-"
OFFLOADS: Final = ("rx", "tx", "sg", "tso", "ufo", "gso", "gro", "lro")
"""ethtool -K's short names, in the order in which a file lists them."""
_SWITCH: Final = {"on": True, "true": True, "off": False, "false": False}
_HEX: Final = re.compile(r"0x[0-9a-f]{1,32}", re.IGNORECASE | re.ASCII)
_WOL: Final = re.compile(r"d|[pumbagsf]{1,8}", re.ASCII)
_MAX_NUMBER: Final = 0x7FFFFFFF


def nic_features(
    other_config: Mapping[str, str], properties: Mapping[str, str], subject: str, notes: Notes
) -> dict[str, bool]:
    """Offloads of a NIC: what its other_config says, over gro as in the PIF's properties and lro off.

    Args:
        properties: PIF.properties; a bond's for its members.
        subject: the device, for warnings.
    """
    features = {"lro": False}
    if (gro := _SWITCH.get(properties.get("gro", ""))) is not None:
        features["gro"] = gro
    return features | bridge_features(other_config, subject, notes)


def bridge_features(other_config: Mapping[str, str], subject: str, notes: Notes) -> dict[str, bool]:
    """Offloads that an other_config names, without defaults."""
    features: dict[str, bool] = {}
    for name in OFFLOADS:
        text = other_config.get(_PREFIX + name)
        if text in _SWITCH:
            features[name] = _SWITCH[text]
        elif text is not None:
            notes.warn("pass_over_ethtool", subject, f"{_PREFIX}{name}: {shown(text)} is neither on nor off")
    return features


def link_settings(other_config: Mapping[str, str], subject: str, notes: Notes) -> dict[str, str]:
    """Link settings that an other_config names, by ethtool's words, in the order ethtool -s lists them."""
    settings: dict[str, str] = {}
    for name, read in _SETTINGS.items():
        text = other_config.get(_PREFIX + name)
        if text is None:
            continue
        try:
            settings[name] = read(text)
        except InputError as error:
            notes.warn("pass_over_ethtool", subject, f"{_PREFIX}{name}: {error}")
    return settings


def _switch(text: str) -> str:
    if text not in _SWITCH:
        raise InputError(f"{shown(text)} is neither on nor off")
    return "on" if _SWITCH[text] else "off"


def _duplex(text: str) -> str:
    if text not in {"half", "full"}:
        raise InputError(f"{shown(text)} is neither half nor full")
    return text


def _number_from(low: int) -> Callable[[str], str]:
    return lambda text: str(parse_integer(text, low, _MAX_NUMBER))


def _advertise(text: str) -> str:
    if not _HEX.fullmatch(text) or int(text, 16) == 0:
        raise InputError(f"{shown(text)} is not a hexadecimal number of link modes")
    return hex(int(text, 16))


def _wol(text: str) -> str:
    if not _WOL.fullmatch(text) or len(set(text)) != len(text):
        raise InputError(f"{shown(text)} are not letters of ethtool's wake-on-LAN")
    return text if text == "d" else "".join(letter for letter in "pumbagsf" if letter in text)


_SETTINGS: Final[Mapping[str, Callable[[str], str]]] = {
    "speed": _number_from(1),
    "duplex": _duplex,
    "autoneg": _switch,
    "advertise": _advertise,
    "wol": _wol,
    "ring-rx": _number_from(1),
    "ring-tx": _number_from(1),
    "channels": _number_from(1),
    "pause-autoneg": _switch,
    "pause-rx": _switch,
    "pause-tx": _switch,
    "coalesce-rx-usecs": _number_from(0),
    "coalesce-rx-frames": _number_from(0),
    "coalesce-tx-usecs": _number_from(0),
    "coalesce-tx-frames": _number_from(0),
    "coalesce-adaptive-rx": _switch,
    "coalesce-adaptive-tx": _switch,
}
