"""Remembers that this host runs on a stand-in for management's NIC. Effects.

For the doctor, and for a rescue later in the same boot, which is to choose the same NIC.
"""

from __future__ import annotations

import json

from xsagent.apply.files import remove_file, replace_file
from xsagent.config import Paths

_NAME = "degraded.json"


def remember_degraded(paths: Paths, *, gone: str, stand_in: str, reason: str, boot: str) -> None:
    """Write down which NIC stands in for which, and why; equal content is written again.

    Args:
        boot: the kernel's name for this boot.

    Raises:
        OSError, FileError: the file could not be written; it is as it was.
    """
    paths.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    form = {"gone": gone, "stand_in": stand_in, "reason": reason, "boot": boot}
    replace_file(paths.state_dir / _NAME, (json.dumps(form, indent=1) + "\n").encode())


def forget_degraded(paths: Paths) -> None:
    """Management has its own NIC; absent is fine.

    Raises:
        FileError: the file is still there.
    """
    remove_file(paths.state_dir / _NAME)


def read_degraded(paths: Paths, *, boot: str | None = None) -> tuple[str, str] | None:
    """Which NIC is gone and which stands in for it; None when none does, or the file is damaged.

    Args:
        boot: of which this must be the word; None: of any.
    """
    try:
        form = json.loads((paths.state_dir / _NAME).read_text(encoding="utf-8"))
        if boot is not None and form["boot"] != boot:
            return None
        return str(form["gone"]), str(form["stand_in"])
    except (OSError, ValueError, RecursionError, KeyError, TypeError):
        return None
