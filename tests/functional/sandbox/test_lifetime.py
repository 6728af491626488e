"""A sandbox leaves nothing behind, whoever ran it and however it ended."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import xsagent
from xsagent.sandbox.daemons import wait_for
from xsagent.sandbox.dom0 import Sandbox
from xsagent.sandbox.namespaces import pid_of
from xsagent.sandbox.spec import nic_mac


def _processes_naming(text: str) -> list[str]:
    """Command lines on the machine that hold a text."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if text in line:
            found.append(line)
    return found


def test_nothing_is_left_behind() -> None:
    """After the block no process, no mount and no file of the sandbox is on the machine; during it there were."""
    named_before = _named_network_namespaces()
    with Sandbox() as sandbox:
        sandbox.build_bridge("xenbr0", "eth0")
        sandbox.run(["dhclient", "-1", "-pf", f"{sandbox.root}/run/dhclient.pid", "xenbr0"])
        namespace = Path(f"/proc/{_pid(sandbox)}/ns/net").readlink()
        during = _processes_naming(sandbox.directory.name)

    assert any("ovs-vswitchd" in line for line in during)
    assert any("dhclient" in line for line in during)
    assert _processes_naming(sandbox.directory.name) == []
    assert sandbox.directory.name not in Path("/proc/self/mountinfo").read_text()
    assert not sandbox.directory.exists()
    assert namespace not in _network_namespaces()
    assert _named_network_namespaces() == named_before


def _named_network_namespaces() -> set[str]:
    """What ip-netns(8) lists on the machine; its own may well have the names of ours."""
    return {path.name for path in Path("/run/netns").glob("*")}


def _pid(sandbox: Sandbox) -> int:
    """Process id of the sandbox's PID 1."""
    assert sandbox.namespaces is not None
    return sandbox.namespaces.pid


def _network_namespaces() -> set[Path]:
    """Network namespaces of all processes that we may look at."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/ns/net"):
        try:
            found.add(path.readlink())
        except OSError:
            continue
    return found


def test_a_command_that_was_stopped_leaves_nothing_behind() -> None:
    """Also when it was continued: nsenter(1), which waits for it outside, stops with it and hears of nothing more."""
    with Sandbox() as sandbox:
        waiting = sandbox.spawn(["sleep", "1000"])
        process = pid_of(waiting)
        os.kill(process, signal.SIGSTOP)
        wait_for(lambda: _state(waiting.pid) == "T", 10, "nsenter did not stop")
        os.kill(process, signal.SIGCONT)

    assert waiting.wait(10) == -signal.SIGKILL


def _state(pid: int) -> str:
    """What ps(1) says of a process."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_the_machines_etc_cannot_be_changed_from_inside() -> None:
    """A file made in /etc inside is the sandbox's own, and the way to the machine's /etc is read-only, for root too."""
    with Sandbox() as sandbox:
        sandbox.run(["touch", "/etc/xsagent-test-file"])
        refused = sandbox.run(["touch", f"{sandbox.directory}/machine-etc/xsagent-test-file"], check=False)

    assert refused.returncode != 0
    assert not Path("/etc/xsagent-test-file").exists()


OWNER = """
import sys
from xsagent.sandbox.dom0 import Sandbox
with Sandbox() as sandbox:
    print(sandbox.directory, flush=True)
    sys.stdin.read()
"""


def test_nothing_runs_on_when_the_owner_is_killed() -> None:
    """SIGKILL of the process that owns a sandbox ends every process inside."""
    source = str(Path(xsagent.__file__).parent.parent)
    with subprocess.Popen(
        [sys.executable, "-c", OWNER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": source, "KEEP_SANDBOX": ""},
    ) as owner:
        assert owner.stdout is not None
        directory = Path(owner.stdout.readline().strip())
        assert _processes_naming(directory.name)

        owner.kill()

        wait_for(lambda: not _processes_naming(directory.name), 10, "processes did not end")
    shutil.rmtree(directory)


def test_keep_sandbox_leaves_it_up_and_says_how_to_enter(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """KEEP_SANDBOX=1: the sandbox lives on after the block, and the printed command enters it."""
    monkeypatch.setenv("KEEP_SANDBOX", "1")
    with Sandbox() as sandbox:
        pass
    try:
        printed = capsys.readouterr().err
        enter = next(line for line in printed.splitlines() if "enter:" in line).split("enter:")[1]

        done = subprocess.run(
            ["bash", "-c", enter.replace(" bash", " ovs-vsctl --timeout=5 get Open_vSwitch . external_ids")],
            check=False,
            capture_output=True,
            text=True,
        )

        assert "system-id" in done.stdout
    finally:
        sandbox.close()
    wait_for(lambda: not _processes_naming(sandbox.directory.name), 10, "processes did not end")


ORDINARY_USER_SCRIPT = """
import sys
from xsagent.sandbox.dom0 import Sandbox
with Sandbox() as sandbox:
    sandbox.run(["ovs-vsctl", "add-br", "xenbr0", "--", "set", "Bridge", "xenbr0", "datapath_type=netdev",
                 "other_config:hwaddr=00:1b:21:00:5a:01", "--", "add-port", "xenbr0", "eth0"])
    for device in ("eth0", "xenbr0"):
        sandbox.run(["ip", "link", "set", device, "up"])
    sandbox.run(["dhclient", "-1", "xenbr0"])
    guest = sandbox.add_guest("guest1", "xenbr0")
    with sandbox.ping_stream() as dom0, guest.ping_stream("192.0.2.1") as vif:
        dom0.wait_answered(20)
        vif.wait_answered(20)
    print(dom0.result.lost, vif.result.lost, sandbox.far().leases()[0].split()[1])
"""


def _python_for_everyone() -> str:
    """An interpreter outside root's home."""
    for name in ("/usr/bin/python3", sys.executable):
        code = "import sys; sys.exit(sys.version_info < (3, 11))"
        command = [*_drop_root(), name, "-c", code]
        if subprocess.run(command, check=False, capture_output=True).returncode == 0:
            return name
    pytest.skip("no Python 3.11 here that an ordinary user may run")


def _drop_root() -> list[str]:
    """Words before a command that an ordinary user is to run; none where we are one."""
    return ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []


def test_an_ordinary_user_has_the_same_sandbox() -> None:
    """Without root: DHCP lease, dom0's and a guest's pings through the switch, and nothing left afterwards."""
    refused = subprocess.run(
        [*_drop_root(), "unshare", "--map-root-user", "true"], check=False, capture_output=True, text=True
    )
    if refused.returncode:
        pytest.skip(f"no user namespaces for ordinary users here: {refused.stderr.strip()}")
    place = Path(f"/tmp/xs-user-{os.getpid()}")  # noqa: S108 pytest's own folders are closed to others
    try:
        shutil.copytree(Path(xsagent.__file__).parent, place / "xsagent")
        subprocess.run(["chmod", "-R", "a+rX", str(place)], check=True)
        done = subprocess.run(
            [*_drop_root(), _python_for_everyone(), "-c", textwrap.dedent(ORDINARY_USER_SCRIPT)],
            check=False,
            capture_output=True,
            text=True,
            cwd="/",
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(place)},
        )
    finally:
        shutil.rmtree(place)

    assert done.stderr == ""
    assert done.stdout.split() == ["0", "0", nic_mac("eth0")]
