"""Guests' devices, broken with ip(8), ovs-vsctl(8) and ovs-ofctl(8); mended as the doctor says."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest
from host_records import HostRecords, static
from patient import Patient
from xapi_host import XapiHost
from xenstore_keys import write_key

from xsagent.model.vif import VifId
from xsagent.sandbox.guest_vif import GuestVif, render_file
from xsagent.sandbox.xenopsd import guest_services

LOCKED = GuestVif(id=VifId(7, 0), locking="Locked", allowed=("192.0.2.77",), address="192.0.2.77/24")


@pytest.fixture(scope="module")
def guests() -> Iterator[Patient]:
    """A host with one locked guest on xenbr0, plugged in as the toolstack does, and with the vif script."""
    made = HostRecords()
    management = made.nic("eth0", management=True, **static("192.0.2.10", dns="192.0.2.1"))
    second = made.nic("eth1")
    made.network("xapi9")
    with XapiHost(made, services=guest_services(), environment={"XSAGENT_HOTPLUG_S": "5"}) as host:
        for pif in (management, second):
            host.up(pif)
        host.restart_xapi()
        host.sandbox.run(["interface-reconfigure", f"--root-prefix={host.sandbox.root}", "rewrite"])
        script = host.sandbox.root / "etc/xensource/scripts/vif"
        script.parent.mkdir(parents=True, exist_ok=True)
        script.write_text(f'#!{shutil.which("sh")}\nexec {sys.executable} -m xsagent.cli.vif --no-syslog "$@"\n')
        script.chmod(0o755)
        host.sandbox.xenopsd.plug(LOCKED)
        yield Patient(host)


def test_a_guest_that_is_plugged_in_is_no_finding(guests: Patient) -> None:
    """Port, link and locking flows are as the toolstack says."""
    assert [one["id"] for one in guests.findings() if one["severity"] != "info"] == []


def test_a_vif_whose_locking_flows_are_gone(guests: Patient) -> None:
    """The guest could send with any address: an error, mended by the vif script."""
    guests.run("ovs-ofctl", "del-flows", "xenbr0", "cookie=1/-1")

    finding = guests.mends("locking-flows")

    assert (finding["severity"], finding["subject"]) == ("error", "vif7.0")
    assert "arp_spa=192.0.2.77" in guests.run("ovs-ofctl", "dump-flows", "xenbr0")


def test_a_locked_vif_on_a_bridge_that_forwards_everything_without_its_controller(guests: Patient) -> None:
    """Its flows are no protection there: an error, and what to do; a secure bridge forwards nothing beside them."""
    guests.vsctl("set-controller", "xenbr1", "tcp:127.0.0.1:6653")
    assert not guests.has("vif-not-locked")
    guests.vsctl("del-controller", "xenbr1", "--", "set-controller", "xenbr0", "tcp:127.0.0.1:6653")

    finding = guests.finding("vif-not-locked")
    guests.vsctl("set-fail-mode", "xenbr0", "secure")

    assert (finding["severity"], finding["subject"]) == ("error", "vif7.0")
    assert "vswitch-controller-fail-mode" in finding["by_hand"]
    assert not guests.has("vif-not-locked")
    guests.vsctl("del-controller", "xenbr0", "--", "set-fail-mode", "xenbr0", "standalone")
    guests.mends("locking-flows")


def test_a_locked_vif_on_a_bridge_with_in_band_control(guests: Patient) -> None:
    """What the switch lets through for its manager is above the locking flows: a warning, and what to do."""
    guests.vsctl("set-manager", "tcp:192.0.2.250:6640")

    finding = guests.finding("in-band-control")
    guests.vsctl("set", "Bridge", "xenbr0", "other_config:disable-in-band=true")

    assert (finding["severity"], finding["subject"]) == ("warning", "xenbr0")
    assert "vswitch-disable-in-band" in finding["by_hand"]
    assert not guests.has("in-band-control")
    guests.vsctl("del-manager", "--", "remove", "Bridge", "xenbr0", "other_config", "disable-in-band")


def test_a_vif_that_is_on_no_bridge(guests: Patient) -> None:
    """Its netdev is there and its port is not: it goes where the toolstack wants it."""
    guests.vsctl("del-port", "xenbr0", "vif7.0")

    finding = guests.mends("vif-off-bridge")

    assert "it belongs on xenbr0" in finding["problem"]
    assert guests.vsctl("port-to-br", "vif7.0") == "xenbr0"


def test_a_vif_on_another_bridge(guests: Patient) -> None:
    """Somebody moved it: a warning, since it may have been on purpose."""
    guests.vsctl("del-port", "xenbr0", "vif7.0", "--", "add-port", "xenbr1", "vif7.0")

    finding = guests.finding("vif-on-other-bridge")
    guests.mend(finding)

    assert finding["severity"] == "warning"
    assert guests.vsctl("port-to-br", "vif7.0") == "xenbr0"
    assert not guests.has("vif-on-other-bridge")


def test_a_vif_whose_bridge_is_gone(guests: Patient) -> None:
    """Its bridge comes up first, then its port goes there."""
    guests.run("ip", "link", "set", "vif7.0", "down")
    bridge = guests.sandbox.xenopsd.find(LOCKED.id).backend
    with guests.sandbox.xenopsd.open_store() as store:
        write_key(store, f"{bridge}/bridge", "xenbr1")
    guests.vsctl("del-port", "xenbr0", "vif7.0", "--", "del-br", "xenbr1")

    finding = guests.mends("vif-bridge-missing")
    assert guests.vsctl("port-to-br", "vif7.0") == "xenbr1"
    with guests.sandbox.xenopsd.open_store() as store:
        write_key(store, f"{bridge}/bridge", "xenbr0")
    guests.mends("vif-on-other-bridge")

    assert "belongs on bridge xenbr1, which is not there" in finding["problem"]


def test_a_vif_whose_internal_network_has_no_bridge(guests: Patient) -> None:
    """No PIF brings that bridge: `xsagent network create` does, and then the port goes there."""
    guests.run("ip", "link", "set", "vif7.0", "down")
    backend = guests.sandbox.xenopsd.find(LOCKED.id).backend
    with guests.sandbox.xenopsd.open_store() as store:
        write_key(store, f"{backend}/bridge", "xapi9")

    guests.mends("vif-bridge-missing")
    assert guests.vsctl("port-to-br", "vif7.0") == "xapi9"
    with guests.sandbox.xenopsd.open_store() as store:
        write_key(store, f"{backend}/bridge", "xenbr0")
    guests.mends("vif-on-other-bridge")
    guests.vsctl("del-br", "xapi9")


def test_a_vif_whose_link_is_down(guests: Patient) -> None:
    """The guest is cut off."""
    guests.run("ip", "link", "set", "vif7.0", "down")

    assert guests.mends("link-down")["subject"] == "vif7.0"


def test_a_vif_with_a_tag_that_somebody_set(guests: Patient) -> None:
    """No VLAN bridge stands for it: it is left, and told."""
    guests.vsctl("set", "Port", "vif7.0", "tag=77")

    finding = guests.mends("vif-foreign-tag")

    assert (finding["severity"], "tag 77" in finding["problem"]) == ("warning", True)


def set_key(guests: Patient, path: str, value: str) -> None:
    """Write a key as the toolstack does."""
    with guests.sandbox.xenopsd.open_store() as store:
        write_key(store, path, value)


def test_a_vif_that_the_toolstack_was_told_of_in_vain(guests: Patient) -> None:
    """hotplug-error stays until an attempt succeeds; the VM's start fails for it."""
    set_key(guests, f"{guests.sandbox.xenopsd.find(LOCKED.id).backend}/hotplug-error", "no bridge")

    finding = guests.mends("vif-hotplug-error")

    assert "'no bridge'" in finding["problem"]


def test_a_vif_that_is_disabled_and_sends(guests: Patient) -> None:
    """Its locking mode became disabled and its port stayed; the vif script takes it off, and puts it back."""
    file = guests.path(LOCKED.file)
    file.write_text(render_file(replace(LOCKED, locking="Disabled")))

    guests.mends("vif-disabled-on-bridge")
    off = guests.vsctl("list-ports", "xenbr0").split()
    file.write_text(render_file(LOCKED))
    guests.mends("vif-off-bridge")

    assert "vif7.0" not in off


def test_a_vif_whose_keys_make_no_sense(guests: Patient) -> None:
    """It could not be plugged in again: the key is named."""
    key = f"{guests.sandbox.xenopsd.find(LOCKED.id).private}/MTU"
    set_key(guests, key, "nonsense")

    finding = guests.finding("vif-keys-unusable")
    set_key(guests, key, str(LOCKED.mtu))

    assert (finding["severity"], "nonsense" in finding["problem"]) == ("error", True)


def test_a_vif_with_a_larger_mtu_than_its_wire(guests: Patient) -> None:
    """Its large packets would vanish."""
    guests.run("ip", "link", "set", "vif7.0", "mtu", "9000")

    assert guests.mends("mtu-chain")["mend"] == ["ip link set dev vif7.0 mtu 1500"]


def test_a_vif_that_the_toolstack_wants_wider_than_its_wire(guests: Patient) -> None:
    """Hotplug would set it again, so no command of this host mends it."""
    key = f"{guests.sandbox.xenopsd.find(LOCKED.id).private}/MTU"
    set_key(guests, key, "9000")
    guests.run("ip", "link", "set", "vif7.0", "mtu", "9000")

    finding = guests.finding("mtu-chain")
    set_key(guests, key, str(LOCKED.mtu))

    assert finding["mend"] == []
    assert "an MTU in XAPI that the wire has" in finding["by_hand"]
    guests.mends("mtu-chain")


def test_a_port_whose_guest_is_gone(guests: Patient) -> None:
    """The name may come again with another guest behind it."""
    guests.vsctl("add-port", "xenbr0", "vif99.0", "--", "set", "Interface", "vif99.0", "external_ids:xs-vif-uuid=x")

    guests.mends("vif-port-left")

    assert "vif99.0" not in guests.vsctl("list-ports", "xenbr0").split()


def test_xenstored_that_does_not_answer(guests: Patient) -> None:
    """It cannot be restarted under guests: the doctor says so, and still sees ports and links."""
    pid = guests.run("pgrep", "-x", "xenstored")
    guests.run("kill", "-STOP", pid)

    finding = guests.finding("xenstored-unreachable")
    guests.run("kill", "-CONT", pid)

    assert finding["mend"] == []
    assert not guests.has("xenstored-unreachable")
