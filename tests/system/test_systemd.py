"""interface-reconfigure under a real systemd, as a boot unit runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from lab_run import NOTHING_CHANGED

if TYPE_CHECKING:
    from lab_run import LabRun, Report


@pytest.fixture(scope="module")
def report(lab_run: LabRun, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """One boot for all tests."""
    return lab_run.boot("systemd.py", tmp_path_factory.mktemp("out"), init="systemd")


def test_a_boot_unit_brings_management_up(report: Report) -> None:
    """The unit succeeds, the lease is there, and the DHCP client outlives the command."""
    facts = report.facts("boot_unit")

    assert facts["unit"] == {"Result": "success", "ExecMainStatus": "0", "ActiveState": "active"}
    assert len(facts["addresses"]) == 1
    assert facts["addresses"][0].startswith("192.0.2.1")
    assert facts["reaches_gateway"]
    assert len(facts["clients"]) == 1


def test_the_run_stands_in_the_journal(report: Report) -> None:
    """Under the program's name, from its first step to how it ended."""
    journal = report.facts("boot_unit")["journal"]

    assert any("event=run_step" in line and "step=OvsdbStep" in line for line in journal)
    assert "event=end_run outcome=applied changed=true" in journal[-1]


def test_a_second_unit_changes_nothing(report: Report) -> None:
    """Neither switch nor kernel nor the DHCP client."""
    facts = report.facts("again")

    assert facts["unit"]["Result"] == "success"
    changes = facts["changes"]
    assert changes == NOTHING_CHANGED
    assert facts["clients"] == report.facts("boot_unit")["clients"]
    assert "event=end_run outcome=applied changed=false" in facts["journal"][-1]
