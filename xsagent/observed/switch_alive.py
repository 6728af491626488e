"""Whether ovs-vswitchd lives, asked without touching the database. I/O.

Comes before every effect: a database that changes under a dead switch is a half-done operation. Asked is the
daemon's control socket (ovs-appctl's protocol), which only its main loop answers, so that a stopped or hanging
process counts as dead; a process id would prove nothing, least of all one from another pid namespace.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from xsagent.errors import SwitchDeadError
from xsagent.observed.jsonrpc import JsonRpcChannel, RemoteError, open_channel

_POLL_S: Final = 0.05
_SHORTEST_ANSWER_S: Final = 0.5
"""A living daemon on a loaded host gets this long even by a caller that does not want to wait."""


def is_switch_alive(rundir: Path, timeout_s: float) -> bool:
    """Whether the ovs-vswitchd of this run directory answers within `timeout_s` seconds.

    A daemon that listens gets the whole time for its answer (a reconfiguration of thousands of ports keeps the main
    loop busy for seconds); one that does not listen is dead at once.

    Args:
        rundir: OVS_RUNDIR: where its pid file and control socket lie.
        timeout_s: for the answer.
    """
    deadline = time.monotonic() + timeout_s
    return any(_answers(socket_path, deadline) for socket_path in _control_sockets(rundir))


def wait_for_switch(rundir: Path, wait_s: float) -> None:
    """Return once ovs-vswitchd answers; nothing is changed.

    Raises:
        SwitchDeadError: it did not within `wait_s` seconds.
    """
    deadline = time.monotonic() + wait_s
    while not is_switch_alive(rundir, max(deadline - time.monotonic(), _SHORTEST_ANSWER_S)):
        if time.monotonic() + _POLL_S > deadline:
            raise SwitchDeadError(f"ovs-vswitchd does not answer in {rundir} within {wait_s:g} s; nothing was changed")
        time.sleep(_POLL_S)


def open_switch_control(rundir: Path) -> JsonRpcChannel | None:
    """A channel to the ovs-vswitchd that listens in this run directory, which ends when it does; None for nobody."""
    for socket_path in _control_sockets(rundir):
        with contextlib.suppress(OSError):
            return open_channel(socket_path)
    return None


def _control_sockets(rundir: Path) -> Iterator[Path]:
    """The socket that the pid file names, then any other: a daemon without a pid file has one all the same."""
    named = None
    try:
        pid = int((rundir / "ovs-vswitchd.pid").read_text(encoding="ascii"))
    except (OSError, ValueError):
        pass
    else:
        named = rundir / f"ovs-vswitchd.{pid}.ctl"
        yield named
    yield from sorted(path for path in rundir.glob("ovs-vswitchd.*.ctl") if path != named)


def _answers(socket_path: Path, deadline: float) -> bool:
    try:
        channel = open_channel(socket_path)
    except OSError:
        return False
    try:
        answer = channel.call("version", [], deadline)
    except (OSError, RemoteError):
        return False
    finally:
        channel.close()
    return isinstance(answer, str) and answer.startswith("ovs-vswitchd")
