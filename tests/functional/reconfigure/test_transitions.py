"""Moving between NIC, bond and VLAN, in both directions, with others' traffic going on (issue: every topology)."""

from __future__ import annotations

import json

from host_records import NULL, HostRecords, static
from host_state import (
    addresses,
    bridges,
    configuration,
    ip,
    our_transactions,
    ports_of,
    settle,
    transactions,
    vsctl,
    watched,
)
from xapi_host import XapiHost

from xsagent.sandbox.root_prefix import record_ref, record_uuid
from xsagent.sandbox.spec import default_segments, shared_segment

ONE_WIRE = shared_segment(nics=2)


def two_nics(**fields: object) -> HostRecords:
    """eth0 is management, eth1 has no IP; both are plugged into one wire."""
    records = HostRecords()
    records.nic("eth0", management=True, **{**static("192.0.2.10"), **fields})
    records.nic("eth1")
    return records


def pif(records: HostRecords, device: str, vlan: str = "-1") -> dict[str, object]:
    """A PIF's record."""
    return next(p for p in records.classes["PIF"].values() if (p["device"], p["VLAN"]) == (device, vlan))


def make_bond(records: HostRecords, mode: str = "active-backup") -> dict[str, object]:
    """Move eth0's role and address to a bond of both NICs, as XAPI's Bond.create does."""
    nic = pif(records, "eth0")
    moved = {key: nic[key] for key in ("ip_configuration_mode", "IP", "netmask", "gateway", "DNS", "management")}
    bond = records.bond("bond0", ["eth0", "eth1"], "xapi0", mode=mode, **moved)
    for member in ("eth0", "eth1"):
        pif(records, member).update(
            {"ip_configuration_mode": "None", "IP": "", "netmask": "", "gateway": "", "management": False}
        )
    return bond


def break_bond(records: HostRecords) -> dict[str, object]:
    """Move the bond's role and address back to eth0 and forget the bond, as XAPI's Bond.destroy does."""
    bond, nic = pif(records, "bond0"), pif(records, "eth0")
    for key in ("ip_configuration_mode", "IP", "netmask", "gateway", "DNS", "management"):
        nic[key] = bond[key]
    return nic


def bond_port(host: XapiHost) -> dict[str, object]:
    """The bond's Port row."""
    shown = json.loads(vsctl(host.sandbox, "--format=json", "list", "Port", "bond0"))
    return dict(zip(shown["headings"], shown["data"][0], strict=True))


def test_management_moves_onto_a_bond_in_one_transaction_and_its_vif_comes_along() -> None:
    """The members' bridges are gone, the VIF port stands on the bond's bridge, the old address is nowhere else."""
    records = two_nics()
    with XapiHost(records, segments=ONE_WIRE) as host:
        host.up(pif(records, "eth0"))
        guest = host.sandbox.add_guest("guest", "xenbr0", "192.0.2.77/24")
        before = our_transactions(host.sandbox)

        host.up(make_bond(records))

        assert our_transactions(host.sandbox) == before + 1
        assert bridges(host.sandbox) == ["xapi0"]
        assert set(vsctl(host.sandbox, "list-ports", "xapi0").split()) == {"bond0", guest.vif}
        assert addresses(host.sandbox, "xapi0") == ["192.0.2.10/24"]
        assert [a["ifname"] for a in ip(host.sandbox, "-4", "address") if a["ifname"] != "lo"] == ["xapi0"]
        assert guest.run(["ping", "-c2", "-W2", "192.0.2.1"], check=False).returncode == 0


def test_a_second_up_of_a_bond_changes_nothing() -> None:
    """A bond that is right is as idempotent as a NIC."""
    records = two_nics()
    with XapiHost(records, segments=ONE_WIRE) as host:
        bond = make_bond(records)
        host.up(bond, "--no-deadman")
        settle(host.sandbox)
        before = transactions(host.sandbox)

        with watched(host.sandbox) as changes:
            host.up(bond)

        assert transactions(host.sandbox) == before
        assert changes == []


def test_management_moves_back_from_the_bond_to_its_nic() -> None:
    """--management on the member takes the bond apart in one transaction; its VIF is on the NIC's bridge."""
    records = two_nics()
    with XapiHost(records, segments=ONE_WIRE) as host:
        host.up(make_bond(records), "--no-deadman")
        guest = host.sandbox.add_guest("guest", "xapi0", "192.0.2.77/24")
        row, before = vsctl(host.sandbox, "get", "Port", guest.vif, "_uuid"), our_transactions(host.sandbox)

        host.up(break_bond(records), "--management")

        assert our_transactions(host.sandbox) == before + 1
        assert bridges(host.sandbox) == ["xenbr0"]
        assert ports_of(host.sandbox, "xenbr0") == ["eth0", guest.vif]
        assert vsctl(host.sandbox, "get", "Port", guest.vif, "_uuid") == row
        assert addresses(host.sandbox, "xenbr0") == ["192.0.2.10/24"]
        for where in (host.sandbox, guest):
            assert where.run(["ping", "-c3", "-i0.3", "-W2", "192.0.2.1"], check=False).returncode == 0


def test_members_that_come_up_one_by_one_leave_each_others_links_alone() -> None:
    """The Bond record still stands, and XAPI does not say of either that it is attached: each has its own bridge."""
    records = two_nics()
    records.nic("eth2")
    bond = records.bond("bond0", ["eth1", "eth2"], "xapi0")
    with XapiHost(records, segments=default_segments(nics=3)) as host:
        for each in (pif(records, "eth0"), bond):
            host.up(each)
        bond["currently_attached"] = False
        members = [pif(records, name) for name in ("eth1", "eth2")]
        for _ in range(2):
            before = our_transactions(host.sandbox)
            for member in members:
                host.up(member)
                member["currently_attached"] = False

        links = {link["ifname"]: link["flags"] for link in ip(host.sandbox, "link")}
        assert ["UP" in links[name] for name in ("eth1", "eth2")] == [True, True]
        assert [ports_of(host.sandbox, name) for name in ("xenbr1", "xenbr2")] == [["eth1"], ["eth2"]]
        assert our_transactions(host.sandbox) == before


def set_members(records: HostRecords, *devices: str) -> None:
    """Change a bond's members, as older records or an admin's hand leave them: XAPI itself has no call for it."""
    bond = records.bond_of("bond0")
    for ref in bond["slaves"]:
        records.classes["PIF"][ref]["bond_slave_of"] = NULL
    bond["slaves"] = [record_ref(f"pif {device}") for device in devices]
    for ref in bond["slaves"]:
        records.classes["PIF"][ref]["bond_slave_of"] = record_ref("bond bond0")


def members_in_switch(host: XapiHost) -> dict[str, set[str]]:
    """Ports of the bond's bridge, VIFs apart, with their interfaces."""
    shown = json.loads(vsctl(host.sandbox, "--format=json", "--columns=name,_uuid", "list", "Interface"))
    names = {uuid[1]: name for name, uuid in shown["data"]}
    found = {}
    for port in ports_of(host.sandbox, "xapi0"):
        uuids = json.loads(vsctl(host.sandbox, "--format=json", "--columns=interfaces", "list", "Port", port))
        (value,) = uuids["data"][0]
        members = [value] if value[0] == "uuid" else value[1]
        found[port] = {names[member[1]] for member in members}
    return {port: members for port, members in found.items() if not port.startswith("vif")}


def test_a_bond_of_three_becomes_one_of_two_a_plain_port_and_a_bond_again() -> None:
    """Nothing of the bond is left beside the one NIC: the two would be a loop. Guests and dom0 go on all the time."""
    records = two_nics()
    records.nic("eth2")
    with XapiHost(records, segments=shared_segment(nics=3)) as host:
        bond = make_bond(records)
        set_members(records, "eth0", "eth1", "eth2")
        host.up(bond, "--no-deadman")
        guest = host.sandbox.add_guest("guest", "xapi0", "192.0.2.77/24")
        for wanted in (("eth0", "eth1", "eth2"), ("eth0", "eth1"), ("eth0",), ("eth0", "eth1")):
            set_members(records, *wanted)
            host.up(bond)

            port = "bond0" if len(wanted) > 1 else "eth0"
            assert members_in_switch(host) == {port: set(wanted)}
            assert guest.vif in ports_of(host.sandbox, "xapi0")
            for where in (host.sandbox, guest):
                done = where.run(["ping", "-c20", "-i0.02", "-w5", "192.0.2.1"], check=False)
                assert "20 received" in done.stdout, (wanted, done.stdout)
                assert "DUP!" not in done.stdout, wanted
            before = our_transactions(host.sandbox)
            host.up(bond)
            assert our_transactions(host.sandbox) == before


def test_bond_options_and_members_change_in_place() -> None:
    """The bond's row stays when its mode changes or a member comes."""
    records = two_nics()
    records.nic("eth2")
    with XapiHost(records, segments=shared_segment(nics=3)) as host:
        bond = make_bond(records)
        host.up(bond, "--no-deadman")
        row = vsctl(host.sandbox, "get", "Port", "bond0", "_uuid")
        assert bond_port(host)["bond_mode"] == "active-backup"

        records.bond_of("bond0")["mode"] = "balance-slb"
        host.up(bond)
        assert (vsctl(host.sandbox, "get", "Port", "bond0", "_uuid"), bond_port(host)["bond_mode"]) == (
            row,
            "balance-slb",
        )

        set_members(records, "eth0", "eth1", "eth2")
        host.up(bond)
        assert vsctl(host.sandbox, "get", "Port", "bond0", "_uuid") == row
        assert len(bond_port(host)["interfaces"][1]) == 3


def test_a_bond_option_that_the_records_lost_is_in_force_no_longer() -> None:
    """The switch itself chooses the preferred member as long as it is named; keys of others stay, the row too."""
    records = two_nics()
    with XapiHost(records, segments=ONE_WIRE) as host:
        bond = make_bond(records)
        bond["other_config"] = {"bond-active-slave": "eth1", "bond-hash-basis": "7"}
        host.up(bond, "--no-deadman")
        row = vsctl(host.sandbox, "get", "Port", "bond0", "_uuid")
        shown = host.sandbox.run(["ovs-appctl", "bond/show", "bond0"]).stdout
        assert "active-backup primary: eth1" in shown
        vsctl(host.sandbox, "set", "Port", "bond0", "other_config:lb-output-action=false")

        bond["other_config"] = {}
        host.up(bond)

        keys = dict(bond_port(host)["other_config"][1])
        assert {"bond-primary", "bond-hash-basis"}.isdisjoint(keys)
        assert keys["lb-output-action"] == "false"
        assert vsctl(host.sandbox, "get", "Port", "bond0", "_uuid") == row
        shown = host.sandbox.run(["ovs-appctl", "bond/show", "bond0"]).stdout
        assert "active-backup primary: <none>" in shown


def test_a_vlan_comes_up_beside_management_and_goes_again_without_a_trace() -> None:
    """VLAN bridge, tag and network mark are there; down brings back what was before."""
    records = two_nics()
    vlan = records.vlan("eth0", 100, "xapi100")
    with XapiHost(records) as host:
        host.up(pif(records, "eth0"))
        settle(host.sandbox)
        before = configuration(host.sandbox)

        host.up(vlan)
        assert vsctl(host.sandbox, "br-to-parent", "xapi100") == "xenbr0"
        assert vsctl(host.sandbox, "br-to-vlan", "xapi100") == "100"
        assert vsctl(host.sandbox, "br-get-external-id", "xapi100", "xs-network-uuids") == record_uuid(
            "network xapi100"
        )
        host.down(vlan)

        assert configuration(host.sandbox) == before


def test_re_up_of_a_vlan_keeps_every_vif_on_it() -> None:
    """Legacy scripts deleted them all, exit 0 (legacy-faults F05)."""
    records = two_nics()
    vlan = records.vlan("eth0", 100, "xapi100")
    with XapiHost(records) as host:
        host.up(pif(records, "eth0"))
        host.up(vlan)
        guest = host.sandbox.add_guest("guest", "xapi100", "203.0.113.7/24")
        before = transactions(host.sandbox)

        host.up(vlan)

        assert transactions(host.sandbox) == before
        assert guest.vif in vsctl(host.sandbox, "list-ports", "xapi100").split()


def test_downing_one_vlan_from_the_cache_leaves_the_other_and_management() -> None:
    """--force down of one VLAN must not take the base bridge with it (legacy-faults F06)."""
    records = two_nics()
    first, second = records.vlan("eth0", 100, "xapi100"), records.vlan("eth0", 200, "xapi200")
    with XapiHost(records) as host:
        for each in (pif(records, "eth0"), first, second):
            host.up(each)
        done = host.sandbox.run(
            ["interface-reconfigure", f"--root-prefix={host.sandbox.root}", "--force", "xapi100", "down"], check=False
        )

        assert done.returncode == 0, done.stderr
        assert bridges(host.sandbox) == ["xapi200", "xenbr0"]
        assert addresses(host.sandbox, "xenbr0") == ["192.0.2.10/24"]


def test_a_vlan_moves_from_a_nic_onto_the_bond_over_it_with_its_vifs() -> None:
    """XAPI moves the VLAN to the bond; its bridge and VIF follow, the tag stays."""
    records = two_nics()
    vlan = records.vlan("eth0", 100, "xapi100")
    with XapiHost(records, segments=ONE_WIRE) as host:
        host.up(pif(records, "eth0"))
        host.up(vlan)
        guest = host.sandbox.add_guest("guest", "xapi100", "203.0.113.7/24")
        bond = make_bond(records)
        carrier = next(ref for ref, p in records.classes["PIF"].items() if p["device"] == "bond0")
        below = pif(records, "eth0")
        records.classes["PIF"][carrier]["VLAN_slave_of"], below["VLAN_slave_of"] = below["VLAN_slave_of"], []
        for record in records.classes["VLAN"].values():
            record["tagged_PIF"] = carrier
        vlan["device"] = "bond0"

        host.up(bond)
        host.up(vlan)

        assert vsctl(host.sandbox, "br-to-parent", "xapi100") == "xapi0"
        assert guest.vif in vsctl(host.sandbox, "list-ports", "xapi100").split()
        assert bridges(host.sandbox) == ["xapi0", "xapi100"]


def test_management_moves_between_two_nics_and_leaves_one_address() -> None:
    """The old NIC gives its address up only after the new path was seen to work (pains.md 1)."""
    records = two_nics()
    with XapiHost(records, segments=ONE_WIRE) as host:
        host.up(pif(records, "eth0"))
        new = pif(records, "eth1")
        new.update(static("192.0.2.10"))

        host.up(new, "--management")

        held = [a["ifname"] for a in ip(host.sandbox, "-4", "address") if a["ifname"] != "lo" and a["addr_info"]]
        assert held == ["xenbr1"]
        assert [route["dev"] for route in ip(host.sandbox, "route", "show", "default")] == ["xenbr1"]
        assert host.sandbox.run(["ping", "-c3", "-i0.3", "-W2", "192.0.2.1"], check=False).returncode == 0


def test_a_tunnel_keeps_what_a_controller_put_on_its_bridge() -> None:
    """Ports, controllers and flows of SDN software survive a re-up (pains.md 13)."""
    records = two_nics()
    tunnel = records.tunnel("tunnel0", "eth0", "xapi9")
    with XapiHost(records) as host:
        host.up(pif(records, "eth0"))
        host.up(tunnel)
        vsctl(
            host.sandbox, "add-port", "xapi9", "gre1", "--", "set", "Interface", "gre1", "type=gre",
            "options:remote_ip=192.0.2.20", "--", "set-controller", "xapi9", "tcp:127.0.0.1:6653",
        )  # fmt: skip
        before = configuration(host.sandbox)

        host.up(tunnel)

        assert configuration(host.sandbox) == before


def test_the_boot_set_comes_up_in_one_transaction_management_included() -> None:
    """--force-interface all: NICs, a bond with its members, and what they carry, in one plan."""
    records = two_nics()
    records.vlan("eth0", 100, "xapi100", **static("203.0.113.10", gateway=""))
    for device in ("eth2", "eth3"):
        records.nic(device)
    records.bond("bond0", ["eth2", "eth3"], "xapi0")
    with XapiHost(records, segments=default_segments(nics=4)) as host:
        before = our_transactions(host.sandbox)
        done = host.sandbox.run(
            ["interface-reconfigure", f"--root-prefix={host.sandbox.root}", "--force-interface", "all", "up"],
            check=False,
        )

        assert done.returncode == 0, done.stderr
        assert bridges(host.sandbox) == ["xapi0", "xapi100", "xenbr0", "xenbr1"]
        assert members_in_switch(host) == {"bond0": {"eth2", "eth3"}}
        assert addresses(host.sandbox, "xenbr0") == ["192.0.2.10/24"]
        assert addresses(host.sandbox, "xapi100") == ["203.0.113.10/24"]
        assert our_transactions(host.sandbox) == before + 1
