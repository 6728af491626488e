"""apply/virtual_functions.py: a NIC gets all its virtual functions, and loses them only where no guest may have one."""

from __future__ import annotations

from pathlib import Path

import pytest

from xsagent.apply.virtual_functions import apply_virtual_functions
from xsagent.errors import InUseError, NetlinkError
from xsagent.plan.steps import VirtualFunctionsStep

GIVE = VirtualFunctionsStep(device="eth2")
TAKE = VirtualFunctionsStep(device="eth2", remove=True)


def nic(sysfs: Path, *, count: int, drivers: tuple[str, ...] = ()) -> Path:
    """A NIC that can have eight functions; its sriov_numvfs."""
    device = sysfs / "class/net/eth2/device"
    device.mkdir(parents=True)
    (device / "sriov_totalvfs").write_text("8\n")
    (device / "sriov_numvfs").write_text(f"{count}\n")
    for number, driver in enumerate(drivers):
        (device / f"virtfn{number}").mkdir()
        if driver:
            (device / f"virtfn{number}/driver").symlink_to(f"../../bus/pci/drivers/{driver}")
    return device / "sriov_numvfs"


@pytest.mark.parametrize(("count", "after"), [(0, 8), (2, 2)])
def test_a_nic_gets_all_where_it_has_none(tmp_path: Path, count: int, after: int) -> None:
    """A number that somebody set stays."""
    number = nic(tmp_path, count=count)

    apply_virtual_functions(GIVE, tmp_path)

    assert int(number.read_text()) == after


@pytest.mark.parametrize("drivers", [(), ("ixgbevf", "")])
def test_functions_of_dom0_alone_are_taken_away_again(tmp_path: Path, drivers: tuple[str, ...]) -> None:
    """Also twice."""
    number = nic(tmp_path, count=8, drivers=drivers)

    apply_virtual_functions(TAKE, tmp_path)
    apply_virtual_functions(TAKE, tmp_path)

    assert int(number.read_text()) == 0


@pytest.mark.parametrize("driver", ["pciback", "xen-pciback", "vfio-pci"])
def test_functions_stay_where_one_is_set_aside_for_guests(tmp_path: Path, driver: str) -> None:
    """The kernel would take it from the guest."""
    number = nic(tmp_path, count=8, drivers=("ixgbevf", driver))

    with pytest.raises(InUseError, match="virtfn1 of eth2 is set aside for guests"):
        apply_virtual_functions(TAKE, tmp_path)

    assert int(number.read_text()) == 8


def test_a_nic_without_functions_is_named(tmp_path: Path) -> None:
    """Its driver knows none."""
    with pytest.raises(NetlinkError, match="eth2"):
        apply_virtual_functions(GIVE, tmp_path)
