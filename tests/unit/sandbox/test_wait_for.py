"""Waiting for something in a sandbox: what is said when it does not come."""

from __future__ import annotations

import pytest

from xsagent.errors import CommandError
from xsagent.sandbox.daemons import wait_for


def test_what_is_said_holds_the_log_of_the_end() -> None:
    """Not that from before the wait, which tells nothing of it."""
    log: list[str] = []

    def look() -> bool:
        log.append("looked")
        return False

    with pytest.raises(CommandError, match="it did not come: looked"):
        wait_for(look, 0, lambda: f"it did not come: {' '.join(log)}")
