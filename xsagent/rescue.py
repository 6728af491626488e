"""Rescue at boot: finds a NIC for management where the one that the records name is gone (pains.md 2).

Between reading the cache and deciding what to do, only for ``--force``. Its one effect is to raise NICs for a
moment, so that they can show carrier; everything else is decided by `desired/rescue.py` and done by the ordinary plan.
"""

from __future__ import annotations

from collections.abc import Mapping

from xsagent.apply.degraded import remember_degraded
from xsagent.apply.netlink import apply_link, wait_carrier
from xsagent.config import Paths
from xsagent.desired.rescue import (
    PresentNic,
    Rescue,
    choose_stand_in,
    find_renamed,
    missing_management_nics,
    with_stand_in,
)
from xsagent.errors import DeviceAbsentError
from xsagent.log import get_logger
from xsagent.model.records import Pif
from xsagent.model.snapshot import Snapshot
from xsagent.observed.links import read_links
from xsagent.observed.netlink import KernelDump, dump_kernel
from xsagent.plan.steps import LinkStep, WaitCarrierStep
from xsagent.sources.host_files import read_inventory
from xsagent.sources.interface_rename import read_slots
from xsagent.topology.values import Link

_CARRIER_S = 5.0


def rescue_management(paths: Paths, snapshot: Snapshot, *, at_boot: bool) -> Snapshot:
    """The snapshot, with a NIC that is there for management where the recorded one is gone.

    Arguments:
        at_boot: as `missing_management_nics`.

    Raises:
        DeviceAbsentError: management's NIC is gone and no other can stand in without a guess; nothing was changed.
    """
    kernel = dump_kernel()
    links = _physical_links(paths, kernel)
    nics = [
        PresentNic(name=link.name, mac=link.mac if isinstance(link.mac, str) else "", slot=_slot(paths, link.name))
        for link in links.values()
    ]
    management_bridge = read_inventory(paths).management_interface
    devices = [row.name for row in kernel.links]
    gone = missing_management_nics(snapshot, management_bridge, nics, devices, at_boot=at_boot)
    if not gone:
        return snapshot
    rescues = find_renamed(gone, nics) or _choose(paths, gone[0], nics, links)
    for rescue in rescues:
        get_logger().warning("rescue_management", subject=rescue.nic.name, gone=rescue.gone, reason=rescue.reason)
        snapshot = with_stand_in(snapshot, rescue)
    remember_degraded(paths, gone=rescues[0].gone, stand_in=rescues[0].nic.name, reason=rescues[0].reason)
    return snapshot


def _choose(paths: Paths, gone: Pif, nics: list[PresentNic], links: Mapping[str, Link]) -> tuple[Rescue, ...]:
    """A NIC that never was management's."""
    rescue = choose_stand_in(gone, nics, read_slots(paths), ())
    if rescue is None and nics:
        rescue = choose_stand_in(gone, nics, {}, _look_for_carrier(paths, links))
    if rescue is None:
        present = ", ".join(sorted(links)) or "none"
        raise DeviceAbsentError(
            f"management's NIC {gone.device} is not on this host, and which of its NICs ({present}) stands in would "
            "be a guess: `interface-reconfigure --force BRIDGE rewrite --device=NIC --mac=x ...` says which; "
            "nothing was changed"
        )
    return (rescue,)


def _physical_links(paths: Paths, kernel: KernelDump) -> dict[str, Link]:
    links = read_links(kernel, sysfs=paths.sys, proc=paths.proc)
    return {name: link for name, link in links.items() if link.physical}


def _look_for_carrier(paths: Paths, links: Mapping[str, Link]) -> list[str]:
    """A NIC that is down shows no carrier: raise all, wait for the first ones, see which have it, lower them again."""
    lowered = [name for name, link in links.items() if link.up is not True]
    for name in lowered:
        apply_link(LinkStep(device=name, up=True))
    try:
        wait_carrier(WaitCarrierStep(devices=tuple(links), seconds=_CARRIER_S))
        return [name for name, link in _physical_links(paths, dump_kernel()).items() if link.carrier is True]
    finally:
        for name in lowered:
            apply_link(LinkStep(device=name, up=False))


def _slot(paths: Paths, name: str) -> str:
    try:
        return (paths.sys / "class/net" / name / "device").resolve(strict=True).name.lower()
    except OSError:
        return ""
