"""Makes the helper beside these tests importable; one host, powered off, a test."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parent))

if TYPE_CHECKING:
    from boot_host import BootHost


@pytest.fixture
def host() -> Iterator[BootHost]:
    """A host with a disk that was never booted from."""
    from boot_host import BootHost as Host  # noqa: PLC0415 - importable from here on

    with Host() as made:
        yield made
