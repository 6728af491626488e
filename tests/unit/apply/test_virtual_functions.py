"""apply/virtual_functions.py: a NIC gets all its virtual functions, and loses them only where no guest may have one."""

from __future__ import annotations

from pathlib import Path

import pytest

from xsagent.apply.virtual_functions import apply_virtual_functions
from xsagent.config import Paths
from xsagent.errors import InUseError, NetlinkError
from xsagent.plan.steps import VirtualFunctionsStep

GIVE = VirtualFunctionsStep(device="eth2")
TAKE = VirtualFunctionsStep(device="eth2", remove=True)


def paths(root: Path) -> Paths:
    """All below this folder."""
    return Paths.from_environ(str(root), {})


def nic(root: Path, *, count: int = 0) -> Path:
    """A NIC that can have eight functions; its sriov_numvfs."""
    device = root / "sys/class/net/eth2/device"
    device.mkdir(parents=True)
    (device / "sriov_totalvfs").write_text("8\n")
    (device / "sriov_numvfs").write_text(f"{count}\n")
    return device / "sriov_numvfs"


def lend(number: Path, *drivers: str) -> None:
    """The first functions have these drivers; empty: none."""
    for place, driver in enumerate(drivers):
        function = number.parent / f"virtfn{place}"
        function.mkdir()
        if driver:
            (function / "driver").symlink_to(f"../../bus/pci/drivers/{driver}")


@pytest.mark.parametrize(("count", "after"), [(0, 8), (2, 2)])
def test_a_nic_gets_all_where_it_has_none(tmp_path: Path, count: int, after: int) -> None:
    """A number that somebody set stays."""
    number = nic(tmp_path, count=count)

    apply_virtual_functions(GIVE, paths(tmp_path))

    assert int(number.read_text()) == after


@pytest.mark.parametrize("drivers", [(), ("ixgbevf", "")])
def test_functions_of_dom0_alone_are_taken_away_again(tmp_path: Path, drivers: tuple[str, ...]) -> None:
    """Also twice."""
    number = nic(tmp_path)
    apply_virtual_functions(GIVE, paths(tmp_path))
    lend(number, *drivers)

    apply_virtual_functions(TAKE, paths(tmp_path))
    apply_virtual_functions(TAKE, paths(tmp_path))

    assert int(number.read_text()) == 0


@pytest.mark.parametrize("earlier", [False, True], ids=["never", "in an earlier run"])
def test_functions_that_another_process_made_meanwhile_stay(tmp_path: Path, *, earlier: bool) -> None:
    """The step that found them did nothing, so nothing is to be taken back, whatever one before it did."""
    number = nic(tmp_path)
    if earlier:
        apply_virtual_functions(GIVE, paths(tmp_path))
    number.write_text("4\n")
    apply_virtual_functions(GIVE, paths(tmp_path))

    apply_virtual_functions(TAKE, paths(tmp_path))

    assert int(number.read_text()) == 4


@pytest.mark.parametrize("driver", ["pciback", "xen-pciback", "vfio-pci"])
def test_functions_stay_where_one_is_set_aside_for_guests(tmp_path: Path, driver: str) -> None:
    """The kernel would take it from the guest."""
    number = nic(tmp_path)
    apply_virtual_functions(GIVE, paths(tmp_path))
    lend(number, "ixgbevf", driver)

    with pytest.raises(InUseError, match="virtfn1 of eth2 is set aside for guests"):
        apply_virtual_functions(TAKE, paths(tmp_path))

    assert int(number.read_text()) == 8


def test_a_driver_that_refuses_is_named_with_the_number_that_stands(tmp_path: Path) -> None:
    """Here it does not say how many there can be."""
    number = nic(tmp_path)
    (number.parent / "sriov_totalvfs").unlink()

    with pytest.raises(NetlinkError, match=r"eth2's driver does not change .*; it has 0$"):
        apply_virtual_functions(GIVE, paths(tmp_path))


def test_a_nic_without_functions_is_named(tmp_path: Path) -> None:
    """Its driver knows none."""
    with pytest.raises(NetlinkError, match=r"eth2.*; how many it has cannot be read$"):
        apply_virtual_functions(GIVE, paths(tmp_path))
