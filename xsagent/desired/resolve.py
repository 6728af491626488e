"""Bridge name in a record -> the bridge that stands for it now: a bond's bridge for its members' (DESIGN.md 6). Pure.

Hotplug asks it where a VIF's port goes.
"""

from __future__ import annotations

from xsagent.model.records import Bond, Pif
from xsagent.model.snapshot import Snapshot


def resolve_bridge(snapshot: Snapshot, bridge_name: str) -> str:
    """The bridge to use for `bridge_name`; the name itself when nothing stands in for it, or it is unknown.

    While a bond is up, the bridge of a member resolves to the bond's, and the bridge of a VLAN on a member to that of
    the bond's VLAN with the same tag, where there is one that is up.
    """
    for pif in snapshot.pifs.values():
        if snapshot.bridge_of(pif) == bridge_name:
            substitute = _substitute(snapshot, pif)
            if substitute is not None:
                return snapshot.bridge_of(substitute) or bridge_name
    return bridge_name


def _substitute(snapshot: Snapshot, pif: Pif) -> Pif | None:
    carrier = snapshot.carrier_of(pif)
    bond = snapshot.bond_with_member(carrier or pif)
    bond_pif = snapshot.pifs.get(bond.pif) if bond is not None else None
    if bond is None or bond_pif is None or not _is_up(snapshot, bond):
        return None
    if carrier is None:
        return bond_pif
    same_tag = [vlan for vlan in snapshot.vlan_pifs_on(bond_pif) if vlan.vlan == pif.vlan and vlan.currently_attached]
    return same_tag[0] if same_tag else None


def _is_up(snapshot: Snapshot, bond: Bond) -> bool:
    pif = snapshot.pifs.get(bond.pif)
    if pif is None:
        return False
    return pif.currently_attached or any(vlan.currently_attached for vlan in snapshot.vlan_pifs_on(pif))
