"""xsagentd on real Open vSwitch, xenstored and udevd: events, calls, status, and its end."""

from __future__ import annotations

import json
import socket

import pytest
from host_records import HostRecords
from served_dom0 import FLOWS, LOCKED, ServedDom0, running_dom0
from xenstore_keys import write_key

from xsagent.model.vif import VifId
from xsagent.sandbox.daemons import wait_for
from xsagent.sandbox.guest_vif import GuestVif


@pytest.mark.parametrize("keys_first", [True, False])
def test_events_of_udev_are_handled_without_a_process(served: ServedDom0, *, keys_first: bool) -> None:
    """Plugged, reported, locked, in the status; unplugged by libxl or xenopsd, all is gone. The hook never ran."""
    served.plug(LOCKED)

    device = served.status()["devices"]["vif7.0"]
    assert (device["state"], device["placed"]) == ("done", "xenbr0")
    assert (served.ports(), served.flows()) == ({"vif7.0"}, FLOWS)
    served.sandbox.xenopsd.unplug(LOCKED, keys_first=keys_first)

    assert (served.ports(), served.flows()) == (set(), 0)
    assert "vif7.0" not in served.status()["devices"]
    assert served.status()["requests"]["refused"] == 0


def test_an_event_that_comes_alone_is_one_transaction(served: ServedDom0) -> None:
    """No batch is waited for, and nothing is written twice."""
    before = served.configuration()

    served.plug(LOCKED)
    served.online(LOCKED)
    served.await_status(lambda one: one["batches"] >= 2, "the second event was not handled")

    assert served.configuration() == before + 1


def test_a_call_is_handed_over_and_blocks_until_it_is_verified(served: ServedDom0) -> None:
    """The vif script's word is the daemon's; when it ends the vif is connected."""
    served.prepare(LOCKED)
    before = served.status()["requests"]["served"]

    done = served.call("vif", "online", "vif", XENBUS_PATH="backend/vif/7/0")

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert served.read(f"{LOCKED.backend}/hotplug-status") == "connected"
    assert served.status()["requests"]["served"] == before + 2  # that call, and this question


def test_a_failed_call_says_what_its_own_process_would_say(served: ServedDom0) -> None:
    """Same sentence, same exit status, and hotplug-error in xenstore."""
    lost = GuestVif(id=VifId(8, 0), bridge="xapi8")
    served.prepare(lost)

    handed = served.call("vif", "online", "vif", XENBUS_PATH="backend/vif/8/0", XSAGENT_HOTPLUG_S="1")
    alone = served.call(
        "vif", "online", "vif", XENBUS_PATH="backend/vif/8/0", XSAGENT_HOTPLUG_S="1", XSAGENT_USE_DAEMON="never"
    )

    assert "bridge xapi8 does not exist" in handed.stderr
    assert (handed.returncode, handed.stdout) == (alone.returncode, alone.stdout) == (1, "")
    assert handed.stderr == alone.stderr.splitlines(keepends=True)[-1]
    assert "bridge xapi8" in (served.read(f"{lost.backend}/hotplug-error") or "")
    assert served.status()["devices"]["vif8.0"]["state"] == "error"


def test_a_bridge_that_comes_wakes_what_waits_for_it(served: ServedDom0) -> None:
    """No event says so but the switch's own database."""
    late = GuestVif(id=VifId(8, 0), bridge="xapi8")
    served.prepare(late)
    served.online(late)
    served.await_status(lambda one: one["counts"]["pending"] == 1, "it does not wait")

    served.vsctl("add-br", "xapi8", "--", "set", "Bridge", "xapi8", "datapath_type=netdev")

    assert served.await_reports(late) == []
    assert served.ports("xapi8") == {"vif8.0"}


def test_rules_calls_change_locking_live(served: ServedDom0) -> None:
    """setup-vif-rules by the daemon: flows come and go, the port stays."""
    served.plug(GuestVif(id=VifId(7, 0)))
    words = ["xenlight", "vif7.0", LOCKED.vm_uuid, "0"]
    served.sandbox.xenopsd.write(LOCKED)
    before = served.configuration()

    assert served.call("setup_vif_rules", *words, "filter").returncode == 0
    assert (served.flows(), served.configuration()) == (FLOWS, before)
    assert served.call("setup_vif_rules", *words, "clear").returncode == 0
    assert (served.flows(), served.ports()) == (0, set())


def test_a_wrong_call_is_answered_as_without_a_daemon(served: ServedDom0) -> None:
    """Usage errors are each command's own; the daemon declines them."""
    done = served.call("vif", "destroy", "vif", XENBUS_PATH="backend/vif/7/0")

    assert (done.returncode, "usage: vif" in done.stderr) == (2, True)


def test_udevs_word_does_not_count_while_the_toolstack_calls(served: ServedDom0) -> None:
    """With libxl/disable_udev an event of udev does nothing, a call of the toolstack does."""
    served.let_toolstack_call()
    served.prepare(LOCKED)
    served.online(LOCKED)
    served.await_status(lambda one: "disable_udev" in one["devices"].get("vif7.0", {}).get("text", ""), "not heard")
    assert served.ports() == set()

    assert served.call("vif", "vif", "7", "0", "online").returncode == 0

    assert served.ports() == {"vif7.0"}


def test_what_udev_says_while_the_toolstack_calls_is_a_hint(served: ServedDom0) -> None:
    """A device that Windows' PV drivers take away and bring again is what a resync would make of it, within seconds."""
    served.let_toolstack_call()
    served.prepare(LOCKED)
    served.call("vif", "vif", "7", "0", "online")
    resync = served.status()["resync"]
    served.sandbox.run(["ip", "link", "delete", "vif7.0"])
    served.sandbox.xenopsd.raise_uevents("remove", LOCKED)
    served.prepare(LOCKED)
    served.online(LOCKED)

    is_up = ["ip", "-o", "link", "show", "vif7.0", "up"]
    wait_for(lambda: "mtu 1500" in served.sandbox.run(is_up).stdout, 30, lambda: served.log[-3000:])
    assert served.flows() == FLOWS
    # its port was put in again, which the switch told
    assert served.status()["resync"]["reason"] in {resync["reason"], "devices got other numbers in the switch"}


def test_a_removal_that_udev_alone_tells_is_made(served: ServedDom0) -> None:
    """For xenopsd, which waits for the hotplug key to go."""
    served.plug(LOCKED)
    served.let_toolstack_call()

    served.sandbox.xenopsd.unplug(LOCKED, deadline_s=30)

    assert (served.ports(), served.flows()) == (set(), 0)
    wait_for(lambda: "vif7.0" not in served.status()["devices"], 30, lambda: served.log[-3000:])


def test_the_ready_file_does_not_outlive_a_daemon_that_ends_in_order(served: ServedDom0) -> None:
    """SIGTERM: exit status 0, and nothing below /run says any more that it is there; the hook does its work."""
    assert served.end() == 0

    assert not (served.root / "run/xsagent/ready").exists()
    assert list((served.root / "run/openvswitch").glob("xsagentd*")) == []
    assert "does not run" in served.xsagent("status").stdout
    served.plug(LOCKED)
    assert served.ports() == {"vif7.0"}


def test_ovs_appctl_flushes_and_ends_it(served: ServedDom0) -> None:
    """The names of the peers' ovs-xapi-sync (features.md section 12)."""
    appctl = ["ovs-appctl", "--timeout=10", "-t", "xsagentd"]
    served.sandbox.run([*appctl, "flush-cache"])
    served.await_status(lambda one: "flush-cache" in one["resync"]["reason"], "nothing was read afresh")

    served.sandbox.run([*appctl, "exit"])

    assert served.process is not None
    assert served.process.wait(20) == 0


def test_a_second_daemon_does_not_start(served: ServedDom0) -> None:
    """It names the first, which serves on."""
    second = served.call("xsagentd", "--no-syslog")

    assert (second.returncode, f"process {served.pid}" in second.stderr) == (1, True)
    assert json.loads(served.xsagent("status", "--json").stdout)["daemon"]["ready"] is True


def test_a_daemon_that_can_start_no_workers_says_so(served: ServedDom0) -> None:
    """In its status and to the doctor; all else goes on."""
    rows = served.sandbox.run(["ps", "-eo", "pid=,ppid="]).stdout.splitlines()
    nurseries = [pid for pid, parent in map(str.split, rows) if parent == str(served.pid)]
    assert "workers:" not in served.xsagent("status").stdout

    served.sandbox.run(["kill", "-KILL", *nurseries])

    wait_for(lambda: "workers: none is started" in served.xsagent("status").stdout, 30, "the status does not say it")
    assert "none is started any more" in served.xsagent("doctor", check=False).stdout


def test_status_is_readable_and_needs_no_daemon(served: ServedDom0) -> None:
    """A line a device, with bridge and time; without a daemon it says so and exits 0."""
    served.plug(LOCKED)
    wait_for(lambda: "vif7.0 done on xenbr0 since 20" in served.xsagent("status").stdout, 10, "no line for the vif")

    served.end()

    shown = json.loads(served.xsagent("status", "--json").stdout)
    assert (shown["daemon"], shown["left"], shown["rolled_back"]) == (None, None, [])


def test_status_tells_of_peers_that_are_dead(served: ServedDom0) -> None:
    """Of a switch that hangs, and of a ready file that outlived the daemon."""
    assert "ovs-vswitchd: answers" in served.xsagent("status").stdout
    switch = (served.root / "run/openvswitch/ovs-vswitchd.pid").read_text().strip()
    served.sandbox.run(["kill", "-STOP", switch])
    served.end("KILL")

    lines = served.xsagent("status").stdout.splitlines()
    served.sandbox.run(["kill", "-CONT", switch])

    assert "  its ready file is there, so udev plugs no guest's device: `xsagent doctor` says what to do" in lines
    assert {"ovsdb-server: answers", "ovs-vswitchd: runs and does not answer"} <= set(lines)


@pytest.mark.parametrize(("environment", "taken"), [({}, True), ({"OVS_RUNDIR": "/another"}, False)])
def test_a_call_that_names_another_switch_is_declined(
    served: ServedDom0, environment: dict[str, str], *, taken: bool
) -> None:
    """One who names none, as udev's children, means the daemon's."""
    form = {"version": 1, "command": "vif", "arguments": ["vif", "7", "0", "add"], "environment": environment}

    answer = json.loads(served.send(json.dumps(form).encode() + b"\n"))

    assert ("declined" not in answer) == taken, answer


def test_a_resync_is_made_with_and_without_a_daemon(served: ServedDom0) -> None:
    """A port that somebody took away comes back; a leftover ready file goes; right ones are not touched."""
    served.plug(LOCKED)
    served.vsctl("del-port", "vif7.0")
    assert served.xsagent("resync").returncode == 0
    assert (served.ports(), served.flows()) == ({"vif7.0"}, FLOWS)

    served.end("KILL")
    assert (served.root / "run/xsagent/ready").exists()
    served.vsctl("del-port", "vif7.0")
    served.xsagent("resync")

    assert (served.ports(), served.flows()) == ({"vif7.0"}, FLOWS)
    assert not (served.root / "run/xsagent/ready").exists()
    before = served.configuration()
    served.xsagent("resync")
    assert served.configuration() == before


def test_a_resync_says_what_it_could_not_make_right() -> None:
    """A device whose bridge is not there: exit 1 and the same sentence, whoever looked; others are made right."""
    lost = GuestVif(id=VifId(8, 0))
    with running_dom0(XSAGENT_HOTPLUG_S="2") as served:
        served.plug(LOCKED, lost)
        with served.sandbox.xenopsd.open_store() as store:
            write_key(store, f"{lost.private}/bridge", "xenbr7")
        served.vsctl("del-port", "vif7.0", "--", "del-port", "vif8.0")
        by_daemon = served.xsagent("resync", check=False)

        assert (by_daemon.returncode, by_daemon.stdout, served.ports()) == (1, "", {"vif7.0"})
        assert by_daemon.stderr.startswith("xsagent: vif8.0 is not right: ")
        assert "bridge xenbr7 does not exist" in by_daemon.stderr
        served.end()
        alone = served.call("main", "resync", XSAGENT_HOTPLUG_S="2")

    assert (alone.returncode, alone.stdout) == (1, "")
    assert alone.stderr.splitlines()[-1:] == by_daemon.stderr.splitlines()


def test_a_resync_that_cannot_be_made_ends_with_the_reason(served: ServedDom0) -> None:
    """The daemon is asked while the switch hangs: it says why nothing was looked at, and does it later."""
    served.plug(LOCKED)
    served.vsctl("del-port", "vif7.0")
    switch = (served.root / "run/openvswitch/ovs-vswitchd.pid").read_text().strip()
    served.sandbox.run(["kill", "-STOP", switch])

    ran = served.xsagent("resync", check=False)
    served.sandbox.run(["kill", "-CONT", switch])

    assert ran.returncode == 1
    assert "the devices could not be looked at: ovs-vswitchd does not answer" in ran.stderr
    wait_for(lambda: served.ports() == {"vif7.0"}, 30, "it was not made up for")


def test_a_resync_that_cannot_begin_says_so_at_once_and_goes_on(served: ServedDom0) -> None:
    """Whoever waits hears what it waits for; when that is there it is done."""
    served.plug(LOCKED)
    served.end()
    served.vsctl("del-port", "vif7.0")
    switch = (served.root / "run/openvswitch/ovs-vswitchd.pid").read_text().strip()
    served.sandbox.run(["kill", "-STOP", switch])
    run = served.sandbox.spawn(served.command("main", "resync"))
    assert run.stderr is not None
    first = run.stderr.readline()
    served.sandbox.run(["kill", "-CONT", switch])

    assert "the devices cannot be looked at now: ovs-vswitchd does not answer" in first
    assert run.wait(60) == 0
    assert served.ports() == {"vif7.0"}


def test_a_resync_does_not_start_a_daemon_that_was_stopped(served: ServedDom0) -> None:
    """Systemd goes on listening for it: the first who connected would have it started."""
    served.plug(LOCKED)
    served.end()
    path = served.root / "run/xsagent/xsagentd.sock"
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as systemd:
        systemd.bind(str(path))
        systemd.listen()
        systemd.setblocking(False)
        served.vsctl("del-port", "vif7.0")

        served.xsagent("resync")

        assert served.ports() == {"vif7.0"}
        with pytest.raises(BlockingIOError):
            systemd.accept()


def test_while_a_bond_is_up_its_members_bridges_lead_to_it() -> None:
    """By the cache's records and the switch's bridges; the daemon and the one-shot handler alike."""
    records = HostRecords()
    for device in ("eth1", "eth2"):
        records.nic(device)
    records.bond("bond0", ["eth1", "eth2"], "xapi1")
    with running_dom0(dbcache=records.as_dbcache()) as served:
        first, second = (GuestVif(id=VifId(number, 0), bridge="xenbr1") for number in (7, 8))
        served.vsctl("add-br", "xapi1", "--", "set", "Bridge", "xapi1", "datapath_type=netdev")

        served.plug(first)
        served.end()
        served.plug(second)

        assert served.ports("xapi1") == {"vif7.0", "vif8.0"}


def test_a_vif_for_which_the_toolstack_names_no_mtu_gets_its_networks() -> None:
    """By the cache's records; the daemon and the one-shot handler alike."""
    records = HostRecords()
    records.network_of(records.nic("eth0"))["MTU"] = "1400"
    with running_dom0(dbcache=records.as_dbcache()) as served:
        for number, use_daemon in ((7, "always"), (8, "never")):
            vif = GuestVif(id=VifId(number, 0))
            served.prepare(vif)
            served.remove(f"{vif.private}/MTU")
            file = served.root / vif.file
            file.write_text(file.read_text().replace('"mtu": 1500, ', ""))

            done = served.call("vif", "vif", str(vif.id.domid), "0", "online", XSAGENT_USE_DAEMON=use_daemon)

            assert done.returncode == 0, done.stderr
            assert served.sandbox.run(["cat", f"/sys/class/net/{vif.device}/mtu"]).stdout == "1400\n"
