"""What `xsagent-setup` does with a good command line: checks, takes over, gives back, and says so on stdout."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Final

from xsagent.config import Paths, read_settings
from xsagent.errors import NotFoundError
from xsagent.installation.checks import check_host, is_live
from xsagent.installation.layout import Profile
from xsagent.installation.live import mark_boot, restart_daemon, stop_daemon, tell_peers
from xsagent.installation.purge import purge_state
from xsagent.installation.record import read_record
from xsagent.installation.take_over import give_back, take_over
from xsagent.log import configure

_NAMES: Final[Mapping[str, Profile]] = {"full": "full", "hotplug": "hotplug"}


def _paths(arguments: argparse.Namespace, environ: Mapping[str, str]) -> Paths:
    paths = Paths.from_environ(arguments.root_prefix, environ)
    configure(syslog=not arguments.no_syslog, level="info", program="xsagent-setup", device=paths.below("/dev/log"))
    return paths


def _profile(arguments: argparse.Namespace, paths: Paths) -> Profile:
    """The one that was named, else the installed one."""
    name = arguments.profile or read_record(paths).profile
    if name not in _NAMES:
        raise NotFoundError("no profile is installed here; name one: full or hotplug; nothing was changed")
    return _NAMES[name]


def _check(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    paths = _paths(arguments, environ)
    check_host(paths, read_settings(paths, environ), _profile(arguments, paths), upgrade=arguments.upgrade)
    return 0


def _take_over(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    paths = _paths(arguments, environ)
    profile = _profile(arguments, paths)
    if mark_boot(paths):
        print("this boot is marked: no later start of Open vSwitch in it deletes bridges")
    changed = take_over(paths, profile)
    warnings = tell_peers(paths) if changed else ()
    print(f"profile {profile}: {len(changed)} paths changed; originals are in {paths.state_dir / 'saved'}")
    if changed and is_live(paths):
        print("nothing that runs was restarted; to start the daemon before the next boot: systemctl start xsagentd")
    return _warn(warnings)


def _give_back(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    paths = _paths(arguments, environ)
    warning = stop_daemon(paths) if read_record(paths).profile else ""  # a second time there is none of ours
    changed = give_back(paths)
    if arguments.purge:
        purge_state(paths)
    print(f"{len(changed)} paths given back; Open vSwitch runs on as it is")
    return _warn((*filter(None, (warning,)), *(tell_peers(paths) if changed else ())))


def _status(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    record = read_record(_paths(arguments, environ))
    print(f"profile: {record.profile or 'none'}")
    for path in sorted((*record.links, *record.texts)):
        print(f"  {path} -> {record.links.get(path, 'without the lines for guests network devices')}")
    return 0


def _restart(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    warning = restart_daemon(_paths(arguments, environ))
    return _warn((warning,) if warning else ())


def _warn(warnings: tuple[str, ...]) -> int:
    for warning in warnings:
        print(f"warning: {warning}")
    return 0


VERBS: Final[Mapping[str, Callable[[argparse.Namespace, Mapping[str, str]], int]]] = {
    "check": _check,
    "take-over": _take_over,
    "give-back": _give_back,
    "status": _status,
    "restart-daemon": _restart,
}
"""What each verb does; each returns the exit code."""
