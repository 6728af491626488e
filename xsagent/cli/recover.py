"""Takes back what a run that was killed left half done: in the guardian, and in a worker of the daemon (DESIGN.md 3).

`main` is the daemon's command ``recover``; nobody else calls it by name.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from xsagent.apply.lock import hold_lock
from xsagent.apply.outcome import Applied, RolledBack, Stuck
from xsagent.cli.begin import begin
from xsagent.config import Paths, Settings
from xsagent.errors import LockHeldError, XsagentError
from xsagent.log import get_logger
from xsagent.observed.ovsdb_connection import OvsdbConnection
from xsagent.planning import Host
from xsagent.reconfigure import finish_earlier_run


def recover_once(
    paths: Paths, settings: Settings, owner: str, lock_wait_s: float
) -> Applied | RolledBack | Stuck | None:
    """What `finish_earlier_run` does, once, with lock and connection of its own.

    Raises:
        XsagentError, OSError: it could not even begin; the journal stays.
    """
    with (
        hold_lock(paths.lock, owner, lock_wait_s),
        OvsdbConnection.open(paths.ovsdb_socket, settings.ovsdb_wait_s) as connection,
    ):
        return finish_earlier_run(Host(paths, settings, connection))


def main(words: Sequence[str]) -> int:
    """Recover once; returns 0 when nothing is left to do, 1 when something is."""
    paths = Paths.from_environ("".join(words[:1]), os.environ)
    settings = begin("xsagentd-recover", paths, os.environ, goes_on=True)
    logger = get_logger()
    try:
        ended = recover_once(paths, settings, "xsagentd, for a run that was killed", 0)
    except LockHeldError:
        # whose journal it is: a run's that is under way, or one that will look at it itself
        return 0
    except (XsagentError, OSError) as error:
        logger.error("recover_failed", reason=str(error))
        return 1
    if isinstance(ended, Stuck):
        logger.error("recover_stuck", left=len(ended.left))
        return 1
    logger.warning("recover", outcome="nothing to do" if ended is None else type(ended).__name__)
    return 0
