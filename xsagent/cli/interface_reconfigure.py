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

if MYPY:
    from collections.abc import Sequence

    from xsagent.cli.reconfigure_options import ReconfigureOptions

PROGRAM = "interface-reconfigure"
_COLLECT_AFTER = 100_000


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code: 0 done, 1 runtime error, 2 usage (features.md section 1).

    xsagentd does it where it runs (DESIGN.md section 7); ``--force`` is never handed over: a boot needs nobody.
    """
    words = sys.argv[1:] if argv is None else list(argv)
    if not any(word.startswith("--f") for word in words):
        answer = answer_of_daemon(PROGRAM, words, os.environ)
        if answer is not None:
            return answer
    return run_here(words)


def run_here(words: Sequence[str]) -> int:
    """Run the command in this process: without a daemon, and in a worker of the daemon."""
    # a run is short and drops what it is done with: looking for cycles among 500 VLANs' records took a fifth of it
    gc.set_threshold(_COLLECT_AFTER)
    from xsagent import __version__  # noqa: PLC0415 - one that is handed over needs none of it
    from xsagent.cli.reconfigure_options import USAGE, parse_options  # noqa: PLC0415 - as above
    from xsagent.errors import UsageError  # noqa: PLC0415 - as above

    try:
        options = parse_options(words)
    except UsageError as error:
        print(f"interface-reconfigure: {error}\nFor help use --help.", file=sys.stderr)
        return UsageError.exit_code
    if options.help:
        print(USAGE, end="")
        return 0
    if options.version:
        print(f"interface-reconfigure (xsagent) {__version__}")
        return 0
    return _run(options)


def _run(options: ReconfigureOptions) -> int:
    from xsagent.cli.reconfigure_run import run_reconfigure  # noqa: PLC0415 - usage errors need none of it
    from xsagent.errors import XsagentError  # noqa: PLC0415 - as above

    try:
        return run_reconfigure(options, os.environ)
    except XsagentError as error:
        return _fail(str(error), error.exit_code)
    except OSError as error:
        what = f"{error.filename}: " if error.filename else ""
        return _fail(f"{what}{error.strerror or error}; see the log for what was done before", 1)
    except Exception as error:  # noqa: BLE001 - a process edge: no traceback at a user
        import traceback  # noqa: PLC0415 - as above

        from xsagent.log import get_logger  # noqa: PLC0415 - as above

        get_logger().error("internal_error", error=repr(error), trace=traceback.format_exc())
        return _fail(f"internal error ({type(error).__name__}: {error}); the log has the details", 1)


def _fail(sentence: str, code: int) -> int:
    print(f"interface-reconfigure: {' '.join(sentence.split())}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
