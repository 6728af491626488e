"""In the VM, under systemd: the units of initscripts/ boot the host, its power is cut meanwhile, and it boots again.

Started anew at each boot of the VM; how far it has come stands on the disk, which outlives a reset. A power cut is the
kernel's own reset at once (sysrq): nothing is written back, no process hears of it.
"""

from __future__ import annotations

import json
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
_UNITS = ("ovsdb-server.service", "ovs-vswitchd.service", "openvswitch.service", "management-interface.service")
_WANTED = (
    "multi-user.target.wants/openvswitch.service",
    "multi-user.target.wants/management-interface.service",
    "network-online.target.wants/management-interface.service",
    "multi-user.target.wants/network-online.target",
    "multi-user.target.wants/lab-far.service",
    "sysinit.target.wants/lab-cut.service",
)
"""What `systemctl enable` makes; something of a host's always wants to be online."""
_SYSTEM = Path("/etc/systemd/system")
_INSTALLED = Path("/var/lib/lab-installed")
_CUT = Path("/var/lib/lab-cut")
_CUT_PENDING = Path("/run/lab-cut")
_LOG = Path("/var/log/openvswitch/ovs-vswitchd.log")
_CUT_WITHIN = 2.0
"""Times what the first boot took until this script began: the daemons and management come up in the second half."""
_PATIENCE_S = 900
"""For one program or one wait: several such machines may share two processors."""
_STALE = {"xenbr7": [["xs-network-uuids", "x"]], "admin0": []}
_DATABASE = "/etc/openvswitch/conf.db"
_SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"

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
    """The first boot installs, the second is cut, the third is judged."""
    if sys.argv[1] == "far":
        far.make_namespace()
        far.add_address("eth2", f"{far.GATEWAY}/24")
        return
    if not _INSTALLED.exists():
        _install()
        _CUT.write_text(f"{float(sys.argv[1]) * _CUT_WITHIN * _uptime_s():.1f}")
        _power_cut()
    if _CUT_PENDING.exists():  # this boot ends in the middle
        time.sleep(2 * _PATIENCE_S)
    report = Report()
    _await_boot()
    with report.case("boot") as facts:
        _look(facts)
    with report.case("restart") as facts:
        _restart(facts)


def _install() -> None:
    """What a package does, and a database as an earlier boot left it."""
    for path, module in _COMMANDS.items():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(_SHIM.format(module=module))
        Path(path).chmod(0o755)
    units = Path("/opt/xsagent/initscripts")
    for unit in _UNITS:
        (_SYSTEM / unit).unlink(missing_ok=True)
        shutil.copy(units / unit, _SYSTEM / unit)
    (_SYSTEM / "lab-far.service").write_text(_FAR_UNIT)
    (_SYSTEM / "lab-cut.service").write_text(_CUT_UNIT)
    for wanted in _WANTED:
        link = _SYSTEM / wanted
        link.parent.mkdir(exist_ok=True)
        vendor = Path("/lib/systemd/system") / link.name
        link.symlink_to(vendor if link.suffix == ".target" else f"../{link.name}")
    shutil.copy(units / "openvswitch", "/etc/init.d/openvswitch")
    write_cache(_PIFS)
    _leave_stale_bridges()
    _INSTALLED.touch()


def _leave_stale_bridges() -> None:
    """A database with bridges that a boot must not see."""
    Path(_DATABASE).parent.mkdir(exist_ok=True)
    Path(_DATABASE).unlink(missing_ok=True)
    run(["ovsdb-tool", "create", _DATABASE, _SCHEMA], timeout_s=_PATIENCE_S)
    rows = [{"op": "insert", "table": "Open_vSwitch", "row": {"bridges": ["set", [["named-uuid", b] for b in _STALE]]}}]
    rows += [
        {"op": "insert", "table": "Bridge", "uuid-name": name, "row": {"name": name, "external_ids": ["map", ids]}}
        for name, ids in _STALE.items()
    ]
    run(["ovsdb-tool", "transact", _DATABASE, json.dumps(["Open_vSwitch", *rows])], timeout_s=_PATIENCE_S)


def _power_cut() -> NoReturn:
    subprocess.run(["sync"], check=True)
    Path("/proc/sysrq-trigger").write_text("b")
    time.sleep(_PATIENCE_S)
    raise SystemExit


def _await_boot() -> None:
    """Until the boot's targets are reached; a unit that failed ends the wait too."""
    wait_for("network-online.target", lambda: _active("network-online.target"), _PATIENCE_S)
    wait_for("openvswitch.service", lambda: _active("openvswitch.service"), _PATIENCE_S)


def _active(unit: str) -> bool:
    return subprocess.run(["systemctl", "is-active", "--quiet", unit], check=False).returncode == 0


def _show(unit: str, *names: str) -> dict[str, str]:
    lines = run(["systemctl", "show", unit, f"--property={','.join(names)}"], timeout_s=_PATIENCE_S).splitlines()
    return dict(line.split("=", 1) for line in lines)


def _look(facts: Facts) -> None:
    facts["units"] = {unit: _show(unit, "ActiveState", "SubState", "Result", "NRestarts") for unit in _UNITS}
    facts["since"] = {
        unit: int(_show(unit, "ActiveEnterTimestampMonotonic")["ActiveEnterTimestampMonotonic"])
        for unit in (*_UNITS, "network-online.target")
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


def _restart(facts: Facts) -> None:
    """The init script's restart goes through systemd, and bridges, address and flows are there afterwards."""
    run(["ovs-ofctl", "add-flow", "xenbr0", "cookie=0x77,priority=1,actions=normal"])
    before = _pid("ovs-vswitchd")
    run(["/etc/init.d/openvswitch", "restart"], timeout_s=_PATIENCE_S)
    facts["other_process"] = before != _pid("ovs-vswitchd")
    facts["cgroup"] = _cgroup("ovs-vswitchd")
    facts["bridges"] = dom0.bridges()
    facts["flow"] = "cookie=0x77" in run(["ovs-ofctl", "dump-flows", "xenbr0"])
    facts["reaches_gateway"] = dom0.reaches(far.GATEWAY)


def _uptime_s() -> float:
    return float(Path("/proc/uptime").read_text().split()[0])


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
