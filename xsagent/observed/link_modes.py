"""Bits of link modes <-> speed and duplex (linux/ethtool.h, enum ethtool_link_mode_bit_indices). Pure.

Used by observed/ethtool.py to tell what was asked for, and by apply/ethtool.py to ask for it.
"""

from __future__ import annotations

from typing import Final

_MODES: Final = {
    0: (10, 0),
    1: (10, 1),
    2: (100, 0),
    3: (100, 1),
    4: (1000, 0),
    5: (1000, 1),
    12: (10000, 1),
    15: (2500, 1),
    17: (1000, 1),
    18: (10000, 1),
    19: (10000, 1),
    23: (40000, 1),
    24: (40000, 1),
    25: (40000, 1),
    26: (40000, 1),
    31: (25000, 1),
    32: (25000, 1),
    33: (25000, 1),
    36: (100000, 1),
    37: (100000, 1),
    38: (100000, 1),
    39: (100000, 1),
    41: (1000, 1),
    42: (10000, 1),
    43: (10000, 1),
    44: (10000, 1),
    45: (10000, 1),
    47: (2500, 1),
    48: (5000, 1),
}
"""Speed in Mbit/s and duplex (1: full) by bit: copper, and the fibre and backplane modes up to 100 Gbit/s."""


def mode_bits(supported: int, speed: int | None, duplex: int | None) -> int:
    """Return which supported link modes have a speed and duplex; None stands for any."""
    return sum(
        1 << bit
        for bit, (mode_speed, mode_duplex) in _MODES.items()
        if supported >> bit & 1 and speed in {None, mode_speed} and duplex in {None, mode_duplex}
    )


def without_modes(bits: int) -> int:
    """Return the bits that are no speeds: ports, pause, autonegotiation itself."""
    return bits & ~sum(1 << bit for bit in _MODES)


def only_mode(bits: int) -> tuple[int | None, int | None]:
    """Return the speed that all advertised modes share, and the duplex; None where they differ."""
    modes = [mode for bit, mode in _MODES.items() if bits >> bit & 1]
    speeds, duplexes = {speed for speed, _duplex in modes}, {duplex for _speed, duplex in modes}
    return (
        next(iter(speeds)) if len(speeds) == 1 else None,
        next(iter(duplexes)) if len(duplexes) == 1 else None,
    )
