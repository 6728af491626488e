"""The command `interface-reconfigure`: a process edge, thin. argv -> exit code, one sentence on stderr.

Drop-in for /opt/xensource/libexec/interface-reconfigure (wire.md section 1): stdout stays empty unless output was
asked for, and a failure's last line on stderr is what XAPI shows its user. Heavy imports wait until the command line
is known to be right.
"""

from __future__ import annotations

import gc
import os
import sys

from xsagent.cli.ask_daemon import MYPY, answer_of_daemon
from xsagent.cli.edge import end, run_edge

if MYPY:
    from collections.abc import Sequence

    from xsagent.planning import MakeHost

PROGRAM = "interface-reconfigure"
_COLLECT_AFTER = 100_000


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code: 0 done, 1 runtime error, 2 usage (features.md section 1).

    xsagentd does it where it runs (DESIGN.md section 7); ``--force`` is never handed over: a boot needs nobody.
    """
    words = sys.argv[1:] if argv is None else list(argv)
    return run_edge(PROGRAM, lambda: _hand_over_or_run(words))


def run_here(words: Sequence[str], make_host: MakeHost) -> int:
    """Run the command in this process, a worker of the daemon, on the host that it makes."""
    return run_edge(PROGRAM, lambda: _run(words, make_host))


def _hand_over_or_run(words: Sequence[str]) -> int:
    if not any(word.startswith("--f") for word in words):
        answer = answer_of_daemon(PROGRAM, words, os.environ)
        if answer is not None:
            return answer
    return _run(words)


def _run(words: Sequence[str], make_host: MakeHost | None = None) -> int:
    # a run is short and drops what it is done with: looking for cycles among 500 VLANs' records took a fifth of it
    gc.set_threshold(_COLLECT_AFTER)
    from xsagent import __version__  # noqa: PLC0415 - one that is handed over needs none of it
    from xsagent.cli.reconfigure_options import USAGE, parse_options  # noqa: PLC0415 - as above

    options = parse_options(words)
    if options.help:
        print(USAGE, end="")
        return 0
    if options.version:
        print(f"interface-reconfigure (xsagent) {__version__}")
        return 0
    from xsagent.cli.reconfigure_run import run_reconfigure  # noqa: PLC0415 - usage errors need none of it

    if make_host is None:
        return run_reconfigure(options, os.environ)
    return run_reconfigure(options, os.environ, make_host)


if __name__ == "__main__":
    end(main())
