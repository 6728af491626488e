"""The switch, its ports and its links, broken with ip(8) and ovs-vsctl(8); mended as the doctor says."""

from __future__ import annotations

from patient import Patient

from xsagent.sandbox.root_prefix import record_ref
from xsagent.sandbox.spec import nic_mac


def test_a_healthy_host_has_no_finding_to_act_on(patient: Patient) -> None:
    """Exit 0, one sentence, and information at the most."""
    code, output = patient.doctor()

    assert code == 0
    assert output.splitlines()[-1] == "Nothing is wrong with this host's network, as far as xsagent can tell."
    assert {one["severity"] for one in patient.findings()} <= {"info"}


def test_the_doctor_changes_nothing(patient: Patient) -> None:
    """Database, kernel and files are the same before and after."""
    dump = ["ovsdb-client", "dump", f"unix:{patient.sandbox.root}/run/openvswitch/db.sock", "Open_vSwitch"]
    columns = ["Bridge", "name", "ports", "other_config", "external_ids"]

    def state() -> tuple[str, ...]:
        files = "find etc var -type f -exec md5sum {} +"
        return (
            patient.run(*dump, *columns),
            patient.run("ip", "address"),
            patient.run("ip", "route"),
            patient.run("sh", "-c", f"cd {patient.sandbox.root} && {files} | sort"),
        )

    before = state()
    patient.doctor()

    assert state() == before


def test_a_link_that_was_taken_down(patient: Patient) -> None:
    """Below management it is an error, and one ip command mends it."""
    patient.run("ip", "link", "set", "eth0", "down")

    finding = patient.mends("link-down")

    assert (finding["severity"], finding["subject"]) == ("error", "eth0")
    assert finding["mend"] == ["ip link set dev eth0 up"]


def test_a_cable_that_was_pulled(patient: Patient) -> None:
    """No command of this host mends it: the doctor says where to look."""
    patient.sandbox.far("far1").set_carrier("eth1", up=False)

    finding = patient.finding("no-carrier")
    patient.sandbox.far("far1").set_carrier("eth1", up=True)

    assert (finding["severity"], finding["subject"], finding["mend"]) == ("warning", "eth1", [])
    assert "cable" in finding["by_hand"]
    assert not patient.has("no-carrier")


def test_a_port_that_the_switch_cannot_open(patient: Patient) -> None:
    """A port without a device: the switch's own words, and it can be deleted."""
    patient.vsctl("add-port", "xenbr1", "nosuch0")

    finding = patient.mends("port-refused")

    assert finding["subject"] == "nosuch0"
    assert "could not open network device" in finding["problem"]


def test_a_switch_that_hangs(patient: Patient) -> None:
    """A start would find its process and do nothing: it is restarted."""
    patient.run("sh", "-c", f"kill -STOP $(cat {patient.path('run/openvswitch/ovs-vswitchd.pid')})")

    finding = patient.finding("vswitchd-down")
    patient.mend(finding)

    assert "openvswitch restart" in finding["mend"][0]
    assert not patient.has("vswitchd-down")
    patient.heal()


def test_a_restart_that_was_cut_off(patient: Patient) -> None:
    """The switch would wait for flows that nobody puts back."""
    patient.vsctl("set", "Open_vSwitch", ".", "other_config:flow-restore-wait=true")

    finding = patient.mends("flow-restore-wait")

    assert finding["severity"] == "error"


def test_a_bond_with_one_cable(patient: Patient) -> None:
    """It works and has no redundancy: a warning that names both members."""
    patient.sandbox.far("lag").set_carrier("eth3", up=False)

    finding = patient.finding("bond-carrier")
    patient.sandbox.far("lag").set_carrier("eth3", up=True)

    assert (finding["severity"], finding["subject"]) == ("warning", "bond0")
    assert finding["problem"] == "only eth2 has carrier, eth3 has none"


def test_a_bond_without_any_cable(patient: Patient) -> None:
    """Nothing reaches the wire: an error."""
    for nic in ("eth2", "eth3"):
        patient.sandbox.far("lag").set_carrier(nic, up=False)

    finding = patient.finding("bond-carrier")
    for nic in ("eth2", "eth3"):
        patient.sandbox.far("lag").set_carrier(nic, up=True)

    assert finding["severity"] == "error"


def test_a_bond_member_that_is_not_in_the_bond(patient: Patient) -> None:
    """Up again brings it back, and the bond is not taken down for it."""
    patient.vsctl("del-bond-iface", "bond0", "eth3")

    finding = patient.mends("bond-member-missing")

    assert "eth3 is recorded as a member" in finding["problem"]


def test_lacp_that_nobody_answers(patient: Patient) -> None:
    """The far end is a plain bridge: LACP is not negotiated; where the record wants none, up takes it off."""
    patient.vsctl("set", "Port", "bond0", "lacp=active")
    # ovs-vswitchd gives a partner some seconds before it says that there is none
    for nic in ("eth2", "eth3"):
        patient.vsctl("--timeout=30", "wait-until", "Interface", nic, "lacp_current=false")

    finding = patient.mends("lacp-not-negotiated")

    assert "eth2 eth3" in finding["problem"]
    assert patient.vsctl("get", "Port", "bond0", "lacp") == "off"


def test_a_bridge_that_lost_its_nic(patient: Patient) -> None:
    """Drift from the records is seen whatever it is, and up mends it."""
    patient.vsctl("del-port", "xenbr1", "eth1")

    finding = patient.mends("drift")

    assert "eth1" in finding["problem"]


def test_a_bridge_that_does_not_snoop_though_xapi_says_so(patient: Patient) -> None:
    """PIF.igmp_snooping_status is read back; up does what the pool wants, and no command where it wants none."""
    pool, pif = patient.host.records.pool, patient.host.records.classes["PIF"][record_ref("pif eth1")]
    pif["igmp_snooping_status"] = "enabled"
    patient.host.restart_xapi()
    assert patient.finding("igmp-snooping")["mend"] == []
    pool["igmp_snooping_enabled"] = True
    patient.host.restart_xapi()

    finding = patient.mends("igmp-snooping")

    assert (finding["severity"], finding["subject"]) == ("warning", "xenbr1")
    assert patient.vsctl("get", "Bridge", "xenbr1", "mcast_snooping_enable") == "true"
    pool["igmp_snooping_enabled"], pif["igmp_snooping_status"] = False, "unknown"
    patient.host.restart_xapi()
    patient.heal()


def test_a_stale_bridge_of_ours(patient: Patient) -> None:
    """It carries our mark and no network has it: it can be deleted."""
    patient.vsctl("add-br", "xapi9", "--", "set", "Bridge", "xapi9", "datapath_type=netdev")
    patient.vsctl("br-set-external-id", "xapi9", "xs-network-uuids", "3c1c8a8e-0000-4000-8000-000000000009")

    finding = patient.mends("stale-bridge")

    assert (finding["severity"], finding["mend"]) == ("warning", ["ovs-vsctl del-br xapi9"])


def test_a_stale_vlan_bridge_of_ours(patient: Patient) -> None:
    """Likewise for a VLAN bridge; the bridge that carries it stays."""
    patient.vsctl("add-br", "xapi51", "xenbr1", "51")
    patient.vsctl("br-set-external-id", "xapi51", "xs-network-uuids", "3c1c8a8e-0000-4000-8000-000000000051")

    finding = patient.mends("stale-bridge")

    assert finding["subject"] == "xapi51"
    assert "xenbr1" in patient.vsctl("list-br").split()


def test_a_foreign_bridge_is_information(patient: Patient) -> None:
    """Somebody else's: named, and nothing is to be done."""
    patient.vsctl("add-br", "br-int", "--", "set", "Bridge", "br-int", "datapath_type=netdev")

    finding = patient.finding("foreign-bridge")
    patient.vsctl("del-br", "br-int")

    assert (finding["severity"], finding["subject"], finding["mend"]) == ("info", "br-int", [])


def test_a_nic_with_a_smaller_mtu_than_its_network(patient: Patient) -> None:
    """The MTU of the record and the chain above it are both named; up mends both."""
    patient.vsctl("set", "Interface", "eth1", "mtu_request=1400")
    patient.run("ovs-vsctl", "wait-until", "Interface", "eth1", "mtu=1400")

    assert patient.finding("mtu-differs")["subject"] == "eth1"
    chain = [one for one in patient.findings() if one["id"] == "mtu-chain"]
    assert {one["subject"] for one in chain} == {"xenbr1", "xapi50"}
    patient.mends("mtu-differs")

    assert not patient.has("mtu-chain")


def test_a_tunnel_whose_frames_do_not_fit(patient: Patient) -> None:
    """VXLAN adds 50 bytes: a bridge with MTU 1500 does not fit over a NIC with 1500."""
    patient.vsctl("add-br", "br-tun", "--", "set", "Bridge", "br-tun", "datapath_type=netdev")
    patient.vsctl(
        "add-port", "br-tun", "vx0", "--", "set", "Interface", "vx0", "type=vxlan", "options:remote_ip=192.0.2.1"
    )
    patient.run("ip", "link", "set", "br-tun", "up")

    finding = patient.finding("tunnel-mtu")
    patient.mend(finding)
    patient.run("ovs-vsctl", "wait-until", "Interface", "br-tun", "mtu=1450")
    still = patient.has("tunnel-mtu")
    patient.vsctl("del-br", "br-tun")

    assert "50 bytes of vxlan" in finding["problem"]
    assert not still


def test_a_tunnel_that_the_firewall_keeps_out(patient: Patient) -> None:
    """Its packets are dropped (pains.md 13): the rule is set, and taken out again with the tunnel."""
    patient.run("nft", "add table inet guard")
    patient.run("nft", "add chain inet guard in { type filter hook input priority 0; policy drop; }")
    patient.run("nft", "add rule inet guard in iifname != eth9 udp dport != 4789 accept")
    patient.vsctl("add-br", "br-tun", "--", "set", "Bridge", "br-tun", "datapath_type=netdev")
    vxlan = ["type=vxlan", "options:remote_ip=192.0.2.1"]
    patient.vsctl("add-port", "br-tun", "vx0", "--", "set", "Interface", "vx0", *vxlan)

    finding = patient.mends("tunnel-firewall")
    rules = patient.run("nft", "list", "chain", "inet", "guard", "in")
    patient.vsctl("del-br", "br-tun")
    patient.run("nft", "delete table inet guard")

    assert "accept udp port 4789" in finding["problem"]
    assert "udp dport 4789 accept" in " ".join(rules.replace("counter packets 0 bytes 0 ", "").split())


def test_another_nic_than_the_recorded_one(patient: Patient) -> None:
    """A NIC that was swapped: both addresses are named."""
    before = nic_mac("eth1")
    patient.run("ip", "link", "set", "dev", "eth1", "address", "02:00:00:00:99:99")

    finding = patient.finding("nic-mac-differs")
    patient.run("ip", "link", "set", "dev", "eth1", "address", before)

    assert (finding["severity"], finding["subject"]) == ("warning", "eth1")
    assert "it has MAC 02:00:00:00:99:99" in finding["problem"]
    assert before in finding["problem"]
    assert not patient.has("nic-mac-differs")


def test_a_vlan_bridge_of_others_in_the_way(patient: Patient) -> None:
    """`up` would refuse: its own sentence says what is in the way; when that is gone, `up` mends the rest."""
    patient.vsctl("del-br", "xapi50", "--", "add-br", "theirs", "xenbr1", "50")

    finding = patient.finding("cannot-be-brought-up")
    patient.vsctl("del-br", "theirs")

    assert "VLAN bridge theirs on xenbr1 has tag 50" in finding["problem"]
    assert "was changed" not in finding["problem"]
    assert not patient.has("cannot-be-brought-up")
    patient.mends("drift")


def test_a_switch_that_died(patient: Patient) -> None:
    """Ports keep their last state in the database: one complaint, and the start that mends it.

    The userspace datapath loses the bridges' devices with its process, so there is more to do afterwards.
    """
    patient.sandbox.vswitchd.kill()

    finding = patient.mends("vswitchd-down")
    patient.heal()

    assert (finding["severity"], finding["subject"]) == ("error", "ovs-vswitchd")
    assert all(one["severity"] == "info" for one in patient.last)


def test_a_database_that_died(patient: Patient) -> None:
    """Links and addresses are examined all the same."""
    patient.sandbox.ovsdb_server.kill()
    patient.run("ip", "address", "add", "198.51.100.10/24", "dev", "eth3")

    kinds = {one["id"] for one in patient.findings()}
    patient.run("ip", "address", "del", "198.51.100.10/24", "dev", "eth3")

    assert {"ovsdb-server-down", "address-twice"} <= kinds
    patient.mends("ovsdb-server-down")
    patient.heal()
