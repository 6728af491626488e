"""The path of a unix socket -> an address that bind(2) and connect(2) take, however long the path is. Reads only.

A root prefix can be deep, and sockaddr_un is short. Called by every adapter that speaks over such a socket, except
`cli/ask_daemon` and the hook, which are there before anything of ours is imported.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_LONGEST: Final = 107
"""Bytes of a path that fit into sockaddr_un beside its final zero (unix(7))."""


@contextlib.contextmanager
def short_address(path: Path) -> Iterator[str]:
    """An address of this socket, good until the block ends: the path, or one through its open directory.

    Raises:
        OSError: the directory of a long path cannot be opened.
    """
    if len(os.fsencode(path)) <= _LONGEST:
        yield os.fspath(path)
        return
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)
