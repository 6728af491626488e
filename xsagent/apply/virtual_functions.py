"""VirtualFunctionsStep -> sysfs: a NIC gets all its virtual functions (features.md section 3, SR-IOV). Effects."""

from __future__ import annotations

from pathlib import Path

from xsagent.errors import NetlinkError
from xsagent.plan.steps import VirtualFunctionsStep


def enable_virtual_functions(step: VirtualFunctionsStep, sysfs: Path) -> None:
    """Write sriov_totalvfs to sriov_numvfs where it is 0; a number that is there already stays, guests may use it.

    Raises:
        NetlinkError: the driver refused; the number is as it was.
    """
    directory = sysfs / "class/net" / step.device / "device"
    try:
        if int((directory / "sriov_numvfs").read_text(encoding="ascii")) == 0:
            (directory / "sriov_numvfs").write_text((directory / "sriov_totalvfs").read_text(encoding="ascii"))
    except (OSError, ValueError) as error:
        raise NetlinkError(f"{step.device} does not take virtual functions: {error}; it has none") from error
