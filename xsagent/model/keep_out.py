"""Records of a configuration that was rolled back stay out of the cache: the last one that worked stays in. Pure.

XAPI's database keeps what XAPI asked for; the next boot from the cache must not try it again before it was applied with
success (DESIGN.md section 4). `apply/rolled_back.py` remembers, `apply/cache.py`'s callers use the result.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from xsagent.model.records import Bond, IpMode, Ipv6Mode, Network, Pif, Ref, Vlan
from xsagent.model.snapshot import Snapshot

_Record = TypeVar("_Record")


@dataclass(frozen=True, slots=True, kw_only=True)
class PifConfiguration:
    """A PIF's records as far as they shape its configuration; equal when the same would be applied."""

    pif: Pif
    network: Network | None = None
    bond: Bond | None = None
    vlan: Vlan | None = None
    members: tuple[Pif, ...] = field(default=())


def configuration_of(snapshot: Snapshot, pif: Pif) -> PifConfiguration:
    """The configuration that the snapshot gives a PIF, without what XAPI learns from us afterwards."""
    bond = snapshot.bond_of(pif)
    network = snapshot.networks.get(pif.network) if pif.network else None
    return PifConfiguration(
        pif=_asked(pif),
        network=_asked_network(network) if network is not None else None,
        bond=bond,
        vlan=snapshot.vlan_of(pif),
        members=tuple(_asked(member) for member in snapshot.members_of(bond)) if bond is not None else (),
    )


def keep_out(
    snapshot: Snapshot, rolled_back: Mapping[str, tuple[PifConfiguration, ...]], previous: Snapshot | None
) -> Snapshot:
    """The snapshot for the cache: PIFs whose present configuration was rolled back have their previous records.

    Args:
        rolled_back: by PIF uuid, the configurations that were taken back.
        previous: the cache as it is; None when there is none, then such PIFs are left out.
    """
    for pif in snapshot.pifs.values():
        if configuration_of(snapshot, pif) in rolled_back.get(pif.uuid, ()):
            snapshot = _with_previous(snapshot, pif, previous)
    return snapshot


def _asked(pif: Pif) -> Pif:
    """The PIF without its state, what a lease gave, and what others put on it."""
    pif = replace(
        pif,
        currently_attached=False,
        management=False,
        disallow_unplug=False,
        mtu="",
        capabilities=(),
        igmp_snooping_status="unknown",
        vlans_on=(),
        tunnel_transport_of=(),
        sriov_physical_of=(),
    )
    if pif.ip_mode == IpMode.DHCP:
        pif = replace(pif, ip="", netmask="", gateway="", dns="")
    if pif.ipv6_mode in {Ipv6Mode.DHCP, Ipv6Mode.AUTOCONF}:
        pif = replace(pif, ipv6=(), ipv6_gateway="")
    return pif


def _asked_network(network: Network) -> Network:
    return replace(network, name_label="", pifs=(), default_locking_mode="unlocked", purpose=())


def _with_previous(snapshot: Snapshot, pif: Pif, previous: Snapshot | None) -> Snapshot:
    """The records, but of the PIF and what belongs to it those of before; none where there were none."""
    together = _together(snapshot, pif, previous)
    pifs = {ref: one for ref, one in snapshot.pifs.items() if ref not in together}
    bonds = {ref: bond for ref, bond in snapshot.bonds.items() if bond != snapshot.bond_of(pif)}
    vlans = {ref: vlan for ref, vlan in snapshot.vlans.items() if ref != pif.vlan_record}
    if previous is None:
        return replace(snapshot, pifs=pifs, bonds=bonds, vlans=vlans)
    before = [previous.pifs[ref] for ref in together if ref in previous.pifs]
    return replace(
        snapshot,
        pifs=pifs | {old.ref: old for old in before},
        networks={**snapshot.networks, **_named(previous.networks, (old.network for old in before))},
        bonds=bonds | _named(previous.bonds, (old.bond for old in before)),
        vlans=vlans | _named(previous.vlans, (old.vlan_record for old in before)),
    )


def _named(records: Mapping[Ref, _Record], refs: Iterable[Ref | None]) -> dict[Ref, _Record]:
    """Those of the records that these references name."""
    return {ref: records[ref] for ref in refs if ref is not None and ref in records}


def _together(snapshot: Snapshot, pif: Pif, previous: Snapshot | None) -> tuple[Ref, ...]:
    """The PIF and those that make no sense without its records: bond and members, as they are and as they were."""
    bond = snapshot.bond_of(pif)
    refs = [pif.ref, *(bond.members if bond is not None else ())]
    before = [] if previous is None else [previous.pifs[ref] for ref in refs if ref in previous.pifs]
    for old in before:
        former = previous.bond_with_member(old) if previous is not None else None
        refs += [former.pif, *former.members] if former is not None else []
    return tuple(dict.fromkeys(refs))
