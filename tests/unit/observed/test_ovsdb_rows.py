"""observed/ovsdb_rows.py: rows become values, and all that no field stands for is kept in `extra`."""

from __future__ import annotations

import pytest

from xsagent.errors import OvsdbError
from xsagent.observed.ovsdb_json import Column, Row
from xsagent.observed.ovsdb_rows import RowReader, configuration_columns
from xsagent.topology.values import Bridge, Interface, Port

SET, MAP = Column(default=["set", []]), Column(default=["map", []])
TEXT, FLAG = Column(default=""), Column(default=False)


def refers(table: str) -> Column:
    """A set column that refers to rows."""
    return Column(default=["set", []], refers_to=table)


SCHEMA = {
    "Bridge": {
        "name": TEXT, "ports": refers("Port"), "other_config": MAP, "stp_enable": FLAG, "mirrors": refers("Mirror"),
        "controller": refers("Controller"), "datapath_version": TEXT, "datapath_id": Column(default="", ephemeral=True),
    },
    "Port": {"name": TEXT, "interfaces": refers("Interface"), "tag": SET, "qos": refers("QoS"), "vlan_mode": SET},
    "Interface": {"name": TEXT, "type": TEXT, "ofport": SET, "error": SET, "cfm_flap_count": SET, "lldp": MAP},
    "Mirror": {"name": TEXT, "select_src_port": refers("Port"), "output_port": refers("Port")},
    "Controller": {"target": TEXT, "role": Column(default="", ephemeral=True)},
    "QoS": {"type": TEXT, "queues": Column(default=["map", []], refers_to="Queue")},
    "Queue": {"dscp": SET},
    "Flow_Sample_Collector_Set": {"id": Column(default=0), "bridge": refers("Bridge")},
}  # fmt: skip

SWITCH: Row = {"bridges": ["uuid", "b1"]}
PLAIN: dict[str, dict[str, Row]] = {
    "Bridge": {"b1": {"_uuid": ["uuid", "b1"], "name": "xenbr0", "ports": ["uuid", "p1"]}},
    "Port": {"p1": {"_uuid": ["uuid", "p1"], "name": "eth0", "interfaces": ["uuid", "i1"]}},
    "Interface": {"i1": {"_uuid": ["uuid", "i1"], "name": "eth0"}},
}


def test_rows_with_defaults_are_values_without_extra() -> None:
    """A column that the row lacks has its default; nothing is KEEP in an observed value."""
    interface = Interface(name="eth0", type="", mac=None, mtu_request=None)
    port = Port(
        name="eth0", interfaces={"eth0": interface}, tag=None, trunks=(), mac=None, fake_bridge=False,
        bond_fake_iface=False, bond_mode=None, lacp=None, bond_updelay=0, bond_downdelay=0,
    )  # fmt: skip
    bridge = Bridge(
        name="xenbr0", ports={"eth0": port}, datapath_type="", fail_mode=None, hwaddr=None, mcast_snooping=False
    )

    assert RowReader(SCHEMA, PLAIN).bridges(SWITCH) == {"xenbr0": bridge}


def test_bridge_that_the_switch_record_does_not_list_is_none() -> None:
    """A Bridge row that only another table still refers to is no bridge."""
    assert RowReader(SCHEMA, PLAIN).bridges({"bridges": ["set", []]}) == {}


def test_rows_referred_to_are_nested_and_named_ones_named() -> None:
    """QoS with its queues, mirrors with ports by name, controllers and collector sets stand in `extra`."""
    tables: dict[str, dict[str, Row]] = {
        "Bridge": {
            "b1": {
                **PLAIN["Bridge"]["b1"], "stp_enable": True, "controller": ["set", [["uuid", "c1"], ["uuid", "c2"]]],
                "mirrors": ["uuid", "m1"], "other_config": ["map", [["hwaddr", "AA:bb:00:00:00:01"], ["a", "b"]]],
            }
        },
        "Port": {"p1": {**PLAIN["Port"]["p1"], "qos": ["uuid", "q1"], "tag": 0, "vlan_mode": ["set", []]}},
        "Interface": {"i1": {**PLAIN["Interface"]["i1"], "lldp": ["map", [["enable", "true"]]], "ofport": 3}},
        "Mirror": {"m1": {"name": "m", "select_src_port": ["uuid", "p1"], "output_port": ["set", []]}},
        "Controller": {"c1": {"target": "tcp:b"}, "c2": {"target": "tcp:a"}},
        "QoS": {"q1": {"type": "linux-htb", "queues": ["map", [[0, ["uuid", "u1"]]]]}},
        "Queue": {"u1": {"dscp": 5}},
        "Flow_Sample_Collector_Set": {"f1": {"id": 4, "bridge": ["uuid", "b1"]}},
    }  # fmt: skip

    bridge = RowReader(SCHEMA, tables).bridges(SWITCH)["xenbr0"]

    assert bridge.controllers == ("tcp:a", "tcp:b")
    assert (bridge.hwaddr, bridge.other_config) == ("aa:bb:00:00:00:01", {"a": "b"})
    assert bridge.extra == {
        "stp_enable": True,
        "controller": ["set", [
            {"table": "Controller", "uuid": "c1", "row": {"target": "tcp:b"}},
            {"table": "Controller", "uuid": "c2", "row": {"target": "tcp:a"}},
        ]],
        "mirrors": {
            "table": "Mirror",
            "uuid": "m1",
            "row": {"name": "m", "select_src_port": {"table": "Port", "name": "eth0"}},
        },
        "@collector_sets": [{"id": 4}],
    }  # fmt: skip
    port = bridge.ports["eth0"]
    queue = {"table": "Queue", "uuid": "u1", "row": {"dscp": 5}}
    assert port.tag == 0
    assert port.extra == {
        "qos": {"table": "QoS", "uuid": "q1", "row": {"type": "linux-htb", "queues": ["map", [[0, queue]]]}},
        "@mirrors": [["m1", "select_src_port"]],
    }
    assert port.interfaces["eth0"].extra == {"lldp": ["map", [["enable", "true"]]]}
    assert port.interfaces["eth0"].ofport == 3


def test_status_is_no_configuration() -> None:
    """Ephemeral columns and those that the switch writes are not asked for; a report with a field of its own is."""
    assert "datapath_id" not in configuration_columns(SCHEMA, "Bridge")
    assert "datapath_version" not in configuration_columns(SCHEMA, "Bridge")
    assert "cfm_flap_count" not in configuration_columns(SCHEMA, "Interface")
    assert "role" not in configuration_columns(SCHEMA, "Controller")
    assert {"ofport", "error"} <= set(configuration_columns(SCHEMA, "Interface"))


def test_dangling_reference_is_refused() -> None:
    """A row that refers to one that was not sent makes OvsdbError with both names."""
    with pytest.raises(OvsdbError, match=r"b1.*Bridge"):
        RowReader(SCHEMA, {**PLAIN, "Bridge": {}}).bridges(SWITCH)
