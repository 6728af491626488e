"""Peers that go away and come back, daemons that are killed, devices that vanish, clients that talk nonsense."""

from __future__ import annotations

import json
import os
import random
import sys
import time
from pathlib import Path

import pytest
from served_dom0 import FLOWS, LOCKED, ServedDom0, burst, running_dom0

from xsagent.model.vif import VifId
from xsagent.sandbox.daemons import wait_for
from xsagent.sandbox.guest_vif import GuestVif
from xsagent.sandbox.xenstored import xenstored_service
from xsagent.sources.xenstore import REQUEST_DEADLINE_S


def connected(served: ServedDom0, *vifs: GuestVif) -> int:
    """How many are reported as connected."""
    with served.sandbox.xenopsd.open_store() as store:
        return store.read_all([f"{vif.backend}/hotplug-status" for vif in vifs]).count(b"connected")


def await_connected(served: ServedDom0, vifs: list[GuestVif], count: int) -> None:
    """Wait until so many are reported as connected."""
    wait_for(lambda: connected(served, *vifs) >= count, 120, f"{count} were not reported")


def hooked(record: Path) -> set[str]:
    """VIFs for which the hook was called with `online`."""
    lines = [line.split() for line in record.read_text().splitlines()]
    return {vif for _, action, _, vif, *_ in lines if action == "online"}


def assert_right(served: ServedDom0, vifs: list[GuestVif]) -> None:
    """Each on its bridge, with its flows if it is locked, its link up, and no error."""
    up = served.sandbox.run(["ip", "-o", "link", "show", "up"]).stdout
    assert served.ports() == {vif.device for vif in vifs}
    assert served.flows() == FLOWS * sum(vif.locking == "Locked" for vif in vifs)
    assert [vif.device for vif in vifs if f" {vif.device}@" not in up] == []
    assert connected(served, *vifs) == len(vifs)


def test_a_daemon_that_is_killed_during_a_burst_loses_nothing(served: ServedDom0) -> None:
    """SIGKILL at four moments of 200 events, the first of them before anything was reported; each comes back.

    Each has had its hook at the end, called by whichever daemon.
    """
    seed = int(os.environ.get("XSAGENT_TEST_SEED") or random.SystemRandom().randrange(1 << 32))
    sys.stdout.write(f"XSAGENT_TEST_SEED={seed}\n")
    counts = random.Random(seed).sample(range(1, 195), 3)  # noqa: S311 - moments, no secret
    vifs = burst(200)
    record = served.write_hook()
    served.prepare(*vifs)
    served.online(*vifs)

    for count in (0, *sorted(counts)):
        await_connected(served, vifs, count)
        served.end("KILL")
        (served.root / "run/xsagent/ready").unlink()  # as the unit's ExecStopPost does
        served.start()

    assert served.await_reports(*vifs) == []
    assert_right(served, vifs)
    wait_for(lambda: hooked(record) == {vif.uuid for vif in vifs}, 60, "not every vif had its hook")


def test_ovsdb_server_restarted_during_a_burst_costs_time_alone(served: ServedDom0) -> None:
    """Killed and started again in the midst: all are attached, none is reported as failed."""
    vifs = burst(60)
    served.prepare(*vifs)
    served.online(*vifs)
    wait_for(lambda: connected(served, *vifs) >= 1, 60, "none was reported")

    served.sandbox.ovsdb_server.kill()
    time.sleep(0.5)
    served.sandbox.ovsdb_server.start()

    assert served.await_reports(*vifs) == []
    assert_right(served, vifs)


def test_a_dead_switch_is_an_error_that_passes_with_it() -> None:
    """Past the deadline each has a hotplug-error; when the switch is back it is attached without another event."""
    with running_dom0(XSAGENT_HOTPLUG_S="2") as served:
        served.sandbox.vswitchd.kill()
        served.prepare(LOCKED)
        served.online(LOCKED)
        (error,) = served.await_reports(LOCKED)
        assert "ovs-vswitchd does not answer" in error
        assert connected(served, LOCKED) == 0

        served.sandbox.vswitchd.start()

        wait_for(lambda: connected(served, LOCKED) == 1, 30, lambda: f"it was not attached: {served.log[-2000:]}")
        assert served.read(f"{LOCKED.backend}/hotplug-error") is None
        assert_right(served, [LOCKED])


def test_a_switch_that_hangs_and_goes_on_has_lost_nothing() -> None:
    """It never went away, so no connection tells of it: what had its deadline meanwhile is done all the same."""
    with running_dom0(XSAGENT_HOTPLUG_S="2") as served:
        leaving, coming = LOCKED, GuestVif(id=VifId(8, 0))
        served.plug(leaving)
        served.prepare(coming)
        served.sandbox.vswitchd.pause()
        served.sandbox.run(["ip", "link", "del", leaving.device])
        served.remove(leaving.backend)
        served.sandbox.xenopsd.raise_uevents("remove", leaving)
        served.online(coming)
        (error,) = served.await_reports(coming)
        assert "ovs-vswitchd does not answer" in error
        served.await_status(
            lambda one: one["devices"][leaving.device]["state"] == "error", "its removal was not given up"
        )

        served.sandbox.vswitchd.resume()

        wait_for(lambda: connected(served, coming) == 1, 120, lambda: f"it was not attached: {served.log[-2000:]}")
        wait_for(lambda: served.read(f"{leaving.hotplug}/hotplug") is None, 120, "the key of the other stayed")
        served.await_status(lambda one: one["counts"]["pending"] == 0, "it has not come to rest")
        assert_right(served, [coming])


@pytest.mark.parametrize("occasion", ["restart", "fail mode", "controller", "manager gone", "emer-reset", "by hand"])
def test_locking_flows_come_back_after_each_occasion_on_which_they_vanish(served: ServedDom0, occasion: str) -> None:
    """DESIGN.md section 6; by hand: with the next periodic look, here asked for."""
    served.plug(LOCKED)
    served.vsctl("set-manager", "ptcp:6640:127.0.0.1")
    assert served.flows() == FLOWS
    before = served.status()["resync"]["at"]

    match occasion:
        case "restart":
            served.sandbox.vswitchd.kill()
            served.sandbox.vswitchd.start()
        case "fail mode":
            served.vsctl("set-fail-mode", "xenbr0", "secure")
        case "controller":
            served.vsctl("set-controller", "xenbr0", "ptcp:6653:127.0.0.1")
        case "manager gone":
            served.vsctl("del-manager")
            served.sandbox.run(["ovs-ofctl", "del-flows", "xenbr0"])
        case "emer-reset":
            served.vsctl("emer-reset")
        case "by hand":
            served.sandbox.run(["ovs-ofctl", "del-flows", "xenbr0"])
            served.xsagent("resync")

    served.await_status(lambda one: one["resync"]["at"] > before, "nothing was looked at")
    wait_for(lambda: served.flows() == FLOWS, 30, lambda: f"the flows did not come back: {served.log[-3000:]}")
    assert served.ports() == {"vif7.0"}


def test_flows_follow_a_port_to_another_number(served: ServedDom0) -> None:
    """Without anybody's word, and those of the old number go: it will be somebody else's."""
    served.plug(LOCKED)
    served.await_status(lambda one: one["counts"]["pending"] == 0, "it has not come to rest")
    before = served.status()
    numbers = {before["devices"]["vif7.0"]["ofport"]}

    served.vsctl("del-port", "vif7.0")
    served.vsctl("add-port", "xenbr0", "vif7.0")

    served.await_status(lambda one: one["devices"]["vif7.0"]["ofport"] not in {0, *numbers}, "it was not looked at")
    served.await_status(lambda one: one["resync"]["at"] > before["resync"]["at"], "nothing was taken out")
    served.await_status(lambda one: one["counts"]["pending"] == 0, "it has not come to rest")
    ofport = served.vsctl("get", "Interface", "vif7.0", "ofport")
    dumped = served.sandbox.run(["ovs-ofctl", "dump-flows", "xenbr0", "cookie=1/-1"]).stdout
    assert (served.flows(), dumped.count(f"in_port={ofport}")) == (FLOWS, FLOWS)
    assert "iface-status=active" in served.vsctl("get", "Interface", "vif7.0", "external_ids").replace('"', "")


def test_numbers_that_our_own_work_brings_are_no_reason_to_look(served: ServedDom0) -> None:
    """A burst's ports get as many; each was verified, and is left alone after that."""
    served.await_status(lambda one: one["resync"] is not None, "the first look was not made")
    vifs = burst(30)
    served.prepare(*vifs)
    before = served.status()["resync"]["at"]
    served.online(*vifs)
    assert served.await_reports(*vifs) == []
    served.await_status(lambda one: one["counts"]["pending"] == 0, "they have not come to rest")
    mark = served.log.count("finish_hotplug")

    served.xsagent("status")

    assert (mark, served.status()["resync"]["at"]) == (len(vifs), before)


def test_a_xenstored_that_restarts_is_not_no_vifs(served: ServedDom0) -> None:
    """While it is away and after it came back, even empty: ports stay, and new events work."""
    served.plug(LOCKED)
    process = served.sandbox.run(["cat", str(served.root / "run/xenstored/xenstored.pid")]).stdout.strip()
    served.sandbox.run(["kill", "-KILL", process])
    served.await_status(lambda one: not one["services"]["xenstored"]["connected"], "it was not missed")
    served.sandbox.run([*served.command("main", "resync")], check=False)
    assert served.ports() == {"vif7.0"}

    (served.root / "run/xenstored/socket").unlink()
    served.sandbox.start_service(xenstored_service())
    served.await_status(lambda one: "xenstored came back" in one["resync"]["reason"], "it was not found again")

    assert (served.ports(), served.flows()) == ({"vif7.0"}, FLOWS)
    other = GuestVif(id=VifId(8, 0))
    served.plug(other)
    assert served.ports() == {"vif7.0", "vif8.0"}


def test_a_xenstored_that_hangs_during_a_burst_costs_time_alone(served: ServedDom0) -> None:
    """Longer than a request waits for it: all are attached, none is reported as failed."""
    vifs = burst(60)
    served.prepare(*vifs)
    process = served.sandbox.run(["cat", str(served.root / "run/xenstored/xenstored.pid")]).stdout.strip()
    served.online(*vifs)
    wait_for(lambda: connected(served, *vifs) >= 1, 60, "none was reported")

    served.sandbox.run(["kill", "-STOP", process])
    time.sleep(REQUEST_DEADLINE_S + 1)
    served.sandbox.run(["kill", "-CONT", process])

    assert served.await_reports(*vifs) == []
    assert_right(served, vifs)


def test_a_xenstored_that_hangs_puts_the_look_off(served: ServedDom0) -> None:
    """Nothing was looked at, so it is not said that everything was; it is made up for."""
    before = served.status()["resync"]["at"]
    process = served.sandbox.run(["cat", str(served.root / "run/xenstored/xenstored.pid")]).stdout.strip()
    served.sandbox.run(["kill", "-STOP", process])
    served.sandbox.run(["kill", "-HUP", served.pid])
    wait_for(lambda: "put_off_resync" in served.log, 60, lambda: f"it was not put off: {served.log[-3000:]}")
    assert served.status()["resync"]["at"] == before
    assert "did not answer a request within" in served.status()["resync_put_off"]["reason"]
    assert "resync: none can be made since" in served.xsagent("status").stdout
    assert "none can be made, and guests may be unlocked" in served.xsagent("doctor", check=False).stdout

    served.sandbox.run(["kill", "-CONT", process])

    served.await_status(lambda one: one["resync"]["at"] > before, "nothing was looked at")
    assert served.status()["resync_put_off"] is None


def test_a_device_that_vanishes_while_it_is_attached_and_comes_again(served: ServedDom0) -> None:
    """Windows PV drivers: events cross, the last state is what counts."""
    served.prepare(LOCKED)
    for _ in range(4):
        served.online(LOCKED)
        served.sandbox.run(["ip", "link", "del", LOCKED.device])
        served.sandbox.xenopsd.raise_uevents("remove", LOCKED)
        served.sandbox.xenopsd.raise_uevents("add", LOCKED)
        served.sandbox.run(["ip", "link", "add", LOCKED.device, "type", "veth", "peer", "name", "peer7"])
    served.online(LOCKED)

    assert served.await_reports(LOCKED) == []
    served.await_status(lambda one: one["counts"]["pending"] == 0, "it has not come to rest")
    assert_right(served, [LOCKED])


NONSENSE = {
    "nothing": b"",
    "no JSON": b"hello\n",
    "no line": b'{"version": 1, "command": "status"',
    "no object": b"[1, 2]\n",
    "another version": b'{"version": 9, "command": "status"}\n',
    "unknown command": b'{"version": 1, "command": "rm", "arguments": []}\n',
    "recover by somebody": b'{"version": 1, "command": "recover", "arguments": ["/"]}\n',
    "bytes": bytes(range(256)) + b"\n",
    "too long": b"x" * 200_000 + b"\n",
    "deep": b"[" * 60_000 + b"\n",
    "two requests": b'{"version": 1, "command": "resync"}\n{"version": 1, "command": "status"}\n',
    "a path": b'{"version": 1, "command": "vif", "arguments": ["vif", "../1", "0", "online"], "environment": {}}\n',
}


UNREAD = ("too long", "two requests")
"""The kernel resets a connection that is closed with something unread, and the answer may be lost with it."""


def test_nonsense_on_the_socket_is_answered_and_survived(served: ServedDom0) -> None:
    """Every line gets a line that says why; the daemon serves on, and has not grown."""
    for name, data in NONSENSE.items():
        answer = served.send(data)
        assert name in UNREAD or isinstance(json.loads(answer), dict), name

    assert served.status()["requests"]["refused"] >= len(NONSENSE) - 3
    served.plug(LOCKED)
    assert_right(served, [LOCKED])


def test_a_client_that_stays_silent_does_not_keep_others_waiting(served: ServedDom0) -> None:
    """It is told so after a while; meanwhile all is served."""
    socket = str(served.root / "run/xsagent/xsagentd.sock")
    program = (
        "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); print(s.recv(999).decode())"
    )
    silent = [served.sandbox.spawn([sys.executable, "-c", program, socket]) for _ in range(5)]

    served.plug(LOCKED)

    for one in silent:
        assert "no whole request came" in one.communicate(timeout=30)[0]


def test_other_users_may_not_ask(served: ServedDom0) -> None:
    """The socket is root's alone, and where its mode is lost, the kernel's word on the peer counts."""
    path = served.root / "run/xsagent/xsagentd.sock"
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o666)
    for folder in (path, *path.parents):
        if folder.is_relative_to(served.sandbox.directory):
            folder.chmod(folder.stat().st_mode | 0o055)
    # it asks nothing: it is turned away at once, and a question after that would break its pipe
    program = (
        "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); print(s.recv(9999).decode())"
    )
    python = Path(sys.executable).resolve()
    words = ["setpriv", "--reuid=65534", "--clear-groups", "python3" if "root" in python.parts else str(python)]

    answer = served.sandbox.run([*words, "-c", program, str(path)], check=False)

    if answer.returncode and "setpriv" in answer.stderr:
        pytest.skip(f"no other user can be had here: {answer.stderr.strip()}")
    assert "user 65534 may not ask" in json.loads(answer.stdout)["declined"], answer.stderr


LOSE = """
import contextlib, json, sys, time
from xsagent.daemon.udev import EventsLostError, UdevMonitor
from xsagent.sandbox.uevents import send_uevents, xen_backend_uevent
from xsagent.model.vif import VifId
monitor = UdevMonitor()
monitor._monitor.set_receive_buffer_size(4096)
send_uevents(xen_backend_uevent("online", VifId(1, number)) for number in range(500))
time.sleep(3)
lost, end = False, time.monotonic() + 10
while time.monotonic() < end and not lost:
    try:
        list(monitor.take_events(1000))
    except EventsLostError:
        lost = True
again, end, due = False, time.monotonic() + 40, 0.0
while time.monotonic() < end and not again:
    if time.monotonic() >= due:  # what comes behind the 500 may be lost as well
        send_uevents([xen_backend_uevent("online", VifId(2, 0))])
        due = time.monotonic() + 2
    time.sleep(0.05)
    with contextlib.suppress(EventsLostError):
        again = any(one["XENBUS_PATH"] == "backend/vif/2/0" for one in monitor.take_events(1000))
print(json.dumps([lost, again]))
"""


def test_uevents_that_the_kernel_drops_are_noticed(served: ServedDom0) -> None:
    """ENOBUFS is an error of its own, after which the monitor hears again."""
    assert json.loads(served.sandbox.run([sys.executable, "-c", LOSE]).stdout) == [True, True]


SMALL_BUFFER = """
import runpy, sys
from xsagent.daemon import udev
udev._RECEIVE_BUFFER = 4096
sys.argv[:] = ["xsagentd", *sys.argv[4:]]
runpy.run_module("xsagent.cli.xsagentd", run_name="__main__")
"""


def test_vifs_whose_uevents_the_kernel_dropped_are_connected_all_the_same(served: ServedDom0) -> None:
    """The daemon looks at everything when some were lost; here it has room for a few, and does not read for a while."""
    served.end()
    served.start(sys.executable, "-c", SMALL_BUFFER)
    vifs = burst(40)
    served.prepare(*vifs)
    served.sandbox.run(["kill", "-STOP", served.pid])
    served.online(*vifs)
    served.sandbox.run(["udevadm", "settle"])
    served.sandbox.run(["kill", "-CONT", served.pid])

    assert served.await_reports(*vifs) == []
    assert "lose_uevents" in served.log
    served.await_status(lambda status: bool(status["ready"]), "readiness was not proved again")
