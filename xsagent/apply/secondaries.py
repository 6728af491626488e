"""Keeps an IPv4 device's other addresses while its first one is removed. Effects, standard library alone.

The kernel drops every further address of a subnet with the first one, and the routes that need them, unless
promote_secondaries is on (ip-sysctl). Used where addresses are exchanged: apply/netlink.py and the DHCP hook.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def promoted_secondaries(proc: Path, device: str) -> Iterator[None]:
    """Turn promotion on for a device, and off again afterwards where it was off.

    Args:
        proc: /proc below the root prefix.

    Without write access to the sysctl nothing is changed: the kernel then does as it does by default.
    """
    sysctl = proc / "sys" / "net" / "ipv4" / "conf" / device / "promote_secondaries"
    try:
        before = sysctl.read_text(encoding="ascii").strip()
        if before == "0":
            sysctl.write_text("1", encoding="ascii")
    except OSError:
        before = ""
    try:
        yield
    finally:
        if before == "0":
            with contextlib.suppress(OSError):  # the device may be gone
                sysctl.write_text("0", encoding="ascii")
