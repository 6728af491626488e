"""Managers, fail mode and in-band control follow XAPI's word (features.md sections 11 and 20)."""

from __future__ import annotations

from followed_host import FollowedHost
from plugin_host import CACERT, CONTROLLER, TARGET, mess

from xsagent.apply.flows import read_flows, replace_flows
from xsagent.hotplug.locking import render_flows
from xsagent.model.vif import Locking, LockingMode


def await_manager(host: FollowedHost, target: str) -> None:
    """Return once the switch's manager is this."""
    host.await_that(lambda: host.vsctl("get-manager") == target or None, f"the manager never was {target!r}")


def test_the_pools_controller_is_followed(host: FollowedHost) -> None:
    """On the pool's event the switch gets the manager, connects to it over TLS, and the status says so."""
    host.follow()
    host.await_status(xapi="followed")
    host.start_controller("one")

    host.set_pool(vswitch_controller=CONTROLLER)

    await_manager(host, TARGET)
    host.await_connected()
    assert host.path(CACERT).read_text().strip() in host.pem("one.crt")
    status = host.await_that(
        lambda: ((s := host.ask("status"))["managers"] and s["managers"][0]["is_connected"] and s) or None, "no state"
    )
    assert status["managers"][0]["target"] == TARGET
    assert status["managers"][0]["status"]["state"] == "ACTIVE"
    assert status["manager_update"] == f"Successfully set controller to {CONTROLLER}."
    assert "the manager was reconciled" in status["told"]
    host.await_status(wanted_manager=TARGET, manager_drift="")

    host.set_pool(vswitch_controller="")
    await_manager(host, "")
    assert not host.path(CACERT).exists()


def test_an_sdn_controller_record_is_followed(host: FollowedHost) -> None:
    """It comes, changes and goes."""
    host.follow()
    host.await_status(xapi="followed")
    host.introduce("ssl", CONTROLLER)
    await_manager(host, f"ssl:{CONTROLLER}:6632")
    host.introduce("ssl", CONTROLLER, "7000")
    await_manager(host, f"ssl:{CONTROLLER}:7000")


def test_a_manager_that_xapi_names_at_the_start_is_set(host: FollowedHost) -> None:
    """XAPI's word of a time when nobody followed it."""
    host.set_pool(vswitch_controller=CONTROLLER)
    host.follow()
    await_manager(host, TARGET)


def test_an_admins_manager_stays_while_xapi_says_nothing_new(host: FollowedHost) -> None:
    """A start, a reading and other events are no reason for an emer-reset; the status names the difference."""
    host.vsctl("set-manager", "ptcp:6643:127.0.0.1")
    host.follow()
    host.await_status(manager_drift="XAPI names no manager, the switch has ptcp:6643:127.0.0.1")
    host.set_network("xenbr0", **{"nicira-bridge-id": "b-1"})
    host.await_ids("Bridge", "xenbr0", {"bridge-id": "b-1"})
    host.ask("flush")

    assert host.vsctl("get-manager") == "ptcp:6643:127.0.0.1"


def test_an_emergency_reset_is_not_undone(host: FollowedHost) -> None:
    """Who took the manager away wants it away, until XAPI's word changes or the daemon starts."""
    host.follow()
    host.await_status(xapi="followed")
    host.set_pool(vswitch_controller=CONTROLLER)
    await_manager(host, TARGET)
    host.await_status(wanted_manager=TARGET)
    host.vsctl("emer-reset")

    host.await_status(manager_drift=f"XAPI wants manager {TARGET}, the switch has none")
    host.vsctl("br-set-external-id", "xenbr0", "bridge-id", "wrong")
    host.await_that(lambda: host.ids("Bridge", "xenbr0")["bridge-id"] != "wrong" or None, "it was not compared")

    assert host.vsctl("get-manager") == ""


def test_a_controller_that_cannot_be_one_is_said(host: FollowedHost) -> None:
    """The old manager stays; the status has the sentence, for as long as it is so."""
    host.follow()
    host.await_status(xapi="followed")
    host.set_pool(vswitch_controller=CONTROLLER)
    await_manager(host, TARGET)

    host.set_pool(vswitch_controller="$(reboot)")

    refused = host.await_that(lambda: host.ask("status")["errors"].get("control"), "it was not said")
    assert "neither an address nor a host name" in refused
    assert host.vsctl("get-manager") == TARGET
    host.set_pool(vswitch_controller=f"{CONTROLLER}:6641")
    await_manager(host, f"ssl:{CONTROLLER}:6641")
    host.await_status(errors={})


def test_guests_stay_locked_through_a_change_of_manager(host: FollowedHost) -> None:
    """The emer-reset flushes a bridge's flows; those of locked guests are there again."""
    mess(host)
    guest = host.sandbox.add_guest("guest", "xenbr0")
    rundir = host.path("run/openvswitch")
    port = int(host.vsctl("get", "Interface", guest.vif, "ofport"))
    replace_flows(rundir, "xenbr0", {port: render_flows(Locking(mode=LockingMode.LOCKED), "00:16:3e:00:00:01", port)})
    before = read_flows(rundir, "xenbr0")
    host.follow()
    host.await_status(xapi="followed")

    host.set_pool(vswitch_controller=CONTROLLER)
    await_manager(host, TARGET)
    host.await_that(lambda: host.ask("status")["manager_update"] or None, "it did not end")

    assert host.vsctl("get-fail-mode", "xenbr0") == "standalone"
    assert read_flows(rundir, "xenbr0") == before


def test_an_internal_bridge_gets_its_fail_mode_and_in_band_control(host: FollowedHost) -> None:
    """When it comes, and when its network's or the pool's word changes; a PIF's bridge is left to its own."""
    host.add_network("private", "xapi3", **{"vswitch-disable-in-band": "true"})
    host.follow()
    host.await_status(xapi="followed")

    host.vsctl("add-br", "xapi3", "--", "set", "Bridge", "xapi3", "datapath_type=netdev")

    host.vsctl("wait-until", "Bridge", "xapi3", "fail_mode=standalone", "other_config:disable-in-band=true")
    host.put("network", "private", other_config={"vswitch-controller-fail-mode": "secure"})
    host.vsctl("wait-until", "Bridge", "xapi3", "fail_mode=secure")
    assert "disable-in-band" not in host.vsctl("get", "Bridge", "xapi3", "other_config")
    told = host.await_that(lambda: host.ask("status")["told"] or None, "nobody was told")
    assert "xapi3" in told[-1]

    host.set_network("xenbr0", **{"vswitch-controller-fail-mode": "secure", "nicira-bridge-id": "b-9"})
    host.await_ids("Bridge", "xenbr0", {"bridge-id": "b-9"})
    assert host.vsctl("get-fail-mode", "xenbr0") == "standalone"
