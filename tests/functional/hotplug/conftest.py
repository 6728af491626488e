"""Makes the helpers beside the hotplug tests importable, and starts a dom0 with a guest."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parent))

if TYPE_CHECKING:
    from dom0 import Dom0
    from reconfigured_guest import Scene


@pytest.fixture
def dom0() -> Iterator[Dom0]:
    """A dom0 with xenstored, two bridges, a guest that is not plugged in and one that watches xenbr0."""
    from dom0 import running_dom0  # noqa: PLC0415 - importable from here on

    with running_dom0() as running:
        yield running


@pytest.fixture
def scene() -> Iterator[Scene]:
    """A host with management on eth0 and two guests on its bridge, of which one is locked; no daemon, no xenstored."""
    from reconfigured_guest import running_scene  # noqa: PLC0415 - importable from here on

    with running_scene() as running:
        yield running
