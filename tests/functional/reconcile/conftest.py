"""Makes the helpers of these tests, and those of the plugin's, importable; starts a dom0 with XAPI and guests."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "plugin"))

if TYPE_CHECKING:
    from followed_host import FollowedHost


@pytest.fixture
def host() -> Iterator[FollowedHost]:
    """Bridges xenbr0 (management, eth0) and xapib0 (a bond), XAPI, no guest; the service is not started yet."""
    from followed_host import running_host  # noqa: PLC0415 - importable from here on

    with running_host() as running:
        yield running
