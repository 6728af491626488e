"""What a waiting worker of xsagentd goes through: it changes nothing, and it is whole."""

from __future__ import annotations

import contextlib
from pathlib import Path

from xsagent.cli.rehearsal import go_through
from xsagent.config import Paths
from xsagent.errors import DeviceAbsentError


def test_a_rehearsal_goes_through_to_the_plan_and_leaves_no_file(tmp_path: Path) -> None:
    """Its made-up records are good ones: only that this host has no eth0 can end it, and that is the plan's word."""
    with contextlib.suppress(DeviceAbsentError):
        go_through(Paths(tmp_path))

    assert list(tmp_path.iterdir()) == []
