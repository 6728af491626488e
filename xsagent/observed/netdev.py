"""sysfs -> Link of single netdevs: what hotplug asks about a guest's device. Reads only.

`observed/links.py` reads all netdevs through pyroute2, whose import alone takes longer than a hotplug event may.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from xsagent.topology.values import Link

_IFF_UP, _IFF_NOARP, _IFF_MULTICAST = 0x1, 0x80, 0x1000
_LONGEST: Final = 4096
"""Bytes of an attribute: a page (sysfs)."""


def read_netdevs(sysfs: Path, names: Iterable[str]) -> dict[str, Link]:
    """Those of the named netdevs that exist, by name.

    Args:
        sysfs: /sys below the root prefix, of our network namespace.
        names: checked device names.
    """
    net = f"{sysfs}/class/net"
    found = {name: _read_netdev(f"{net}/{name}", name) for name in names}
    return {name: link for name, link in found.items() if link is not None}


def _read_netdev(directory: str, name: str) -> Link | None:
    """The netdev; None when it is not there, or goes while it is being read."""
    try:
        flags = int(_value(f"{directory}/flags"), 16)
        return Link(
            name=name,
            ifindex=int(_value(f"{directory}/ifindex")),
            mac=_value(f"{directory}/address").lower(),
            mtu=int(_value(f"{directory}/mtu")),
            up=bool(flags & _IFF_UP),
            quiet=flags & (_IFF_NOARP | _IFF_MULTICAST) == _IFF_NOARP,
        )
    except (OSError, ValueError):
        return None


def _value(path: str) -> str:
    """An attribute; by plain system calls, since a burst of events reads thousands of them."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, _LONGEST).decode("ascii").strip()
    finally:
        os.close(descriptor)
