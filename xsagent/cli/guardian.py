"""The guardian: a process that exists only while management is at risk (DESIGN.md section 4).

Started by the deadman before the first effect: as a program, or by a worker of the daemon as a fork. Its standard input
is a pipe from the run: ``done`` means that nothing is at risk any more; the pipe's end without it means that the run
was killed, and a silence far beyond the window that it hangs. Then the guardian takes the lock and does what the next
run would do: it takes back what the journal names.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time

_MARGIN_S = 120.0
"""Beyond twice the window: what a healthy run may wait for the switch, for DHCP and for its own way back."""
_ATTEMPTS = 20
_PAUSE_S = 5.0
"""Management is at risk until the way back is done: a peer that is away may come again."""


MYPY = False
if MYPY:  # what typing.TYPE_CHECKING says, without importing typing
    from xsagent.apply.guardian import Guardian
    from xsagent.config import Paths


def fork_guardian(paths: Paths, window_s: float) -> Guardian:
    """A guardian that is a fork of this process (`apply.guardian.StartGuardian`).

    For a worker of the daemon, which has in memory what a program would have to load, and whose unit ends none of its
    processes (KillMode of xsagentd.service), so that it needs no scope of its own.
    """
    from xsagent.apply.guardian import guardian_words, spawn_guardian  # noqa: PLC0415 - a program needs none of it

    words = guardian_words(paths, window_s)
    return spawn_guardian(lambda: os._exit(main(words)))


def main(argv: list[str] | None = None) -> int:
    """Wait for the run's word; recover when it does not come."""
    root_prefix, pid, limit = _parse(sys.argv[1:] if argv is None else argv)
    run = _open_run(pid)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        # whoever ends the run politely lets it go back by itself; the guardian stays until it has
        signal.signal(number, signal.SIG_IGN)
    os.write(1, b"ready\n")
    word = _await_word(limit)
    if word == "done":
        return 0
    if word == "silence" and run is not None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(run, signal.SIGKILL)
    return _recover(root_prefix)


def _parse(words: list[str]) -> tuple[str, int, float]:
    """Root prefix, process id of the run, and the silence in seconds after which it counts as hanging.

    Only `apply/guardian.py` writes these words, and a run waits for us: argparse takes longer than all the rest.
    """
    given = dict(word.removeprefix("--").split("=", 1) for word in words)
    limit = float(given["limit"]) if "limit" in given else 2 * float(given["window"]) + _MARGIN_S
    return given["root-prefix"], int(given["run"]), limit


def _open_run(pid: int) -> int | None:
    """A descriptor of the run, which no other process can take over as it could its number; None when it ended."""
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return None


def _await_word(longest_s: float) -> str:
    deadline = time.monotonic() + longest_s
    heard = b""
    while (left := deadline - time.monotonic()) > 0:
        ready, _, _ = select.select([0], [], [], left)
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
    from xsagent.apply.outcome import Stuck  # noqa: PLC0415 - nearly every guardian ends without any of it
    from xsagent.cli.begin import begin  # noqa: PLC0415 - as above
    from xsagent.cli.recover import recover_once  # noqa: PLC0415 - as above
    from xsagent.config import Paths  # noqa: PLC0415 - as above
    from xsagent.errors import XsagentError  # noqa: PLC0415 - as above
    from xsagent.log import get_logger  # noqa: PLC0415 - as above

    paths = Paths.from_environ(root_prefix, os.environ)
    settings = begin("xsagent-guardian", paths, os.environ, goes_on=True)
    logger = get_logger()
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(_PAUSE_S)
        try:
            ended = recover_once(paths, settings, "the guardian of a killed run", settings.lock_wait_s)
        except (XsagentError, OSError) as error:
            logger.error("recover_failed", reason=str(error), attempt=attempt)
            continue
        if not isinstance(ended, Stuck):
            logger.warning("recover", outcome="nothing to do" if ended is None else type(ended).__name__)
            return 0
        logger.error("recover_stuck", left=len(ended.left), attempt=attempt)
    return 1


if __name__ == "__main__":
    sys.exit(main())
