"""The narrow read of a few ports says the same as the whole read of the database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from xsagent.observed.ovsdb import read_ovsdb
from xsagent.observed.ovsdb_connection import OvsdbConnection
from xsagent.observed.ovsdb_json import members
from xsagent.observed.vif_ports import read_vif_ports
from xsagent.sandbox.dom0 import Sandbox
from xsagent.topology.values import Bridge


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


def test_mirrors_are_read_as_in_a_whole_read(sandbox: Sandbox, switch: OvsdbConnection) -> None:
    """All columns that are no default; a port that is none of the named ones stays a UUID."""
    words = "--id=@vif get Port vif5.0 -- --id=@other get Port other -- --id=@a create Mirror name=a output_port=@vif"
    words += " select_all=true select_vlan=0 external_ids:xs-vif-uuid=u -- add Bridge xenbr0 mirrors @a"
    words += " -- --id=@b create Mirror name=b output_port=@other select_vlan=1,2 -- add Bridge xenbr1 mirrors @b"
    words += " -- --id=@c create Mirror name=c output_vlan=9 -- add Bridge xenbr1 mirrors @c"
    sandbox.run(["ovs-vsctl", "--no-wait", "--", *words.split()])

    narrow, whole = read_vif_ports(switch, ["vif5.0"]), read_ovsdb(switch).bridges

    mirrors = {row["name"]: row for bridge in narrow.values() for row in _rows(bridge)}
    assert mirrors["a"] == _rows(whole["xenbr0"])[0]
    expected = {row["name"]: row for row in _rows(whole["xenbr1"])}
    assert mirrors["c"] == expected["c"]
    assert mirrors["b"].pop("output_port")[0] == "uuid"
    assert expected["b"].pop("output_port") == {"table": "Port", "name": "other"}
    assert mirrors["b"] == expected["b"]


def _rows(bridge: Bridge) -> list[dict[str, Any]]:
    value: Any = bridge.extra["mirrors"]
    return [nested["row"] for nested in members(value)]


def test_without_names_only_the_bridges_are_read(switch: OvsdbConnection) -> None:
    """Enough to resolve a bridge's name."""
    assert {name: set(bridge.ports) for name, bridge in read_vif_ports(switch, []).items()} == {
        "xenbr0": {"xapi5"},
        "xenbr1": set(),
    }
