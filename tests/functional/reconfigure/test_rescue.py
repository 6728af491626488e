"""Other hardware under the same records: management comes up on a NIC that is there (pains.md 2)."""

from __future__ import annotations

import json

from host_records import HostRecords, static
from host_state import addresses, reconfigure, refuse, spec_for, succeed, vsctl, write_cache

from xsagent.sandbox.dom0 import Sandbox
from xsagent.sandbox.spec import default_segments


def moved_disk(device: str = "eth5") -> HostRecords:
    """Records of the machine that the disk was in: its NIC has a name and a MAC that nobody has here."""
    records = HostRecords()
    records.nic(device, bridge="xenbr0", management=True, **static("192.0.2.10"))["MAC"] = "0c:c4:7a:00:00:55"
    return records


def test_the_only_nic_stands_in_and_the_host_says_that_it_is_degraded() -> None:
    """Address, bridge and gateway are the stored ones; a warning and a state file say what happened."""
    records = moved_disk()
    with Sandbox(spec_for(records, segments=default_segments(nics=1))) as sandbox:
        done = reconfigure(sandbox, "--no-syslog", "--force", "xenbr0", "up")

        assert done.returncode == 0, done.stderr
        assert "rescue_management" in done.stderr
        assert vsctl(sandbox, "list-ports", "xenbr0") == "eth0"
        assert addresses(sandbox, "xenbr0") == ["192.0.2.10/24"]
        assert sandbox.run(["ping", "-c3", "-i0.3", "-W2", "192.0.2.1"], check=False).returncode == 0
        assert json.loads((sandbox.root / "var/lib/xsagent/degraded.json").read_text())["stand_in"] == "eth0"


def test_of_two_nics_the_one_with_carrier_stands_in() -> None:
    """The cable says which; the whole boot set comes up the same way."""
    with Sandbox(spec_for(moved_disk())) as sandbox:
        sandbox.far("far1").set_carrier("eth1", up=False)

        succeed(sandbox, "--force-interface", "all", "up")

        assert vsctl(sandbox, "list-ports", "xenbr0") == "eth0"
        assert addresses(sandbox, "xenbr0") == ["192.0.2.10/24"]


def test_two_candidates_are_no_choice() -> None:
    """A guess could put management on a guest's wire: refused, with the command that says it."""
    with Sandbox(spec_for(moved_disk())) as sandbox:
        said = refuse(sandbox, "--force", "xenbr0", "up")

        assert "eth5" in said
        assert "rewrite --device" in said


def test_a_right_host_is_not_rescued() -> None:
    """A NIC of the recorded name is there, with another MAC: used by its name, as always."""
    records = moved_disk("eth0")
    with Sandbox(spec_for(records)) as sandbox:
        write_cache(sandbox, records)
        succeed(sandbox, "--force", "xenbr0", "up")

        assert vsctl(sandbox, "list-ports", "xenbr0") == "eth0"
        assert not (sandbox.root / "var/lib/xsagent/degraded.json").exists()
