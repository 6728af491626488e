"""sysfs -> Link of single netdevs: what hotplug asks about a guest's device. Reads only.

`observed/links.py` reads all netdevs through pyroute2, whose import alone takes longer than a hotplug event may.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from xsagent.topology.values import Link

_IFF_UP: Final = 0x1


def read_netdevs(sysfs: Path, names: Iterable[str]) -> dict[str, Link]:
    """Those of the named netdevs that exist, by name.

    Args:
        sysfs: /sys below the root prefix, of our network namespace.
        names: checked device names.
    """
    found = {name: _read_netdev(sysfs / "class" / "net" / name, name) for name in names}
    return {name: link for name, link in found.items() if link is not None}


def _read_netdev(directory: Path, name: str) -> Link | None:
    """The netdev; None when it is not there, or goes while it is being read."""
    try:
        return Link(
            name=name,
            ifindex=int(_value(directory / "ifindex")),
            mac=_value(directory / "address").lower(),
            mtu=int(_value(directory / "mtu")),
            up=bool(int(_value(directory / "flags"), 16) & _IFF_UP),
        )
    except (OSError, ValueError):
        return None


def _value(path: Path) -> str:
    return path.read_text(encoding="ascii").strip()
