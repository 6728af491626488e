"""Guests' devices that go to another bridge, by the vif script's ``move`` and by setup-vif-rules."""

from __future__ import annotations

import pytest
from dom0 import ALL_IDS, EVERY, FLOWS, KEYS, LOCKED, NETWORK, VIF, VM, Dom0, sent
from guest_traffic import own_frames

from xsagent.apply.flows import read_flows
from xsagent.model.vif import Layout
from xsagent.sources.vif import build_paths


def xenopsds(kind: str) -> dict[str, str]:
    """The environment of a call by xenopsd itself, beside what every process has."""
    return {
        "script": "/etc/xensource/scripts/vif",
        "XENBUS_TYPE": kind,
        "XENBUS_PATH": f"backend/{kind}/1/0",
        "XENBUS_BASE_PATH": "backend",
        "INTERFACE": f"{kind}1.0",
    }


def test_a_move_takes_port_and_flows_to_the_other_bridge(dom0: Dom0) -> None:
    """After a move the old bridge holds no flow of it, the new one all, and what others hung on the row is there."""
    dom0.lock(LOCKED)
    dom0.vif("vif", "1", "0", "online")
    dom0.vsctl("set", "Interface", "vif1.0", "ingress_policing_rate=1000", "external_ids:foreign=1")
    dom0.write("bridge", "xenbr1")

    dom0.vif("move", "vif", XENBUS_PATH="backend/vif/1/0")

    port = int(dom0.vsctl("get", "Interface", "vif1.0", "ofport"))
    assert dom0.bridge_of() == "xenbr1"
    assert dom0.vsctl("get", "Interface", "vif1.0", "ingress_policing_rate") == "1000"
    assert dom0.ids() == ALL_IDS | {"foreign": "1"}
    assert read_flows(dom0.rundir, "xenbr0") == {}
    assert len(read_flows(dom0.rundir, "xenbr1")[port]) == FLOWS
    assert dom0.read(f"{KEYS.hotplug}/vif-ofport") == str(port)
    dom0.write("bridge", "xenbr0")
    dom0.vif("move", "vif", XENBUS_PATH="backend/vif/1/0")
    assert sent(dom0) == own_frames().keys()


def test_xenopsds_move_takes_vif_and_tap_along(dom0: Dom0) -> None:
    """VIF.move: xenopsd writes the bridge, then calls for the vif and for the tap, with an environment for each."""
    dom0.vif("vif", "1", "0", "online")
    dom0.sandbox.run(["ip", "tuntap", "add", "tap1.0", "mode", "tap"])
    dom0.vif("add", "type_if=tap", **xenopsds("tap"))
    assert dom0.bridge_of("tap1.0") == "xenbr0"
    dom0.write("bridge", "xenbr1")

    for kind in ("vif", "tap"):
        dom0.vif("move", f"type_if={kind}", **xenopsds(kind))

    assert (dom0.bridge_of(), dom0.bridge_of("tap1.0")) == ("xenbr1", "xenbr1")
    assert dom0.read(f"{KEYS.hotplug}/tap-ofport") == dom0.vsctl("get", "Interface", "tap1.0", "ofport")
    dom0.vif("remove", "type_if=tap", **xenopsds("tap"))
    assert (dom0.bridge_of(), dom0.bridge_of("tap1.0")) == ("xenbr1", "")


def test_a_vlan_bridge_gives_the_port_its_tag_and_a_move_takes_it_back(dom0: Dom0) -> None:
    """A VLAN bridge is a tag on its parent; trunks are set beside it."""
    dom0.add_bridge("xapi5", "xenbr0", "50")
    dom0.write("bridge", "xapi5")
    dom0.vif("vif", "1", "0", "online")
    assert (dom0.bridge_of(), dom0.vsctl("get", "Port", "vif1.0", "tag")) == ("xapi5", "50")

    dom0.write("bridge", "xenbr0")
    dom0.write("trunks", "30,20")
    dom0.vif("move", XENBUS_PATH="backend/vif/1/0")

    assert (dom0.bridge_of(), dom0.vsctl("get", "Port", "vif1.0", "tag")) == ("xenbr0", "[]")
    assert dom0.vsctl("get", "Port", "vif1.0", "trunks") == "[20, 30]"
    dom0.write("trunks", "")
    dom0.vif("move", XENBUS_PATH="backend/vif/1/0")
    assert dom0.vsctl("get", "Port", "vif1.0", "trunks") == "[]"


@pytest.mark.parametrize("kind", ["vif", "tap"])
def test_the_number_that_xenstore_names_is_the_ports(dom0: Dom0, kind: str) -> None:
    """The PVS helper reads it. Setup-vif-rules makes new ports; the status of vifs is none of its business."""
    device, key = f"{kind}1.0", f"{KEYS.hotplug}/{kind}-ofport"
    if kind == "tap":
        dom0.sandbox.run(["ip", "tuntap", "add", device, "mode", "tap"])
    dom0.vif(kind, "1", "0", "move")
    first = dom0.read(key)
    dom0.lock("Disabled")
    dom0.rules("filter", device)
    assert dom0.read(key) is None
    other = dom0.sandbox.add_guest("other", "xenbr0")  # takes the number that is free now
    dom0.lock(LOCKED)
    dom0.write(f"{KEYS.backend}/hotplug-error", "of somebody else")

    dom0.rules("filter", device)

    assert dom0.read(key) == dom0.vsctl("get", "Interface", device, "ofport") != first, other
    dom0.write("bridge", "xenbr1")
    dom0.rules("filter", device)
    assert (dom0.bridge_of(device), dom0.read(key)) == ("xenbr1", dom0.vsctl("get", "Interface", device, "ofport"))
    dom0.rules("clear", device)
    assert dom0.read(key) is None
    assert dom0.read(f"{KEYS.backend}/hotplug-error") == "of somebody else"


def test_a_locked_vif_that_somebody_moved_is_locked_where_it_stands(dom0: Dom0) -> None:
    """A resync leaves it there, and leaves no flow behind for the next port with the number that it had.

    A bridge without guests' ports and without a network of ours keeps its flows, whatever their cookie.
    """
    dom0.add_bridge("foreign0")
    dom0.sandbox.run(["ovs-ofctl", "add-flow", "foreign0", "cookie=1,in_port=99,actions=drop"])
    dom0.vsctl("br-set-external-id", "xenbr1", "xs-network-uuids", NETWORK)
    dom0.lock(LOCKED)
    dom0.write("bridge", "xenbr1")
    dom0.vif("vif", "1", "0", "online")
    assert len(read_flows(dom0.rundir, "xenbr1")) == 1
    dom0.vsctl("del-port", "vif1.0", "--", "add-port", "xenbr0", "vif1.0")
    before = (dom0.configuration(), dom0.bounces())
    assert sent(dom0) == EVERY.keys()

    dom0.resync()

    assert (dom0.configuration(), dom0.bounces(), dom0.bridge_of()) == (*before, "xenbr0")
    assert sent(dom0) == own_frames().keys()
    assert read_flows(dom0.rundir, "xenbr1") == {}
    assert read_flows(dom0.rundir, "foreign0").keys() == {99}
    assert dom0.read(f"{KEYS.hotplug}/vif-ofport") == dom0.vsctl("get", "Interface", "vif1.0", "ofport")


def test_flows_of_a_port_that_somebody_deleted_do_not_meet_the_next_one(dom0: Dom0) -> None:
    """The resync that puts it back takes out what stood for the old number, and no flow of others."""
    dom0.lock(LOCKED)
    dom0.vif("vif", "1", "0", "online")
    dom0.vsctl("del-port", "vif1.0")
    dom0.sandbox.add_guest("other", "xenbr0")
    dom0.sandbox.run(["ovs-ofctl", "add-flow", "xenbr0", "cookie=2,priority=4000,in_port=99,actions=drop"])

    dom0.resync()

    number = int(dom0.vsctl("get", "Interface", "vif1.0", "ofport"))
    assert set(read_flows(dom0.rundir, "xenbr0")) == {number}
    assert "in_port=99" in dom0.sandbox.run(["ovs-ofctl", "dump-flows", "xenbr0", "cookie=2/-1"]).stdout


def test_a_vm_that_is_sent_within_its_host_keeps_its_uuid_at_the_port(dom0: Dom0) -> None:
    """Xenopsd moves the sending domain's keys to a temporary uuid, where `origin-uuid` names the lasting one.

    A resync finds the VIF's keys there, and its file, which follows last, still under the old one.
    """
    dom0.vif("vif", "1", "0", "online")
    assert dom0.ids() == ALL_IDS
    temporary = f"{VM[:24]}000000000000"
    there = build_paths(VIF, Layout.UUID, temporary)
    dom0.write(f"/vm/{temporary}/origin-uuid", VM)
    dom0.write("/local/domain/1/vm", f"/vm/{temporary}")
    for name in dom0.store.directory(KEYS.private) or ():
        dom0.write(f"{there.private}/{name}", dom0.read(f"{KEYS.private}/{name}") or "")
    dom0.write(f"{there.hotplug}/hotplug", "online")
    dom0.write(f"/vm/{temporary}/uuid", temporary)
    dom0.remove(f"/xapi/{VM}")
    dom0.remove(f"/vm/{VM}")
    dom0.write(f"{there.private}/MTU", "1300")

    dom0.resync()

    assert dom0.link()["mtu"] == 1300
    assert dom0.ids() == ALL_IDS
