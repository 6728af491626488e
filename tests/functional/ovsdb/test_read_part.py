"""observed/ovsdb.py asked for what one operation looks at, against a reading of the whole, on a real ovsdb-server."""

from __future__ import annotations

import pytest
from concerned import only_concerned

from xsagent.observed.ovsdb import read_ovsdb
from xsagent.observed.ovsdb_connection import OvsdbConnection
from xsagent.sandbox.dom0 import Sandbox
from xsagent.topology.concern import SwitchConcern

CONCERNS = {
    "a port": SwitchConcern(names=frozenset({"gre0"})),
    "a bond's member": SwitchConcern(names=frozenset({"eth0"})),
    "a bond": SwitchConcern(names=frozenset({"bond0"})),
    "a VLAN bridge": SwitchConcern(names=frozenset({"xapi25"})),
    "a tag": SwitchConcern(tags=frozenset({26})),
    "a tag that is not there": SwitchConcern(tags=frozenset({4000}), names=frozenset({"xapi4000"})),
    "a bridge that may go": SwitchConcern(names=frozenset({"other"}), bridges=frozenset({"other"})),
    "a VLAN bridge that may go": SwitchConcern(names=frozenset({"xapi25"}), bridges=frozenset({"xapi25"})),
    "nothing": SwitchConcern(),
    "very much": SwitchConcern(names=frozenset(f"vif{number}.0" for number in range(500))),
}


@pytest.fixture
def switch(sandbox: Sandbox) -> Sandbox:
    """A bond, two VLAN bridges with riders, tunnels, a mirror and QoS, and a bridge of others with a patch port."""
    commands = """add-br xenbr0 -- set Bridge xenbr0 datapath_type=netdev external_ids:xs-network-uuids=u1
    add-bond xenbr0 bond0 eth0 eth1 bond_mode=active-backup bond_updelay=200
    add-br xapi25 xenbr0 25 -- add-br xapi26 xenbr0 26
    add-port xenbr0 vif1.0 tag=25 -- add-port xenbr0 vif2.0 tag=26 -- add-port xenbr0 vif3.0
    set Interface vif1.0 external_ids:xs-vif-uuid=v1 mtu_request=1400
    add-port xenbr0 gre0 -- set Interface gre0 type=gre options:remote_ip=192.0.2.9
    set-controller xenbr0 tcp:192.0.2.5:6640
    add-br other -- set Bridge other datapath_type=netdev
    add-port other p1 -- set Interface p1 type=patch options:peer=p0
    add-port xenbr0 p0 -- set Interface p0 type=patch options:peer=p1
    -- --id=@q create QoS type=linux-htb -- set Port vif3.0 qos=@q"""
    for line in commands.splitlines():
        sandbox.run(["ovs-vsctl", *line.split()])
    return sandbox


@pytest.mark.parametrize("concern", CONCERNS.values(), ids=CONCERNS)
@pytest.mark.parametrize("mirrored", [False, True], ids=["plain", "mirrored"])
def test_what_is_concerned_is_read_as_in_the_whole(
    switch: Sandbox, connection: OvsdbConnection, concern: SwitchConcern, *, mirrored: bool
) -> None:
    """Every column of a port that counts, and none of the ports that do not; what a mirror names counts always."""
    if mirrored:
        words = ["--id=@m", "create", "Mirror", "name=m", "select_dst_port=@p", "output_port=@o"]
        ports = ["--id=@p", "get", "Port", "vif2.0", "--", "--id=@o", "get", "Port", "p0"]
        switch.run(["ovs-vsctl", "--", *ports, "--", *words, "--", "set", "Bridge", "xenbr0", "mirrors=@m"])

    part = read_ovsdb(connection, concern=concern)

    whole = read_ovsdb(connection)
    expected = whole.bridges if concern is CONCERNS["very much"] else only_concerned(whole.bridges, concern)
    assert part.bridges == expected
    assert (part.external_ids, part.managers, part.cur_cfg) == (whole.external_ids, whole.managers, whole.cur_cfg)


def test_the_choice_leaves_out_most_ports(switch: Sandbox, connection: OvsdbConnection) -> None:
    """What the test before compares is no empty thing: a VLAN's riders come along, others do not."""
    del switch
    ports = {name: set(read_ovsdb(connection, concern=CONCERNS[name]).bridges["xenbr0"].ports) for name in CONCERNS}

    assert ports["a VLAN bridge"] == {"xapi25", "vif1.0"}
    assert ports["a tag"] == {"xapi26", "vif2.0"}
    assert ports["a bond's member"] == {"bond0"}
    assert ports["nothing"] == set()
    assert len(ports["a bridge that may go"]) == 9
