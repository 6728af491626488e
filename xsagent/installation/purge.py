"""Removes what xsagent remembers on a host that it leaves. Effects; the last step of a removal, after `give_back`.

A DHCP client that we started outlives us, and declines its lease when its script fails: it keeps a script that does
nothing until the next boot, so that removing the package does not cost the host its address.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from xsagent.apply.files import replace_file
from xsagent.config import Paths
from xsagent.errors import FileError
from xsagent.sources.host_files import read_text

_LAUNCHER: Final = "dhclient-script"
_STUB: Final = b"#!/bin/sh\n# xsagent was removed; its DHCP client keeps its lease until the next boot.\nexit 0\n"


def purge_state(paths: Paths) -> None:
    """Remove /var/lib/xsagent but for originals that could not be given back and a living client's script.

    Raises:
        FileError: something could not be removed.
    """
    state = paths.state_dir
    if not state.is_dir():
        return
    kept = {"saved"} | ({_LAUNCHER} if _client_lives(paths) else set())
    try:
        for place in state.iterdir():
            if place.name not in kept:
                if place.is_dir() and not place.is_symlink():
                    shutil.rmtree(place)
                else:
                    place.unlink()
        if _LAUNCHER in kept:
            replace_file(state / _LAUNCHER, _STUB, mode=0o755)
        _remove_if_empty(state / "saved")
        _remove_if_empty(state)
    except OSError as error:
        raise FileError(f"{error.filename} could not be removed: {error.strerror}") from error


def _remove_if_empty(directory: Path) -> None:
    if directory.is_dir() and not any(directory.iterdir()):
        directory.rmdir()


def _client_lives(paths: Paths) -> bool:
    """Whether a process was started with our script among its arguments (``-sf``)."""
    script = str(paths.state_dir / _LAUNCHER)
    return any(script in (read_text(place) or "").split("\0") for place in paths.proc.glob("[0-9]*/cmdline"))
