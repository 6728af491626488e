"""The names of bridges alone, as deciding needs them: what ovs-vsctl(8) says, in one read."""

from __future__ import annotations

import time

from host_state import vsctl

from xsagent.observed.bridge_names import read_bridge_parents
from xsagent.observed.ovsdb_connection import OvsdbConnection
from xsagent.sandbox.dom0 import Sandbox


def test_vlan_bridges_are_named_with_the_bridge_they_ride_on() -> None:
    """As br-to-parent says; an ordinary port with a tag is none."""
    with Sandbox() as sandbox:
        for bridge in ("xenbr0", "xenbr1"):
            vsctl(sandbox, "--no-wait", "add-br", bridge)
        vsctl(sandbox, "--no-wait", "add-br", "xapi7", "xenbr1", "7")
        vsctl(sandbox, "--no-wait", "add-port", "xenbr0", "vif1.0", "tag=8")
        with OvsdbConnection.open(sandbox.root / "run/openvswitch/db.sock", 5.0) as connection:
            found = read_bridge_parents(connection, time.monotonic() + 5)

        assert found == {"xenbr0": None, "xenbr1": None, "xapi7": "xenbr1"}
        assert sorted(found) == vsctl(sandbox, "list-br").split()


def test_a_switch_without_bridges_has_no_names() -> None:
    """Nothing is made up."""
    with Sandbox() as sandbox, OvsdbConnection.open(sandbox.root / "run/openvswitch/db.sock", 5.0) as connection:
        assert read_bridge_parents(connection, time.monotonic() + 5) == {}
