"""Makes the helpers beside these tests and the dom0 of the hotplug tests importable; starts a dom0 with a daemon."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "hotplug")]

if TYPE_CHECKING:
    from daemon_dom0 import DaemonDom0


@pytest.fixture
def served() -> Iterator[DaemonDom0]:
    """A dom0 with udevd and a daemon that is ready, and a guest that is not plugged in."""
    from daemon_dom0 import running_daemon_dom0  # noqa: PLC0415 - importable from here on

    with running_daemon_dom0() as running:
        yield running
