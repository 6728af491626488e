"""SIOCETHTOOL -> offloads and link settings of one device by ethtool's words. Reads only, standard library alone.

linux/ethtool.h's old one-value commands are used for offloads: they mean exactly what ethtool's short names mean,
and need neither the kernel's string tables nor pyroute2 (whose 0.9 raises on fixed features and has no link modes).
After it observed/links.py; apply/ethtool.py writes with the same tables.
"""

from __future__ import annotations

import array
import contextlib
import errno
import fcntl
import socket
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from xsagent.observed.link_modes import only_mode

SIOCETHTOOL: Final = 0x8946
_IFREQ: Final = struct.Struct("16sP16x")
_VALUE: Final = struct.Struct("=II")

FLAG_LRO: Final = 1 << 15
"""ETH_FLAG_LRO."""


@dataclass(frozen=True, slots=True)
class Feature:
    """Command numbers of one offload; `flag` is its bit where the commands carry flags of several."""

    get: int
    set: int
    flag: int = 0


FEATURES: Final[Mapping[str, Feature]] = {
    "rx": Feature(0x14, 0x15),
    "tx": Feature(0x16, 0x17),
    "sg": Feature(0x18, 0x19),
    "tso": Feature(0x1E, 0x1F),
    "ufo": Feature(0x21, 0x22),
    "gso": Feature(0x23, 0x24),
    "gro": Feature(0x2B, 0x2C),
    "lro": Feature(0x25, 0x26, FLAG_LRO),
}
"""ethtool's short names."""


@dataclass(frozen=True, slots=True)
class Field:
    """A number in one of ethtool's structures of 32-bit words.

    Attributes:
        index: position of the word; word 0 is the command.
        switch: 0 and 1 are written ``off`` and ``on``.
        limit: position of the word that holds the greatest value, 0 for none.
    """

    index: int
    switch: bool = False
    limit: int = 0


@dataclass(frozen=True, slots=True)
class Group:
    """One structure: its commands, its length in words, its settings by name."""

    get: int
    set: int
    words: int
    fields: Mapping[str, Field]


GROUPS: Final[tuple[Group, ...]] = (
    # struct ethtool_ringparam
    Group(0x10, 0x11, 9, {"ring-rx": Field(5, limit=1), "ring-tx": Field(8, limit=4)}),
    # struct ethtool_channels
    Group(0x3C, 0x3D, 9, {"channels": Field(8, limit=4)}),
    # struct ethtool_pauseparam
    Group(
        0x12,
        0x13,
        4,
        {"pause-autoneg": Field(1, switch=True), "pause-rx": Field(2, switch=True), "pause-tx": Field(3, switch=True)},
    ),
    # struct ethtool_coalesce
    Group(
        0x0E,
        0x0F,
        23,
        {
            "coalesce-rx-usecs": Field(1),
            "coalesce-rx-frames": Field(2),
            "coalesce-tx-usecs": Field(5),
            "coalesce-tx-frames": Field(6),
            "coalesce-adaptive-rx": Field(10, switch=True),
            "coalesce-adaptive-tx": Field(11, switch=True),
        },
    ),
)

WOL_LETTERS: Final = "pumbagsf"
"""ethtool's letters for the bits of struct ethtool_wolinfo, lowest first; ``d`` is none of them."""
_GET_WOL: Final = 0x05
_GET_DRIVER: Final = 0x03
_GET_LINK_SETTINGS: Final = 0x4C
LINK_SETTINGS_HEAD: Final = struct.Struct("=IIBBBBBBBbBBBB28x")
"""struct ethtool_link_settings up to its bitmaps (link_mode_masks)."""
_DUPLEX: Final = {0: "half", 1: "full"}
_UNKNOWN_SPEED: Final = 0xFFFFFFFF
_REFUSED: Final = frozenset({errno.EOPNOTSUPP, errno.EINVAL, errno.ENODEV, errno.EPERM, errno.ENOSYS})


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSettings:
    """struct ethtool_link_settings: speed in Mbit/s, duplex and autoneg as numbers, link modes as bit sets."""

    speed: int
    duplex: int
    port: int
    phy_address: int
    autoneg: int
    words: int
    supported: int
    advertised: int


def ethtool_ioctl(device: str, request: bytes) -> bytes:
    """Send one ethtool structure for a device and return it as the kernel filled it in.

    Raises:
        OSError: as the driver answers: EOPNOTSUPP for what it cannot do, ENODEV without such a device.
    """
    memory = array.array("B", request)
    address, _length = memory.buffer_info()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, SIOCETHTOOL, _IFREQ.pack(device.encode()[:15], address))
    return memory.tobytes()


def read_value(device: str, command: int) -> int:
    """Return the one value that a get command answers; OSError as `ethtool_ioctl`."""
    return int(_VALUE.unpack(ethtool_ioctl(device, _VALUE.pack(command, 0)))[1])


def read_words(device: str, group: Group) -> list[int]:
    """Return a structure as its words, the command first; OSError as `ethtool_ioctl`."""
    form = struct.Struct(f"={group.words}I")
    return list(form.unpack(ethtool_ioctl(device, form.pack(group.get, *[0] * (group.words - 1)))))


def read_features(device: str) -> dict[str, bool]:
    """Return the offloads that the device knows, by ethtool's short names; none for a device that is not there."""
    features: dict[str, bool] = {}
    for name, feature in FEATURES.items():
        with _unless_refused():
            value = read_value(device, feature.get)
            features[name] = bool(value & feature.flag if feature.flag else value)
    return features


def read_settings(device: str) -> dict[str, str]:
    """Return the link settings that the driver tells.

    Keys are those of other_config without ``ethtool-``: ``autoneg`` (on, off), ``speed`` (Mbit/s, as asked for or
    negotiated), ``duplex`` (half, full), ``advertise`` (hexadecimal bits), ``wol`` (ethtool's letters), ``ring-*``,
    ``channels``, ``pause-*``, ``coalesce-*``. A setting that the driver does not tell is left out.
    """
    settings: dict[str, str] = {}
    with _unless_refused():
        settings |= link_words(read_link_settings(device))
    with _unless_refused():
        settings["wol"] = wol_letters(read_wol(device)[1])
    for group in GROUPS:
        with _unless_refused():
            words = read_words(device, group)
            settings |= {name: word_text(field, words[field.index]) for name, field in group.fields.items()}
    return settings


def word_text(field: Field, value: int) -> str:
    """Return a structure's number as a setting's text."""
    return ("off", "on")[bool(value)] if field.switch else str(value)


def wol_letters(bits: int) -> str:
    """Return wake-on-LAN bits as ethtool's letters, ``d`` for none."""
    return "".join(letter for place, letter in enumerate(WOL_LETTERS) if bits & 1 << place) or "d"


def read_wol(device: str) -> tuple[int, int]:
    """Return supported and set wake-on-LAN bits; OSError as `ethtool_ioctl`."""
    form = struct.Struct("=III8x")
    _command, supported, bits = form.unpack(ethtool_ioctl(device, form.pack(_GET_WOL, 0, 0)))
    return supported, bits


def read_driver(device: str) -> str:
    """Return the driver's name, for example ``e1000``; empty when there is none."""
    try:
        answer = ethtool_ioctl(device, _VALUE.pack(_GET_DRIVER, 0) + bytes(196 - _VALUE.size))
    except OSError:
        return ""
    return answer[4:36].split(b"\0")[0].decode("ascii", "replace")


def read_link_settings(device: str) -> LinkSettings:
    """Return speed, duplex, autonegotiation and link modes; OSError as `ethtool_ioctl`."""
    # The kernel answers a wrong number of bitmap words with the right one, negated (ethtool.h, link_mode_masks_nwords).
    asked = LINK_SETTINGS_HEAD.pack(_GET_LINK_SETTINGS, 0, *[0] * 12)
    words = -LINK_SETTINGS_HEAD.unpack_from(ethtool_ioctl(device, asked))[9]
    if words <= 0:
        raise OSError(errno.EOPNOTSUPP, "the kernel tells no link modes")
    asked = LINK_SETTINGS_HEAD.pack(_GET_LINK_SETTINGS, 0, *[0] * 7, words, *[0] * 4) + bytes(12 * words)
    answer = ethtool_ioctl(device, asked)
    _command, speed, duplex, port, phy_address, autoneg, *_rest = LINK_SETTINGS_HEAD.unpack_from(answer)
    bitmaps = answer[LINK_SETTINGS_HEAD.size :]
    return LinkSettings(
        speed=speed,
        duplex=duplex,
        port=port,
        phy_address=phy_address,
        autoneg=autoneg,
        words=words,
        supported=bitmap(bitmaps[: 4 * words]),
        advertised=bitmap(bitmaps[4 * words : 8 * words]),
    )


def bitmap(raw: bytes) -> int:
    """Return an array of 32-bit words, lowest first, as one number."""
    return sum(word << 32 * place for place, word in enumerate(struct.unpack(f"={len(raw) // 4}I", raw)))


def link_words(link: LinkSettings) -> dict[str, str]:
    """Speed and duplex are what is asked for, where autonegotiation may choose among several what it chose.

    A peer that negotiates less than we ask for is no drift: setting it again would only bounce the link.
    """
    settings = {"autoneg": ("off", "on")[bool(link.autoneg)]}
    speed, duplex = only_mode(link.advertised) if link.autoneg else (None, None)
    speed = link.speed if speed is None else speed
    duplex = link.duplex if duplex is None else duplex
    if speed not in {0, _UNKNOWN_SPEED}:
        settings["speed"] = str(speed)
    if duplex in _DUPLEX:
        settings["duplex"] = _DUPLEX[duplex]
    if link.supported:
        settings["advertise"] = f"{link.advertised:#x}"
    return settings


@contextlib.contextmanager
def _unless_refused() -> Iterator[None]:
    """Pass over what a driver cannot tell."""
    try:
        yield
    except OSError as error:
        if error.errno not in _REFUSED:
            raise
