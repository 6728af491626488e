"""The guardian: a process that exists only while management is at risk (DESIGN.md section 4).

Started by the deadman before the first step that touches the management path. Its standard input is a pipe from the
run: ``done`` means that nothing is at risk any more; the pipe's end without it means that the run was killed, and a
silence far beyond the window that it hangs. Then the guardian takes the lock and does what the next run would do:
it takes back what the journal names.
"""

from __future__ import annotations

import argparse
import os
import select
import signal
import sys
import time

_MARGIN_S = 120.0
"""Beyond the deadman's window: the waits for the switch and for DHCP that come before it."""


def main() -> int:
    """Wait for the run's word; recover when it does not come."""
    arguments = _parse()
    parent = os.getppid()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        # whoever ends the run politely lets it go back by itself; the guardian stays until it has
        signal.signal(number, signal.SIG_IGN)
    word = _await_word(2 * arguments.window + _MARGIN_S)
    if word == "done":
        return 0
    if word == "silence" and os.getppid() == parent:
        os.kill(parent, signal.SIGKILL)
    return _recover(arguments.root_prefix)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="xsagent-guardian")
    parser.add_argument("--root-prefix", default="")
    parser.add_argument("--window", type=float, required=True, help="the deadman's window, seconds")
    return parser.parse_args()


def _await_word(longest_s: float) -> str:
    deadline = time.monotonic() + longest_s
    heard = b""
    while time.monotonic() < deadline:
        ready, _, _ = select.select([0], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            continue
        chunk = os.read(0, 64)
        if not chunk:
            return "end"
        heard += chunk
        if b"done" in heard:
            return "done"
    return "silence"


def _recover(root_prefix: str) -> int:
    from xsagent.apply.lock import hold_lock  # noqa: PLC0415 - nearly every guardian ends without any of it
    from xsagent.apply.outcome import Stuck  # noqa: PLC0415
    from xsagent.config import Paths, read_settings  # noqa: PLC0415
    from xsagent.errors import XsagentError  # noqa: PLC0415
    from xsagent.log import configure, get_logger  # noqa: PLC0415
    from xsagent.observed.ovsdb_connection import OvsdbConnection  # noqa: PLC0415
    from xsagent.reconfigure import Host, finish_earlier_run  # noqa: PLC0415

    paths = Paths.from_environ(root_prefix, os.environ)
    settings = read_settings(paths, os.environ)
    configure(syslog=True, level=settings.log_level, program="xsagent-guardian")
    logger = get_logger()
    try:
        with (
            hold_lock(paths.lock, "the guardian of a killed run", settings.lock_wait_s),
            OvsdbConnection.open(paths.ovsdb_socket, settings.ovsdb_wait_s) as connection,
        ):
            ended = finish_earlier_run(Host(paths, settings, connection))
    except (XsagentError, OSError) as error:
        logger.error("recover_failed", reason=str(error))
        return 1
    logger.warning("recover", outcome=type(ended).__name__)
    return 1 if isinstance(ended, Stuck) else 0


if __name__ == "__main__":
    sys.exit(main())
