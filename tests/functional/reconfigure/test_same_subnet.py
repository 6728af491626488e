"""Management and storage on one subnet: the kernel sends by the device that has its address first: management."""

from __future__ import annotations

from typing import Literal

import pytest
from host_records import HostRecords, static
from host_state import addresses, ip, reconfigure, spec_for

from initscripts import install_initscripts
from xsagent.sandbox.dom0 import Sandbox
from xsagent.sandbox.spec import shared_segment

BOOT = ("--force-interface", "all", "up")


@pytest.mark.parametrize("backend", ["netlink", "ifcfg"])
def test_a_boot_sends_by_management_where_storage_has_the_same_subnet(backend: Literal["netlink", "ifcfg"]) -> None:
    """Storage's cable is out: the gateway, and whoever else is on the subnet, is reached all the same."""
    records = HostRecords()
    records.nic("eth0", management=True, **static("192.0.2.10"))
    records.nic("eth1", **static("192.0.2.11", gateway=""))
    with Sandbox(spec_for(records, segments=shared_segment(nics=2), ip_backend=backend)) as sandbox:
        if backend == "ifcfg":
            install_initscripts(sandbox)
        sandbox.far().set_carrier("eth1", up=False)

        done = reconfigure(sandbox, *BOOT)

        assert (done.returncode, done.stderr) == (0, "")
        assert [route["dev"] for route in ip(sandbox, "route", "show", "192.0.2.0/24")] == ["xenbr0", "xenbr1"]
        assert addresses(sandbox, "xenbr1") == ["192.0.2.11/24"]
        assert sandbox.run(["ping", "-c1", "-w5", "-i0.2", "192.0.2.1"], check=False).returncode == 0
