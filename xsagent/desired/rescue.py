"""Management's NICs are gone, other hardware is there: which NIC stands in, and the records that say so. Pure.

Only at boot and with ``--force`` (pains.md 2, DESIGN.md section 5): a disk in another machine, a swapped NIC. The
stand-in is chosen by the gone NIC's MAC, by the slot that it had, else because it is the only candidate; never by a
guess.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from xsagent.desired.boot_set import boot_set
from xsagent.desired.kind import label
from xsagent.desired.notes import Notes
from xsagent.desired.request import HostFacts
from xsagent.errors import InputError
from xsagent.model.records import Pif, Ref
from xsagent.model.snapshot import Snapshot
from xsagent.model.values import parse_device_name


@dataclass(frozen=True, slots=True, kw_only=True)
class PresentNic:
    """A NIC that is there.

    Attributes:
        slot: PCI address; empty where it has none.
    """

    name: str
    mac: str
    slot: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rescue:
    """A stand-in for management's NIC.

    Attributes:
        gone: the device that the records name.
        reason: why this NIC, one clause.
    """

    pif: Ref
    gone: str
    nic: PresentNic
    reason: str


def management_base(snapshot: Snapshot, management_bridge: str) -> Pif | None:
    """The NIC's or bond's PIF that management is or rides on.

    Args:
        management_bridge: MANAGEMENT_INTERFACE of the inventory, for records that do not say which PIF it is.
    """
    pif = snapshot.management_pif() or _on_bridge(snapshot, management_bridge)
    return (snapshot.carrier_of(pif) or pif) if pif is not None else None


def needed_nics(snapshot: Snapshot, base: Pif) -> tuple[Pif, ...]:
    """The PIFs of the NICs under management's: a bond's members, else itself."""
    bond = snapshot.bond_of(base)
    return tuple(snapshot.members_of(bond)) if bond is not None else (base,)


def missing_management_nics(
    snapshot: Snapshot, base: Pif, nics: Collection[PresentNic], devices: Collection[str], *, at_boot: bool
) -> tuple[Pif, ...]:
    """The PIFs of the NICs that management needs, when none of them is there, the one to replace first; else none.

    Args:
        base: as `management_base` says.
        nics: NICs that are there.
        devices: netdevs that are there.
        at_boot: a NIC whose name another one bears, while it is there under a name of its own, is not there either; of
            a bond's, those alone. Elsewhere somebody is there to be told (features.md section 3).
    """
    bond = snapshot.bond_of(base)
    needed = needed_nics(snapshot, base)
    if at_boot and (renamed := _renamed(needed, nics)):
        return renamed
    if any(nic.device in devices or not _is_device_name(nic.device) for nic in needed):
        return ()
    return tuple(sorted(needed, key=lambda nic: bond is not None and nic.ref != bond.primary_member))


def find_renamed(gone: Collection[Pif], nics: Collection[PresentNic]) -> tuple[Rescue, ...]:
    """Those of the gone NICs that are there under other names, as their MACs show."""
    found = [(pif, [nic for nic in nics if nic.mac and nic.mac == pif.mac.lower()]) for pif in gone]
    return tuple(_rescue(pif, same[0], f"it has the MAC of {pif.device}") for pif, same in found if len(same) == 1)


def choose_stand_in(
    gone: Pif, nics: Collection[PresentNic], slots: Mapping[str, str], with_carrier: Collection[str]
) -> Rescue | None:
    """The NIC that stands in; None where the choice would be a guess.

    Args:
        slots: PCI address by device name, as interface-rename last knew them.
        with_carrier: names of NICs that have carrier; asked only where the slot does not decide.
    """
    by_slot = [nic for nic in nics if nic.slot and nic.slot == slots.get(gone.device)]
    if len(by_slot) == 1:
        return _rescue(gone, by_slot[0], f"it is in the slot {by_slot[0].slot} that {gone.device} had")
    if len(nics) == 1:
        return _rescue(gone, next(iter(nics)), "it is the only NIC")
    plugged = [nic for nic in nics if nic.name in with_carrier]
    return _rescue(gone, plugged[0], "it is the only NIC with carrier") if len(plugged) == 1 else None


def keep_stand_in(gone: Pif, nics: Collection[PresentNic], names: Collection[str]) -> Rescue | None:
    """The NIC that stands in already: a later run chooses no other, whatever cables were plugged in meanwhile.

    Args:
        names: of devices among which it may be.
    """
    present = [nic for nic in nics if nic.name in names]
    return _rescue(gone, present[0], f"it stands in for {gone.device} already") if len(present) == 1 else None


def with_stand_ins(snapshot: Snapshot, rescues: Collection[Rescue]) -> Snapshot:
    """The records with the stand-ins' names and MACs where the gone NICs stood; their own PIFs make way: warnings.

    All at once: a bond's member may have the name that another one's record gives to its own NIC.
    """
    by_gone = {rescue.gone: rescue for rescue in rescues}
    own = _own_pifs(snapshot, rescues)
    pifs = {ref: pif for ref, pif in snapshot.pifs.items() if ref not in own}
    for ref, pif in pifs.items():
        rescue = by_gone.get(pif.device)
        if rescue is not None:
            mac = rescue.nic.mac if ref == rescue.pif or pif.mac == snapshot.pifs[rescue.pif].mac else pif.mac
            pifs[ref] = replace(pif, device=rescue.nic.name, mac=mac)
    warnings = tuple(f"{label(snapshot.pifs[ref])} makes way: {reason}" for ref, reason in own.items())
    return replace(snapshot, pifs=pifs, complete=False, warnings=(*snapshot.warnings, *warnings))


def making_way(snapshot: Snapshot, rescues: Collection[Rescue], host: HostFacts) -> tuple[tuple[Pif, str], ...]:
    """PIFs that a boot would bring up, by themselves or in a bond, were they not the stand-ins' own, and the reason."""
    chosen = boot_set(snapshot, host, Notes())
    bonds = [bond for pif in chosen if (bond := snapshot.bond_of(pif)) is not None]
    members = [member for bond in bonds for member in snapshot.members_of(bond)]
    wanted = {pif.ref: pif for pif in (*chosen, *members)}
    own = _own_pifs(snapshot, rescues)
    return tuple((pif, own[ref]) for ref, pif in wanted.items() if ref in own)


def _own_pifs(snapshot: Snapshot, rescues: Collection[Rescue]) -> dict[Ref, str]:
    """PIFs on NICs that stand in, VLANs among them, each with the reason why it makes way."""
    gone = {rescue.gone for rescue in rescues}
    by_name = {rescue.nic.name: rescue for rescue in rescues if rescue.nic.name not in gone}
    return {
        ref: f"{pif.device} stands in for management's {by_name[pif.device].gone}"
        for ref, pif in snapshot.pifs.items()
        if pif.device in by_name
    }


def _renamed(needed: Collection[Pif], nics: Collection[PresentNic]) -> tuple[Pif, ...]:
    """Those whose NIC is there under another's name, unless that is another one's of them: nothing depends on that."""
    names = {nic.name: nic.mac for nic in nics}
    places = {mac: [name for name in names if names[name] == mac] for mac in names.values() if mac}
    homes: dict[Ref, str] = {}
    for pif in needed:
        mac = pif.mac.lower()
        if names.get(pif.device, mac) != mac and len(places.get(mac, ())) == 1:
            homes[pif.ref] = places[mac][0]
    if {pif.device for pif in needed}.issuperset(homes.values()):
        return ()
    return tuple(pif for pif in needed if pif.ref in homes)


def _is_device_name(name: str) -> bool:
    """A record that names no device at all is bad input, not changed hardware."""
    try:
        parse_device_name(name)
    except InputError:
        return False
    return True


def _rescue(gone: Pif, nic: PresentNic, reason: str) -> Rescue:
    return Rescue(pif=gone.ref, gone=gone.device, nic=nic, reason=reason)


def _on_bridge(snapshot: Snapshot, bridge: str) -> Pif | None:
    named = [pif for pif in snapshot.pifs.values() if bridge and snapshot.bridge_of(pif) == bridge]
    return named[0] if len(named) == 1 else None
