"""apply/bond_settling.py: for which bonds the switch is waited for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from xsagent.apply.bond_settling import changed_bonds
from xsagent.topology.desired import Desired, ManagementPath
from xsagent.topology.values import Bridge, Interface, Port, Topology

BOND = Port(
    name="bond0",
    interfaces={name: Interface(name=name) for name in ("eth0", "eth1")},
    bond_mode="balance-slb",
    lacp="off",
    other_config={"bond-miimon-interval": "100"},
)


def host(port: Port) -> Topology:
    """A host with this port."""
    return Topology(bridges={"xapi0": Bridge(name="xapi0", ports={port.name: port})})


def changed(port: Port, before: Port, *below: str) -> tuple[str, ...]:
    """The bonds that count, with management over these ports."""
    management = ManagementPath(device="xapi0", ports=below or ("xapi0", port.name))
    return changed_bonds(Desired(topology=host(port), management=management), host(before))


@pytest.mark.parametrize(
    "port",
    [
        replace(BOND, lacp="active"),
        replace(BOND, bond_mode="active-backup"),
        replace(BOND, interfaces={**BOND.interfaces, "eth2": Interface(name="eth2")}),
        replace(BOND, other_config={"lacp-fallback-ab": "false"}),
        replace(BOND, name="bond1"),
    ],
    ids=["lacp", "mode", "members", "options", "new"],
)
def test_a_bond_below_management_that_changes_is_waited_for(port: Port) -> None:
    """In what it speaks or in who belongs to it."""
    assert changed(port, BOND) == (port.name,)


def test_a_bond_that_stays_as_it_is_or_carries_others_is_not() -> None:
    """What nobody speaks about is no change; nor is a NIC alone a bond."""
    nic = Port(name="eth0", interfaces={"eth0": Interface(name="eth0")})

    assert changed(replace(BOND, other_config={}), BOND) == ()
    assert changed(replace(BOND, lacp="active"), BOND, "xenbr5", "eth5") == ()
    assert changed(nic, BOND) == ()
