"""A snapshot's references checked: what points nowhere is reported, what goes round in a circle is set aside. Pure.

Between a source's records and `desired/`, which follows references and so must never meet a circle.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet

from xsagent.model.records import Ref
from xsagent.model.snapshot import Snapshot


def check_references(snapshot: Snapshot) -> Snapshot:
    """The same snapshot with warnings for dangling references, and with PIFs that no host can have set aside.

    A PIF that is below itself (VLANs, bonds and SR-IOV in a circle), and a bond over another bond, move to `unusable`;
    the snapshot is then incomplete. VLANs, bonds, tunnels and SR-IOV of which this host has no PIF at all are another
    host's and get no warning.
    """
    impossible = _impossible_pifs(snapshot)
    pifs = {ref: pif for ref, pif in snapshot.pifs.items() if ref not in impossible}
    warnings = (*_dangling(snapshot), *impossible.values())
    return dataclasses.replace(
        snapshot,
        complete=snapshot.complete and not impossible,
        pifs=pifs if impossible else snapshot.pifs,
        unusable={**snapshot.unusable, **impossible},
        warnings=(*snapshot.warnings, *warnings),
    )


def _impossible_pifs(snapshot: Snapshot) -> dict[Ref, str]:
    below = _below(snapshot)
    found = {
        ref: f"PIF {snapshot.pifs[ref].uuid} ({snapshot.pifs[ref].device}) leads in a circle "
        "through VLAN, bond and SR-IOV records"
        for ref in _on_cycles(below)
        if ref in snapshot.pifs
    }
    bond_pifs = {bond.pif for bond in snapshot.bonds.values()}
    for bond in snapshot.bonds.values():
        if bond.pif in snapshot.pifs and bond.pif not in found and bond_pifs & set(bond.members):
            found[bond.pif] = f"bond {bond.uuid} has another bond among its members"
    return found


def _below(snapshot: Snapshot) -> dict[Ref, list[Ref]]:
    """Each PIF of a VLAN, a bond or SR-IOV to the PIFs that it rides on."""
    edges: dict[Ref, list[Ref]] = {}
    for vlan in snapshot.vlans.values():
        edges.setdefault(vlan.pif, []).append(vlan.carrier)
    for bond in snapshot.bonds.values():
        edges.setdefault(bond.pif, []).extend(bond.members)
    for sriov in snapshot.sriovs.values():
        edges.setdefault(sriov.logical_pif, []).append(sriov.physical_pif)
    for ref, pif in snapshot.pifs.items():
        vlan_record, own_bond = snapshot.vlan_of(pif), snapshot.bond_of(pif)
        if vlan_record is not None:
            edges.setdefault(ref, []).append(vlan_record.carrier)
        if own_bond is not None:
            edges.setdefault(ref, []).extend(own_bond.members)
    return edges


def _on_cycles(edges: Mapping[Ref, list[Ref]]) -> list[Ref]:
    """What can reach a circle: everything left once PIFs over nothing are taken away, again and again."""
    above: dict[Ref, set[Ref]] = {}
    waiting = {ref: set(targets) & edges.keys() for ref, targets in edges.items()}
    for ref, targets in waiting.items():
        for target in targets:
            above.setdefault(target, set()).add(ref)
    ready = [ref for ref, targets in waiting.items() if not targets]
    while ready:
        done = ready.pop()
        for ref in above.get(done, ()):
            waiting[ref].discard(done)
            if not waiting[ref]:
                ready.append(ref)
    return [ref for ref, targets in waiting.items() if targets]


def _dangling(snapshot: Snapshot) -> Iterator[str]:
    for what, known, references in _reference_fields(snapshot):
        there = known | snapshot.unusable.keys()
        missing = [(owner, ref) for owner, ref in references if ref is not None and ref not in there]
        if missing:
            owner, ref = missing[0]
            others = f", and {len(missing) - 1} more like it" if len(missing) > 1 else ""
            yield f"{owner} refers to {what} {ref}, which is in no record{others}"


_Owned = Iterable[tuple[str, Ref | None]]


def _reference_fields(snapshot: Snapshot) -> Iterator[tuple[str, AbstractSet[Ref], _Owned]]:
    """What is referred to, where it would be, and who refers to it."""
    pifs = [(f"PIF {pif.uuid}", pif) for pif in snapshot.pifs.values()]
    yield "network", snapshot.networks.keys(), _owned((owner, (pif.network,)) for owner, pif in pifs)
    yield "bond", snapshot.bonds.keys(), _owned((owner, (pif.bond, pif.member_of)) for owner, pif in pifs)
    yield "VLAN", snapshot.vlans.keys(), _owned((owner, (pif.vlan_record, *pif.vlans_on)) for owner, pif in pifs)
    yield (
        "tunnel",
        snapshot.tunnels.keys(),
        _owned((owner, (*pif.tunnel_access_of, *pif.tunnel_transport_of)) for owner, pif in pifs),
    )
    yield (
        "SR-IOV record",
        snapshot.sriovs.keys(),
        _owned((owner, (*pif.sriov_logical_of, *pif.sriov_physical_of)) for owner, pif in pifs),
    )
    known = snapshot.pifs.keys() | snapshot.unusable.keys()
    ours = ((owner, refs) for owner, refs in _records_over_pifs(snapshot) if any(ref in known for ref in refs))
    yield "PIF", snapshot.pifs.keys(), _owned(ours)


def _records_over_pifs(snapshot: Snapshot) -> Iterator[tuple[str, tuple[Ref, ...]]]:
    for vlan in snapshot.vlans.values():
        yield f"VLAN {vlan.uuid}", (vlan.pif, vlan.carrier)
    for bond in snapshot.bonds.values():
        yield f"bond {bond.uuid}", (bond.pif, *bond.members)
    for tunnel in snapshot.tunnels.values():
        yield f"tunnel {tunnel.uuid}", (tunnel.access_pif, tunnel.transport_pif)
    for sriov in snapshot.sriovs.values():
        yield f"SR-IOV record {sriov.uuid}", (sriov.logical_pif, sriov.physical_pif)


def _owned(owners: Iterable[tuple[str, tuple[Ref | None, ...]]]) -> _Owned:
    return ((owner, ref) for owner, refs in owners for ref in refs)
