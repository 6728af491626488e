"""Rescue at boot: finds a NIC for management where the one that the records name is gone (pains.md 2).

Between reading the cache and deciding what to do, only for ``--force``. Its one effect is to raise NICs for a
moment, so that they can show carrier; everything else is decided by `desired/rescue.py` and done by the ordinary plan.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from xsagent.apply.degraded import read_degraded
from xsagent.apply.netlink import apply_link, wait_carrier
from xsagent.config import Paths
from xsagent.desired.rescue import (
    PresentNic,
    Rescue,
    choose_stand_in,
    find_renamed,
    keep_stand_in,
    making_way,
    management_base,
    missing_management_nics,
    with_stand_ins,
)
from xsagent.errors import DeviceAbsentError, NetlinkError
from xsagent.log import get_logger
from xsagent.model.records import Pif
from xsagent.model.snapshot import Snapshot
from xsagent.observed.links import read_links
from xsagent.observed.netlink import KernelDump, dump_kernel
from xsagent.observed.ovsdb import read_ovsdb
from xsagent.observed.ovsdb_connection import OvsdbConnection
from xsagent.plan.steps import LinkStep, WaitCarrierStep
from xsagent.sources.host_files import read_boot_id, read_host_facts, read_inventory
from xsagent.sources.interface_rename import read_slots
from xsagent.topology.values import Link

_CARRIER_S = 5.0

Look = Callable[[Paths, Mapping[str, Link]], list[str]]
"""Names, of these NICs, those that have carrier."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rescued:
    """The records after a rescue.

    Attributes:
        stand_in: for the NIC that management cannot do without; None where none is needed, or none was chosen.
        making_way: PIFs of the boot set that do not come up because management has their NIC, each with the reason.
    """

    snapshot: Snapshot
    stand_in: Rescue | None = None
    making_way: tuple[tuple[Pif, str], ...] = ()


def is_managements(paths: Paths, snapshot: Snapshot, pif: Pif) -> bool:
    """Whether the PIF needs the NICs that management needs."""
    base = management_base(snapshot, read_inventory(paths).management_interface)
    return base is not None and (snapshot.carrier_of(pif) or pif).ref == base.ref


def rescue_management(
    paths: Paths, connection: OvsdbConnection, snapshot: Snapshot, *, at_boot: bool, look: Look | None
) -> Rescued:
    """The snapshot, with a NIC that is there for management where the recorded one is gone.

    Args:
        at_boot: as `missing_management_nics`.
        look: tells which NICs have carrier, where that decides. None: nothing is to come up, so a NIC stands in only
            where it does already.

    Raises:
        DeviceAbsentError: management's NIC is gone and no other can stand in without a guess; nothing was changed.
        OvsdbUnavailableError: the switch's database does not say what management is on now.
    """
    kernel = dump_kernel()
    links = _physical_links(paths, kernel)
    nics = [
        PresentNic(name=link.name, mac=link.mac if isinstance(link.mac, str) else "", slot=_slot(paths, link.name))
        for link in links.values()
    ]
    base = management_base(snapshot, read_inventory(paths).management_interface)
    devices = [row.name for row in kernel.links]
    gone = missing_management_nics(snapshot, base, nics, devices, at_boot=at_boot) if base is not None else ()
    if base is None or not gone:
        return Rescued(snapshot=snapshot)
    rescues = find_renamed(gone, nics)
    if not rescues:
        rescue = keep_stand_in(gone[0], nics, _interfaces_on(connection, snapshot.bridge_of(base)))
        if rescue is None:
            if look is None:
                return Rescued(snapshot=snapshot)
            rescue = _choose(paths, gone[0], nics, links, look)
        rescues = (rescue,)
    for rescue in rescues:
        get_logger().warning("rescue_management", subject=rescue.nic.name, gone=rescue.gone, reason=rescue.reason)
    return Rescued(
        snapshot=with_stand_ins(snapshot, rescues),
        stand_in=rescues[0],
        making_way=making_way(snapshot, rescues, read_host_facts(paths)),
    )


def _interfaces_on(connection: OvsdbConnection, bridge: str) -> list[str]:
    """What the switch has on a bridge."""
    present = read_ovsdb(connection).bridges.get(bridge)
    return [name for port in present.ports.values() for name in port.interfaces] if present is not None else []


def _choose(paths: Paths, gone: Pif, nics: list[PresentNic], links: Mapping[str, Link], look: Look) -> Rescue:
    """A NIC for management where the switch names none; among several with carrier, or none, the one of this boot."""
    rescue = choose_stand_in(gone, nics, read_slots(paths), ())
    if rescue is None and nics:
        rescue = choose_stand_in(gone, nics, {}, look(paths, links))
    if rescue is None and (remembered := read_degraded(paths, boot=read_boot_id(paths))) is not None:
        rescue = keep_stand_in(gone, nics, [remembered[1]] if remembered[0] == gone.device else [])
    if rescue is None:
        present = ", ".join(sorted(links)) or "none"
        raise DeviceAbsentError(
            f"management's NIC {gone.device} is not on this host, and which of its NICs ({present}) stands in would "
            "be a guess: `interface-reconfigure --force BRIDGE rewrite --device=NIC --mac=x ...` says which; "
            "nothing was changed"
        )
    return rescue


def _physical_links(paths: Paths, kernel: KernelDump) -> dict[str, Link]:
    links = read_links(kernel, sysfs=paths.sys, proc=paths.proc)
    return {name: link for name, link in links.items() if link.physical}


def look_for_carrier(paths: Paths, links: Mapping[str, Link]) -> list[str]:
    """A NIC that is down shows no carrier: raise all, wait for the first ones, see which have it, lower them again.

    One that cannot be raised, or is gone meanwhile, stands in for none.
    """
    lowered = [name for name, link in links.items() if link.up is not True]
    try:
        usable = [name for name in links if name not in lowered or _set_link(name, up=True)]
        wait_carrier(WaitCarrierStep(devices=tuple(usable), seconds=_CARRIER_S))
        return with_carrier(paths, _physical_links(paths, dump_kernel()))
    finally:
        for name in lowered:
            _set_link(name, up=False)


def with_carrier(_paths: Paths, links: Mapping[str, Link]) -> list[str]:
    """NICs that show carrier as they are."""
    return [name for name, link in links.items() if link.carrier is True]


def _set_link(name: str, *, up: bool) -> bool:
    """Whether a NIC is up, or down, as it is to be."""
    try:
        apply_link(LinkStep(device=name, up=up))
    except (NetlinkError, DeviceAbsentError) as error:
        get_logger().warning("pass_over_nic", subject=name, reason=str(error))
        return False
    return True


def _slot(paths: Paths, name: str) -> str:
    try:
        return (paths.sys / "class/net" / name / "device").resolve(strict=True).name.lower()
    except OSError:
        return ""
