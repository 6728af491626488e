"""What happens at XAPI's start, and at `reload`: the switch is brought in step with XAPI, in this process.

The same flow as XAPI's plugin, `openvswitch-cfg-update`, with a session of its own; `plugin_run.py` is its other edge.
"""

from __future__ import annotations

import time
from typing import Final

from xsagent.apply.outcome import RolledBack, Stuck
from xsagent.cli.plugin_run import build_hooks
from xsagent.config import Paths, Settings
from xsagent.errors import CommandError, XapiUnavailableError
from xsagent.log import get_logger
from xsagent.reconcile.manager import update_manager
from xsagent.rewrite import rewrite

_POLL_S: Final = 1.0


def update_from_xapi(paths: Paths, settings: Settings, *, wait_s: float) -> str:
    """Wait until XAPI is up, then make manager, fail mode and in-band control what XAPI wants; returns the answer.

    Args:
        wait_s: for XAPI's cookie, seconds.

    Raises:
        XapiUnavailableError: XAPI did not come up in time; nothing was changed.
        XsagentError: as `update_manager`.
    """
    end = time.monotonic() + wait_s
    while not paths.xapi_cookie.exists():
        if time.monotonic() > end:
            raise XapiUnavailableError(
                f"XAPI made no {paths.xapi_cookie} within {wait_s:g} s; the switch is as it was, and so is its manager"
            )
        time.sleep(_POLL_S)
    return update_manager(paths, settings, None, build_hooks(paths, settings)).strip()


def update_marks(paths: Paths, settings: Settings) -> None:
    """Bring the marks of bridges and ports in step with XAPI, as far as it answers.

    Raises:
        CommandError: the change was not made; the sentence says why.
    """
    outcome = rewrite(paths, settings)
    get_logger().info("rewrite", outcome=type(outcome).__name__)
    if isinstance(outcome, RolledBack | Stuck):
        raise CommandError(f"{outcome.cause}; the marks are as they were")
