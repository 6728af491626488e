"""What systemd is told and what it hands over: READY, WATCHDOG, STATUS (sd_notify(3)), the listening socket. I/O.

The protocol is a datagram of KEY=VALUE lines to the socket that NOTIFY_SOCKET names; without it nothing is sent.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping
from typing import Final

_FIRST_DESCRIPTOR: Final = 3
"""SD_LISTEN_FDS_START of sd_listen_fds(3)."""


def notify(environ: Mapping[str, str], *lines: str) -> None:
    """Tell systemd; nobody who listens is no error.

    Args:
        environ: holds NOTIFY_SOCKET.
        lines: for example ``READY=1``.
    """
    address = environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
        # an abstract address begins with @ for people, with a zero byte for the kernel
        out.connect("\0" + address[1:] if address.startswith("@") else address)
        out.send("\n".join(lines).encode())


def watchdog_s(environ: Mapping[str, str], pid: int) -> float | None:
    """How often systemd wants a sign of life from this process, seconds; None for never (sd_watchdog_enabled(3))."""
    if environ.get("WATCHDOG_PID", str(pid)) != str(pid):
        return None
    text = environ.get("WATCHDOG_USEC", "")
    return int(text) / 1e6 if text.isascii() and text.isdecimal() and int(text) else None


def take_listening_socket(environ: Mapping[str, str], pid: int) -> socket.socket | None:
    """The unix socket on which systemd listened for us; None when we were not activated so."""
    if environ.get("LISTEN_PID") != str(pid) or environ.get("LISTEN_FDS") != "1":
        return None
    os.set_inheritable(_FIRST_DESCRIPTOR, False)
    return socket.socket(fileno=_FIRST_DESCRIPTOR)
