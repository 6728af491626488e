"""The process that reads XAPI's records for xsagentd and ends: a process edge, thin.

Its order comes as JSON on stdin, the reading goes out as JSON on stdout; `reconcile/pool_reading.py` has both ends.
"""

from __future__ import annotations

import argparse
import json
import os
import sys

from xsagent.config import Paths
from xsagent.reconcile.pool_reading import answer_order


def main() -> int:
    """Read, write, end; a peer's failure is an answer too."""
    parser = argparse.ArgumentParser(prog="xsagent-pool-reader")
    parser.add_argument("--root-prefix", default="")
    prefix = parser.parse_args().root_prefix
    json.dump(answer_order(Paths.from_environ(prefix, os.environ), sys.stdin.read()), sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
