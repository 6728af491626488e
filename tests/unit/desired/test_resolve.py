"""Which bridge can stand for a bridge while a bond is up."""

from __future__ import annotations

from records_builder import Records

from xsagent.desired.resolve import build_aliases
from xsagent.model.records import Ref


def test_a_members_bridge_stands_for_the_bonds() -> None:
    """Each member's; other NICs' bridges stand for themselves."""
    records = Records()
    records.bond(records.nic(0), records.nic(1))
    records.nic(7)

    assert build_aliases(records.snapshot()) == {"xenbr0": "xapi0", "xenbr1": "xapi0"}


def test_a_vlan_bridge_on_a_member_stands_for_the_bonds_with_the_same_tag() -> None:
    """Where there is one; otherwise it moved along under its own name."""
    records = Records()
    nic = records.nic(0)
    records.vlan(nic, 5, bridge="old5")
    records.vlan(nic, 6, bridge="old6")
    bond = records.bond(nic, records.nic(1))
    records.vlan(bond, 5)

    assert build_aliases(records.snapshot()) == {"old5": "xapi5", "xenbr0": "xapi0", "xenbr1": "xapi0"}


def test_a_bond_without_a_bridge_or_record_stands_in_for_nothing() -> None:
    """Dangling records must not send a VIF nowhere."""
    records = Records()
    records.bond(records.nic(0), records.nic(1), bridge="")
    assert build_aliases(records.snapshot()) == {}
    del records.pifs[Ref("pif-bond0")]
    assert build_aliases(records.snapshot()) == {}
