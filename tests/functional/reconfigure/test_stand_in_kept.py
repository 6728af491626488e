"""What a run leaves about management's stand-in, and what the next run makes of it (pains.md 2)."""

from __future__ import annotations

import json

import pytest
from host_records import HostRecords, static
from host_state import addresses, ports_of, reconfigure, refuse, spec_for, succeed, vsctl, write_cache
from moved_disk import degraded_file, moved_disk

from xsagent.sandbox.dom0 import Sandbox
from xsagent.sandbox.spec import default_segments


def disk_with_vlan() -> HostRecords:
    """As moved_disk, with a VLAN on management's NIC that was up."""
    records = moved_disk()
    records.vlan("eth5", 7, "xapi7", **static("198.51.100.10", gateway=""))["currently_attached"] = True
    return records


def test_a_vlan_on_managements_gone_nic_is_taken_down_and_no_nic_chosen_for_it() -> None:
    """Also where that would be a guess; where it would be none, the `up` after it chooses by the cables of then."""
    with Sandbox(spec_for(disk_with_vlan())) as sandbox:
        succeed(sandbox, "--force", "xapi7", "down")
        sandbox.far("far1").set_carrier("eth1", up=False)
        succeed(sandbox, "--force", "xapi7", "down")
        assert not degraded_file(sandbox).exists()
        sandbox.far("far1").set_carrier("eth1", up=True)
        sandbox.far().set_carrier("eth0", up=False)

        succeed(sandbox, "--force", "xenbr0", "up")

        assert ports_of(sandbox, "xenbr0") == ["eth1"]


def test_a_vlan_on_the_stand_in_is_taken_down_and_management_stays() -> None:
    """The records of both name the NIC that is gone."""
    with Sandbox(spec_for(disk_with_vlan(), segments=default_segments(nics=1))) as sandbox:
        succeed(sandbox, "--force-interface", "all", "up")
        succeed(sandbox, "--force", "xapi7", "up")
        assert addresses(sandbox, "xapi7") == ["198.51.100.10/24"]

        succeed(sandbox, "--force", "xapi7", "down")

        assert "xapi7" not in vsctl(sandbox, "list-br").split()
        assert ports_of(sandbox, "xenbr0") == ["eth0"]
        assert sandbox.run(["ping", "-c3", "-i0.3", "-W2", "192.0.2.1"], check=False).returncode == 0


def test_a_stand_in_that_the_switch_forgot_loses_to_the_only_nic_with_carrier() -> None:
    """The same boot wrote it down, and its cable is out since: management behind it would reach nobody."""
    with Sandbox(spec_for(moved_disk())) as sandbox:
        sandbox.far("far1").set_carrier("eth1", up=False)
        succeed(sandbox, "--force", "xenbr0", "up")
        assert degraded_file(sandbox).exists()
        vsctl(sandbox, "del-br", "xenbr0")
        sandbox.far("far1").set_carrier("eth1", up=True)
        sandbox.far().set_carrier("eth0", up=False)

        succeed(sandbox, "--force", "xenbr0", "up")

        assert ports_of(sandbox, "xenbr0") == ["eth1"]


@pytest.mark.parametrize("words", [("--force", "xenbr0", "up"), ("--force-interface", "all", "up")])
def test_a_nic_that_management_never_came_up_on_is_not_remembered(words: tuple[str, ...]) -> None:
    """Refused, for a switch that is dead: the next run may choose another."""
    with Sandbox(spec_for(moved_disk(), segments=default_segments(nics=1))) as sandbox:
        sandbox.vswitchd.pause()

        done = reconfigure(sandbox, *words, env={"XSAGENT_VSWITCHD_WAIT_S": "1"})

        assert done.returncode == 1
        assert not degraded_file(sandbox).exists()
        sandbox.vswitchd.resume()


@pytest.mark.parametrize("words", [("--force", "xenbr0", "up"), ("--force-interface", "all", "up")])
def test_a_stand_in_is_none_any_more_once_the_records_name_it(words: tuple[str, ...]) -> None:
    """An admin has moved management to the NIC's own PIF, as the doctor says."""
    with Sandbox(spec_for(moved_disk(), segments=default_segments(nics=1))) as sandbox:
        succeed(sandbox, "--force", "xenbr0", "up")
        assert degraded_file(sandbox).exists()
        records = HostRecords()
        records.nic("eth0", management=True, **static("192.0.2.10"))
        write_cache(sandbox, records)

        succeed(sandbox, *words)

        assert not degraded_file(sandbox).exists()


def test_a_stand_in_of_an_earlier_boot_proves_nothing() -> None:
    """The NICs may be others since."""
    with Sandbox(spec_for(moved_disk())) as sandbox:
        degraded_file(sandbox).write_text(json.dumps({"gone": "eth5", "stand_in": "eth0", "boot": "another"}))

        assert "would be a guess" in refuse(sandbox, "--force", "xenbr0", "up")


def test_a_rescue_needs_no_file_of_its_own() -> None:
    """State that cannot be written costs management nothing."""
    with Sandbox(spec_for(moved_disk(), segments=default_segments(nics=1))) as sandbox:
        degraded_file(sandbox).mkdir(parents=True)

        succeed(sandbox, "--force", "xenbr0", "up")

        assert addresses(sandbox, "xenbr0") == ["192.0.2.10/24"]
