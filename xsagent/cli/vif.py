"""The command `vif`: a process edge, thin. Arguments of any caller -> one hotplug event -> exit code.

Drop-in for the vif scripts of Open vSwitch and of xenopsd, `vif-real` included (features.md section 15): udev,
xenopsd and libxl call it. stdout stays empty; a failure's last line on stderr is the sentence that is in
``hotplug-error`` too.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

from xsagent import __version__
from xsagent.cli.ask_daemon import answer_of_daemon
from xsagent.cli.edge import end, run_edge
from xsagent.errors import UsageError
from xsagent.hotplug.event import Event, parse_call

USAGE = """\
usage: vif [--root-prefix=DIR] [--no-syslog] ACTION [vif|tap|type_if=vif|type_if=tap] [DOMID DEVID]
       vif [--root-prefix=DIR] [--no-syslog] vif|tap DOMID DEVID ACTION
ACTION: online, add, move, remove; offline, change, bind and unbind are ignored.
Without DOMID and DEVID, XENBUS_PATH or INTERFACE in the environment names the device.
"""
_PREFIX = "--root-prefix="


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code: 0 done or nothing to do, 1 failed, 2 usage."""
    given = sys.argv[1:] if argv is None else list(argv)
    return run_edge("vif", lambda: _run(given))


def _run(given: Sequence[str]) -> int:
    answer = answer_of_daemon("vif", given, os.environ, again=True)
    return _run_here(given) if answer is None else answer


def _run_here(given: Sequence[str]) -> int:
    root, syslog, words = split_options(given)
    if "--help" in words:
        sys.stdout.write(USAGE)
        return 0
    if "--version" in words:
        sys.stdout.write(f"vif (xsagent) {__version__}\n")
        return 0
    try:
        event = parse_call(words, os.environ)
    except UsageError as error:
        sys.stderr.write(f"vif: {error}\n{USAGE}")
        return UsageError.exit_code
    return run_event("vif", event, root, os.environ, syslog=syslog)


def split_options(words: Sequence[str]) -> tuple[str, bool, list[str]]:
    """Root prefix, whether to log to syslog, and the words that are left."""
    prefixes = [word.removeprefix(_PREFIX) for word in words if word.startswith(_PREFIX)]
    rest = [word for word in words if not word.startswith(_PREFIX) and word != "--no-syslog"]
    return (prefixes or [""])[-1], "--no-syslog" not in words, rest


def run_event(program: str, event: Event, root: str, environ: Mapping[str, str], *, syslog: bool) -> int:
    """Handle the event in this process; returns the exit code.

    Raises:
        BackendError: this host's network backend is not Open vSwitch; nothing was changed.
    """
    from xsagent.cli.begin import begin  # noqa: PLC0415 - usage errors need none of this
    from xsagent.config import Paths  # noqa: PLC0415 - as above
    from xsagent.hotplug.handle import handle_event  # noqa: PLC0415 - as above
    from xsagent.hotplug.peers import Peers  # noqa: PLC0415 - as above
    from xsagent.hotplug.work import Result  # noqa: PLC0415 - as above

    paths = Paths.from_environ(root, environ)
    settings = begin(program, paths, environ, syslog=syslog, goes_on=True)
    with Peers(paths, settings) as peers:
        outcome = handle_event(peers, event)
    if outcome.result is not Result.FAILED:
        return 0
    sys.stderr.write(f"{program}: {outcome.text}\n")
    return 1


if __name__ == "__main__":
    end(main())
