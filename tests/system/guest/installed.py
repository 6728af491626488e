"""In the VM: the product as a package leaves it, as far as hotplug needs it, and xsagentd started as it is. Effects."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from shell import run, wait_for

EVENT_S = 400
"""An event costs a second in this emulated machine, and a minute where the machine outside has other work."""
_REPORTED_S = 140
"""For `hotplug_s`: below the 180 s after which udevd kills what a rule started."""
OUT = Path("/out")
SCRIPTS = Path("/etc/xensource/scripts")
HOOK_RAN, SECOND_RULE_RAN = Path("/run/hook-ran"), Path("/run/second-rule")
OWNERS_HOOK_RAN = Path("/var/log/vif-hotplug-ran")
"""Written by the hook of the host's owner, in a place where xsagentd's unit itself may not write."""
_PRODUCT, _LIBRARY = Path("/opt/xsagent"), Path("/usr/lib/xsagent")
_RULES, _UNITS = Path("/etc/udev/rules.d"), Path("/etc/systemd/system")
_READY = Path("/run/xsagent/ready")
_COMMANDS = {Path("/usr/sbin/xsagentd"): "xsagent.cli.xsagentd", Path("/usr/bin/xsagent"): "xsagent.cli.main"}
_SHIM = f'#!/bin/sh\nPYTHONPATH={_PRODUCT}/packages exec /usr/bin/python3 -m {{module}} "$@"\n'


def install() -> None:
    """What installing does for hotplug, and the toolstack's rules with a line that must not run any more."""
    SCRIPTS.mkdir(parents=True)
    Path("/etc/xensource/network.conf").write_text("openvswitch\n", encoding="ascii")
    Path("/etc/xsagent").mkdir()
    # Nothing but events is to be tested, however long it takes: no periodic look, which may find udevd busy here.
    settings = f"hotplug_s = {_REPORTED_S}\nresync_s = 3600\n"
    Path("/etc/xsagent/xsagent.conf").write_text(settings, encoding="ascii")
    # The hook starts Python isolated and without site: it finds the packages one folder above its own alone.
    (_LIBRARY / "udev").mkdir(parents=True)
    for package in (_PRODUCT / "packages").iterdir():
        (_LIBRARY / package.name).symlink_to(package)
    shutil.copy(_PRODUCT / "udev/hotplug-hook", _LIBRARY / "udev/hotplug-hook")
    for name in ("hook", "setup-vif-rules"):
        (SCRIPTS / name).symlink_to(_LIBRARY / "udev/hotplug-hook")
    # Between rule and hook, to see whether udev started it.
    (SCRIPTS / "vif").write_text(f'#!/bin/sh\necho "$@" >>{HOOK_RAN}\nexec {SCRIPTS}/hook "$@"\n', encoding="ascii")
    owners = Path("/etc/xapi.d/vif-hotplug")
    owners.parent.mkdir()
    owners.write_text(f'#!/bin/sh\necho "$2" >>{OWNERS_HOOK_RAN}\n', encoding="ascii")
    for script in (_LIBRARY / "udev/hotplug-hook", SCRIPTS / "vif", owners):
        script.chmod(0o755)
    shutil.copy(_PRODUCT / "udev/65-xsagent.rules", _RULES / "65-xsagent.rules")
    stale = f'SUBSYSTEM=="xen-backend", KERNEL=="vif*", RUN+="/bin/sh -c \'touch {SECOND_RULE_RAN}\'"\n'
    toolstack = _RULES / "xen-backend.rules"
    toolstack.write_text(stale, encoding="ascii")
    run([sys.executable, "-m", "xsagent.cli.udev_rules", str(toolstack)], timeout_s=EVENT_S)
    run(["udevadm", "control", "--reload"])


def start_daemon(init: str) -> None:
    """Start xsagentd, as its units do where there is systemd, and wait until it hears udev."""
    for command, module in _COMMANDS.items():
        command.write_text(_SHIM.format(module=module), encoding="ascii")
        command.chmod(0o755)
    if init == "systemd":
        for unit in ("xsagentd.socket", "xsagentd.service", "xsagentd-fallback.service"):
            shutil.copy(_PRODUCT / "initscripts" / unit, _UNITS / unit)
        slow = _UNITS / "xsagentd.service.d/slow.conf"
        slow.parent.mkdir()
        slow.write_text(f"[Service]\nTimeoutStartSec={EVENT_S}\nWatchdogSec={EVENT_S}\n", encoding="ascii")
        run(["systemctl", "daemon-reload"], timeout_s=EVENT_S)
        run(["systemctl", "start", "xsagentd.service"], timeout_s=EVENT_S)
    else:
        with (OUT / "xsagentd.log").open("wb") as log:
            subprocess.Popen(
                ["/usr/sbin/xsagentd"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
    wait_for("xsagentd is ready", _READY.exists, EVENT_S)
