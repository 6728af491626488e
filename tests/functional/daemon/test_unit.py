"""xsagentd under what its unit gives it: a socket, a place to report to, a watchdog, and few capabilities."""

from __future__ import annotations

import socket
import subprocess
import sys
from configparser import RawConfigParser
from pathlib import Path

import pytest
from host_records import HostRecords, static
from host_state import addresses, succeed
from served_dom0 import FLOWS, ServedDom0, burst, running_dom0
from xapi_host import XapiHost

from xsagent.model.vif import VifId
from xsagent.sandbox.guest_vif import GuestVif
from xsagent.sandbox.root_prefix import record_ref
from xsagent.sandbox.xenopsd import guest_services

UNITS = Path(__file__).parents[3] / "initscripts"
LOCKED = GuestVif(id=VifId(7, 0), locking="Locked", allowed=("192.0.2.77",))


def unit(name: str) -> RawConfigParser:
    """A unit file; the last of several equal keys counts."""
    parsed = RawConfigParser(strict=False)
    parsed.optionxform = str  # type: ignore[assignment, method-assign] # configparser's documented way to keep case
    parsed.read(UNITS / name)
    return parsed


def test_the_capabilities_of_the_unit_suffice() -> None:
    """A vif with locking rules is plugged in, and management changed to DHCP and back, with no more than these."""
    names = unit("xsagentd.service")["Service"]["CapabilityBoundingSet"].split()
    kept = ",".join(f"+{name.removeprefix('CAP_').lower()}" for name in names)
    records = HostRecords()
    records.nic("eth0", management=True, **static("192.0.2.10"))
    pif = records.classes["PIF"][record_ref("pif eth0")]
    with XapiHost(records, services=guest_services()) as host:
        succeed(host.sandbox, "--force", "xenbr0", "up")
        served = ServedDom0(host.sandbox)
        served.start("setpriv", f"--bounding-set=-all,{kept}", "--no-new-privs")

        served.plug(LOCKED)
        for change in ({"ip_configuration_mode": "DHCP", "IP": "", "netmask": "", "gateway": ""}, static("192.0.2.12")):
            pif.update(change)
            session = host.restart_xapi().control("open_session", originator="xapi")
            succeed(host.sandbox, "--session", session, "--pif", record_ref("pif eth0"), "up")

        bounding = host.sandbox.run(["grep", "CapBnd", f"/proc/{served.pid}/status"]).stdout.split()[1]
        assert int(bounding, 16).bit_count() == len(names)
        assert served.status()["requests"]["served"] >= 2
        assert addresses(host.sandbox, "xenbr0") == ["192.0.2.12/24"]
        assert (served.ports(), served.flows()) == ({"vif7.0"}, FLOWS)


def test_the_unit_leaves_little_open() -> None:
    """By systemd's own measure, from 0 to 10, times ten; DECISIONS.md quotes it."""
    argv = ["systemd-analyze", "security", "--offline=true", "--threshold=40", UNITS / "xsagentd.service"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


ACTIVATE = """
import os, socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o600)
listener.listen()
os.dup2(listener.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execvp(sys.argv[2], sys.argv[2:])
"""


def test_a_socket_that_systemd_holds_is_served_and_survives_the_daemon() -> None:
    """Requests that came before the daemon are answered by it; it neither replaces nor removes the socket."""
    with running_dom0(start=False) as served:
        path = served.root / "run/xsagent/xsagentd.sock"
        path.parent.mkdir()
        served.start(sys.executable, "-c", ACTIVATE, str(path))
        before = path.stat().st_ino
        served.plug(LOCKED)
        assert served.end() == 0
        assert path.stat().st_ino == before


def test_systemd_is_told_when_requests_are_served_and_that_the_daemon_lives() -> None:
    """READY once, WATCHDOG at least twice in the time that it gives, STOPPING at the end."""
    with running_dom0(start=False) as served, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        place = served.sandbox.directory / "notify"
        systemd.bind(str(place))
        systemd.settimeout(20)
        served.start(NOTIFY_SOCKET=str(place), WATCHDOG_USEC="2000000")
        heard = [systemd.recv(1000).decode() for _ in range(4)]
        served.end()
        while "STOPPING=1" not in heard:
            heard.append(systemd.recv(1000).decode())

    assert sum("READY=1" in one for one in heard) == 1
    assert heard.count("WATCHDOG=1") >= 3


def test_a_daemon_whose_udev_is_deaf_is_not_ready_and_serves_all_the_same() -> None:
    """Without udevd no uevent comes back: udev's rules, when there are some again, are to start the hook."""
    with running_dom0(start=False) as served:
        served.sandbox.run(["pkill", "-f", "systemd-udevd --resolve"])
        served.start(ready=False)
        served.await_status(lambda one: "did not come back" in one["not_ready_because"], "it takes itself for ready")
        served.prepare(LOCKED)

        assert served.call("vif", "vif", "7", "0", "online").returncode == 0

        assert not (served.root / "run/xsagent/ready").exists()
        assert served.ports() == {"vif7.0"}


@pytest.mark.skipif(not Path("/usr/bin/systemd-analyze").exists(), reason="systemd-analyze is not installed")
@pytest.mark.parametrize("name", ["xsagentd.service", "xsagentd-fallback.service"])
def test_a_request_for_an_emergency_reset_is_seen(name: str) -> None:
    """It is /var/tmp/network-reset (features.md section 24): a private /var/tmp would hide it."""
    assert unit(name)["Service"].get("PrivateTmp", "no") == "no"


@pytest.mark.parametrize("name", ["xsagentd.service", "xsagentd.socket", "xsagentd-fallback.service"])
def test_systemd_takes_the_unit(name: str) -> None:
    """No unknown key, no value that is passed over; programs that only an installation has are no matter here."""
    done = subprocess.run(["systemd-analyze", "verify", str(UNITS / name)], check=False, capture_output=True, text=True)
    lines = [line for line in done.stderr.splitlines() if name in line and "is not executable" not in line]
    assert lines == []


def test_the_daemon_stays_small_and_sleeps_when_nothing_happens() -> None:
    """At most 80 MB resident after a burst of 100, and idle it hardly wakes: `make bench` has its processor time."""
    vifs = burst(100)
    with running_dom0(XSAGENT_LOG_LEVEL="info") as served:
        served.prepare(*vifs)
        served.online(*vifs)
        served.await_reports(*vifs)
        before = usage(served)
        served.sandbox.run(["sleep", "20"])
        after = usage(served)

    sys.stdout.write(f"resident {after['VmRSS']} kB; in 20 s {after['woken'] - before['woken']} wake-ups\n")
    assert after["VmRSS"] < 80_000
    assert after["woken"] - before["woken"] < 200


def usage(served: ServedDom0) -> dict[str, int]:
    """Memory in kB, and voluntary context switches of all threads."""
    program = f"cat /proc/{served.pid}/status /proc/{served.pid}/task/*/status"
    lines = served.sandbox.run(["sh", "-c", program]).stdout.splitlines()
    named = [line.split() for line in lines if ":" in line]
    woken = sum(int(words[1]) for words in named if words[0] == "voluntary_ctxt_switches:")
    memory = next(int(words[1]) for words in named if words[0] == "VmRSS:")
    return {"VmRSS": memory, "woken": woken}
