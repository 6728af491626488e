"""Events that the daemon did not hear, or was not told: what a resync does about them, and what it leaves alone."""

from __future__ import annotations

import pytest
from served_dom0 import FLOWS, LOCKED, ServedDom0, running_dom0
from xenstore_keys import write_key

from xsagent.model.vif import VifId
from xsagent.sandbox.daemons import wait_for
from xsagent.sandbox.guest_vif import GuestVif


@pytest.mark.parametrize("keys_first", [True, False])
def test_a_missed_remove_is_made_up_for(served: ServedDom0, *, keys_first: bool) -> None:
    """Port, flows and the key for which xenopsd waits go with the next resync; so does the status.

    Xenopsd waits while the backend's directory is still there, libxl has removed it by then.
    """
    served.plug(LOCKED)
    served.sandbox.xenopsd.close(LOCKED)
    if keys_first:
        served.remove(LOCKED.backend)
    assert served.read(f"{LOCKED.hotplug}/hotplug") == "online"

    served.xsagent("resync")

    wait_for(lambda: served.read(f"{LOCKED.hotplug}/hotplug") is None, 30, "the key stayed")
    assert (served.ports(), served.flows()) == (set(), 0)
    served.await_status(lambda one: one["devices"] == {}, "its status stayed")


def test_a_driver_that_plugs_its_device_again_is_not_taken_for_gone(served: ServedDom0) -> None:
    """Windows PV: the netdev is away and netback closed, but nobody asked for that; the report stays."""
    served.plug(LOCKED)
    served.sandbox.xenopsd.close(LOCKED)
    with served.sandbox.xenopsd.open_store() as store:
        write_key(store, f"{LOCKED.backend}/online", "1")

    served.xsagent("resync")
    served.await_status(lambda one: "somebody asked" in one["resync"]["reason"], "nothing was looked at")

    served.await_status(lambda one: one["counts"]["pending"] == 0, "it has not come to rest")
    assert served.read(f"{LOCKED.hotplug}/hotplug") == "online"
    assert served.ports() == {"vif7.0"}


def test_a_netdev_made_anew_while_the_daemon_was_dead_carries_the_guest_again(served: ServedDom0) -> None:
    """Its port was not removed, and the switch goes by the name: the first look puts it in again, locked."""
    served.plug(LOCKED)
    ping = ["ip", "netns", "exec", LOCKED.guest, "ping", "-c", "1", "-W", "1", served.sandbox.gateway_address]
    served.end("KILL")
    served.sandbox.xenopsd.remove_devices(LOCKED)
    served.sandbox.xenopsd.add_devices(LOCKED)

    served.start()

    wait_for(lambda: served.sandbox.run(ping, check=False).returncode == 0, 30, lambda: served.log[-3000:])
    assert (served.ports(), served.flows()) == ({"vif7.0"}, FLOWS)


@pytest.mark.parametrize(("online", "ports"), [("1", {"vif7.0"}), ("0", set[str]())])
def test_a_bridge_made_anew_while_a_driver_closes_has_its_port_again(
    served: ServedDom0, online: str, ports: set[str]
) -> None:
    """The guest's driver may come again, of which nobody is told; what the toolstack unplugs does not."""
    served.plug(LOCKED)
    with served.sandbox.xenopsd.open_store() as store:
        write_key(store, f"{LOCKED.backend}/online", online)
        write_key(store, f"{LOCKED.backend}/state", "5")

    served.vsctl("del-br", "xenbr0")
    served.sandbox.build_bridge("xenbr0", "eth0")
    served.xsagent("resync")
    served.await_status(lambda one: "somebody asked" in one["resync"]["reason"], "nothing was looked at")
    served.await_status(lambda one: one["counts"]["pending"] == 0, "it has not come to rest")

    assert served.ports() == ports
    assert served.flows() == FLOWS * len(ports)
    assert served.read(f"{LOCKED.backend}/hotplug-error") is None


def test_what_was_cleared_on_purpose_is_not_brought_back(served: ServedDom0) -> None:
    """setup-vif-rules clear has the port away while its netdev is still there."""
    served.plug(LOCKED)
    served.call("setup_vif_rules", "xenlight", "vif7.0", LOCKED.vm_uuid, "0", "clear")

    served.xsagent("resync")
    served.await_status(lambda one: "somebody asked" in one["resync"]["reason"], "nothing was looked at")

    served.await_status(lambda one: one["counts"]["pending"] == 0, "it has not come to rest")
    assert served.ports() == set()


def test_a_vif_that_a_resync_attaches_has_its_hook(served: ServedDom0) -> None:
    """Its `online` came while no daemon heard it. One that is right already had its hook, and gets no other."""
    served.end()
    record = served.write_hook()
    served.prepare(LOCKED)

    served.start()

    assert served.await_reports(LOCKED) == []
    wait_for(lambda: record.exists() and record.read_text().endswith("\n"), 30, "the hook was not called")
    online = f"-action online -vifuuid {LOCKED.uuid} -vmuuid {LOCKED.vm_uuid}"
    assert record.read_text().splitlines() == [online]
    wait_for(lambda: served.read(f"{LOCKED.hotplug}/vif-hook") is None, 30, "it is not known that it has ended")
    served.xsagent("resync")
    served.await_status(lambda one: "somebody asked" in one["resync"]["reason"], "nothing was looked at")
    served.await_status(lambda one: one["counts"]["pending"] == 0, "it has not come to rest")
    served.end()
    assert record.read_text().splitlines() == [online]


def test_a_hook_whose_daemon_was_killed_is_called_again(served: ServedDom0) -> None:
    """The VIF is connected and the hook may have done nothing yet: better twice than never."""
    record = served.write_hook()
    hook = served.root / "etc/xapi.d/vif-hotplug"
    hook.write_text(hook.read_text() + "sleep 600\n")
    served.plug(LOCKED)
    wait_for(record.exists, 30, "the hook was not called")
    served.xsagent("resync")
    served.await_status(lambda one: "somebody asked" in one["resync"]["reason"], "nothing was looked at")
    served.await_status(lambda one: one["counts"]["pending"] == 0, "it has not come to rest")
    served.end("KILL")
    served.write_hook()

    served.start()

    wait_for(lambda: len(record.read_text().splitlines()) == 2, 30, "it was not called again")
    wait_for(lambda: served.read(f"{LOCKED.hotplug}/vif-hook") is None, 30, "it is not known that it has ended")


def test_what_is_left_as_somebody_wants_it_is_shown(served: ServedDom0) -> None:
    """A disabled VIF, a tag and a move by hand are reported (DESIGN.md section 6), each with its device."""
    disabled, tagged, moved = (
        GuestVif(id=VifId(20 + number, 0), locking=locking)
        for number, locking in enumerate(("Disabled", "Unlocked", "Unlocked"))
    )
    served.plug(disabled, tagged, moved)
    served.vsctl("set", "Port", tagged.device, "tag=77")
    served.vsctl("add-br", "xenbr1", "--", "set", "Bridge", "xenbr1", "datapath_type=netdev")
    served.vsctl("del-port", moved.device, "--", "add-port", "xenbr1", moved.device)

    for _ in range(2):
        before = served.status()["resync"]["at"]
        served.xsagent("resync")
        served.await_status(lambda one, at=before: one["resync"]["at"] > at, "nothing was looked at")
        served.await_status(lambda one: one["counts"]["pending"] == 0, "it has not come to rest")

    shown = served.xsagent("status").stdout
    assert "vif20.0 done since" in shown
    assert ": its locking mode is disabled" in shown
    assert "vif21.0 has tag 77, set by hand; it was left" in shown
    assert "somebody moved it from bridge xenbr0 to xenbr1; it was left there" in shown
    assert served.ports("xenbr1") == {moved.device}


def test_a_locked_guest_whose_port_has_its_number_again_is_locked_again() -> None:
    """Moved by hand to a bridge that gives it the same one, while nobody looked: there it has no flows yet."""
    with running_dom0(start=False) as served:
        served.vsctl("add-br", "xenbr1", "--", "set", "Bridge", "xenbr1", "datapath_type=netdev")
        served.start()
        served.plug(LOCKED)
        served.await_status(lambda one: one["counts"]["pending"] == 0 and one["resync"] is not None, "it does not rest")
        ofport = served.vsctl("get", "Interface", LOCKED.device, "ofport")

        served.sandbox.run(["kill", "-STOP", served.pid])
        request = ["--", "set", "Interface", LOCKED.device, f"ofport_request={ofport}"]
        served.vsctl("del-port", LOCKED.device, "--", "add-port", "xenbr1", LOCKED.device, *request)
        served.sandbox.run(["kill", "-CONT", served.pid])

        wait_for(lambda: served.flows("xenbr1") == FLOWS, 30, "it stayed unlocked")
        served.await_status(lambda one: one["counts"]["pending"] == 0, "it has not come to rest")
        assert str(served.status()["devices"][LOCKED.device]["ofport"]) == ofport
        assert served.vsctl("get", "Interface", LOCKED.device, "ofport") == ofport


def test_what_a_resync_finds_right_or_has_told_before_fills_no_log() -> None:
    """Of each VIF nothing is logged again; what changed is."""
    asked = GuestVif(id=VifId(20, 0), other_config=(("promiscuous", "true"),))
    with running_dom0(XSAGENT_LOG_LEVEL="info") as served:
        served.plug(LOCKED, asked)
        assert f"note_vif device={asked.device}" in served.log
        before = len(served.log)

        for _ in range(2):
            at = served.status()["resync"]["at"]
            served.xsagent("resync")
            served.await_status(lambda one, at=at: one["resync"]["at"] > at, "nothing was looked at")
            served.await_status(lambda one: one["counts"]["pending"] == 0, "it has not come to rest")

        assert "vif" not in served.log[before:].replace("vifs=", "")
        assert "is to be promiscuous, and is not" in served.status()["devices"][asked.device]["text"]
        served.sandbox.run(["ovs-ofctl", "del-flows", "xenbr0", "cookie=1/-1"])
        served.xsagent("resync")
        wait_for(lambda: "lock_again bridge=xenbr0" in served.log[before:], 30, "the new flows are not told")
        served.vsctl("del-port", LOCKED.device)
        served.xsagent("resync")
        wait_for(lambda: f"finish_hotplug device={LOCKED.device}" in served.log[before:], 30, "the repair is not told")
