"""Which bridge stands for a bridge's name."""

from __future__ import annotations

import pytest
from records_builder import Records

from xsagent.desired.resolve import resolve_bridge
from xsagent.model.records import Ref


def test_a_members_bridge_is_the_bonds_while_the_bond_is_up() -> None:
    """Up by itself, or by a VLAN on it."""
    records = Records()
    bond = records.bond(records.nic(0), records.nic(1))
    vlan = records.vlan(bond, 5)
    assert resolve_bridge(records.snapshot(), "xenbr0") == "xenbr0"
    records.change(vlan, currently_attached=True)
    assert resolve_bridge(records.snapshot(), "xenbr0") == "xapi0"
    records.change(vlan, currently_attached=False)
    records.change(bond, currently_attached=True)
    assert resolve_bridge(records.snapshot(), "xenbr1") == "xapi0"
    assert resolve_bridge(records.snapshot(), "xapi0") == "xapi0"


def test_a_vlan_bridge_on_a_member_is_the_bonds_with_the_same_tag() -> None:
    """Where there is one that is up; otherwise it moved along under its own name."""
    records = Records()
    nic = records.nic(0)
    records.vlan(nic, 5, bridge="old5")
    records.vlan(nic, 6, bridge="old6")
    bond = records.bond(nic, records.nic(1), currently_attached=True)
    records.vlan(bond, 5, currently_attached=True)
    assert resolve_bridge(records.snapshot(), "old5") == "xapi5"
    assert resolve_bridge(records.snapshot(), "old6") == "old6"


@pytest.mark.parametrize("name", ["unknown", "", "xenbr7"])
def test_other_names_stand_for_themselves(name: str) -> None:
    """Internal networks have no PIF here."""
    records = Records()
    records.nic(7)
    assert resolve_bridge(records.snapshot(), name) == name


def test_a_bond_without_a_bridge_or_record_stands_in_for_nothing() -> None:
    """Dangling records must not send a VIF nowhere."""
    records = Records()
    records.bond(records.nic(0), records.nic(1), bridge="", currently_attached=True)
    assert resolve_bridge(records.snapshot(), "xenbr0") == "xenbr0"
    del records.pifs[Ref("pif-bond0")]
    assert resolve_bridge(records.snapshot(), "xenbr0") == "xenbr0"
