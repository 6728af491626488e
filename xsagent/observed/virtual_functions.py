"""sysfs -> a NIC's virtual functions: how many, who made them, who may use one. Reads only.

Used by host.py for NICs of SR-IOV networks, and by apply/virtual_functions.py right before it takes any away.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from xsagent.config import Paths

_LENT_BY: Final = frozenset({"pciback", "xen-pciback", "vfio-pci"})
"""Drivers that hold a function for a guest (linux/drivers/xen/xen-pciback)."""


def functions_directory(paths: Paths, device: str) -> Path:
    """Return where the kernel has a NIC's sriov_numvfs, sriov_totalvfs and links to its functions."""
    return paths.sys / "class/net" / device / "device"


def given_path(paths: Paths, device: str) -> Path:
    """Return the file that says, for this boot, that a run of ours gave a NIC its functions."""
    return paths.run_dir / f"virtual-functions-{device}"


def read_virtual_functions(paths: Paths, device: str) -> int | None:
    """sriov_numvfs of a NIC; None where it has no SR-IOV, also by its firmware's word: it may have none at all."""
    directory = functions_directory(paths, device)
    try:
        if int((directory / "sriov_totalvfs").read_text(encoding="ascii")) == 0:
            return None
        return int((directory / "sriov_numvfs").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def are_spare(paths: Paths, device: str) -> bool:
    """Whether a run of ours gave a NIC its functions, and none is set aside for guests."""
    return given_path(paths, device).exists() and not lent_functions(functions_directory(paths, device))


def lent_functions(directory: Path) -> list[str]:
    """Return the names of functions that are set aside for guests; argument from `functions_directory`."""
    return sorted(path.name for path in directory.glob("virtfn*") if _driver(path) in _LENT_BY)


def _driver(function: Path) -> str:
    driver = function / "driver"
    return driver.readlink().name if driver.is_symlink() else ""
