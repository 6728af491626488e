"""The dom0 that most tests here run in."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # importlib mode does not: kernel_dom0 is this folder's

from kernel_dom0 import Dom0, running_dom0

from xsagent.sandbox.spec import default_segments


@pytest.fixture
def dom0() -> Iterator[Dom0]:
    """eth0 to host ``gateway`` (192.0.2.1), eth1 to ``far1``; no DHCP server runs yet."""
    with running_dom0(*default_segments(dhcp=False)) as running:
        yield running
