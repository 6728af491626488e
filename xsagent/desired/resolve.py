"""Records -> which bridge stands for which while bonds are up: a bond's for its members' (DESIGN.md section 6). Pure.

Hotplug asks it where a VIF's port goes when its own bridge is not in the switch, which alone tells what is up.
"""

from __future__ import annotations

from xsagent.model.records import Pif
from xsagent.model.snapshot import Snapshot


def build_aliases(snapshot: Snapshot) -> dict[str, str]:
    """The bridge that can stand for a bridge, by its name.

    The bridge of a bond's member stands for the bond's, and that of a VLAN on a member for that of the bond's VLAN
    with the same tag. Whether it does is the switch's word: the other bridge must be there.
    """
    pairs = [(snapshot.bridge_of(pif), _substitute(snapshot, pif)) for pif in snapshot.pifs.values()]
    named = [(old, snapshot.bridge_of(pif)) for old, pif in pairs if old and pif is not None]
    return {old: new for old, new in named if new and new != old}


def _substitute(snapshot: Snapshot, pif: Pif) -> Pif | None:
    carrier = snapshot.carrier_of(pif)
    bond = snapshot.bond_with_member(carrier or pif)
    bond_pif = snapshot.pifs.get(bond.pif) if bond is not None else None
    if bond_pif is None or carrier is None:
        return bond_pif
    return next((vlan for vlan in snapshot.vlan_pifs_on(bond_pif) if vlan.vlan == pif.vlan), None)
