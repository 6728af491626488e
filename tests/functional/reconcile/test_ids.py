"""The switch's external_ids follow XAPI's records, as ovs-xapi-sync of the peers has them (features.md section 12)."""

from __future__ import annotations

from followed_host import ETH0, FollowedHost
from host_state import configuration

from xsagent.sandbox.xapi_pool import network_record, ref_for, uuid_for

VIF, VM = uuid_for("VIF one"), uuid_for("VM one")


def test_every_id_is_set_at_first(host: FollowedHost) -> None:
    """Bridges, VLAN bridges, VIFs with and without ids of the controller's; keys of others stay; one transaction."""
    host.start_vm("one", "vm 17", "lport-17")
    host.start_vm("two")
    host.plug("vif1.0", "one", mine="kept")
    host.plug("vif2.0", "two")
    host.vsctl("add-br", "xapi1", "xenbr0", "1", "--", "br-set-external-id", "xapi1", "xs-network-uuids", "old")
    host.put("network", ETH0, other_config={"nicira-bridge-id": "bridge 3"})
    host.follow()

    host.await_ids("Interface", "vif1.0", {"iface-id": "lport-17", "vm-id": "vm 17", "iface-status": "active"})

    assert host.ids("Interface", "vif1.0")["mine"] == "kept"
    two = {"iface-id": uuid_for("VIF two"), "vm-id": uuid_for("VM two"), "iface-status": "active"}
    assert two.items() <= host.ids("Interface", "vif2.0").items()
    assert host.ids("Bridge", "xenbr0")["bridge-id"] == "bridge 3"
    assert host.ids("Bridge", "xapib0")["bridge-id"] == uuid_for("network bond0")
    assert host.ids("Port", "xapi1") == {
        "fake-bridge-xs-network-uuids": "old",
        "fake-bridge-bridge-id": uuid_for("network VLAN eth0.1"),
    }
    assert host.ask("status")["transactions"] == 1


def test_nothing_is_written_when_all_is_right(host: FollowedHost) -> None:
    """A second start finds nothing to do."""
    host.start_vm("one")
    host.plug("vif1.0", "one")
    host.follow()
    host.await_ids("Interface", "vif1.0", {"iface-id": VIF})
    host.end()
    before = host.vsctl("get", "Open_vSwitch", ".", "next_cfg")
    shape = configuration(host.sandbox)

    host.follow()
    status = host.await_status(xapi="followed")
    host.ask("flush")
    host.await_that(lambda: host.ask("status")["read_at"] > status["read_at"] or None, "it was not read again")

    assert host.vsctl("get", "Open_vSwitch", ".", "next_cfg") == before
    assert configuration(host.sandbox) == shape


def test_a_port_that_comes_gets_its_ids_without_a_bulk_read(host: FollowedHost) -> None:
    """Of a VM that was not here before its own records alone are read."""
    host.follow()
    host.await_status(xapi="followed")
    host.xapi.control("clear_log")
    host.start_vm("one", "vm-1", "lport-1")

    host.plug("vif1.0", "one")

    host.await_ids("Interface", "vif1.0", {"iface-id": "lport-1", "vm-id": "vm-1", "iface-status": "active"})
    methods = {call["method"] for call in host.xapi.log()} - {"event.from"}
    assert methods == {
        "session.login_with_password", "VM.get_all_records_where", "VIF.get_all_records_where", "session.logout",
    }  # fmt: skip


def test_a_changed_record_is_followed(host: FollowedHost) -> None:
    """An id of the controller's that comes, changes and goes; of VIF, VM and network."""
    host.start_vm("one")
    host.plug("vif1.0", "one")
    host.follow()
    host.await_ids("Interface", "vif1.0", {"iface-id": VIF, "vm-id": VM})

    host.put("VIF", "one", other_config={"nicira-iface-id": "lport-1"})
    host.await_ids("Interface", "vif1.0", {"iface-id": "lport-1", "vm-id": VM})
    host.put("VM", "one", other_config={"nicira-vm-id": "vm-1"})
    host.await_ids("Interface", "vif1.0", {"iface-id": "lport-1", "vm-id": "vm-1"})
    host.put("VIF", "one", other_config={})
    host.await_ids("Interface", "vif1.0", {"iface-id": VIF, "vm-id": "vm-1"})
    host.put("network", ETH0, other_config={"nicira-bridge-id": "b-1"})
    host.await_ids("Bridge", "xenbr0", {"bridge-id": "b-1"})
    host.put("network", ETH0, other_config={})
    host.await_ids("Bridge", "xenbr0", {"bridge-id": uuid_for(f"network {ETH0}")})
    assert "VIF.get_all_records" not in host.xapi.methods()


def test_a_vif_added_to_a_running_vm_is_asked_about(host: FollowedHost) -> None:
    """Its VM says that there is one more."""
    host.start_vm("one")
    host.plug("vif1.0", "one")
    host.follow()
    host.await_ids("Interface", "vif1.0", {"iface-id": VIF})

    new = ref_for("VIF new")
    host.put("VIF", "new", uuid=uuid_for("VIF new"), VM=ref_for("VM one"), other_config={"nicira-iface-id": "lport-2"})
    host.put("VM", "one", VIFs=[ref_for("VIF one"), new])
    host.plug("vif1.1", "one", **{"xs-vif-uuid": uuid_for("VIF new")})
    host.await_ids("Interface", "vif1.1", {"iface-id": "lport-2"})

    host.put("VIF", "new", other_config={"nicira-iface-id": "lport-3"})
    host.await_ids("Interface", "vif1.1", {"iface-id": "lport-3"})


def test_vif_and_tap_are_a_pair(host: FollowedHost) -> None:
    """While there is a tap it is the active one, with the vif's ids; then the vif is again."""
    host.start_vm("one", iface_id="lport-1")
    host.plug("vif1.0", "one")
    host.follow()
    host.await_ids("Interface", "vif1.0", {"iface-status": "active"})

    host.vsctl("add-port", "xenbr0", "tap1.0", "--", "set", "Interface", "tap1.0", "type=internal")
    tap = host.await_ids("Interface", "tap1.0", {"iface-status": "active", "iface-id": "lport-1"})
    assert {"xs-vif-uuid": VIF, "xs-vm-uuid": VM, "attached-mac": "x"}.items() <= tap.items()
    host.await_ids("Interface", "vif1.0", {"iface-status": "inactive"})

    host.vsctl("del-port", "tap1.0")
    host.await_ids("Interface", "vif1.0", {"iface-status": "active"})


def test_an_internal_network_has_its_marks_kept(host: FollowedHost) -> None:
    """Its bridge is XAPI's to make, and has the network's uuid whatever it was before (after a pool join)."""
    uuid = host.add_network("private", "xapi3")
    host.vsctl("add-br", "xapi3", "--", "set", "Bridge", "xapi3", "datapath_type=netdev")
    host.vsctl("br-set-external-id", "xapi3", "xs-network-uuids", uuid_for("before the join"))
    host.follow()

    host.await_ids("Bridge", "xapi3", {"xs-network-uuids": uuid, "bridge-id": uuid})


def test_what_xapi_does_not_know_keeps_what_it_has(host: FollowedHost) -> None:
    """An admin's bridge, a port without marks, and a guest that no record tells of."""
    host.vsctl("add-br", "admin0", "--", "set", "Bridge", "admin0", "datapath_type=netdev",
               "external_ids:bridge-id=mine")  # fmt: skip
    host.vsctl("add-port", "admin0", "p0", "--", "set", "Interface", "p0", "type=internal",
               "external_ids:iface-id=mine", "external_ids:iface-status=active")  # fmt: skip
    host.plug("vif7.0", "nobody", **{"iface-id": "by hand"})
    host.follow()

    host.await_ids("Interface", "vif7.0", {"iface-status": "active", "vm-id": uuid_for("VM nobody")})

    assert host.ids("Interface", "vif7.0")["iface-id"] == "by hand"
    assert host.ids("Bridge", "admin0") == {"bridge-id": "mine"}
    assert host.ids("Interface", "p0") == {"iface-id": "mine", "iface-status": "active"}


def test_two_networks_of_one_bridge_name_are_told_apart_by_its_marks(host: FollowedHost) -> None:
    """Of several uuids that counts which the bridge carries; without one nothing is guessed."""
    host.put("network", "twin", **network_record("twin", "xenbr0"))
    host.follow()
    host.await_ids("Bridge", "xapib0", {"bridge-id": uuid_for("network bond0")})
    assert "bridge-id" not in host.ids("Bridge", "xenbr0")

    mine = uuid_for(f"network {ETH0}")
    host.vsctl("br-set-external-id", "xenbr0", "xs-network-uuids", f"{mine};{uuid_for('network VLAN eth0.1')}")

    host.await_ids("Bridge", "xenbr0", {"bridge-id": mine})
