"""Guests' devices on a real Xen, through udev rules, hook and one-shot handler: netback, kernel datapath, xenstored."""

from __future__ import annotations

import json
import subprocess
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from lab_run import GUEST, ROOT, Report

if TYPE_CHECKING:
    from lab_run import LabRun

_TIMEOUT_S = 900
_BOOTS = 3
"""Without KVM, programs in a Xen dom0 die of the emulation at random (SIGSEGV, Python's "unknown opcode")."""


def boot_xen(lab_run: LabRun, out: Path) -> Report:
    """Run the guest script as dom0 of Xen, again while a case raised; each case is told of the boot it worked in."""
    share = out / "share"
    share.mkdir(parents=True)
    payload = share / "payload.tar"
    payload.write_bytes((lab_run.payload / "payload.tar").read_bytes())
    with tarfile.open(payload, "a") as archive:
        archive.add(ROOT / "udev", "udev")
    cases: dict[str, Any] = {}
    for number in range(_BOOTS):
        place = out / str(number)
        place.mkdir()
        command = [str(lab_run.lab / "run"), "--mode", "xen", "--share", str(share), "--out", str(place)]
        command += ["--timeout", str(_TIMEOUT_S), "--log", str(place / "console.log")]
        command += ["--script", str(GUEST / "start"), "--", "hotplug.py"]
        done = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8")
        file = place / "report.json"
        found = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        cases |= {name: case for name, case in found.items() if cases.get(name, {"error": "none yet"})["error"]}
        if cases and not any(case["error"] for case in cases.values()):
            break
    return Report(cases, done.stdout)


@pytest.fixture(scope="module")
def report(lab_run: LabRun, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """One guest's life for all tests."""
    return boot_xen(lab_run, tmp_path_factory.mktemp("xen"))


pytestmark = pytest.mark.timeout(_BOOTS * _TIMEOUT_S + 60)


def test_a_guest_starts_with_its_vif_on_the_bridge_and_is_reached(report: Report) -> None:
    """Netback connects the guest after `connected`; port, marks, netdev and flows are as wanted by then."""
    facts = report.facts("create")

    assert (facts["status"], facts["online"], facts["error"], facts["bridge"]) == ("connected", "online", "", ["br0"])
    assert facts["interface"]["ofport"] > 0
    assert facts["interface"]["external_ids"]["attached-mac"] == "00:16:3e:00:00:01"
    assert facts["interface"]["external_ids"]["iface-status"] == "active"
    assert (facts["link"]["mtu"], facts["link"]["address"]) == (1400, "fe:ff:ff:ff:ff:ff")
    assert facts["link"]["inet6_addr_gen_mode"] == "none"
    assert {"UP", "NOARP"} <= set(facts["link"]["flags"])
    assert facts["flows"] == 14
    assert facts["guest_pinged"]
    assert facts["guest_answers"]


def test_a_locked_guest_is_cut_off_with_an_address_that_is_not_its_own(report: Report) -> None:
    """A live change of the allowed address, there and back."""
    facts = report.facts("lock another address")

    assert (facts["guest_answers"], facts["guest_answers_again"]) == (False, True)


def test_a_second_vif_is_plugged_through_xenstore_alone(report: Report) -> None:
    """As xenopsd does it, with no libxl in between."""
    facts = report.facts("plug")

    assert (facts["status"], facts["error"], facts["bridge"]) == ("connected", "", ["br0"])


def test_an_unplugged_vif_leaves_nothing_behind(report: Report) -> None:
    """Its port and the key that xenopsd waits for go; the other vif stays."""
    assert report.facts("unplug")["others_stay"]


def test_a_destroyed_guest_leaves_nothing_behind(report: Report) -> None:
    """Its port is gone and so are its flows, though the kernel's datapath had forgotten the port's number."""
    facts = report.facts("destroy")

    assert facts["flows"] == []


def test_no_second_vif_rule_runs(report: Report) -> None:
    """The toolstack's own line is taken out."""
    assert report.facts("destroy")["second_rule_ran"] is False
