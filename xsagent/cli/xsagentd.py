"""The command `xsagentd`: a process edge, thin. argv -> the daemon, in the foreground, until it is told to end."""

from __future__ import annotations

import argparse
import importlib
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

from xsagent import __version__
from xsagent.cli.begin import begin
from xsagent.cli.edge import end, run_edge
from xsagent.cli.parser import CommandParser
from xsagent.config import Paths

if TYPE_CHECKING:
    from xsagent.sources.xapi_memory import XapiMemory

Command: TypeAlias = Callable[[Sequence[str]], int]
_LAZY: Final = (
    "encodings.ascii",
    "pyroute2",
    "structlog",
    "xsagent.carry_out",
    "xsagent.cli.reconfigure_run",
    "xsagent.hotplug.offloads",
    "xsagent.hotplug.read_cached",
    "xsagent.observed.flows",
    "xsagent.rescue",
    "xsagent.rewrite",
    "xsagent.sources.boot",
    "xsagent.up_all",
)
"""Modules that a reconfigure, or hotplug, imports when it comes to need them."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the daemon; returns its exit status: 0 ended in order, 1 could not start, 2 usage."""
    return run_edge("xsagentd", lambda: _run(_build_parser().parse_args(argv), dict(os.environ)))


def _build_parser() -> argparse.ArgumentParser:
    parser = CommandParser(prog="xsagentd", description="The resident dom0 network agent (xsagentd.service).")
    parser.add_argument("--root-prefix", default="", metavar="DIR", help="every path lies below DIR")
    parser.add_argument("--no-syslog", action="store_true", help="log to stderr")
    parser.add_argument("--version", action="version", version=f"xsagentd {__version__}")
    return parser


def _run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    paths = Paths.from_environ(arguments.root_prefix, environ)
    settings = begin("xsagentd", paths, environ, syslog=not arguments.no_syslog, goes_on=True)
    from xsagent.cli.rehearsal import rehearse  # noqa: PLC0415 - as above
    from xsagent.daemon.loop import DaemonSetup, run_daemon  # noqa: PLC0415 - usage errors need none of it
    from xsagent.sources.xapi_memory import XapiMemory  # noqa: PLC0415 - as above

    memory = XapiMemory()
    setup = DaemonSetup(
        paths=paths,
        settings=settings,
        environ=environ,
        commands=_load_commands(memory),
        rehearse=lambda: rehearse(paths),
        memory=memory,
    )
    return run_daemon(setup)


def _load_commands(memory: XapiMemory) -> dict[str, Command]:
    """What workers run, with everything that they import lazily: a worker is to find it in memory."""
    from xsagent.cli import drift, firewall, guardian, interface_reconfigure, recover  # noqa: PLC0415 - as above
    from xsagent.planning import Host  # noqa: PLC0415 - as above

    for module in _LAZY:
        importlib.import_module(module)
    make_host = partial(Host, memory=memory, start_guardian=guardian.fork_guardian)
    return {
        "interface-reconfigure": lambda words: interface_reconfigure.run_here(words, make_host),
        "recover": recover.main,
        "drift": lambda words: drift.main(words, memory),
        "firewall": firewall.main,
    }


if __name__ == "__main__":
    end(main())
