"""Where the network scripts keep what they know of a device: the names of its files. Pure.

`desired/ifcfg.py` writes the files' texts, `plan/ifcfg.py` compares them with what is there.
"""

from __future__ import annotations

from typing import Final

SCRIPTS: Final = "/etc/sysconfig/network-scripts"
"""Without root prefix."""


def ifcfg_path(device: str) -> str:
    """Path of a device's ifcfg file."""
    return f"{SCRIPTS}/ifcfg-{device}"


def ifcfg_paths(device: str) -> tuple[str, str, str]:
    """Paths of a device's ifcfg, route and route6 files."""
    return (ifcfg_path(device), f"{SCRIPTS}/route-{device}", f"{SCRIPTS}/route6-{device}")
