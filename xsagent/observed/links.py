"""Rows of the kernel's dump -> Link by name, with sysfs, sysctls and ethtool where asked for. Reads only.

Before it observed/netlink.py; after it observed/ joins the parts into a Topology.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import Final

from xsagent.observed.ethtool import read_features, read_settings
from xsagent.observed.netlink import IFF_UP, KernelDump, LinkRow
from xsagent.topology.values import Link

_XEN_BACKEND: Final = "xen-backend"
_SANDBOX_NIC: Final = re.compile(r"eth[0-9]+")


def read_links(
    dump: KernelDump,
    *,
    sysfs: Path,
    proc: Path,
    ethtool: Collection[str] = (),
    sysctls: Collection[str] = (),
) -> dict[str, Link]:
    """Return every netdev by name.

    Args:
        dump: from `dump_kernel`.
        sysfs: /sys below the root prefix; tells physical NICs.
        proc: /proc below the root prefix, for sysctls.
        ethtool: devices whose offloads and link settings are read (some twenty ioctls each).
        sysctls: paths below /proc/sys/net, for example ``ipv6/conf/xenbr0/accept_ra``; one that is not there is
            left out of Link.sysctls.
    """
    names = {row.ifindex: row.name for row in dump.links}
    asked = _by_device(sysctls)
    return {
        row.name: Link(
            name=row.name,
            ifindex=row.ifindex,
            mac=row.mac,
            mtu=row.mtu,
            up=_is_up(row),
            carrier=row.carrier if _is_up(row) else None,
            kind=row.kind,
            physical=_is_physical(sysfs, row),
            features=read_features(row.name) if row.name in ethtool else {},
            settings=read_settings(row.name) if row.name in ethtool else {},
            sysctls=read_sysctls(proc, asked.get(row.name, ())),
            parent=names.get(row.parent) if row.kind == "vlan" else None,
            vlan=row.vlan,
        )
        for row in dump.links
    }


def vlan_netdevs() -> frozenset[str]:
    """Return the names of this network namespace's VLAN netdevs; none where the kernel has no 8021q module.

    8021q keeps a file for each (net/8021q/vlanproc.c); like netlink, that lies below no root prefix.
    """
    try:
        return frozenset(path.name for path in Path("/proc/net/vlan").iterdir()) - {"config"}
    except OSError:
        return frozenset()


def read_sysctls(proc: Path, paths: Collection[str]) -> dict[str, str]:
    """Return the values of sysctls by path below /proc/sys/net; absent ones are left out."""
    values: dict[str, str] = {}
    for path in paths:
        try:
            values[path] = (proc / "sys" / "net" / path).read_text(encoding="ascii").strip()
        except OSError:  # no such device, or a kernel without IPv6
            continue
    return values


def _by_device(sysctls: Collection[str]) -> dict[str, list[str]]:
    asked: dict[str, list[str]] = {}
    for path in sysctls:
        match path.split("/"):
            case [_family, "conf" | "neigh", device, _name]:
                asked.setdefault(device, []).append(path)
            case _:
                continue
    return asked


def _is_up(row: LinkRow) -> bool:
    return bool(row.flags & IFF_UP)


def _is_physical(sysfs: Path, row: LinkRow) -> bool:
    """A netdev is a NIC: no virtual function of one, which comes and goes with it and may be a guest's."""
    device = sysfs / "class" / "net" / row.name / "device"
    return _has_hardware(device, row) and not (device / "physfn").exists()


def _has_hardware(device: Path, row: LinkRow) -> bool:
    """A netdev has a device behind it that is no guest's vif (netback's devices are xen-backend ones).

    The sandbox's NICs are veth ends with the names that dom0 gives to NICs and to nothing else.
    """
    if row.kind:  # made by software; a NIC's driver names no kind
        return row.kind == "veth" and _SANDBOX_NIC.fullmatch(row.name) is not None
    subsystem = device / "subsystem"
    return device.exists() and not (subsystem.exists() and subsystem.resolve().name == _XEN_BACKEND)
