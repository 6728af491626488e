"""In the VM, under systemd: our packages come to a host that runs, its power is cut while it boots, it boots, they go.

Started anew at each boot of the VM; how far it has come stands on the disk, which outlives a reset. A power cut is the
kernel's own reset at once (sysrq): nothing is written back, no process hears of it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import dom0
import far
import guest_vm
import toolstack
from report import Report
from shell import run, wait_for

if TYPE_CHECKING:
    from report import Facts

_UNITS = (
    "ovsdb-server.service",
    "ovs-vswitchd.service",
    "openvswitch.service",
    "management-interface.service",
    "xsagentd.service",
)
_STARTED = (*_UNITS, "network-online.target", "xapi.service", "openvswitch-xapi-update.service")
_INSTALLED = Path("/var/lib/lab-installed")
_CUT = Path("/var/lib/lab-cut")
_CUT_PENDING = Path("/run/lab-cut")
_LOG = Path("/var/log/openvswitch/ovs-vswitchd.log")
_READY = Path("/run/xsagent/ready")
_DAEMON = "xsagentd.service"
_FALLBACK = "xsagentd-fallback.service"
_CUT_WITHIN = 2.0
"""Times what the first boot took until this script began: the daemons and management come up in the second half."""
_PATIENCE_S = 600
"""For one program or one wait: several such machines may share two processors."""
_RARELY_S = 4
"""Between two questions to systemd."""
_INTERVAL_MS = 50
"""Of pings while rpm works: more would take most of the processor, and a program that starts needs seconds of it."""
_STALE = ("xenbr7", "admin0")
_STALE_MANAGER = "tcp:127.0.0.1:6699"
_GUEST = "192.0.2.50"
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
    """The first boot installs, the second is cut, the third is judged; then the packages are removed."""
    if sys.argv[1] == "far":
        _LOG.unlink(missing_ok=True)
        far.make_namespace()
        far.add_address("eth2", f"{far.GATEWAY}/24")
        return
    report = Report()
    if not _INSTALLED.exists():
        uptime_s = _uptime_s()
        _first_boot(report)
        _CUT.write_text(f"{float(sys.argv[1]) * _CUT_WITHIN * uptime_s:.1f}")
        _power_cut()
    if _CUT_PENDING.exists():  # this boot ends in the middle
        time.sleep(2 * _PATIENCE_S)
    for look in (_awaited, _boot, _killed, _stopped, _ended, _restart, _fallback, _remove):
        with report.case(look.__name__.removeprefix("_"), _explain) as facts:
            look(facts)


# --- the first boot ----------------------------------------------------------------------------------------


def _first_boot(report: Report) -> None:
    (toolstack.SYSTEM / "lab-cut.service").write_text(_CUT_UNIT)
    toolstack.make_host()
    run(["systemctl", "enable", "--quiet", "lab-cut"])
    wait_for("ten seconds", lambda: _uptime_s() > 10)  # before, ovs-vswitchd starts without handler threads (lab-ovs)
    toolstack.start_network()
    guest_vm.plug_guest("xenbr0", f"{_GUEST}/24")
    with report.case("install", _explain) as facts:
        _with_streams(facts, ["-i", *toolstack.packages("-1")])
        toolstack.be_patient()
        facts["enabled"] = {unit: _is_enabled(unit) for unit in (*_UNITS, "xcp-networkd", "openvswitch-xapi-sync")}
        facts["other_name"] = _show("openvswitch-switch.service", "Id", "ActiveState")
        facts["switch"] = _show("ovs-vswitchd.service", "ActiveState", "MainPID", "FragmentPath")
        facts["rules"] = (Path("/etc/udev/rules.d/xen-backend.rules")).read_text().splitlines()
        facts["marker"] = Path("/run/openvswitch.booted").exists()
    with report.case("upgrade", _explain) as facts:
        run(["systemctl", "start", _DAEMON], timeout_s=_PATIENCE_S)
        wait_for("the daemon is ready", _READY.exists, _PATIENCE_S)
        daemon = _main_pid(_DAEMON)
        _with_streams(facts, ["-U", *toolstack.packages("-2")])
        wait_for("another daemon", lambda: _main_pid(_DAEMON) not in {"0", daemon}, _PATIENCE_S, every_s=_RARELY_S)
        wait_for("the daemon is ready again", _READY.exists, _PATIENCE_S)
        facts["status"] = json.loads(run(["xsagent", "status", "--json"], timeout_s=_PATIENCE_S))["daemon"]["ready"]
    for bridge in _STALE:
        run(["ovs-vsctl", "add-br", bridge])
    words = f"set Bridge {_STALE[0]} external_ids:xs-network-uuids=x -- set-manager {_STALE_MANAGER}"
    run(["ovs-vsctl", *words.split()])
    _INSTALLED.touch()


def _with_streams(facts: Facts, rpm: list[str]) -> None:
    """Run rpm while dom0 and a guest ping the gateway: what it said, what was lost, and what runs that ran before."""
    before = _running()
    command = ["rpm", "--force-debian", "--nodeps", *rpm]
    with (
        dom0.stream(far.GATEWAY, interval_ms=_INTERVAL_MS) as host,
        dom0.stream(far.GATEWAY, interval_ms=_INTERVAL_MS, namespace=guest_vm.NAMESPACE) as guest,
    ):
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=_PATIENCE_S)
    facts["rpm"] = {"code": done.returncode, "stdout": done.stdout.splitlines(), "stderr": done.stderr.splitlines()}
    facts["host_stream"], facts["guest_stream"] = host, guest
    facts["before"], facts["after"] = before, _running()
    facts["daemon"] = _main_pid(_DAEMON)


def _running() -> Facts:
    """The switch's processes, ports and their numbers."""
    interfaces = run(["ovs-vsctl", "--columns=name,ofport", "--format=csv", "--no-headings", "list", "Interface"])
    return {"pids": [_pid("ovsdb-server"), _pid("ovs-vswitchd")], "ofports": sorted(interfaces.split())}


def _power_cut() -> NoReturn:
    subprocess.run(["sync"], check=True)
    Path("/proc/sysrq-trigger").write_text("b")
    time.sleep(_PATIENCE_S)
    raise SystemExit


# --- the boot that is judged -------------------------------------------------------------------------------


def _awaited(facts: Facts) -> None:
    """Until everything of ours is up, and what waits for network-online.target ran."""
    wait_for("network-online.target", toolstack.ONLINE.exists, _PATIENCE_S)
    wait_for("the daemon is ready", _READY.exists, _PATIENCE_S)
    wait_for("the plugin ran", lambda: _began("openvswitch-xapi-update.service")[1], _PATIENCE_S, every_s=_RARELY_S)
    facts["uptime_s"] = _uptime_s()


def _boot(facts: Facts) -> None:
    facts["units"] = {unit: _show(unit, "ActiveState", "SubState", "Result", "NRestarts") for unit in _STARTED}
    facts["began_and_ended"] = {unit: _began(unit) for unit in _STARTED}
    facts["online"] = [link["ifname"] for link in json.loads(toolstack.ONLINE.read_text()) if _has_address(link)]
    facts["online_after"] = _show("network-online.target", "After")["After"].split()
    facts["bridges"] = dom0.bridges()
    facts["addresses"] = dom0.addresses("xenbr0")
    facts["reaches_gateway"] = dom0.reaches(far.GATEWAY)
    facts["far_reaches"] = dom0.reaches(toolstack.ADDRESS, namespace=far.NAMESPACE)
    facts["heard_of"] = [name for name in _STALE if name in _LOG.read_text(errors="replace")]
    facts["manager"] = run(["ovs-vsctl", "get-manager"]).strip()
    facts["marker"] = Path("/run/openvswitch.booted").exists()
    facts["cgroups"] = {unit: _cgroup(unit) for unit in ("ovsdb-server", "ovs-vswitchd")}
    facts["handlers"] = _handlers()
    facts["nice"] = run(["ps", "-o", "ni=", "-p", _pid("ovs-vswitchd")]).strip()
    facts["status"] = json.loads(run(["xsagent", "status", "--json"], timeout_s=_PATIENCE_S))["daemon"]
    facts["doctor"] = _doctor()
    facts["log"] = run(["journalctl", "--boot", "-t", "interface-reconfigure", "-t", "xsagentd"]).splitlines()
    journal = run(["journalctl", "--boot", "--quiet"]).splitlines()
    facts["cycles"] = [line for line in journal if "ordering cycle" in line]
    ours = run(["journalctl", "--boot", "--quiet", *(f"--unit={unit}" for unit in _STARTED)])
    facts["journal"] = ours.splitlines()


def _doctor() -> list[Facts]:
    """What the doctor would have done about."""
    command = ["xsagent", "doctor", "--json"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=_PATIENCE_S)
    return [one for one in json.loads(done.stdout)["findings"] if one["severity"] != "info"]


def _has_address(link: Facts) -> bool:
    return any(one.get("local") == toolstack.ADDRESS for one in link.get("addr_info", []))


def _killed(facts: Facts) -> None:
    """The daemon is killed from outside."""
    _hit_daemon(facts, signal.SIGKILL)


def _stopped(facts: Facts) -> None:
    """The daemon hangs: nothing of it runs any more."""
    _hit_daemon(facts, signal.SIGSTOP)


def _hit_daemon(facts: Facts, number: signal.Signals) -> None:
    """Send a signal and wait until the ready file has gone and another daemon has made it again."""
    before = int(_main_pid(_DAEMON))
    os.kill(before, number)
    wait_for("the ready file goes", lambda: not _READY.exists(), _PATIENCE_S)
    wait_for("it is ready again", _READY.exists, _PATIENCE_S)
    facts["processes"] = [before, int(_main_pid(_DAEMON))]
    facts["unit"] = _show(_DAEMON, "ActiveState", "NRestarts")
    facts["results"] = [line for line in _journal_of(_DAEMON) if "Failed with result" in line]


def _ended(facts: Facts) -> None:
    """The daemon is stopped for good: the fallback looks once more, and udev's rules start the hook from then on."""
    run(["systemctl", "stop", _DAEMON], timeout_s=_PATIENCE_S)
    facts["ready"] = _READY.exists()
    facts["daemon"] = _show(_DAEMON, "ActiveState", "Result")
    wait_for("the fallback looks", lambda: _heard_of_fallback("put_off_resync"), _PATIENCE_S, every_s=_RARELY_S)
    run(["systemctl", "start", _DAEMON], timeout_s=_PATIENCE_S)
    wait_for("it is ready again", _READY.exists, _PATIENCE_S)


def _restart(facts: Facts) -> None:
    """The init script's restart goes through systemd, and bridges, address and flows are there afterwards."""
    run(["ovs-ofctl", "add-flow", "xenbr0", "cookie=0x77,priority=1,actions=normal"])
    before = _pid("ovs-vswitchd")
    run(["/etc/init.d/openvswitch", "restart"], timeout_s=_PATIENCE_S)
    facts["other_process"] = before != _pid("ovs-vswitchd")
    facts["cgroup"] = _cgroup("ovs-vswitchd")
    facts["warnings"] = [line for line in _journal_of("ovs-vswitchd.service") if "warning" in line]
    facts["handlers"] = _handlers()
    facts["bridges"] = dom0.bridges()
    facts["flow"] = "cookie=0x77" in run(["ovs-ofctl", "dump-flows", "xenbr0"])
    facts["reaches_gateway"] = dom0.reaches(far.GATEWAY)


def _fallback(facts: Facts) -> None:
    """What became of the fallback: it tries for a minute and a half, while other cases have the processor."""
    wait_for("the fallback ends", lambda: not _is_under_way(_FALLBACK), _PATIENCE_S, every_s=_RARELY_S)
    facts["unit"] = _show(_FALLBACK, "Result", "ExecMainStatus")
    facts["said"] = _heard_of_fallback("xsagent: ")


def _heard_of_fallback(what: str) -> list[str]:
    """Lines of its last start, which may be that of a daemon which ended before: it is not started beside itself."""
    start = _show(_FALLBACK, "InvocationID")["InvocationID"]
    lines = run(["journalctl", "--boot", "--quiet", f"_SYSTEMD_INVOCATION_ID={start}"]).splitlines()
    return [line for line in lines if what in line]


def _remove(facts: Facts) -> None:
    """The packages go, everything else stays."""
    guest_vm.plug_guest("xenbr0", f"{_GUEST}/24")
    run(["ip", "netns", "exec", guest_vm.NAMESPACE, "ping", "-n", "-c", "5", "-W", "5", far.GATEWAY])
    _with_streams(facts, ["-e", "xsagent-full", "xsagent"])
    facts["files"] = {str(path): path.read_text() == text for path, text in toolstack.SCRIPTS.items()}
    facts["ready"] = _READY.exists()
    facts["left"] = [str(path) for path in (Path("/usr/lib/xsagent"), Path("/var/lib/xsagent")) if path.exists()]
    facts["enabled"] = {unit: _is_enabled(unit) for unit in (*_UNITS, "openvswitch-switch.service")}
    facts["addresses"] = dom0.addresses("xenbr0")


# --- asking systemd ----------------------------------------------------------------------------------------


def _explain() -> str:
    """For a case that raised: what systemd is about, which processes run, and the end of the journal."""
    questions = (
        ["systemctl", "--no-pager", "list-jobs"],
        ["systemctl", "--no-pager", "--failed", "list-units"],
        ["ps", "-eo", "pid,ppid,stat,etime,time,args", "--ppid", "2", "--deselect"],
        ["journalctl", "--boot", "--quiet", "--no-hostname", "--lines=60"],
    )
    answers = []
    for question in questions:
        done = subprocess.run(question, check=False, capture_output=True, text=True, timeout=_PATIENCE_S)
        answers.append(f"--- {' '.join(question)}\n{done.stdout}{done.stderr}")
    return "".join(answers)


def _is_enabled(unit: str) -> str:
    done = subprocess.run(["systemctl", "is-enabled", unit], check=False, capture_output=True, text=True)
    return done.stdout.strip() or done.stderr.strip()


def _show(unit: str, *names: str) -> dict[str, str]:
    lines = run(["systemctl", "show", unit, f"--property={','.join(names)}"], timeout_s=_PATIENCE_S).splitlines()
    return dict(line.split("=", 1) for line in lines)


def _is_under_way(unit: str) -> bool:
    return _show(unit, "ActiveState")["ActiveState"] == "activating"


def _began(unit: str) -> tuple[int, int]:
    """When its start began and when it was done, microseconds since boot; 0 for not yet."""
    found = _show(
        unit,
        "Type",
        "InactiveExitTimestampMonotonic",
        "ActiveEnterTimestampMonotonic",
        "ExecMainExitTimestampMonotonic",
    )
    done = int(found["ActiveEnterTimestampMonotonic"]) or int(found.get("ExecMainExitTimestampMonotonic", 0))
    return int(found["InactiveExitTimestampMonotonic"]), done


def _main_pid(unit: str) -> str:
    return _show(unit, "MainPID")["MainPID"]


def _journal_of(unit: str) -> list[str]:
    return run(["journalctl", "--boot", "--quiet", f"--unit={unit}"]).splitlines()


def _uptime_s() -> float:
    return float(Path("/proc/uptime").read_text().split()[0])


def _pid(daemon: str) -> str:
    return Path(f"/run/openvswitch/{daemon}.pid").read_text().strip()


def _cgroup(daemon: str) -> str:
    return Path(f"/proc/{_pid(daemon)}/cgroup").read_text().strip().rpartition("/")[2]


def _handlers() -> int:
    tasks = Path(f"/proc/{_pid('ovs-vswitchd')}/task").glob("*/comm")
    return sum(path.read_text().startswith("handler") for path in tasks)


if __name__ == "__main__":
    main()
