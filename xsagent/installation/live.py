"""What an installation does on a host that runs: the boot marker, and word to systemd and udev. Effects.

Called by `cli/setup_host` around `take_over` and `give_back`. Of all that runs only our own daemon is ever restarted,
after an upgrade, or stopped, before a removal.
"""

from __future__ import annotations

from typing import Final

from xsagent.apply.boot_marker import is_booted, mark_booted
from xsagent.child import find_program, run_child
from xsagent.config import Paths
from xsagent.errors import CommandError
from xsagent.log import get_logger

_WORD_S: Final = 60.0
_LOG = get_logger()


def mark_boot(paths: Paths) -> bool:
    """Say that this boot's bridges are no stale ones; returns whether the marker was made.

    The first start of Open vSwitch in a boot deletes all bridges (features.md section 23): without the marker, a
    restart of it in the boot in which we were installed would take all guests off the network.

    Raises:
        FileError: it could not be written.
    """
    if not paths.ovsdb_socket.exists() or is_booted(paths):
        return False
    mark_booted(paths)
    return True


def tell_peers(paths: Paths) -> tuple[str, ...]:
    """Have systemd and udev read their files again; returns a warning for each that does not answer."""
    if not _has_systemd(paths):
        return ()
    words = (["systemctl", "daemon-reload"], ["udevadm", "control", "--reload"])
    return tuple(filter(None, (_tell(*command) for command in words)))


def _tell(program: str, *arguments: str) -> str:
    try:
        run_child([find_program(program, f"/usr/bin/{program}"), *arguments], deadline_s=_WORD_S)
    except CommandError as error:
        _LOG.warning("tell_peer_failed", program=program, reason=str(error))
        return str(error)
    return ""


def stop_daemon(paths: Paths) -> str:
    """Before a removal: end the daemon, so that its ready file goes and udev's rules start what handles devices.

    Returns a warning, or an empty text.
    """
    return _ask_systemd(paths, "stop", "xsagentd.socket", "xsagentd.service")


def restart_daemon(paths: Paths) -> str:
    """After an upgrade: a daemon that runs goes on with the new code; the switch forwards meanwhile.

    It is not waited for: one that comes up late, or not at all, is systemd's to try again and no fault of the upgrade.

    Returns a warning, or an empty text.
    """
    jobs = (("daemon-reload",), ("--no-block", "try-restart", "xsagentd.service"))
    return "; ".join(filter(None, (_ask_systemd(paths, *job) for job in jobs)))


def _ask_systemd(paths: Paths, *words: str) -> str:
    return _tell("systemctl", *words) if _has_systemd(paths) else ""


def _has_systemd(paths: Paths) -> bool:
    """Whether the systemd that runs is that of this root."""
    return str(paths.root) == "/" and paths.below("/run/systemd/system").exists()
