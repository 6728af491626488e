"""Which PIFs a boot brings up, in which order (features.md section 23). Pure.

Called by build.py for ``--force-interface all``.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Sequence

from xsagent.desired.kind import PifKind, is_tagged, kind_of, label
from xsagent.desired.notes import Notes
from xsagent.desired.request import HostFacts
from xsagent.desired.scene import has_ip
from xsagent.desired.static_addresses import static_addresses, without_addresses
from xsagent.errors import InputError
from xsagent.model.records import Pif, Ref
from xsagent.model.snapshot import Snapshot
from xsagent.topology.values import IpAddress


def boot_set(snapshot: Snapshot, host: HostFacts, notes: Notes) -> tuple[Pif, ...]:
    """Management, then what CURRENT_INTERFACES names, then NICs, bonds and PIFs with an IP mode, each once.

    Members of bonds and unmanaged PIFs are left out; VLANs without IP configuration come only where
    CURRENT_INTERFACES names them. Carriers need no place of their own: raising a VLAN raises its carrier.
    """
    chosen: dict[str, Pif] = {}
    recorded = snapshot.management_pif()
    named = _named(snapshot, [host.management_bridge, *host.current_interfaces], notes)
    ordered = sorted(snapshot.pifs.values(), key=lambda pif: (is_tagged(pif), pif.device, pif.vlan, pif.uuid))
    wanted = [pif for pif in ordered if _is_wanted(snapshot, pif)]
    for pif in [*([recorded] if recorded else []), *named, *wanted]:
        if pif.managed:
            chosen.setdefault(pif.ref, pif)
    members = {ref for bond in snapshot.bonds.values() if bond.pif in chosen for ref in bond.members}
    keep = recorded.ref if recorded else None
    result = tuple(pif for pif in chosen.values() if pif.ref not in members or pif.ref == keep)
    for pif in result:
        notes.decide("choose_boot_set", label(pif), "it is brought up at boot")
    return result


def without_repeated_addresses(snapshot: Snapshot, members: Sequence[Pif], notes: Notes) -> Snapshot:
    """The snapshot in which no two of these PIFs have one static address: the first one keeps it (pains.md 1)."""
    holders: dict[IpAddress, Pif] = {}
    changed: dict[Ref, Pif] = {}
    for pif in members:
        repeated = [address for address in static_addresses(pif) if holders.setdefault(address, pif) is not pif]
        for address in repeated:
            text = f"{address} is the address of {label(holders[address])} too; it comes up without"
            notes.warn("leave_out_address", label(pif), text)
        if repeated:
            changed[pif.ref] = without_addresses(pif, repeated)
    return dataclasses.replace(snapshot, pifs={**snapshot.pifs, **changed}) if changed else snapshot


def _named(snapshot: Snapshot, bridges: Iterable[str], notes: Notes) -> list[Pif]:
    on_bridge: dict[str, list[Pif]] = defaultdict(list)
    for pif in snapshot.pifs.values():
        on_bridge[snapshot.bridge_of(pif)].append(pif)
    found: list[Pif] = []
    for bridge in dict.fromkeys(name for name in bridges if name):
        if not on_bridge[bridge]:
            notes.warn("leave_out_of_boot", bridge, "the inventory names it, but no PIF of this host is on it")
        found += sorted(on_bridge[bridge], key=lambda pif: (pif.device, pif.vlan, pif.uuid))
    return found


def _is_wanted(snapshot: Snapshot, pif: Pif) -> bool:
    if not pif.managed or snapshot.bond_with_member(pif) is not None:
        return False
    if has_ip(pif):
        return True
    try:
        return kind_of(snapshot, pif) in {PifKind.NIC, PifKind.BOND}
    except InputError:
        return False
