"""The ifcfg backend's steps, with scripts in the place of the host's own ifup, ifdown and update-issue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xsagent.plan.steps import IfdownStep, IfupStep, UpdateIssueStep

if TYPE_CHECKING:
    from kernel_dom0 import Dom0


def install(dom0: Dom0, name: str, text: str) -> None:
    """Put a script before the system's in PATH."""
    path = dom0.sandbox.bin / name
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)


def test_ifup_is_run_for_the_device(dom0: Dom0) -> None:
    """With the device as its one argument, found through PATH."""
    install(dom0, "ifup", 'ip address add 192.0.2.10/24 dev "$1"; test $# = 1')

    done = dom0.run(IfupStep(device="eth0"))

    assert done.error is None
    assert dom0.addresses("eth0") == ["192.0.2.10/24"]


def test_ifup_s_success_ends_the_wait_for_a_lease(dom0: Dom0) -> None:
    """A persistent dhclient goes into the background without a lease; ifup's exit status is the word on it."""
    install(dom0, "ifup", "true")
    scripts = dom0.sandbox.root / "etc/sysconfig/network-scripts"
    scripts.mkdir(parents=True, exist_ok=True)
    (scripts / "ifcfg-eth0").write_text("DEVICE=eth0\nBOOTPROTO=dhcp\n", encoding="utf-8")

    assert dom0.run(IfupStep(device="eth0"), wait_s=30).error is None


def test_a_failing_ifup_is_an_error_with_its_words(dom0: Dom0) -> None:
    """Its exit status counts (legacy-faults F15)."""
    install(dom0, "ifup", "echo Determining IP information... failed.; exit 1")

    done = dom0.run(IfupStep(device="eth0"))

    assert done.error == "CommandError"
    assert "ifup eth0 failed with status 1: Determining IP information... failed." in done.text


def test_a_missing_ifup_is_named(dom0: Dom0) -> None:
    """Where the network scripts are not installed the sentence says so."""
    done = dom0.run(IfupStep(device="eth0"))

    assert done.error == "CommandError"
    assert "ifup" in done.text


def test_ifdown_of_a_device_that_is_gone_is_no_error(dom0: Dom0) -> None:
    """Of one that is there it is."""
    install(dom0, "ifdown", "exit 1")

    assert dom0.run(IfdownStep(device="eth9")).error is None
    assert dom0.run(IfdownStep(device="eth0")).error == "CommandError"


def test_update_issue_is_never_fatal(dom0: Dom0) -> None:
    """Not installed it is passed over, failing it is told, working it works."""
    missing = dom0.run(UpdateIssueStep())
    install(dom0, "update-issue", "exit 1")
    failing = dom0.run(UpdateIssueStep())
    install(dom0, "update-issue", f"touch {dom0.sandbox.root}/issue-updated")
    working = dom0.run(UpdateIssueStep())

    assert (missing.error, failing.error, working.error) == (None, None, None)
    assert missing.returned == working.returned == ["None"]
    assert "update-issue" in failing.returned[0]
    assert (dom0.sandbox.root / "issue-updated").exists()
