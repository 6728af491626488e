"""Where the network scripts keep what they know of a device: the names of its files, its MTU in them. Pure.

`desired/ifcfg.py` writes the files' texts, `plan/ifcfg.py` compares them with what is there.
"""

from __future__ import annotations

import re
from typing import Final

SCRIPTS: Final = "/etc/sysconfig/network-scripts"
"""Without root prefix, as all paths here."""
SYSCONFIG_NETWORK: Final = "/etc/sysconfig/network"
"""Names the devices that have the default gateway and DNS."""
_MTU: Final = re.compile(r"^MTU=[0-9]+$", re.MULTILINE)


def ifcfg_path(device: str) -> str:
    """Path of a device's ifcfg file."""
    return f"{SCRIPTS}/ifcfg-{device}"


def ifcfg_paths(device: str) -> tuple[str, str, str]:
    """Paths of a device's ifcfg, route and route6 files."""
    return (ifcfg_path(device), f"{SCRIPTS}/route-{device}", f"{SCRIPTS}/route6-{device}")


def with_mtu(text: str, mtu: int) -> str:
    """An ifcfg file of ours with another MTU, bytes."""
    return _MTU.sub(f"MTU={mtu}", text)
