"""The boot marker: Open vSwitch was started in this boot, so its bridges are live ones. Effects: one file.

The legacy scripts' name (features.md section 23); packages make it too when they are installed on a live host. On a
file system in memory, so that it goes with the boot.
"""

from __future__ import annotations

import contextlib

from xsagent.apply.files import remove_file, replace_file
from xsagent.config import Paths
from xsagent.errors import FileError


def is_booted(paths: Paths) -> bool:
    """Whether the switch was started in this boot."""
    return paths.ovs_boot_marker.exists()


def mark_booted(paths: Paths) -> None:
    """Make the marker; idempotent.

    Raises:
        FileError: it is not there, so nothing may be deleted: the next start would delete live bridges.
    """
    if not is_booted(paths):
        replace_file(paths.ovs_boot_marker, b"")


def unmark_booted(paths: Paths) -> None:
    """Take the marker away again, since what goes with it failed; a marker that cannot be removed stays."""
    with contextlib.suppress(FileError):
        remove_file(paths.ovs_boot_marker)
