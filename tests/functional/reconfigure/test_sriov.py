"""An SR-IOV network is plugged: its NIC gets virtual functions, and is looked for first.

No NIC here can have any, so the driver's part of sysfs is files below the root prefix.
"""

from __future__ import annotations

import json

import pytest
from host_records import HostRecords, static
from host_state import bridges, ip, ports_of, spec_for, succeed, transactions, watched
from xapi_host import XapiHost

from xsagent.sandbox.dom0 import Sandbox
from xsagent.sandbox.spec import shared_segment


def make_functions(host: XapiHost, device: str, *, total: int = 8) -> None:
    """Let the driver of a NIC have eight functions, none of them in use."""
    directory = _directory(host, device)
    host.sandbox.run(["mount", "-t", "tmpfs", "tmpfs", f"{host.sandbox.root}/sys"])
    host.sandbox.run(["mkdir", "-p", directory])
    host.sandbox.run(["sh", "-c", f"echo {total} > {directory}/sriov_totalvfs; echo 0 > {directory}/sriov_numvfs"])


def functions(host: XapiHost, device: str) -> tuple[int, str]:
    """How many it has, and when they were made."""
    path = f"{_directory(host, device)}/sriov_numvfs"
    return int(host.sandbox.run(["cat", path]).stdout), host.sandbox.run(["stat", "-c", "%y", path]).stdout


def _directory(host: XapiHost, device: str) -> str:
    return f"{host.sandbox.root}/sys/class/net/{device}/device"


def test_a_nic_that_nothing_else_uses_gets_its_virtual_functions() -> None:
    """Also where no bridge, address or route makes anybody look at it; a second run has nothing to do.

    `show --json`, from which plans are made elsewhere, has their number.
    """
    records = HostRecords()
    records.nic("eth1")
    logical = records.sriov("eth1")
    with XapiHost(records) as host:
        make_functions(host, "eth1")

        host.up(logical)

        made = functions(host, "eth1")
        assert made[0] == 8
        shown = host.sandbox.run(["xsagent", "show", f"--root-prefix={host.sandbox.root}", "--json"]).stdout
        assert json.loads(shown)["links"]["eth1"]["virtual_functions"] == 8
        host.up(logical)
        assert functions(host, "eth1") == made


@pytest.mark.parametrize(("driver", "given", "left"), [("ixgbevf", True, 0), ("pciback", True, 8), ("", False, 8)])
def test_virtual_functions_go_with_their_network_unless_they_may_be_in_use(
    driver: str, left: int, *, given: bool
) -> None:
    """By a guest, or by whoever made them beside us: then they stay, with a warning; what goes comes back with `up`."""
    records = HostRecords()
    records.nic("eth1")
    logical = records.sriov("eth1")
    with XapiHost(records) as host:
        make_functions(host, "eth1")
        directory = _directory(host, "eth1")
        if not given:
            host.sandbox.run(["sh", "-c", f"echo 8 > {directory}/sriov_numvfs"])
        host.up(logical)
        host.sandbox.run(["mkdir", f"{directory}/virtfn0"])
        host.sandbox.run(["ln", "-s", f"../../bus/pci/drivers/{driver}", f"{directory}/virtfn0/driver"])

        for _ in range(2):
            done = host.run("down", logical)
            assert done.returncode == 0
            assert functions(host, "eth1")[0] == left
            assert ("the virtual functions of eth1 stay" in done.stderr) is (left == 8)
        host.up(logical)
        assert functions(host, "eth1")[0] == 8


def test_a_nic_that_is_not_there_is_named_and_one_without_sriov_is_a_warning() -> None:
    """Exit 1 with nothing changed for the one; the other's network is none of its NIC's fault."""
    records = HostRecords()
    records.nic("eth1")
    records.nic("eth7")
    plain, absent = records.sriov("eth1"), records.sriov("eth7")
    with XapiHost(records) as host:
        before = transactions(host.sandbox)

        done = host.run("up", plain)
        assert done.returncode == 0
        assert "the kernel shows no SR-IOV on eth1" in done.stderr

        done = host.run("up", absent)
        assert done.returncode == 1
        assert "network device eth7 is not on this host; nothing was changed" in done.stderr.splitlines()[-1]
        assert transactions(host.sandbox) == before


def test_a_nic_whose_firmware_allows_no_virtual_functions_is_one_without_sriov() -> None:
    """A warning that says where to look, at once; nothing is tried."""
    records = HostRecords()
    records.nic("eth1")
    logical = records.sriov("eth1")
    with XapiHost(records) as host:
        make_functions(host, "eth1", total=0)

        done = host.run("up", logical)

        assert done.returncode == 0
        assert "BIOS or firmware have it off" in done.stderr
        assert "event=run_step" not in done.stderr


def test_a_virtual_function_does_not_stand_in_for_managements_nic() -> None:
    """It is no NIC of the host's own: the only one that is there takes the place of the one that is gone."""
    records = HostRecords()
    records.nic("eth5", bridge="xenbr0", management=True, **static("192.0.2.10"))["MAC"] = "0c:c4:7a:00:00:55"
    with Sandbox(spec_for(records)) as sandbox:
        sandbox.run(["mount", "-t", "tmpfs", "tmpfs", f"{sandbox.root}/sys"])
        sandbox.run(["mkdir", "-p", f"{sandbox.root}/sys/class/net/eth1/device/physfn"])

        succeed(sandbox, "--force", "xenbr0", "up")

        assert ports_of(sandbox, "xenbr0") == ["eth0"]


def test_the_link_of_a_nic_stays_up_while_its_virtual_functions_may_be_in_use() -> None:
    """Its bond goes, by a member that is brought up alone; then its own bridge, with XAPI and without it."""
    records = HostRecords()
    other, nic = records.nic("eth1"), records.nic("eth2")
    logical = records.sriov("eth2")
    records.network_of(logical)["bridge"] = "xapi5"
    bond = records.bond("bond0", ["eth1", "eth2"], "xapi0", mode="active-backup")
    with XapiHost(records, segments=shared_segment(nics=3)) as host:
        make_functions(host, "eth2")
        host.up(bond)
        host.up(logical)

        with watched(host.sandbox) as lines:
            host.up(other)
            bond["currently_attached"] = False
            assert ports_of(host.sandbox, "xenbr1") == ["eth1"]
            host.up(nic)
            host.down(nic)
            assert bridges(host.sandbox) == ["xenbr1"]
            host.up(nic)
            xapi = host.xapi
            assert xapi is not None
            xapi.stop()
            succeed(host.sandbox, "--pif-uuid", nic["uuid"], "down", env={"XSAGENT_XAPI_DEADLINE_S": "1"})
            assert bridges(host.sandbox) == ["xenbr1"]

        assert not [line for line in lines if "eth2" in line and "state DOWN" in line]
        assert "UP" in ip(host.sandbox, "link", "show", "dev", "eth2")[0]["flags"]
        nic["currently_attached"] = True
        host.down(logical)
        host.down(nic)
        assert "UP" not in ip(host.sandbox, "link", "show", "dev", "eth2")[0]["flags"]
