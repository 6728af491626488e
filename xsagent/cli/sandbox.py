"""``xsagent sandbox run|shell|demo|vif``: runs a command, or a shell, in a throw-away dom0. Effects.

Called by `cli.main`; the sandbox itself is `sandbox.dom0`, imported only when one is wanted.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from xsagent.cli import sandbox_vif

if TYPE_CHECKING:
    from xsagent.sandbox.dom0 import Sandbox
    from xsagent.sandbox.spec import Service

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 argparse names it no better

_HIDDEN = ("/run", "/var/run", "/sys", "/proc")


def add_parser(subparsers: Subparsers) -> None:
    """Add ``sandbox`` with its own verbs to the parser of ``xsagent``."""
    sandbox = subparsers.add_parser(
        "sandbox",
        help="a throw-away dom0 with real Open vSwitch, without Xen and without root",
        description="A throw-away dom0: veth NICs, hosts at their far ends, DHCP, Open vSwitch in userspace. "
        "Commands of xsagent are to be given --root-prefix=$SANDBOX_ROOT. "
        "KEEP_SANDBOX=1 leaves it up and says how to enter it.",
    )
    verbs = sandbox.add_subparsers(dest="sandbox_verb", required=True, metavar="VERB")
    run_verb = verbs.add_parser("run", help="run a command inside; its exit status becomes ours")
    _add_options(run_verb)
    run_verb.add_argument("command", nargs="+", metavar="COMMAND", help="command and its arguments, after --")
    _add_options(verbs.add_parser("shell", help="open a shell inside"))
    sandbox_vif.add_parser(verbs)
    demo = verbs.add_parser("demo", help="boot as a host boots, and show what came of it")
    demo.add_argument("--no-dhcp", action="store_true", help="no DHCP server answers: the demo must fail")


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--nics", type=int, default=2, metavar="N", help="number of NICs (default: 2)")
    parser.add_argument("--no-dhcp", action="store_true", help="no DHCP server answers behind eth0")
    parser.add_argument("--static", default="", metavar="CIDR", help="static management address (else DHCP)")
    parser.add_argument("--no-guests", action="store_true", help="no xenstored and udevd, which VIFs need")
    parser.add_argument("--one-segment", action="store_true", help="all NICs on one wire, for bonds")


def run(arguments: argparse.Namespace) -> int:
    """Do what the parsed arguments ask; the exit status of the command inside.

    Raises:
        SandboxError: the namespaces cannot be made here.
        UsageError: a number of NICs that a sandbox cannot have.
    """
    if arguments.sandbox_verb == "vif":
        from xsagent.cli.sandbox_vif_run import run_vif  # noqa: PLC0415 other verbs must not pay for it

        return run_vif(arguments)
    from xsagent.sandbox.dom0 import Sandbox  # noqa: PLC0415 as above
    from xsagent.sandbox.spec import SandboxSpec, check_management_address, default_segments, shared_segment  # noqa: PLC0415 as above

    # The end of a terminal or of a job is to take the sandbox's directory with it.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _frame: sys.exit(128 + number))
    if arguments.sandbox_verb == "demo":
        from xsagent.sandbox.demo import run_demo  # noqa: PLC0415 as above

        return run_demo(dhcp=not arguments.no_dhcp)
    build = shared_segment if arguments.one_segment else default_segments
    segments = build(nics=arguments.nics, dhcp=not arguments.no_dhcp)
    services = _guest_services() if not arguments.no_guests else ()
    if arguments.static:
        check_management_address(arguments.static, segments)
    spec = SandboxSpec(segments=segments, management_address=arguments.static, services=services)
    with Sandbox(spec) as sandbox:
        if arguments.sandbox_verb == "shell":
            name = sandbox.directory.name
            sys.stderr.write(f"sandbox {name}: root prefix {sandbox.root}; it ends with this shell\n")
            return _call(sandbox, [os.environ.get("SHELL", "/bin/sh")])
        return _call(sandbox, arguments.command)


def _guest_services() -> tuple[Service, ...]:
    """Xenstored and udevd, where this machine has them."""
    from xsagent.sandbox.xenopsd import guest_services, missing_for_guests  # noqa: PLC0415 as above

    missing = missing_for_guests()
    if missing:
        sys.stderr.write(f"no guests here: {missing}\n")
        return ()
    return guest_services()


def _call(sandbox: Sandbox, argv: list[str]) -> int:
    """Run a command on our own terminal and in our working directory, where that can be seen inside."""
    here = str(Path.cwd())
    if not here.startswith(_HIDDEN):
        argv = ["env", "-C", here, *argv]
    status = subprocess.call(sandbox.command(argv), env=sandbox.environment)
    return status if status >= 0 else 128 - status
