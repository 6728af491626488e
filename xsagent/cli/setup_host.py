"""The command `xsagent-setup`: a process edge, thin. What the package's scriptlets, and admins, install and remove by.

``check`` says whether a profile may be installed here, ``take-over`` puts our links in place with the originals saved,
``give-back`` restores them. Each can be run again after it was killed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from xsagent.cli.edge import end, run_edge
from xsagent.cli.setup_host_options import build_parser
from xsagent.cli.setup_host_run import VERBS


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code: 0 done, 1 refused or failed, 2 usage."""
    return run_edge("xsagent-setup", lambda: _run(sys.argv[1:] if argv is None else argv))


def _run(argv: Sequence[str]) -> int:
    arguments = build_parser().parse_args(argv)
    return VERBS[arguments.verb](arguments, os.environ)


if __name__ == "__main__":
    end(main())
