"""Many events in one attempt, as the daemon hands them over; and what a resync finds after the switch restarted."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import run_attempt
from database_relay import Relay
from dom0 import NETWORK, VIF_UUID, Dom0
from guest_traffic import IPV4, IPV6, MAC, arrived, own_frames, spoofed_frames

from xsagent.apply.flows import read_flows
from xsagent.errors import NotFoundError
from xsagent.model.vif import Layout, VifId
from xsagent.sandbox.namespaces import pid_of
from xsagent.sources.vif import build_paths

COUNT = 60
MAKES_BRIDGE = "its PIF's `up` makes it, or `xsagent network create` that of an internal network"
LOCKED = ["Locked", {"ipv4": [IPV4], "ipv6": [IPV6]}]


def run(dom0: Dom0, action: str, *devices: str) -> dict[str, Any]:
    """One attempt inside; results by device as [result, text, bridge]."""
    words = [sys.executable, str(Path(run_attempt.__file__)), str(dom0.sandbox.root), action, *devices]
    found: dict[str, Any] = json.loads(dom0.sandbox.run(words).stdout)["results"]
    return found


def plug_many(dom0: Dom0, domids: range) -> list[str]:
    """Netdevs and keys of one VIF for each of these domains, every third one locked; returns the devices."""
    lines = [
        f"link add vif{domid}.0 type veth peer name p{domid}\nlink set p{domid} addrgenmode none up\n"
        for domid in domids
    ]
    dom0.sandbox.run(["ip", "-batch", "-"], input_text="".join(lines))
    for domid in domids:
        uuid = f"00000000-0000-0000-0000-{domid:012x}"
        keys = build_paths(VifId(domid, 0), Layout.UUID, uuid)
        dom0.write(f"/local/domain/{domid}/vm", f"/vm/{uuid}")
        dom0.write(f"/vm/{uuid}/uuid", uuid)
        dom0.write(f"{keys.backend}/frontend", "x")
        values = {"bridge": "xenbr1", "mac": MAC, "MTU": "1500", "vif-uuid": VIF_UUID, "network-uuid": NETWORK}
        mode = {"locking-mode": "locked", "ipv4-allowed": IPV4} if domid % 3 == 0 else {}
        for name, value in (values | mode).items():
            dom0.write(f"{keys.private}/{name}", value)
    return [f"vif{domid}.0" for domid in domids]


def status(dom0: Dom0, domid: int) -> str | None:
    """`hotplug-status` of a domain's VIF 0."""
    return dom0.read(f"{VifId(domid, 0).backend_path}/hotplug-status")


def test_a_burst_is_one_transaction_and_one_bad_vif_takes_none_with_it(dom0: Dom0) -> None:
    """All good ones are attached, locked and connected; those with a missing bridge, device or key are named."""
    domids = range(100, 100 + COUNT)
    devices = plug_many(dom0, domids)
    for domid, key, value in ((101, "bridge", "xapi7"), (102, "mac", "nonsense")):
        uuid = f"00000000-0000-0000-0000-{domid:012x}"
        dom0.write(f"{build_paths(VifId(domid, 0), Layout.UUID, uuid).private}/{key}", value)
    dom0.sandbox.run(["ip", "link", "del", "vif103.0"])
    before = dom0.configuration()

    results = run(dom0, "online", *devices)

    bad = {"vif101.0": "waiting", "vif102.0": "failed", "vif103.0": "waiting"}
    assert {name: result[0] for name, result in results.items()} == {name: bad.get(name, "done") for name in devices}
    assert dom0.configuration() == before + 1
    assert [domid for domid in domids if status(dom0, domid) != "connected"] == [101, 102, 103]
    ports = {
        int(dom0.vsctl("get", "Interface", f"vif{domid}.0", "ofport"))
        for domid in domids
        if domid % 3 == 0 and domid != 102
    }
    assert read_flows(dom0.rundir, "xenbr1").keys() == ports
    assert [results[name][1] for name in bad] == [
        f"VIF 101/0: bridge xapi7 does not exist on this host ({MAKES_BRIDGE}); it was left as it was",
        "VIF 102/0: mac: 'nonsense' is not a MAC address; it was left as it was",
        "VIF 103/0: there is no network device vif103.0; it was left as it was",
    ]

    again = run(dom0, "online", *devices)
    gone = run(dom0, "remove", *devices)

    assert {name: result[0] for name, result in again.items()} == {name: result[0] for name, result in results.items()}
    assert {result[0] for result in gone.values()} == {"done"}
    assert dom0.configuration() == before + 2
    assert read_flows(dom0.rundir, "xenbr1") == {}
    assert dom0.vsctl("list-ports", "xenbr1") == ""


def test_parts_of_a_burst_overlap_and_end_as_if_each_came_alone(dom0: Dom0) -> None:
    """A transaction each, none where nothing is to do; what is wrong in one is no other's; all good ones connect."""
    domids = range(100, 100 + COUNT)
    devices = plug_many(dom0, domids)
    uuid = f"00000000-0000-0000-0000-{125:012x}"
    dom0.write(f"{build_paths(VifId(125, 0), Layout.UUID, uuid).private}/bridge", "xapi7")
    before = dom0.configuration()

    results = run(dom0, "online", *devices[:20], "--", *devices[20:40], "--", "vif999.0", "--", *devices[40:])

    bad = dict.fromkeys(("vif125.0", "vif999.0"), "waiting")
    expected = {name: bad.get(name, "done") for name in [*devices, "vif999.0"]}
    assert {name: result[0] for name, result in results.items()} == expected
    assert dom0.configuration() == before + 3
    assert [domid for domid in domids if status(dom0, domid) != "connected"] == [125]
    assert [name for name in devices if dom0.link(name)["operstate"] != "UP"] == ["vif125.0"]
    assert len(read_flows(dom0.rundir, "xenbr1")) == sum(domid % 3 == 0 for domid in domids)


def test_a_bridge_that_does_not_answer_is_waited_for_once(dom0: Dom0) -> None:
    """Not by each locked device for itself: their links stay down, and all of them are tried again."""
    locked = [name for name in plug_many(dom0, range(100, 112)) if int(name[3:6]) % 3 == 0]
    program, calls = dom0.sandbox.bin / "ovs-ofctl", dom0.sandbox.root / "calls"
    program.write_text(f'#!{shutil.which("sh")}\necho "$@" >>{calls}\nexec sleep 100\n')
    program.chmod(0o755)

    results = run(dom0, "online", *locked)
    program.unlink()

    assert [result[0] for result in results.values()] == ["waiting"] * len(locked)
    assert len(calls.read_text().splitlines()) == 1
    assert [name for name in locked if dom0.link(name)["operstate"] == "UP"] == []
    assert [result[0] for result in run(dom0, "online", *locked).values()] == ["done"] * len(locked)


def test_vif_and_tap_of_one_vif_in_one_burst_are_a_pair(dom0: Dom0) -> None:
    """Neither sees the other in the switch yet, and still only the tap is active."""
    dom0.sandbox.run(["ip", "tuntap", "add", "tap1.0", "mode", "tap"])

    run(dom0, "move", "vif1.0", "tap1.0")

    assert (dom0.ids()["iface-status"], dom0.ids("tap1.0")["iface-status"]) == ("inactive", "active")


def test_a_resync_after_the_switch_restarted_puts_the_flows_back(dom0: Dom0) -> None:
    """A new vswitchd knows no flow; a repair puts them back without bouncing the port, and nothing spoofed passes."""
    dom0.lock(LOCKED)
    dom0.vif("vif", "1", "0", "online")
    dom0.sandbox.vswitchd.kill()
    dom0.sandbox.vswitchd.start()
    dom0.vsctl("--timeout=20", "wait-until", "Interface", "vif1.0", "ofport>0")
    before = (dom0.configuration(), dom0.bounces())
    assert read_flows(dom0.rundir, "xenbr0") == {}

    assert run(dom0, "repair", "vif1.0") == {"vif1.0": ["done", "", "xenbr0"]}

    every = own_frames() | spoofed_frames()
    assert arrived(dom0.sandbox, dom0.guest, dom0.watcher, every) == own_frames().keys()
    assert (dom0.configuration(), dom0.bounces()) == before


def test_a_resync_puts_back_a_port_that_was_deleted_and_leaves_one_that_was_moved(dom0: Dom0) -> None:
    """DESIGN.md section 6: a missing port is repaired, one that somebody moved is reported."""
    dom0.lock(LOCKED)
    dom0.vif("vif", "1", "0", "online")
    dom0.vsctl("del-port", "vif1.0")

    repaired = run(dom0, "repair", "vif1.0")
    assert (repaired["vif1.0"][0], dom0.bridge_of()) == ("done", "xenbr0")
    dom0.vsctl("del-port", "vif1.0", "--", "add-port", "xenbr1", "vif1.0")
    dom0.vsctl("set", "Interface", "vif1.0", f"external_ids:xs-network-uuid={NETWORK}")
    moved = run(dom0, "repair", "vif1.0")

    assert (moved["vif1.0"][0], dom0.bridge_of()) == ("ignored", "xenbr1")
    assert "somebody moved it from bridge xenbr0 to xenbr1" in moved["vif1.0"][1]


def start_handlers(dom0: Dom0, action: str, devices: list[str]) -> list[subprocess.Popen[str]]:
    """One-shot handlers of all these devices at once, as udev starts them without a daemon."""
    module = [sys.executable, "-m", "xsagent.cli.vif", f"--root-prefix={dom0.sandbox.root}", "--no-syslog"]
    return [
        dom0.sandbox.spawn(
            [*module, action, "vif", *name.removeprefix("vif").split(".")], env={"XSAGENT_HOTPLUG_S": "40"}
        )
        for name in devices
    ]


def test_a_tap_that_another_process_puts_in_meanwhile_makes_a_pair_with_a_vif_of_many(dom0: Dom0) -> None:
    """A daemon that starts does what is left in batches, while handlers of before its time are still at work."""
    devices = plug_many(dom0, range(100, 100 + COUNT))
    dom0.sandbox.run(["ip", "tuntap", "add", "tap1.0", "mode", "tap"])
    database = dom0.rundir / "db.sock"
    served = database.rename(database.with_name("served.sock"))
    relay = Relay(database, served)

    def plug_tap() -> None:
        served.rename(database)
        dom0.vif("tap", "1", "0", "add", XSAGENT_HOTPLUG_S="20")

    relay.before_write.append(plug_tap)

    results = run(dom0, "online", "vif1.0", *devices)
    assert {name for name, result in results.items() if result[0] != "done"} == {"vif1.0"}
    assert run(dom0, "online", "vif1.0")["vif1.0"][0] == "done"

    assert (dom0.ids()["iface-status"], dom0.ids("tap1.0")["iface-status"]) == ("inactive", "active")
    relay.close()


def test_handlers_that_run_at_once_do_not_disturb_each_other(dom0: Dom0) -> None:
    """Twelve of them, with ovsdb-server restarted in between: all attach, and all detach again."""
    domids = range(200, 212)
    devices = plug_many(dom0, domids)

    running = start_handlers(dom0, "online", devices)
    dom0.sandbox.ovsdb_server.stop()
    dom0.sandbox.ovsdb_server.start()
    ended = [(process.communicate(timeout=60)[1], process.returncode) for process in running]

    assert [code for _, code in ended] == [0] * len(devices), ended
    assert [status(dom0, domid) for domid in domids] == ["connected"] * len(devices)
    assert sorted(dom0.vsctl("list-ports", "xenbr1").split()) == sorted(devices)
    assert len(read_flows(dom0.rundir, "xenbr1")) == sum(domid % 3 == 0 for domid in domids)
    gone = start_handlers(dom0, "remove", devices)
    assert [process.wait(timeout=60) for process in gone] == [0] * len(devices)
    assert dom0.vsctl("list-ports", "xenbr1") == ""
    assert read_flows(dom0.rundir, "xenbr1") == {}


def test_a_handler_killed_at_any_moment_leaves_what_the_next_one_finishes(dom0: Dom0) -> None:
    """SIGKILL after longer and longer times: `connected` never stands without a right port, and a repeat mends all."""
    dom0.lock(LOCKED)
    for delay_ms in (50, 100, 200, 300, 400, 600):
        process = start_handlers(dom0, "online", ["vif1.0"])[0]
        with contextlib.suppress(NotFoundError, ProcessLookupError):
            handler = pid_of(process)
            time.sleep(delay_ms / 1000)
            os.kill(handler, signal.SIGKILL)
        process.communicate(timeout=60)
        if dom0.read(f"{VifId(1, 0).backend_path}/hotplug-status") == "connected":
            assert len(read_flows(dom0.rundir, "xenbr0")) == 1
    dom0.vif("vif", "1", "0", "online")

    every = own_frames() | spoofed_frames()
    assert arrived(dom0.sandbox, dom0.guest, dom0.watcher, every) == own_frames().keys()
