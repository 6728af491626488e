"""ovsdb-server and ovs-vswitchd: started and stopped, through ovs-ctl where it is installed. Effects.

`xsagent/boot.py` decides when. Each call returns once the daemon answers or is gone; a daemon that runs already, or
not at all, is left as it is. The words are those of `desired/switch_start`.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from xsagent.child import find_program, run_child
from xsagent.config import Paths
from xsagent.errors import CommandError
from xsagent.model.switch_start import Daemon, SwitchFiles
from xsagent.observed.jsonrpc import RemoteError, open_channel
from xsagent.observed.switch_alive import is_daemon_alive
from xsagent.observed.switch_daemons import read_daemon_pid
from xsagent.topology.values import Json

MANAGERS: Final = "db:Open_vSwitch,Open_vSwitch,manager_options"
"""ovsdb-server's remote that means: connect as the Manager rows say."""
_ANSWER_S: Final = 5.0
"""One that reconfigures thousands of ports takes seconds."""
_START_S: Final = 120.0
_EXIT_S: Final = 5.0
_TERM_S: Final = 5.0
_KILL_S: Final = 30.0
_POLL_S: Final = 0.05
_MODPROBE_S: Final = 60.0
_OPEN_FILES: Final = 65535
"""ovs-vswitchd needs some per bridge and several per port (ovs-ctl's own figure)."""
_CORE_BYTES: Final = 67108864


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchHost:
    """The host whose daemons these are."""

    paths: Paths
    files: SwitchFiles

    @property
    def has_ctl(self) -> bool:
        """Whether ovs-ctl is installed."""
        return os.access(self.files.ctl, os.X_OK)

    def pid(self, daemon: Daemon) -> int | None:
        """Its process id; None while it does not run."""
        return read_daemon_pid(Path(self.files.rundir), self.paths.proc, daemon)

    def answers(self, daemon: Daemon) -> bool:
        """Whether it runs and answers: a process that is stopped or hangs has an id all the same."""
        return self.pid(daemon) is not None and is_daemon_alive(Path(self.files.rundir), daemon, _ANSWER_S)


def start_daemon(host: SwitchHost, daemon: Daemon, words: Sequence[str], *, core: bool) -> None:
    """Start one daemon; does nothing while it runs.

    Args:
        words: of ovs-ctl or of the daemon itself, as `desired/switch_start` builds them.
        core: it may leave core files.

    Raises:
        CommandError: it did not start; the sentence has what it said.
    """
    if host.pid(daemon) is not None:
        return
    for directory in (host.files.rundir, host.files.logdir, host.files.core_dir):
        with contextlib.suppress(OSError):  # a daemon that minds says so itself
            Path(directory).mkdir(parents=True, exist_ok=True)
    _raise_limits(core=core)
    run_switch_program(host, words)
    if host.pid(daemon) is None:
        raise CommandError(f"{daemon} was started and does not run; {host.files.logdir} may say why")


def run_switch_program(host: SwitchHost, words: Sequence[str]) -> None:
    """Run ovs-ctl or a daemon that detaches itself, with Open vSwitch's places of this root in its environment.

    Raises:
        CommandError: it failed; the sentence has what it said.
    """
    program = words[0] if "/" in words[0] else find_program(words[0], f"/usr/bin/{words[0]}")
    run_child([program, *words[1:]], deadline_s=_START_S, environment=_places(host))


def stop_daemon(host: SwitchHost, daemon: Daemon) -> None:
    """End one daemon, first by asking, at last by SIGKILL; does nothing where it does not run.

    The kernel's datapath and its flows stay, so what flows goes on to flow.

    Raises:
        CommandError: it is there still.
    """
    pid = host.pid(daemon)
    if pid is None:
        return
    _ask(host, daemon, pid, "exit", [])
    for signal_number, wait_s in ((None, _EXIT_S), (signal.SIGTERM, _TERM_S), (signal.SIGKILL, _KILL_S)):
        if signal_number is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal_number)
        if _is_gone(host, daemon, wait_s):
            return
    raise CommandError(f"{daemon} (process {pid}) did not end")


def connect_managers(host: SwitchHost) -> None:
    """Let ovsdb-server connect to the managers that its database names; idempotent.

    Comes last: a manager that looks earlier sees ports without numbers (ovs-ctl(8)).
    """
    pid = host.pid("ovsdb-server")
    if pid is not None:
        _ask(host, "ovsdb-server", pid, "ovsdb-server/add-remote", [MANAGERS])


def flush_cache(host: SwitchHost) -> bool:
    """Let xsagentd read everything afresh (``ovs-appctl -t xsagentd flush-cache``); whether one did."""
    paths = sorted(Path(host.files.rundir).glob("xsagentd.*.ctl"))
    return any(_call(path, "flush-cache", []) for path in paths)


def load_kernel_module(paths: Paths, name: str = "openvswitch") -> None:
    """Load the datapath's module, unless it is there or this kernel has no modules; idempotent.

    Raises:
        CommandError: it cannot be loaded.
    """
    if (paths.sys / "module" / name).exists() or not (paths.proc / "modules").exists():
        return
    try:
        run_child([find_program("modprobe", "/sbin/modprobe"), name], deadline_s=_MODPROBE_S)
    except CommandError as error:
        raise CommandError(
            f"the kernel module {name} cannot be loaded ({error}); ovs-vswitchd was not started: install the module "
            f"for kernel {os.uname().release}, or boot the kernel that it is for"
        ) from error


def _ask(host: SwitchHost, daemon: Daemon, pid: int, command: str, arguments: list[Json]) -> None:
    """Send a command to a daemon's control socket; whether it answers does not matter to the caller."""
    _call(Path(host.files.rundir) / f"{daemon}.{pid}.ctl", command, arguments)


def _call(path: Path, command: str, arguments: list[Json]) -> bool:
    """Run a command by ovs-appctl's protocol; whether it was done."""
    try:
        channel = open_channel(path)
    except OSError:
        return False
    try:
        channel.call(command, arguments, time.monotonic() + _EXIT_S)
    except (OSError, RemoteError):
        return False
    finally:
        channel.close()
    return True


def _is_gone(host: SwitchHost, daemon: Daemon, wait_s: float) -> bool:
    end = time.monotonic() + wait_s
    while host.pid(daemon) is not None:
        if time.monotonic() > end:
            return False
        time.sleep(_POLL_S)
    return True


def _raise_limits(*, core: bool) -> None:
    """Limits of this process, which the daemon inherits; where it may not raise them the present ones must do."""
    wanted = {resource.RLIMIT_NOFILE: _OPEN_FILES, **({resource.RLIMIT_CORE: _CORE_BYTES} if core else {})}
    for kind, value in wanted.items():
        soft, hard = resource.getrlimit(kind)
        if soft != resource.RLIM_INFINITY and soft < value:
            enough = hard == resource.RLIM_INFINITY or hard >= value
            with contextlib.suppress(ValueError, OSError):
                resource.setrlimit(kind, (value, hard if enough else value))


def _places(host: SwitchHost) -> dict[str, str]:
    """Environment that puts everything of Open vSwitch below this root (ovs-ctl(8), FILES)."""
    return {
        "OVS_RUNDIR": str(host.files.rundir),
        "OVS_LOGDIR": str(host.files.logdir),
        "OVS_DBDIR": str(Path(host.files.database).parent),
        "OVS_SYSCONFDIR": str(host.paths.below("/etc")),
        "OVS_PKGDATADIR": str(host.paths.ovs_pkgdata),
    }
