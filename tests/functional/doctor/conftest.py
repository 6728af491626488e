"""Makes the helpers beside the doctor's tests importable, and starts the hosts that its tests share."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parent))

if TYPE_CHECKING:
    from patient import Patient


@pytest.fixture(scope="session")
def shared() -> Iterator[Patient]:
    """One healthy host for all tests that break a thing and mend it again."""
    from patient import healthy_host  # noqa: PLC0415 - importable from here on

    with healthy_host() as patient:
        yield patient


@pytest.fixture
def patient(shared: Patient) -> Iterator[Patient]:
    """The shared host; healthy again after the test, or the next one would see its breakage."""
    yield shared
    if any(one["severity"] != "info" for one in shared.last):
        left = shared.findings()
        assert [one["id"] for one in left if one["severity"] != "info"] == [], left
