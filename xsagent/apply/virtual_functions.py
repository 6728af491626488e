"""VirtualFunctionsStep -> sysfs: a NIC gets its virtual functions, or loses them (features.md section 3). Effects."""

from __future__ import annotations

from pathlib import Path

from xsagent.apply.run_dir import remove_run_file, write_run_file
from xsagent.config import Paths
from xsagent.errors import InUseError, NetlinkError
from xsagent.observed.virtual_functions import functions_directory, given_path, lent_functions
from xsagent.plan.steps import VirtualFunctionsStep


def apply_virtual_functions(step: VirtualFunctionsStep, paths: Paths) -> None:
    """Give a NIC all its virtual functions where it has none, or take away those that this gave it.

    A number that is there already stays: guests may use them. Which NIC got its functions here a file below /run says,
    so that an undo, another process's too, leaves alone what somebody else made meanwhile.

    Raises:
        InUseError: a function is set aside for guests; all of them stay.
        NetlinkError: the driver refused; the number that stands is named.
    """
    directory, given = functions_directory(paths, step.device), given_path(paths, step.device)
    try:
        if not step.remove:
            _give(directory, given)
        elif given.exists():
            _remove(step.device, directory)
            remove_run_file(given)
    except (OSError, ValueError) as error:
        problem = f"{step.device}'s driver does not change its virtual functions: {error}"
        raise NetlinkError(f"{problem}; {_standing(directory)}") from error


def _give(directory: Path, given: Path) -> None:
    if _count(directory) != 0:
        remove_run_file(given)
        return
    write_run_file(given, "")
    (directory / "sriov_numvfs").write_text((directory / "sriov_totalvfs").read_text(encoding="ascii"))


def _remove(device: str, directory: Path) -> None:
    """The kernel takes functions away under a guest's feet, so they are looked at before (linux/drivers/pci/iov.c)."""
    if lent := lent_functions(directory):
        raise InUseError(f"virtual function {lent[0]} of {device} is set aside for guests; all of them stay")
    if _count(directory) != 0:
        (directory / "sriov_numvfs").write_text("0", encoding="ascii")


def _count(directory: Path) -> int:
    return int((directory / "sriov_numvfs").read_text(encoding="ascii"))


def _standing(directory: Path) -> str:
    try:
        return f"it has {_count(directory)}"
    except (OSError, ValueError):
        return "how many it has cannot be read"
