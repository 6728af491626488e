"""`xsagent openvswitch VERB`: what the init script and the units call. Thin: a verb, its flow, one sentence a warning.

The flows are in `xsagent/boot.py`. Where systemd has our units, the verbs that start and end both daemons go through
it (`openvswitch_systemd.py`), so that the daemons belong to it; the units call the verbs of one daemon.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from xsagent.apply.high_availability import heartbeat_stopped
from xsagent.apply.switch_daemons import flush_cache
from xsagent.boot import (
    SwitchBoot,
    check_handlers,
    force_reload_kernel_module,
    open_boot,
    restart,
    start,
    start_database,
    start_switch,
    stop,
)
from xsagent.child import find_program, run_child
from xsagent.cli import openvswitch_systemd as systemd
from xsagent.cli.begin import begin
from xsagent.config import Paths
from xsagent.log import get_logger
from xsagent.model.switch_start import Daemon
from xsagent.observed.switch_alive import wait_for_switch
from xsagent.observed.switch_daemons import has_pid_file
from xsagent.sources.host_files import check_backend, read_text

_DAEMONS: Final[tuple[Daemon, ...]] = ("ovsdb-server", "ovs-vswitchd")
_DEAD, _NOT_RUNNING, _HUNG = 1, 3, 4
"""Exit codes of `status` (LSB; 4 is its "unknown")."""
_VERSION_S: Final = 10.0
_WHATEVER_THE_BACKEND: Final = frozenset({"stop", "stop-database", "stop-switch", "status", "version"})


def run(arguments: argparse.Namespace) -> int:
    """Run one verb; returns its exit code: 0, but for `status`.

    Raises:
        XsagentError: it failed; the sentence says how things were left.
    """
    paths = Paths.from_environ(arguments.root_prefix, os.environ)
    settings = begin("openvswitch", paths, os.environ, goes_on=True)
    verb = arguments.what
    if verb not in _WHATEVER_THE_BACKEND:
        if (read_text(paths.network_conf) or "").strip() == "bridge":
            _say(f"{paths.network_conf} names the backend bridge: Open vSwitch is not used here")
            return 0
        check_backend(paths)
    boot = open_boot(paths, settings, monitor=not arguments.no_monitor)
    try:
        if verb == "status":
            return _status(boot)
        _verbs(arguments)[verb](boot)
        return 0
    finally:
        for sentence in boot.warnings:
            _say(f"warning: {sentence}")


def _verbs(arguments: argparse.Namespace) -> Mapping[str, Callable[[SwitchBoot], object]]:
    return {
        "start": _start,
        "stop": _stop,
        "restart": partial(_restart, save_flows=arguments.save_flows == "yes"),
        "reload": _reload,
        "force-reload": _reload,
        "version": _version,
        "force-reload-kmod": _force_reload_kmod,
        # one daemon, for units
        "start-database": start_database,
        "start-switch": start_switch,
        "stop-database": partial(stop, daemons=("ovsdb-server",)),
        "stop-switch": partial(stop, daemons=("ovs-vswitchd",)),
        "check-handlers": check_handlers,
        "xapi-update": partial(_xapi_update, wait_s=arguments.wait),
    }


def _start(boot: SwitchBoot) -> None:
    if not systemd.has_units(boot.paths):
        start(boot)
        return
    systemd.run_systemctl("start")
    wait_for_switch(boot.paths.ovs_rundir, boot.settings.vswitchd_wait_s)  # to systemd one that hangs is active


def _stop(boot: SwitchBoot) -> None:
    if systemd.has_units(boot.paths):
        systemd.run_systemctl("stop")
    else:
        stop(boot)


def _restart(boot: SwitchBoot, *, save_flows: bool) -> None:
    if systemd.has_units(boot.paths):
        systemd.restart(boot, save_flows=save_flows)
    else:
        restart(boot, save_flows=save_flows)


def _force_reload_kmod(boot: SwitchBoot) -> None:
    with heartbeat_stopped(boot.paths):
        if systemd.has_units(boot.paths):
            systemd.force_reload_kernel_module(boot)
        else:
            force_reload_kernel_module(boot)


def _reload(boot: SwitchBoot) -> None:
    from xsagent.cli.xapi_update import update_marks  # noqa: PLC0415 - no start has to pay for it

    if not flush_cache(boot.host):
        update_marks(boot.paths, boot.settings)


def _xapi_update(boot: SwitchBoot, *, wait_s: float) -> None:
    from xsagent.cli.xapi_update import update_from_xapi  # noqa: PLC0415 - as above

    get_logger().info("end_run", answer=update_from_xapi(boot.paths, boot.settings, wait_s=wait_s))


def _status(boot: SwitchBoot) -> int:
    """Say of each daemon whether it runs; returns the worst of their exit codes."""
    codes = []
    for daemon in _DAEMONS:
        pid = boot.host.pid(daemon)
        left = has_pid_file(boot.paths.ovs_rundir, daemon)
        if pid is not None and boot.host.answers(daemon):
            print(f"{daemon} is running with pid {pid}")
        elif pid is not None:
            print(f"{daemon} runs with pid {pid} and does not answer: `xsagent openvswitch restart` replaces it")
            codes.append(_HUNG)
        else:
            print(f"{daemon} is not running{' but its pid file is there' if left else ''}")
            codes.append(_DEAD if left else _NOT_RUNNING)
    return max(codes, default=0)


def _version(_boot: SwitchBoot) -> None:
    for daemon in _DAEMONS:
        program = find_program(daemon, f"/usr/sbin/{daemon}")
        print(run_child([program, "--version"], deadline_s=_VERSION_S).stdout, end="")


def _say(sentence: str) -> None:
    print(f"openvswitch: {' '.join(sentence.split())}", file=sys.stderr)
