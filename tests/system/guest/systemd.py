"""In the VM, under systemd: interface-reconfigure as a unit of its own, logging to the journal."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import dom0
import far
from records import Pif, write_cache
from report import Report
from shell import run, wait_for

BY_DHCP = Pif(device="eth0", bridge="xenbr0", ip="dhcp", management=True)
UNIT = "xsagent-boot"


def main() -> None:
    """Run all cases, each on what the one before left."""
    report = Report()
    far.make_namespace()
    far.add_address("eth2", f"{far.GATEWAY}/24")
    far.serve_dhcp("eth2")
    dom0.start_switch()
    write_cache([BY_DHCP])
    with report.case("boot_unit") as facts:
        facts["unit"], facts["journal"] = _as_unit(UNIT)
        facts["addresses"] = dom0.addresses("xenbr0")
        facts["reaches_gateway"] = dom0.reaches(far.GATEWAY)
        facts["clients"] = dom0.dhclients()
    with report.case("again") as facts:
        with dom0.changes() as facts["changes"]:
            facts["unit"], facts["journal"] = _as_unit(f"{UNIT}-again")
        facts["clients"] = dom0.dhclients()


def _as_unit(unit: str) -> tuple[dict[str, str], list[str]]:
    """Bring everything up as a boot unit does: oneshot, its DHCP client living on after it.

    What systemd then says of the unit, and what stands in the journal.
    """
    settings = ["--property=Type=oneshot", "--property=RemainAfterExit=yes"]
    settings.append(f"--setenv=PYTHONPATH={os.environ['PYTHONPATH']}")
    command = [sys.executable, "-m", "xsagent.cli.interface_reconfigure", "--force-interface", "all", "up"]
    run(["systemd-run", f"--unit={unit}", *settings, *command], timeout_s=120)
    return _show(unit, ("Result", "ExecMainStatus", "ActiveState")), wait_for("the journal", lambda: _journal(unit))


def _show(unit: str, names: Sequence[str]) -> dict[str, str]:
    lines = run(["systemctl", "show", unit, f"--property={','.join(names)}"]).splitlines()
    return dict(line.split("=", 1) for line in lines)


def _journal(unit: str) -> list[str]:
    run(["journalctl", "--sync"])
    lines = run(
        ["journalctl", "--quiet", "--output=short-unix", "--identifier=interface-reconfigure", f"--unit={unit}"]
    )
    return lines.splitlines()


if __name__ == "__main__":
    main()
