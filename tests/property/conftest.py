"""Makes the modules of this folder importable by their names; notes what each test searched.

The notes travel as properties of the reports, from xdist's workers too; tests/conftest.py sums them up at the end.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from tally import TALLY


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long profile takes hours on a busy machine; no example has a time limit of its own."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(7200))


@pytest.fixture(autouse=True)
def _tally(record_property: Callable[[str, object], None]) -> Iterator[None]:
    before = Counter(TALLY)
    yield
    for what, count in (TALLY - before).items():
        record_property("tally", [what, count])
