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
from xsagent.topology.values import Json

_SWITCH: Final = "ovs-vswitchd"
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


def is_daemon_alive(rundir: Path, name: str, timeout_s: float) -> bool:
    """Whether the process of Open vSwitch that a pid file names answers on its control socket; `timeout_s` as above."""
    deadline = time.monotonic() + timeout_s
    named = _named_socket(rundir, name)
    return named is not None and _answers(named, deadline, name)


def wait_for_switch(rundir: Path, wait_s: float) -> None:
    """Return once ovs-vswitchd answers; nothing is changed.

    Raises:
        SwitchDeadError: it did not within `wait_s` seconds.
    """
    deadline = time.monotonic() + wait_s
    while not is_switch_alive(rundir, max(deadline - time.monotonic(), _SHORTEST_ANSWER_S)):
        if time.monotonic() + _POLL_S > deadline:
            raise _dead(rundir, wait_s)
        time.sleep(_POLL_S)


def _dead(rundir: Path, wait_s: float) -> SwitchDeadError:
    return SwitchDeadError(
        f"ovs-vswitchd does not answer in {rundir} within {wait_s:g} s (`xsagent openvswitch restart` brings it back); "
        "nothing was changed"
    )


def open_switch_control(rundir: Path) -> JsonRpcChannel | None:
    """A channel to the ovs-vswitchd that listens in this run directory, which ends when it does; None for nobody."""
    for socket_path in _control_sockets(rundir):
        with contextlib.suppress(OSError):
            return open_channel(socket_path)
    return None


class SwitchPulse:
    """The question whether ovs-vswitchd lives, asked ahead over a connection that is kept. For one thread.

    Its main loop needs 10 ms beside 1,000 ports until it answers: time in which the caller reads something else.
    """

    def __init__(self, rundir: Path) -> None:
        self._rundir = rundir
        self._channel: JsonRpcChannel | None = None
        self._asked: int | None = None

    def ask(self) -> None:
        """Send the question (anew: an old answer says nothing); `wait` tells whether that worked."""
        self._asked = None
        for _ in ("the kept connection, whose peer may have ended", "a new one"):
            self._channel = self._channel or open_switch_control(self._rundir)
            if self._channel is None:
                return
            try:
                self._asked = self._channel.ask("version", [], time.monotonic() + _SHORTEST_ANSWER_S)
            except OSError:
                self.close()
            else:
                return

    def wait(self, wait_s: float) -> None:
        """Return once ovs-vswitchd has answered what was asked since the last `wait`. Errors as `wait_for_switch`."""
        if self._asked is None:
            self.ask()
        channel, number, self._asked = self._channel, self._asked, None
        if channel is not None and number is not None:
            try:
                if _is_of(channel.await_answer(number, time.monotonic() + wait_s), _SWITCH):
                    return
            except TimeoutError as error:
                self.close()
                raise _dead(self._rundir, wait_s) from error
            except (OSError, RemoteError):
                pass  # it ended meanwhile; another may be there
            self.close()
        wait_for_switch(self._rundir, wait_s)

    def close(self) -> None:
        """Close the connection; idempotent."""
        if self._channel is not None:
            self._channel.close()
        self._channel = self._asked = None


def _control_sockets(rundir: Path) -> Iterator[Path]:
    """The socket that the pid file names, then any other: a daemon without a pid file has one all the same."""
    named = _named_socket(rundir, _SWITCH)
    if named is not None:
        yield named
    yield from sorted(path for path in rundir.glob(f"{_SWITCH}.*.ctl") if path != named)


def _named_socket(rundir: Path, name: str) -> Path | None:
    """The control socket of the process in a daemon's pid file; None without one."""
    try:
        pid = int((rundir / f"{name}.pid").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    return rundir / f"{name}.{pid}.ctl"


def _answers(socket_path: Path, deadline: float, name: str = _SWITCH) -> bool:
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
    return _is_of(answer, name)


def _is_of(answer: Json, name: str) -> bool:
    """Whether a version is that of a program."""
    return isinstance(answer, str) and answer.startswith(name)
