"""apply/deadman.py: how long the window is."""

from __future__ import annotations

from typing import Any

import pytest

from xsagent.apply.deadman import compute_window, late_updelay
from xsagent.topology.desired import Desired, ManagementPath
from xsagent.topology.values import Bridge, Interface, Link, Port, Topology


@pytest.mark.parametrize(
    ("setting", "facts", "window"),
    [
        (None, {}, 30.0),
        (None, {"dhcp": True}, 45.0),
        (None, {"updelay_s": 31.0}, 61.0),
        (None, {"high_availability": True}, 20.0),
        (None, {"high_availability": True, "updelay_s": 31.0}, 20.0),
        (10, {"high_availability": True}, 10.0),
        (90, {"dhcp": True}, 90.0),
        (0, {"dhcp": True, "updelay_s": 31.0}, 0.0),
    ],
)
def test_the_window_is_as_designed(setting: int | None, facts: dict[str, Any], window: float) -> None:
    """30 s, 45 with DHCP, plus updelay, at most 20 under HA; 0 is no deadman (DESIGN.md section 4)."""
    given = {"dhcp": False, "high_availability": False, **facts}

    assert compute_window(setting, **given) == window


def bond(updelay: int = 31000) -> Desired:
    """Management on a bond of two NICs."""
    interfaces = {name: Interface(name=name) for name in ("eth0", "eth1")}
    port = Port(name="bond0", interfaces=interfaces, bond_updelay=updelay)
    single = Port(name="eth2", interfaces={"eth2": Interface(name="eth2")})
    bridges = {"xapi0": Bridge(name="xapi0", ports={"bond0": port, "eth2": single})}
    path = ManagementPath(device="xapi0", ports=("xapi0", "bond0", "eth0", "eth1", "eth2"))
    return Desired(topology=Topology(bridges=bridges), management=path)


def links(**carrier: bool) -> Topology:
    """NICs with and without carrier."""
    return Topology(links={name: Link(name=name, carrier=up) for name, up in carrier.items()})


def test_a_bond_with_a_late_carrier_lengthens_the_window_by_its_updelay() -> None:
    """A member whose carrier comes late is enabled updelay later."""
    assert late_updelay(bond(), links(eth0=True, eth1=False)) == 31.0
    assert late_updelay(bond(), links(eth0=True)) == 31.0


def test_a_bond_with_all_carriers_does_not() -> None:
    """Nor does a single NIC, nor an operation that is not about management."""
    assert late_updelay(bond(), links(eth0=True, eth1=True, eth2=False)) == 0.0
    assert late_updelay(Desired(topology=bond().topology), links()) == 0.0
