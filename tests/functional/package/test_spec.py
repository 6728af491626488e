"""What xsagent.spec makes of its parameters, as rpmspec(8) reads it."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from package_root import PROJECT

pytestmark = pytest.mark.skipif(shutil.which("rpmspec") is None, reason="this machine lacks rpmspec (package rpm)")


def ask(*words: str) -> set[str]:
    """The lines of a query."""
    command = ["rpmspec", "-q", *words, str(PROJECT / "xsagent.spec")]
    return set(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split("\n")[:-1])


def test_version_and_release_are_parameters() -> None:
    """Three packages of one version."""
    names = ask(
        "-D", "xsagent_version 7.8", "-D", "xsagent_release 9", "--queryformat", "%{NAME}-%{VERSION}-%{RELEASE}\n"
    )

    assert names == {"xsagent-7.8-9", "xsagent-full-7.8-9", "xsagent-hotplug-7.8-9"}


def test_the_kernel_is_a_parameter() -> None:
    """Without one the package goes with any kernel."""
    kernel = ["-D", "kernel_name kernel-xen", "-D", "kernel_flavor kdump", "-D", "kernel_version 4.19-1"]

    assert "kernel-xen-kdump = 4.19-1" in ask("--requires", *kernel)
    assert not any(line.startswith("kernel") for line in ask("--requires"))


def test_the_hosts_python_is_a_parameter_and_required() -> None:
    """The interpreter that every script names, with its version."""
    required = ask("--requires", "-D", "python /usr/bin/python3")

    assert any(line.startswith("/usr/bin/python3.") for line in required)


def test_without_check_needs_no_test_tools() -> None:
    """--without check: neither pytest nor hypothesis."""
    needed = ask("--buildrequires", "--without", "check")

    assert not any("pytest" in line or "hypothesis" in line for line in needed)
    assert any("pytest" in line for line in ask("--buildrequires"))
