"""The HA daemon, ended while the switch is taken apart and started again. Effects: two child programs of XenServer's.

xhad that loses its heartbeat fences the host within minutes (features.md section 23, HA guard).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from xsagent.child import find_program, run_child
from xsagent.config import Paths
from xsagent.log import get_logger
from xsagent.sources.host_files import is_high_availability_running

_DIRECTORY: Final = "/opt/xensource/xha"
_DEADLINE_S: Final = 120.0


@contextmanager
def heartbeat_stopped(paths: Paths) -> Iterator[bool]:
    """End the HA daemon for the time of a `with` block where it runs, and start it again however the block ends.

    Yields:
        Whether it ran.

    Raises:
        CommandError: it could not be ended, then the block was not entered; or not started again.
    """
    runs = is_high_availability_running(paths)
    if runs:
        _run(paths, "ha_stop_daemon")
    try:
        yield runs
    finally:
        if runs:
            _run(paths, "ha_start_daemon")


def _run(paths: Paths, name: str) -> None:
    run_child([find_program(name, str(paths.below(f"{_DIRECTORY}/{name}")))], deadline_s=_DEADLINE_S)
    get_logger().info("run_child", program=name)
