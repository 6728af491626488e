"""Makes the helpers beside these tests importable, and starts a dom0 with a daemon."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parent))

if TYPE_CHECKING:
    from served_dom0 import ServedDom0


@pytest.fixture
def served() -> Iterator[ServedDom0]:
    """A dom0 with xenstored, udevd and our rules, bridge xenbr0 on eth0, and a daemon that is ready."""
    from served_dom0 import running_dom0  # noqa: PLC0415 - importable from here on

    with running_dom0() as running:
        yield running
