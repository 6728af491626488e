"""Management's NIC is gone (pains.md 2): what the doctor says to type brings the host back."""

from __future__ import annotations

from host_records import DHCP, HostRecords, static
from host_state import addresses, spec_for, succeed, write_cache
from moved_disk import moved_disk
from patient import Patient

from xsagent.sandbox.dom0 import Sandbox
from xsagent.sandbox.spec import default_segments


class Cut(Patient):
    """A host that never came up, and whose XAPI is away."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.last = []


def test_which_of_two_nics_it_is_is_not_guessed() -> None:
    """Both have a carrier: a person finds out, and reads what to type then."""
    records = HostRecords()
    records.nic("eth7", "xenbr0", management=True, **static("192.0.2.10"))
    with Sandbox(spec_for(records)) as sandbox:
        for nic in ("eth0", "eth1"):
            sandbox.run(["ip", "link", "set", nic, "up"])

        finding = Cut(sandbox).finding("nic-missing")

        assert (finding["severity"], finding["mend"]) == ("error", [])
        assert "which of eth0, eth1" in finding["by_hand"]
        assert "--device=NIC" in finding["by_hand"]


def test_a_host_that_never_had_its_bridge_hears_of_that() -> None:
    """Not of a lease that it has not; and the command makes the bridge."""
    records = HostRecords()
    records.nic("eth0", "xenbr0", management=True, **DHCP)
    with Sandbox(spec_for(records)) as sandbox:
        patient = Cut(sandbox)

        errors = [one for one in patient.findings() if one["severity"] == "error"]
        patient.mend(errors[0])

        assert [one["id"] for one in errors] == ["management-bridge-missing"]
        assert errors[0]["subject"] == "xenbr0"
        assert len(addresses(sandbox, "xenbr0")) == 1


def test_the_host_comes_back_on_a_nic_that_is_there() -> None:
    """The cache names eth7; eth0 and eth1 are there. Two commands put management on eth0, with the recorded address."""
    records = HostRecords()
    records.nic("eth7", "xenbr0", management=True, **static("192.0.2.10", dns="192.0.2.1"))
    with Sandbox(spec_for(records)) as sandbox:
        patient = Cut(sandbox)
        sandbox.run(["ip", "link", "set", "eth0", "up"])

        finding = patient.finding("nic-missing")
        patient.mend(finding)

        assert (finding["severity"], finding["subject"]) == ("error", "eth7")
        assert "--device=eth0" in finding["mend"][0]
        assert addresses(sandbox, "xenbr0") == ["192.0.2.10/24"]
        assert {one["id"] for one in patient.findings() if one["severity"] == "error"} == set()


def test_a_stand_in_is_told_until_the_records_name_it() -> None:
    """What the rescue wrote down is not asked: a record that names a NIC which is there is."""
    with Sandbox(spec_for(moved_disk(), segments=default_segments(nics=1))) as sandbox:
        patient = Cut(sandbox)
        succeed(sandbox, "--force", "xenbr0", "up")

        finding = patient.finding("management-on-stand-in")
        records = HostRecords()
        records.nic("eth0", management=True, **static("192.0.2.10"))
        write_cache(sandbox, records)

        assert (finding["severity"], finding["subject"]) == ("warning", "eth0")
        assert not patient.has("management-on-stand-in")
