"""What an installation does on a host that runs: the boot marker, and word to systemd and udev. Effects.

Called by `cli/setup_host` after `take_over` and `give_back`. Nothing is started, stopped or restarted here.
"""

from __future__ import annotations

from typing import Final

from xsagent.apply.child import find_program, run_child
from xsagent.apply.files import replace_file
from xsagent.config import Paths
from xsagent.errors import CommandError, XsagentError
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
    marker = paths.ovs_boot_marker
    if not paths.ovsdb_socket.exists() or marker.exists():
        return False
    replace_file(marker, b"")
    return True


def tell_peers(paths: Paths) -> tuple[str, ...]:
    """Have systemd and udev read their files again; returns a warning for each that does not answer."""
    if str(paths.root) != "/" or not paths.below("/run/systemd/system").exists():
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


def restart_daemon(paths: Paths) -> str:
    """After an upgrade: a daemon that runs goes on with the new code; the switch forwards meanwhile.

    Returns a warning, or an empty text.
    """
    if str(paths.root) != "/" or not paths.below("/run/systemd/system").exists():
        return ""
    try:
        systemctl = find_program("systemctl", "/usr/bin/systemctl")
        run_child([systemctl, "try-restart", "xsagentd.service"], deadline_s=_WORD_S)
    except XsagentError as error:
        return str(error)
    return ""
