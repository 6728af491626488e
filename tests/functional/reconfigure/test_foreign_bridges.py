"""Bridges of others beside ours, with patch, tagged and tunnel ports between them, survive every operation (rule 4).

One kind of tunnel at a time: with three kinds the userspace datapath of Open vSwitch 3.1 hangs by itself.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from host_records import HostRecords, Record, static
from host_state import bridges, configuration, refuse, succeed, vsctl
from xapi_host import XapiHost

from xsagent.sandbox.dom0 import Sandbox
from xsagent.sandbox.spec import shared_segment

MOVED = ("ip_configuration_mode", "IP", "netmask", "gateway", "management")
NO_IP = {"ip_configuration_mode": "None", "IP": "", "netmask": "", "gateway": "", "management": False}
ON_OURS = ("to-sdn", "vlan5-to-sdn", "tunnel7")
ON_THEIRS = ("to-xen", "vlan5-to-xen", "tunnel8")
PORT_COLUMNS = "_uuid,name,tag,trunks,external_ids,other_config,interfaces"
INTERFACE_COLUMNS = "_uuid,name,type,options,external_ids,other_config"


def put_foreign_things(sandbox: Sandbox, ours: str, tunnel: str) -> None:
    """A bridge `sdn` with its controller, flows and ports, joined to `ours` by patch ports, one of them tagged."""
    commands = [
        "add-br sdn -- set Bridge sdn datapath_type=netdev fail_mode=secure protocols=OpenFlow13 other_config:a=b",
        "set-controller sdn tcp:127.0.0.1:6653",
    ]
    pairs = [("to-sdn", "to-xen", ""), ("vlan5-to-sdn", "vlan5-to-xen", "tag=5")]
    for here, there, tag in pairs:
        for bridge, name, peer in ((ours, here, there), ("sdn", there, here)):
            port = f"add-port {bridge} {name} {tag}".rstrip()
            commands.append(f"{port} -- set Interface {name} type=patch options:peer={peer} external_ids:owner=sdn")
    for bridge, number in ((ours, 7), ("sdn", 8)):
        settings = f"type={tunnel} options:remote_ip=192.0.2.{number} options:key={number} external_ids:owner=sdn"
        commands.append(f"add-port {bridge} tunnel{number} -- set Interface tunnel{number} {settings}")
    for command in commands:
        sandbox.run(["ovs-vsctl", *command.split()])
    sandbox.run(["ovs-ofctl", "-OOpenFlow13", "add-flow", "sdn", "cookie=0x77,priority=9,actions=drop"])


def foreign_things(sandbox: Sandbox) -> dict[str, Any]:
    """Their rows with uuids, and their flows, as ovs-vsctl and ovs-ofctl show them."""
    names = (*ON_OURS, *ON_THEIRS)
    shown: dict[str, Any] = {
        table: json.loads(vsctl(sandbox, "--format=json", f"--columns={columns}", "list", table, *names))["data"]
        for table, columns in (("Port", PORT_COLUMNS), ("Interface", INTERFACE_COLUMNS))
    }
    shown["bridge"] = json.loads(vsctl(sandbox, "--format=json", "list", "Bridge", "sdn"))["data"]
    shown["on theirs"] = vsctl(sandbox, "list-ports", "sdn").split()
    shown["flows"] = sandbox.run(["ovs-ofctl", "-OOpenFlow13", "--no-stats", "dump-flows", "sdn"]).stdout
    return shown


def ports_of(sandbox: Sandbox, bridge: str) -> set[str]:
    """Every port of a real bridge, those of its VLAN bridges included."""
    uuids = vsctl(sandbox, "get", "Bridge", bridge, "ports").strip("[]\n").split(", ")
    return {vsctl(sandbox, "get", "Port", uuid, "name").strip().strip('"') for uuid in uuids}


@pytest.mark.parametrize("tunnel", ["vxlan", "gre", "stt", "geneve"])
def test_what_others_made_survives_every_operation(tunnel: str) -> None:
    """Rows, options and flows are the same; what was on a bridge of ours is on that which stands for it now."""
    records = HostRecords()
    nic = records.nic("eth0", management=True, **static("192.0.2.10"))
    other = records.nic("eth1")
    vlan = records.vlan("eth0", 100, "xapi100")
    with XapiHost(records, segments=shared_segment(nics=2)) as host:
        host.up(nic)
        put_foreign_things(host.sandbox, "xenbr0", tunnel)
        before = foreign_things(host.sandbox)

        def check(bridge: str, what: str) -> None:
            assert foreign_things(host.sandbox) == before, what
            assert set(ON_OURS) <= ports_of(host.sandbox, bridge), what

        host.up(nic)
        check("xenbr0", "up again")
        host.up(vlan)
        check("xenbr0", "VLAN up")
        host.down(vlan)
        check("xenbr0", "VLAN down")
        host.up(other)
        host.down(other)
        check("xenbr0", "another NIC up and down")
        rewrite(host, "xenbr0")
        check("xenbr0", "rewrite")
        boot(host, other)
        check("xenbr0", "the whole boot set")
        host.down(other)
        bond = bond_over(records, nic, other)
        host.up(bond)
        check("xapi0", "onto the bond")
        on_bond = records.vlan("bond0", 5, "xapi5")
        host.up(on_bond)
        check("xapi0", "a VLAN of the same tag up")
        host.down(on_bond)
        check("xapi0", "and down")
        nic.update({key: bond[key] for key in MOVED})
        host.up(nic, "--management")
        check("xenbr0", "back to the NIC")


def test_a_bridge_with_ports_of_others_goes_only_for_xapi_or_who_insists() -> None:
    """An admin's down and that of --force name them and change nothing; the NIC's own port keeps no bridge."""
    records = HostRecords()
    records.nic("eth0", management=True, **static("192.0.2.10"))
    nic = records.nic("eth1")
    with XapiHost(records, segments=shared_segment(nics=2)) as host:
        host.up(nic)
        put_foreign_things(host.sandbox, "xenbr1", "vxlan")
        before = configuration(host.sandbox)

        said = [
            refuse(host.sandbox, "--pif-uuid", nic["uuid"], "down"),
            refuse(host.sandbox, "--force", "xenbr1", "down"),
        ]

        names = ", ".join(sorted(ON_OURS))
        assert all(f"bridge xenbr1 carries {names}: taking it down would cut them off" in text for text in said)
        assert configuration(host.sandbox) == before
        host.down(nic, "--even-if-in-use")
        assert bridges(host.sandbox) == ["sdn"]
        host.up(nic)
        host.down(nic)
        assert bridges(host.sandbox) == ["sdn"]


def set_on_bridge(sandbox: Sandbox) -> None:
    """What an admin may set on our bridge xenbr0: a mirror between two ports of his, sampling, keys."""
    vsctl(
        sandbox,
        *("--", "add-port", "xenbr0", "seen", "--", "set", "Interface", "seen", "type=internal"),
        *("--", "add-port", "xenbr0", "sniffer", "--", "set", "Interface", "sniffer", "type=internal"),
        *("--", "--id=@seen", "get", "Port", "seen", "--", "--id=@sniffer", "get", "Port", "sniffer"),
        *("--", "--id=@m", "create", "Mirror", "name=admin", "select_src_port=@seen", "output_port=@sniffer"),
        *("--", "--id=@s", "create", "sFlow", 'targets="127.0.0.1:6343"', "agent=lo"),
        *("--", "set", "Bridge", "xenbr0", "mirrors=@m", "sflow=@s"),
        *("--", "set", "Bridge", "xenbr0", "other_config:forward-bpdu=true", "external_ids:owner=admin"),
    )


def set_by_others(sandbox: Sandbox, bridge: str) -> dict[str, str]:
    """All that, with the rows' uuids, as it stands on a bridge."""
    values = {column: vsctl(sandbox, "get", "Bridge", bridge, column) for column in ("mirrors", "sflow")}
    for key in ("other_config:forward-bpdu", "external_ids:owner"):
        values[key] = vsctl(sandbox, "--if-exists", "get", "Bridge", bridge, key)
    values["mirror"] = vsctl(sandbox, "--columns=_uuid,name,select_src_port,output_port", "list", "Mirror")
    return values


def test_mirrors_and_keys_of_others_are_on_the_bridge_that_has_the_ports() -> None:
    """From NIC to bond, back after a bond that did not work, and back to the NIC: the same rows, with their ports."""
    records = HostRecords()
    nic = records.nic("eth0", management=True, **static("192.0.2.10"))
    other = records.nic("eth1")
    with XapiHost(records, segments=shared_segment(nics=2)) as host:
        host.up(nic)
        set_on_bridge(host.sandbox)
        before = set_by_others(host.sandbox, "xenbr0")
        whole = configuration(host.sandbox)
        bond = bond_over(records, nic, other)
        works, bond["gateway"] = bond["gateway"], "192.0.2.99"

        failed = host.run("up", bond)
        assert "the old configuration is back" in failed.stderr
        assert configuration(host.sandbox) == whole

        bond["gateway"] = works
        host.up(bond)
        assert bridges(host.sandbox) == ["xapi0"]
        assert set_by_others(host.sandbox, "xapi0") == before
        assert "outcome=applied changed=false" in host.run("up", bond).stderr

        nic.update({key: bond[key] for key in MOVED})
        host.up(nic, "--management")
        assert set_by_others(host.sandbox, "xenbr0") == before


def test_what_cannot_go_along_is_named() -> None:
    """What steers a bridge stays with it: another bridge's ports would obey a controller that does not know them."""
    records = HostRecords()
    nic = records.nic("eth0", management=True, **static("192.0.2.10"))
    other = records.nic("eth1")
    with XapiHost(records, segments=shared_segment(nics=2)) as host:
        host.up(nic)
        vsctl(host.sandbox, "set-controller", "xenbr0", "tcp:127.0.0.1:6653")
        vsctl(host.sandbox, "set", "Bridge", "xenbr0", "protocols=OpenFlow10,OpenFlow13", "external_ids:owner=admin")
        bond = bond_over(records, nic, other)

        done = host.run("up", bond)

        assert done.returncode == 0, done.stderr
        left = "OpenFlow controllers tcp:127.0.0.1:6653, protocols"
        assert f'reason="bridge xenbr0 goes, and what others set on it with it: {left}"' in done.stderr
        assert vsctl(host.sandbox, "get", "Bridge", "xapi0", "protocols") == "[]"
        assert vsctl(host.sandbox, "get-controller", "xapi0") == ""


def rewrite(host: XapiHost, bridge: str) -> None:
    """XAPI's networks are marked anew on a bridge of ours that lost its mark."""
    mark = vsctl(host.sandbox, "br-get-external-id", bridge, "xs-network-uuids")
    vsctl(host.sandbox, "br-set-external-id", bridge, "xs-network-uuids", "lost")
    host.restart_xapi()
    succeed(host.sandbox, "rewrite")
    assert vsctl(host.sandbox, "br-get-external-id", bridge, "xs-network-uuids") == mark


def boot(host: XapiHost, detached: Record) -> None:
    """The boot set in one: a NIC that is down comes up beside what is up already."""
    bridge = host.records.network_of(detached)["bridge"]
    assert bridge not in bridges(host.sandbox)
    succeed(host.sandbox, "--force-interface", "all", "up")
    assert bridge in bridges(host.sandbox)
    detached["currently_attached"] = True


def bond_over(records: HostRecords, *members: Record) -> Record:
    """Move the first member's role and address to a bond of all, as XAPI's Bond.create does."""
    moved = {key: members[0][key] for key in MOVED}
    bond = records.bond("bond0", [str(member["device"]) for member in members], "xapi0", "active-backup", **moved)
    for member in members:
        member.update(NO_IP)
    return bond
