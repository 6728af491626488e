"""The process in which xsagentd has the switch's manager reconciled: a process edge, thin.

Its order comes as JSON on stdin, the answer goes out as JSON on stdout; `reconcile/manager_apart.py` has both ends.
"""

from __future__ import annotations

import argparse
import json
import os
import sys

from xsagent.apply.interruption import signals_end_the_run
from xsagent.config import Paths
from xsagent.log import configure
from xsagent.reconcile.manager_apart import answer_manager_order, parse_manager_order


def main() -> int:
    """Update, write, end; a failure is an answer too."""
    parser = argparse.ArgumentParser(prog="xsagent-manager-update")
    parser.add_argument("--root-prefix", default="")
    paths = Paths.from_environ(parser.parse_args().root_prefix, os.environ)
    order = parse_manager_order(sys.stdin.read())
    configure(syslog=True, level=order.settings.log_level, program="xsagentd", device=paths.below("/dev/log"))
    with signals_end_the_run():
        answer = answer_manager_order(paths, order)
    json.dump(answer, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
