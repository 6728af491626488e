"""Verbs of `xsagent openvswitch` where systemd has our units: jobs for it, so that the daemons stay its children.

A daemon that the init script started itself would belong to the session of whoever called it, and end with it.
"""

from __future__ import annotations

from typing import Final

from xsagent.apply.boot_marker import mark_booted
from xsagent.boot import SwitchBoot, can_save_flows
from xsagent.child import find_program, run_child
from xsagent.config import Paths
from xsagent.errors import CommandError

_UNIT: Final = "openvswitch.service"
_UNITS: Final = ("ovsdb-server.service", "ovs-vswitchd.service", _UNIT)
_PLACES: Final = ("/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")
_OURS: Final = "xsagent openvswitch"
_JOB_S: Final = 620.0
_RELOAD: Final = "scripts/ovs-systemd-reload"
"""Open vSwitch's own: restarts the two units with flows and interfaces saved."""


def has_units(paths: Paths) -> bool:
    """Whether systemd runs here and all three units are ours."""
    return paths.below("/run/systemd/system").is_dir() and all(_is_ours(paths, unit) for unit in _UNITS)


def _is_ours(paths: Paths, unit: str) -> bool:
    """The first place counts, as it does for systemd."""
    for place in _PLACES:
        path = paths.below(f"{place}/{unit}")
        if path.is_file():
            return _OURS in path.read_text(encoding="utf-8", errors="replace")
        if path.is_symlink():  # masked
            return False
    return False


def run_systemctl(job: str) -> None:
    """Run a job of the switch's unit and wait for its end.

    Raises:
        CommandError: it failed; the journal of the units says why.
    """
    run_child([find_program("systemctl", "/bin/systemctl"), job, _UNIT], deadline_s=_JOB_S)


def restart(boot: SwitchBoot, *, save_flows: bool) -> None:
    """Restart both units, flows saved and put back where Open vSwitch brought what does that.

    Raises:
        CommandError: it failed.
    """
    program = boot.paths.ovs_pkgdata / _RELOAD
    if not save_flows or not program.exists() or not can_save_flows(boot):
        run_systemctl("restart")
        return
    mark_booted(boot.paths)
    run_child([str(program)], deadline_s=_JOB_S)


def force_reload_kernel_module(boot: SwitchBoot) -> None:
    """Replace the kernel module by the installed one, both units restarted around that.

    Raises:
        CommandError: nothing here can do it, or it failed.
    """
    program = boot.paths.ovs_pkgdata / _RELOAD
    if not program.exists():
        raise CommandError(f"{program} is not installed and nothing else can do this; nothing was changed")
    mark_booted(boot.paths)
    run_child([str(program), "force-reload-kmod"], deadline_s=_JOB_S)
