"""In the VM, under systemd: the units of initscripts/ boot the host, its power is cut, and it boots again.

Started anew at each boot of the VM; how far it has come stands on the disk, which outlives a reset. A power cut is the
kernel's own reset at once (sysrq): nothing is written back, no process hears of it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import dom0
import far
from records import Pif, write_cache
from report import Report
from shell import run, wait_for

if TYPE_CHECKING:
    from report import Facts

_PIFS = [
    Pif(device="eth0", bridge="xenbr0", ip="192.0.2.10/24", gateway=far.GATEWAY, management=True),
    Pif(device="eth1", bridge="xenbr1"),
]
_UNITS = ("ovsdb-server", "ovs-vswitchd", "openvswitch", "management-interface", "lab-far", "lab-cut")
_ENABLED = ("openvswitch", "management-interface", "lab-far", "lab-cut")
_SYSTEM = Path("/etc/systemd/system")
_STAGE = Path("/var/lib/lab-stage")
_CUT = Path("/var/lib/lab-cut")
_CUT_PENDING = Path("/run/lab-cut")
_LOG = Path("/var/log/openvswitch/ovs-vswitchd.log")
_BOOT_S = 600
_STALE = ("xenbr7", "admin0")

_SHIM = '#!/bin/sh\nPYTHONPATH=/opt/xsagent/packages exec /usr/bin/python3 -m {module} "$@"\n'
_COMMANDS = {
    "/usr/bin/xsagent": "xsagent.cli.main",
    "/opt/xensource/libexec/interface-reconfigure": "xsagent.cli.interface_reconfigure",
}
_FAR_UNIT = """[Unit]
Before=ovsdb-server.service
After=systemd-udev-settle.service
Wants=systemd-udev-settle.service
[Service]
Type=oneshot
RemainAfterExit=yes
Environment=PYTHONPATH=/opt/xsagent/packages
ExecStart=/usr/bin/python3 /opt/xsagent/guest/boot.py far
[Install]
WantedBy=multi-user.target
"""
_CUT_UNIT = f"""[Unit]
DefaultDependencies=no
After=local-fs.target
ConditionPathExists={_CUT}
[Service]
ExecStart=/bin/sh -c 'touch {_CUT_PENDING}; s=$(cat {_CUT}); rm {_CUT}; sync; sleep "$s"; echo b > /proc/sysrq-trigger'
[Install]
WantedBy=sysinit.target
"""


def main() -> None:
    """One stage, by what the disk says: 0 installs, 1 judges a boot, 2 judges the boot after a cut one."""
    if sys.argv[1] == "far":
        far.make_namespace()
        far.add_address("eth2", f"{far.GATEWAY}/24")
        return
    stage = int(_STAGE.read_text()) if _STAGE.exists() else 0
    report = Report(resume=True)
    if stage == 0:
        _install()
        _power_cut(next_stage=1)
    if _CUT_PENDING.exists():  # this boot ends in the middle
        time.sleep(3600)
    _await_boot()
    with report.case("boot" if stage == 1 else "boot_after_cut") as facts:
        _look(facts)
    if stage == 1:
        with report.case("restart") as facts:
            _restart(facts)
        _leave_stale()
        _CUT.write_text(sys.argv[1])
        _power_cut(next_stage=2)


def _install() -> None:
    """What a package does, and a database as an earlier boot left it."""
    for path, module in _COMMANDS.items():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(_SHIM.format(module=module))
        Path(path).chmod(0o755)
    for unit in _UNITS:
        target = _SYSTEM / f"{unit}.service"
        target.unlink(missing_ok=True)
        source = Path(f"/opt/xsagent/initscripts/{unit}.service")
        if source.exists():
            shutil.copy(source, target)
    shutil.copy("/opt/xsagent/initscripts/openvswitch", "/etc/init.d/openvswitch")
    (_SYSTEM / "lab-far.service").write_text(_FAR_UNIT)
    (_SYSTEM / "lab-cut.service").write_text(_CUT_UNIT)
    write_cache(_PIFS)
    run(["systemctl", "daemon-reload"])
    run(["systemctl", "enable", *(f"{unit}.service" for unit in _ENABLED)])
    run(["systemctl", "start", "ovsdb-server"])
    _leave_stale()


def _leave_stale() -> None:
    """Bridges that the next boot must not see, one of them with a VIF's port."""
    words = "--may-exist add-br xenbr7 -- set Bridge xenbr7 external_ids:xs-network-uuids=x"
    words += " -- --may-exist add-port xenbr7 vif3.0 -- --may-exist add-br admin0"
    run(["ovs-vsctl", "--no-wait", "--timeout=20", *words.split()])


def _power_cut(*, next_stage: int) -> NoReturn:
    _STAGE.write_text(str(next_stage))
    subprocess.run(["sync"], check=True)
    Path("/proc/sysrq-trigger").write_text("b")
    time.sleep(3600)
    raise SystemExit


def _await_boot() -> None:
    """Until the boot's targets are reached; a unit that failed ends the wait too."""
    wait_for("network-online.target", lambda: _active("network-online.target"), _BOOT_S)
    wait_for("openvswitch.service", lambda: _active("openvswitch.service"), _BOOT_S)


def _active(unit: str) -> bool:
    return subprocess.run(["systemctl", "is-active", "--quiet", unit], check=False).returncode == 0


def _show(unit: str, *names: str) -> dict[str, str]:
    lines = run(["systemctl", "show", unit, f"--property={','.join(names)}"]).splitlines()
    return dict(line.split("=", 1) for line in lines)


def _look(facts: Facts) -> None:
    units = ("ovsdb-server.service", "ovs-vswitchd.service", "openvswitch.service", "management-interface.service")
    facts["units"] = {unit: _show(unit, "ActiveState", "SubState", "Result", "NRestarts") for unit in units}
    facts["since"] = {
        unit: int(_show(unit, "ActiveEnterTimestampMonotonic")["ActiveEnterTimestampMonotonic"])
        for unit in (*units, "network-online.target")
    }
    facts["bridges"] = dom0.bridges()
    facts["addresses"] = dom0.addresses("xenbr0")
    facts["reaches_gateway"] = dom0.reaches(far.GATEWAY)
    facts["far_reaches"] = _far_reaches()
    facts["heard_of"] = [name for name in _STALE if name in _LOG.read_text(errors="replace")]
    facts["ids"] = run(["ovs-vsctl", "get", "Open_vSwitch", ".", "external_ids"])
    facts["marker"] = Path("/run/openvswitch.booted").exists()
    facts["cgroups"] = {unit: _cgroup(unit) for unit in ("ovsdb-server", "ovs-vswitchd")}
    facts["handlers"] = _handlers()
    facts["journal"] = run(
        ["journalctl", "--boot", "--quiet", "--unit=ovs*", "--unit=management-interface"]
    ).splitlines()
    _LOG.write_text("")
    subprocess.run(["sync"], check=True)


def _restart(facts: Facts) -> None:
    """The init script's restart goes through systemd, and bridges, address and flows are there afterwards."""
    run(["ovs-ofctl", "add-flow", "xenbr0", "cookie=0x77,priority=1,actions=normal"])
    before = _pid("ovs-vswitchd")
    run(["/etc/init.d/openvswitch", "restart"], timeout_s=_BOOT_S)
    facts["other_process"] = before != _pid("ovs-vswitchd")
    facts["cgroup"] = _cgroup("ovs-vswitchd")
    facts["bridges"] = dom0.bridges()
    facts["flow"] = "cookie=0x77" in run(["ovs-ofctl", "dump-flows", "xenbr0"])
    facts["reaches_gateway"] = dom0.reaches(far.GATEWAY)


def _far_reaches() -> bool:
    ping = ["ip", "netns", "exec", far.NAMESPACE, "ping", "-n", "-c", "5", "-i", "0.3", "-W", "2", "192.0.2.10"]
    return subprocess.run(ping, check=False, capture_output=True).returncode == 0


def _pid(daemon: str) -> str:
    return Path(f"/run/openvswitch/{daemon}.pid").read_text().strip()


def _cgroup(daemon: str) -> str:
    return Path(f"/proc/{_pid(daemon)}/cgroup").read_text().strip().rpartition("/")[2]


def _handlers() -> int:
    tasks = Path(f"/proc/{_pid('ovs-vswitchd')}/task").glob("*/comm")
    return sum(path.read_text().startswith("handler") for path in tasks)


if __name__ == "__main__":
    main()
