"""Fixtures of the system tier: one boot of the VM for each guest script, shared by the tests that judge its report."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from lab_run import make_lab_run, obstacle

if TYPE_CHECKING:
    from lab_run import LabRun

_HERE = Path(__file__).parent
_BOOT_S = 1000
"""The first test of a boot waits for the whole of it."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test here is a system test, with the time that a boot takes."""
    for item in items:
        if item.path.is_relative_to(_HERE):
            item.add_marker("system")
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(_BOOT_S))


@pytest.fixture(scope="session")
def lab_run(tmp_path_factory: pytest.TempPathFactory) -> LabRun:
    """The product packed for the VM; skips (a failure where the tier is required) when there is no lab."""
    if reason := obstacle():
        pytest.skip(reason)
    return make_lab_run(tmp_path_factory.mktemp("lab"))
