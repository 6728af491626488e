"""Found by Python at its start when a test puts this folder into PYTHONPATH: SIGKILL at a chosen point of a run.

Points are: after each fsync, each message to a peer (socket, netlink, ioctl), each child start, each change of a
name in the file system. KILL_LOG names a file that gets a line for each; KILL_AT is the number of the one at which
the process kills itself as if from outside: nothing is cleaned up. KILL_NAME counts points of one
kind only. With KILL_BY=error it raises an error there instead
that nobody expects. Only interface-reconfigure (or what KILL_PROGRAM names) is
meant, not its children.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from typing import Any

_at = int(os.environ.get("KILL_AT", "0"))
_log = os.open(os.environ["KILL_LOG"], os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC) if _at else -1
_count = itertools.count(1)
_pid = os.getpid()
"""A child that was forked is none of ours, though it has all this."""


def _point(name: str) -> None:
    os.write(_log, f"{name}\n".encode())
    if os.environ.get("KILL_NAME", name) != name or next(_count) != _at:
        return
    if os.environ.get("KILL_BY") == "error":
        raise ZeroDivisionError(f"a test's error after {name}")
    os.kill(os.getpid(), signal.SIGKILL)


def _after(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any, **keywords: Any) -> Any:
        result = function(*arguments, **keywords)
        if os.getpid() == _pid:
            _point(name)
        return result

    return call


_PLACES = (
    (os, "fork fsync rename replace unlink ftruncate"),
    (socket.socket, "send sendall sendto sendmsg"),
    (fcntl, "ioctl"),
    (subprocess.Popen, "__init__"),
)


def _install() -> None:
    for place, names in _PLACES:
        for name in names.split():
            setattr(place, name, _after(name, getattr(place, name)))


if _at and any(os.environ.get("KILL_PROGRAM", "interface-reconfigure") in word for word in sys.orig_argv[:3]):
    _install()
