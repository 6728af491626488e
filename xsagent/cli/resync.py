"""``xsagent resync``: every guest's device is looked at once and made right, by the daemon or by this process.

What xsagentd-fallback.service runs when the daemon ended, and an admin when in doubt. A daemon that does not run is not
asked: systemd, which holds its socket, would start it, and whoever stopped it meant that.
"""

from __future__ import annotations

import argparse
import os
import sys
import time

from xsagent.apply.run_dir import hold_daemon_lock, remove_run_file
from xsagent.cli.ask_daemon import NoAnswerError, ask
from xsagent.cli.begin import begin
from xsagent.config import Paths, Settings
from xsagent.daemon.hotplug import HotplugThread
from xsagent.daemon.resync_request import MARGIN_S, describe_wrong, why_not_looked
from xsagent.errors import LockHeldError
from xsagent.reconcile.queue import State

_LOOK_S = 1.0
_GRACE_S = 5.0
"""A daemon that says nothing for so much longer than it waits itself hangs."""


def run(arguments: argparse.Namespace) -> int:
    """Have it done; returns 0, or 1 when a device is not right afterwards."""
    paths = Paths.from_environ(arguments.root_prefix, os.environ)
    settings = begin("xsagent-resync", paths, os.environ, goes_on=True)
    if _is_daemon_alive(paths):
        try:
            answer_s = settings.hotplug_s + MARGIN_S + _GRACE_S
            status, _, errors = ask(str(paths.root), "resync", [], os.environ, begin_s=answer_s)
        except NoAnswerError:
            pass  # it hangs, or ended just now
        else:
            sys.stderr.write(errors)
            return status
    return _run_here(paths, settings)


def _run_here(paths: Paths, settings: Settings) -> int:
    hotplug = HotplugThread(paths, settings)
    hotplug.start()
    done = _wait(hotplug, settings.hotplug_s + MARGIN_S)
    hotplug.stop(MARGIN_S)
    left = [name for name, status in hotplug.status().items() if status.state is State.PENDING]
    wrong = list(describe_wrong(hotplug, left))
    if hotplug.last_resync is None:
        wrong.append(why_not_looked(hotplug))
    sys.stderr.write("".join(f"xsagent: {sentence}\n" for sentence in wrong))
    return 0 if done and not wrong else 1


def _wait(hotplug: HotplugThread, wait_s: float) -> bool:
    """Wait until all is done, at most `wait_s` seconds; a peer that keeps it from beginning is told at once."""
    end, told = time.monotonic() + wait_s, False
    while (left := end - time.monotonic()) > 0:
        if hotplug.wait_idle(min(left, _LOOK_S)):
            return True
        if hotplug.put_off and not told:
            told = True
            reason = hotplug.put_off.reason.removesuffix("; nothing was changed")
            sys.stderr.write(f"xsagent: the devices cannot be looked at now: {reason}; trying for {left:.0f} s more\n")
            sys.stderr.flush()
    return False


def _is_daemon_alive(paths: Paths) -> bool:
    """Whether one holds the lock; if none does, a ready file is a dead one's and goes."""
    try:
        lock = hold_daemon_lock(paths)
    except LockHeldError:
        return True
    try:
        remove_run_file(paths.ready)
    finally:
        os.close(lock)
    return False
