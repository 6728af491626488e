"""The process that reads XAPI's records for xsagentd and ends: a process edge, thin.

Its order comes as JSON on stdin, the reading goes out as JSON on stdout; `reconcile/pool_reading.py` has both ends.
It does not outlive xsagentd, however that ends: XAPI may be silent for long, and nobody wants the answer any more.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import signal
import sys
import threading

from xsagent.apply.interruption import signals_end_the_run
from xsagent.config import Paths
from xsagent.reconcile.pool_reading import answer_order


def main() -> int:
    """Read, write, end; a peer's failure is an answer too, and so is the end of xsagentd."""
    parser = argparse.ArgumentParser(prog="xsagent-pool-reader")
    parser.add_argument("--root-prefix", default="")
    parser.add_argument("--daemon", type=int, required=True)
    arguments = parser.parse_args()
    try:
        daemon = os.pidfd_open(arguments.daemon)
    except ProcessLookupError:
        return 1
    with signals_end_the_run():
        threading.Thread(target=_end_with, args=(daemon, threading.get_ident()), daemon=True).start()
        answer = answer_order(Paths.from_environ(arguments.root_prefix, os.environ), sys.stdin.read())
    json.dump(answer, sys.stdout)
    return 0


def _end_with(daemon: int, reader: int) -> None:
    """Once xsagentd has ended, have the thread that reads end its session and then itself."""
    select.select([daemon], [], [])
    signal.pthread_kill(reader, signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
