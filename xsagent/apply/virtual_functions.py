"""VirtualFunctionsStep -> sysfs: a NIC gets its virtual functions, or loses them (features.md section 3). Effects."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from xsagent.errors import InUseError, NetlinkError
from xsagent.plan.steps import VirtualFunctionsStep

_LENT_BY: Final = frozenset({"pciback", "xen-pciback", "vfio-pci"})
"""Drivers that hold a function for a guest (linux/drivers/xen/xen-pciback)."""


def apply_virtual_functions(step: VirtualFunctionsStep, sysfs: Path) -> None:
    """Give a NIC all its virtual functions where it has none, or take them away where no guest may have one.

    A number that is there already stays: guests may use them.

    Raises:
        InUseError: a function is set aside for guests; all of them stay.
        NetlinkError: the driver refused; the number is as it was.
    """
    directory = sysfs / "class/net" / step.device / "device"
    try:
        if step.remove:
            _remove(step.device, directory)
        elif _count(directory) == 0:
            (directory / "sriov_numvfs").write_text((directory / "sriov_totalvfs").read_text(encoding="ascii"))
    except (OSError, ValueError) as error:
        raise NetlinkError(f"{step.device}'s driver does not change its virtual functions: {error}") from error


def _remove(device: str, directory: Path) -> None:
    """The kernel takes functions away under a guest's feet, so they are looked at before (linux/drivers/pci/iov.c)."""
    lent = sorted(path.name for path in directory.glob("virtfn*") if _driver(path) in _LENT_BY)
    if lent:
        raise InUseError(f"virtual function {lent[0]} of {device} is set aside for guests; all of them stay")
    if _count(directory) != 0:
        (directory / "sriov_numvfs").write_text("0", encoding="ascii")


def _count(directory: Path) -> int:
    return int((directory / "sriov_numvfs").read_text(encoding="ascii"))


def _driver(function: Path) -> str:
    driver = function / "driver"
    return driver.readlink().name if driver.is_symlink() else ""
