"""The command `setup-vif-rules`: a process edge, thin. xenopsd's five arguments -> port and locking rules.

``setup-vif-rules BACKEND IFNAME VMUUID DEVID filter|clear`` (wire.md section 3). xenopsd calls it when a locking mode
changes, and to move a tap. It reports by its exit code alone; xenstore's hotplug keys are left as they are.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from xsagent.cli.ask_daemon import answer_of_daemon
from xsagent.cli.edge import end, run_edge
from xsagent.cli.vif import run_event, split_options
from xsagent.errors import UsageError
from xsagent.hotplug.event import parse_rules_call


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code: 0 done, 1 failed or wrong usage (which goes to stdout, as the peers')."""
    given = sys.argv[1:] if argv is None else list(argv)
    return run_edge("setup-vif-rules", lambda: _run(given))


def _run(given: Sequence[str]) -> int:
    answer = answer_of_daemon("setup-vif-rules", given, os.environ, again=True)
    return _run_here(given) if answer is None else answer


def _run_here(given: Sequence[str]) -> int:
    root, syslog, words = split_options(given)
    try:
        event = parse_rules_call(words)
    except UsageError as error:
        sys.stdout.write(f"{error}\n")
        return 1
    return run_event("setup-vif-rules", event, root, os.environ, syslog=syslog)


if __name__ == "__main__":
    end(main())
