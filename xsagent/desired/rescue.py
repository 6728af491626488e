"""Management's NICs are gone, other hardware is there: which NIC stands in, and the records that say so. Pure.

Only at boot and with ``--force`` (pains.md 2, DESIGN.md section 5): a disk in another machine, a swapped NIC. The
stand-in is chosen by the gone NIC's MAC, by the slot that it had, else because it is the only candidate; never by a
guess.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from xsagent.desired.kind import label
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


def missing_management_nics(
    snapshot: Snapshot,
    management_bridge: str,
    nics: Collection[PresentNic],
    devices: Collection[str],
    *,
    at_boot: bool,
) -> tuple[Pif, ...]:
    """The PIFs of the NICs that management needs, when none of them is there, the one to replace first; else none.

    Arguments:
        management_bridge: MANAGEMENT_INTERFACE of the inventory, for records that do not say which PIF it is.
        nics: NICs that are there.
        devices: netdevs that are there.
        at_boot: a NIC whose name another one bears, while it is there under a name of its own, is not there either.
            Elsewhere somebody is there to be told (features.md section 3).
    """
    pif = snapshot.management_pif() or _on_bridge(snapshot, management_bridge)
    if pif is None:
        return ()
    base = snapshot.carrier_of(pif) or pif
    bond = snapshot.bond_of(base)
    if at_boot and bond is None and _is_renamed(base, nics):
        return (base,)
    needed = snapshot.members_of(bond) if bond is not None else (base,)
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

    Arguments:
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


def with_stand_in(snapshot: Snapshot, rescue: Rescue) -> Snapshot:
    """The records with the stand-in's name and MAC where the gone NIC stood; its own PIF makes way, with a warning."""
    pifs = {ref: pif for ref, pif in snapshot.pifs.items() if pif.device != rescue.nic.name}
    warnings = tuple(
        f"{label(pif)} makes way: {rescue.nic.name} stands in for management's {rescue.gone}"
        for ref, pif in snapshot.pifs.items()
        if ref not in pifs
    )
    for ref, pif in pifs.items():
        if pif.device == rescue.gone:
            mac = rescue.nic.mac if ref == rescue.pif or pif.mac == snapshot.pifs[rescue.pif].mac else pif.mac
            pifs[ref] = replace(pif, device=rescue.nic.name, mac=mac)
    return replace(snapshot, pifs=pifs, complete=False, warnings=(*snapshot.warnings, *warnings))


def _is_renamed(pif: Pif, nics: Collection[PresentNic]) -> bool:
    """Whether the NIC with the PIF's name is another one, and its own has another name."""
    macs = {nic.name: nic.mac for nic in nics}
    return macs.get(pif.device, pif.mac.lower()) != pif.mac.lower() and pif.mac.lower() in macs.values()


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
