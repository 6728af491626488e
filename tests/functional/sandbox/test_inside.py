"""Commands and services inside a sandbox: environment, exit status, deadline, process ids, the command line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import xsagent
from xsagent.errors import CommandError, NotFoundError
from xsagent.sandbox.dom0 import Sandbox
from xsagent.sandbox.namespaces import pid_of
from xsagent.sandbox.spec import SandboxSpec, Service


def test_commands_get_the_environment_of_the_sandbox(sandbox: Sandbox) -> None:
    """PATH finds our commands, the settings are those of the sandbox, and a call's own variables win."""
    shown = sandbox.run(["env"], env={"OVS_LOGDIR": "/elsewhere"}).stdout.splitlines()
    variables = dict(line.split("=", 1) for line in shown if "=" in line)

    assert variables["SANDBOX_ROOT"] == str(sandbox.root)
    assert variables["XSAGENT_DATAPATH_TYPE"] == "netdev"
    assert variables["OVS_LOGDIR"] == "/elsewhere"
    assert "XSAGENT_TEST_REQUIRE" not in variables
    assert Path(variables["OVS_RUNDIR"], "db.sock").exists()
    assert str(Path(sys.executable).parent) in variables["PATH"].split(":")


def test_a_failed_command_is_an_error_with_its_own_words(sandbox: Sandbox) -> None:
    """An exit status other than 0 raises with what the command wrote, unless the caller wants the status."""
    with pytest.raises(CommandError, match="nosuchbridge"):
        sandbox.run(["ovs-vsctl", "br-to-vlan", "nosuchbridge"])
    assert sandbox.run(["sh", "-c", "exit 3"], check=False).returncode == 3


def test_a_command_that_passes_its_deadline_is_killed_inside_too(sandbox: Sandbox) -> None:
    """After the deadline neither the command nor its children run on."""
    with pytest.raises(CommandError, match="deadline"):
        sandbox.run(["sh", "-c", "sleep 987 & sleep 987"], timeout=0.3)

    assert "987" not in sandbox.run(["sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '; true"]).stdout.replace(
        "cat /proc", ""
    )


def test_spawned_command_can_be_killed_by_its_own_process_id(sandbox: Sandbox) -> None:
    """`pid_of` names the command, not the nsenter that waits for it; afterwards there is none to name."""
    process = sandbox.spawn(["sleep", "60"])
    assert Path(f"/proc/{pid_of(process)}/comm").read_text() == "sleep\n"

    os.kill(pid_of(process), signal.SIGKILL)

    assert process.wait(5) != 0
    with pytest.raises(NotFoundError):
        pid_of(process)


def test_further_services_start_with_the_sandbox() -> None:
    """A service of the spec runs once the sandbox is up; one that never gets ready is an error that names it."""
    waiting = Service(name="peer", argv=("sh", "-c", "touch {root}/run/peer.ready; sleep 60"), ready="run/peer.ready")
    with Sandbox(SandboxSpec(services=(waiting,))) as sandbox:
        assert (sandbox.root / "run/peer.ready").exists()

    late = Service(name="late", argv=("sleep", "60"), ready="run/late.ready", deadline_s=0.1)
    with pytest.raises(CommandError, match="late"), Sandbox(SandboxSpec(services=(late,))):
        pass


def test_cli_runs_a_command_with_its_exit_status_and_directory(tmp_path: Path) -> None:
    """``xsagent sandbox run -- COMMAND``: the command's output and exit status, in the caller's directory."""
    source = str(Path(xsagent.__file__).parent.parent)
    command = [sys.executable, "-m", "xsagent.cli.main", "sandbox", "run", "--nics", "3", "--"]
    done = subprocess.run(
        [*command, "sh", "-c", "pwd; ls /sys/class/net; exit 7"],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": source},
    )

    assert done.returncode == 7
    lines = done.stdout.split()
    assert lines[0] == str(tmp_path)
    assert {"eth0", "eth1", "eth2", "lo"} <= set(lines)


def test_cli_that_is_terminated_takes_its_sandbox_along(tmp_path: Path) -> None:
    """SIGTERM, as at the end of a job: exit status 143, and the sandbox's directory is gone."""
    source = str(Path(xsagent.__file__).parent.parent)
    command = [sys.executable, "-m", "xsagent.cli.main", "sandbox", "run", "--"]
    with subprocess.Popen(
        [*command, "sh", "-c", "echo $SANDBOX_ROOT; exec sleep 60"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": source, "KEEP_SANDBOX": ""},
    ) as process:
        assert process.stdout is not None
        root = Path(process.stdout.readline().strip())
        assert root.is_dir()

        process.terminate()

        assert process.wait(20) == 128 + signal.SIGTERM
    assert not root.parent.exists()
