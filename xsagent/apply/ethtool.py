"""FeaturesStep, LinkSettingsStep -> SIOCETHTOOL. Effects, best effort: what a driver refuses is told and remembered.

Run on the NICs before addresses come. Undo: a step with the values that were read before. Standard library alone
(observed/ethtool.py says why not pyroute2).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Mapping
from typing import Final

from xsagent.apply.packet_socket import require_device
from xsagent.apply.refusals import remember_refusals
from xsagent.config import Paths
from xsagent.observed.ethtool import (
    FEATURES,
    GROUPS,
    LINK_SETTINGS_HEAD,
    WOL_LETTERS,
    Group,
    LinkSettings,
    ethtool_ioctl,
    read_features,
    read_link_settings,
    read_settings,
    read_value,
    read_wol,
    read_words,
)
from xsagent.observed.link_modes import mode_bits, without_modes
from xsagent.plan.steps import FeaturesStep, LinkSettingsStep

_SET_WOL: Final = 0x06
_SET_LINK_SETTINGS: Final = 0x4D
_LINK_WORDS: Final = ("autoneg", "speed", "duplex", "advertise")
_FORCED: Final = frozenset({"speed", "duplex"})
"""Without negotiation the driver tells these of the present link, which takes seconds to come back."""

_DUPLEX: Final = {"half": 0, "full": 1}
_SWITCH: Final = {"off": 0, "on": 1}


def apply_features(step: FeaturesStep, paths: Paths) -> tuple[str, ...]:
    """Set offloads one by one and read them back.

    Returns:
        A sentence for each that the driver refused; those are remembered, the others are in force.

    Raises:
        DeviceAbsentError: there is no such device.
        FileError: the refusals cannot be written.
    """
    require_device(step.device)
    reasons: dict[str, str] = {}
    # In the table's order: segmentation offloads need checksums and scatter-gather to be on before them.
    for name in sorted(step.features, key=lambda name: list(FEATURES).index(name) if name in FEATURES else -1):
        try:
            _set_feature(step.device, name, value=step.features[name])
        except (OSError, KeyError) as error:
            reasons[name] = _why(error)
    present = read_features(step.device)
    refused = {name: value for name, value in step.features.items() if present.get(name) != value}
    remember_refusals(paths, step.device, tried=step.features, refused=refused, kind="features")
    return tuple(
        f"{step.device} does not turn {name} {'on' if value else 'off'}: {reasons.get(name, 'the driver keeps it')}"
        for name, value in refused.items()
    )


def _set_feature(device: str, name: str, *, value: bool) -> None:
    feature = FEATURES[name]
    data = int(value)
    if feature.flag:
        others = read_value(device, feature.get) & ~feature.flag
        data = others | (feature.flag if value else 0)
    ethtool_ioctl(device, struct.pack("=II", feature.set, data))


def apply_link_settings(step: LinkSettingsStep, paths: Paths) -> tuple[str, ...]:
    """Set link settings: what belongs together at once, then one by one where that was refused.

    The keys are those of `read_settings`. Returns and raises as `apply_features`.
    """
    require_device(step.device)
    reasons: dict[str, str] = {}
    wanted = dict(step.settings)
    for names in _batches(wanted):
        batch = {name: wanted[name] for name in names}
        error = _try(step.device, batch)
        if error is None:
            continue
        for name, value in batch.items():
            alone = _try(step.device, {name: value}) if len(batch) > 1 and name not in _LINK_WORDS else error
            if alone is not None:
                reasons[name] = alone
    present = read_settings(step.device)
    for name, value in wanted.items():
        told_at_once = name not in _FORCED or present.get("autoneg") == "on"
        if name not in reasons and told_at_once and not _is_same(name, present.get(name), value):
            reasons[name] = f"the driver took {present.get(name, 'nothing')} instead"
    refused = {name: wanted[name] for name in reasons}
    remember_refusals(paths, step.device, tried=wanted, refused=refused, kind="settings")
    return tuple(f"{step.device} does not take {name} {wanted[name]}: {why}" for name, why in reasons.items())


def _batches(wanted: Mapping[str, str]) -> Iterable[list[str]]:
    """Yield settings that one request of the kernel sets together; unknown ones stand alone."""
    known = [list(_LINK_WORDS), *(list(group.fields) for group in GROUPS)]
    for names in known:
        if batch := [name for name in names if name in wanted]:
            yield batch
    yield from ([name] for name in wanted if not any(name in names for names in known))


def _try(device: str, batch: Mapping[str, str]) -> str | None:
    """Set a batch; None, or why not."""
    try:
        _set_batch(device, batch)
    except (OSError, KeyError, ValueError, struct.error) as error:
        return _why(error)
    return None


def _set_batch(device: str, batch: Mapping[str, str]) -> None:
    name = next(iter(batch))
    if name in _LINK_WORDS:
        ethtool_ioctl(device, build_link_request(read_link_settings(device), batch))
    elif name == "wol":
        _set_wol(device, batch[name])
    else:
        group = next((group for group in GROUPS if name in group.fields), None)
        if group is None:
            raise KeyError(name)
        _set_words(device, group, batch)


def _set_words(device: str, group: Group, batch: Mapping[str, str]) -> None:
    words = read_words(device, group)
    words[0] = group.set
    for name, value in batch.items():
        field = group.fields[name]
        words[field.index] = _number(value, _SWITCH if field.switch else None)
    ethtool_ioctl(device, struct.pack(f"={group.words}I", *words))


def _set_wol(device: str, letters: str) -> None:
    supported, _bits = read_wol(device)
    if not set(letters) <= {*WOL_LETTERS, "d"}:
        raise ValueError(f"{letters!r} has other letters than d{WOL_LETTERS}")
    bits = sum(1 << WOL_LETTERS.index(letter) for letter in letters.replace("d", ""))
    # The structure ends in a SecureOn password, which we never set, and two bytes of padding.
    ethtool_ioctl(device, struct.pack("=III8x", _SET_WOL, supported, bits))


def build_link_request(present: LinkSettings, wanted: Mapping[str, str]) -> bytes:
    """Return struct ethtool_link_settings with the wanted values in place of the present ones. Pure.

    With autonegotiation a speed or duplex limits what is advertised, as ethtool(8) does; without it they are forced.

    Raises:
        ValueError: a value is not one of its setting.
    """
    autoneg = _number(wanted["autoneg"], _SWITCH) if "autoneg" in wanted else present.autoneg
    speed = int(wanted["speed"]) if "speed" in wanted else None
    duplex = _number(wanted["duplex"], _DUPLEX) if "duplex" in wanted else None
    advertised = present.advertised
    if "advertise" in wanted:
        advertised = int(wanted["advertise"], 16)
    elif autoneg:
        advertised = without_modes(advertised) | mode_bits(present.supported, speed, duplex)
    head = LINK_SETTINGS_HEAD.pack(
        _SET_LINK_SETTINGS,
        present.speed if speed is None else speed,
        present.duplex if duplex is None else duplex,
        present.port,
        present.phy_address,
        autoneg,
        *(0, 0, 0),
        present.words,
        *(0, 0, 0, 0),
    )
    return (
        head + _bitmap(present.supported, present.words) + _bitmap(advertised, present.words) + bytes(4 * present.words)
    )


def _number(value: str, words: Mapping[str, int] | None) -> int:
    """Return a setting's number: one of some words, or decimal. ValueError for any other text."""
    if words is None:
        return int(value)
    if value not in words:
        raise ValueError(f"{value!r} is none of {', '.join(words)}")
    return words[value]


def _is_same(name: str, present: str | None, wanted: str) -> bool:
    """Compare as numbers what is hexadecimal: 0x020 is 0x20."""
    if name == "advertise" and present is not None:
        return int(present, 16) == int(wanted, 16)
    return present == wanted


def _bitmap(bits: int, words: int) -> bytes:
    return struct.pack(f"={words}I", *(bits >> 32 * place & 0xFFFFFFFF for place in range(words)))


def _why(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno)
    return "no such setting" if isinstance(error, KeyError) else f"no usable value ({error})"
