"""Management's NIC is gone (pains.md 2): what the doctor says to type brings the host back."""

from __future__ import annotations

from host_records import HostRecords, static
from host_state import addresses, spec_for
from patient import Patient

from xsagent.sandbox.dom0 import Sandbox


class Cut(Patient):
    """A host that never came up, and whose XAPI is away."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.last = []


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
