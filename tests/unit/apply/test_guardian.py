"""A guardian that cannot be started is the absence of one, whatever the reason, and leaves nothing behind."""

from __future__ import annotations

import os
import resource
import signal
from pathlib import Path
from typing import NoReturn

import pytest

from xsagent.apply.guardian import spawn_guardian
from xsagent.errors import ApplyError


def _end_at_once() -> NoReturn:
    os._exit(1)


def _descriptors() -> list[str]:
    return sorted(path.name for path in Path("/proc/self/fd").iterdir())


def test_one_that_ends_at_once_is_none_also_where_the_kernel_reaps() -> None:
    """Whoever started us may ignore SIGCHLD: the child is gone before anybody asks for it."""
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        with pytest.raises(ApplyError, match="could not be started; nothing was changed"):
            spawn_guardian(_end_at_once, _end_at_once)
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_none_without_a_descriptor_to_spare() -> None:
    """No OSError reaches the run, which then refuses to put anything at risk; no pipe stays open."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    before = _descriptors()
    spare = os.dup(2)
    resource.setrlimit(resource.RLIMIT_NOFILE, (spare + 3, limits[1]))
    try:
        with pytest.raises(ApplyError, match="could not be started; nothing was changed"):
            spawn_guardian(_end_at_once, _end_at_once)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        os.close(spare)

    assert _descriptors() == before
