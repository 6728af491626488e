"""The narrow read of a few ports says the same as the whole read of the database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from xsagent.observed.ovsdb import read_ovsdb
from xsagent.observed.ovsdb_connection import OvsdbConnection
from xsagent.observed.vif_ports import read_vif_ports
from xsagent.sandbox.dom0 import Sandbox


@pytest.fixture
def switch(sandbox: Sandbox) -> Iterator[OvsdbConnection]:
    """Two bridges, a VLAN bridge, a marked port on it, one with trunks, one whose netdev is missing."""
    words = "add-br xenbr0 -- add-br xenbr1 -- add-br xapi5 xenbr0 50 -- add-port xapi5 vif5.0"
    words += " -- set Bridge xenbr0 datapath_type=netdev -- set Bridge xenbr1 datapath_type=netdev"
    words += " -- set Interface vif5.0 type=internal external_ids:xs-vif-uuid=u external_ids:foreign=1"
    words += " -- add-port xenbr1 tap5.0 trunks=30,20 -- add-port xenbr1 other"
    sandbox.run(["ovs-vsctl", "--no-wait", *words.split()])
    sandbox.run(["ovs-vsctl", "--timeout=20", "wait-until", "Interface", "tap5.0", "ofport=-1"])
    with OvsdbConnection.open(sandbox.root / "run/openvswitch/db.sock", 0) as connection:
        yield connection


def test_named_ports_and_vlan_bridges_are_read_and_no_others(switch: OvsdbConnection) -> None:
    """Bridge, tag, trunks, marks, number and the switch's error of each named port."""
    narrow = read_vif_ports(switch, ["vif5.0", "tap5.0", "vif9.9"])
    whole = read_ovsdb(switch).bridges

    assert {name: set(bridge.ports) for name, bridge in narrow.items()} == {
        "xenbr0": {"xapi5", "vif5.0"},
        "xenbr1": {"tap5.0"},
    }
    for bridge, name in (("xenbr0", "vif5.0"), ("xenbr1", "tap5.0")):
        seen, full = narrow[bridge].ports[name], whole[bridge].ports[name]
        assert (seen.tag, seen.trunks, seen.fake_bridge) == (full.tag, full.trunks, full.fake_bridge)
        for field in ("external_ids", "ofport", "error"):
            assert getattr(seen.interfaces[name], field) == getattr(full.interfaces[name], field)
    assert narrow["xenbr0"].ports["xapi5"].tag == 50
    assert narrow["xenbr1"].ports["tap5.0"].interfaces["tap5.0"].error is not None


def test_without_names_only_the_bridges_are_read(switch: OvsdbConnection) -> None:
    """Enough to resolve a bridge's name."""
    assert {name: set(bridge.ports) for name, bridge in read_vif_ports(switch, []).items()} == {
        "xenbr0": {"xapi5"},
        "xenbr1": set(),
    }
