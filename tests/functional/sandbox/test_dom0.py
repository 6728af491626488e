"""The sandbox itself: what it promises to the tests that stand on it, on real programs."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import xsagent
from xsagent.errors import CommandError, NotFoundError, UsageError
from xsagent.sandbox.daemons import wait_for
from xsagent.sandbox.dom0 import Sandbox
from xsagent.sandbox.namespaces import pid_of
from xsagent.sandbox.spec import (
    SandboxSpec,
    Segment,
    Service,
    default_segments,
    far_mac,
    nic_mac,
    shared_segment,
)

GATEWAY, GATEWAY6 = "192.0.2.1", "2001:db8::1"


def plug(sandbox: Sandbox, bridge: str, *nics: str, address: str = "192.0.2.10/24") -> None:
    """Build a bridge by hand, with the peers' own tools."""
    words = ["--", "add-br", bridge, "--", "set", "Bridge", bridge, "datapath_type=netdev"]
    words += [f"other_config:hwaddr={nic_mac(nics[0])}"]
    for nic in nics:
        words += ["--", "add-port", bridge, nic]
    sandbox.run(["ovs-vsctl", *words])
    for device in (*nics, bridge):
        sandbox.run(["ip", "link", "set", device, "up"])
    if address:
        sandbox.run(["ip", "address", "add", address, "dev", bridge])


def test_far_host_answers_through_a_bridge_and_no_longer_without_flows(sandbox: Sandbox) -> None:
    """Every ping from dom0 is answered once through the switch; with the flows deleted all are lost."""
    plug(sandbox, "xenbr0", "eth0")

    with sandbox.ping_stream(interval_ms=1) as through:
        through.wait_answered(200)
    sandbox.delete_flows("xenbr0")
    with sandbox.ping_stream(interval_ms=1) as control:
        control.wait_sent(200)

    assert through.result.lost == 0
    assert through.result.duplicates == 0
    assert control.result.sent >= 200
    assert control.result.answered == 0
    assert control.result.longest_gap == control.result.sent


def test_far_host_answers_neighbour_discovery_and_ping_over_ipv6(sandbox: Sandbox) -> None:
    """The gateway answers ND and ping on its IPv6 address."""
    plug(sandbox, "xenbr0", "eth0")
    sandbox.run(["ip", "address", "add", "2001:db8::10/64", "dev", "xenbr0", "nodad"])

    with sandbox.ping_stream(GATEWAY6) as stream:
        stream.wait_answered(50)

    assert stream.result.lost == 0
    assert far_mac("eth0") in sandbox.run(["ip", "-6", "neighbour", "show", GATEWAY6]).stdout


def test_kernel_alone_does_not_answer_on_a_nic(sandbox: Sandbox) -> None:
    """With dom0's address on no bridge but on the NIC, ARP gets no answer until the NIC is left to the kernel."""
    sandbox.run(["ip", "address", "add", "192.0.2.10/24", "dev", "eth0"])
    sandbox.run(["ip", "link", "set", "eth0", "up"])

    with sandbox.far().ping_stream("192.0.2.10") as deaf:
        deaf.wait_sent(50)
    sandbox.leave_to_kernel("eth0")
    with sandbox.far().ping_stream("192.0.2.10") as heard:
        heard.wait_answered(10)

    assert deaf.result.answered == 0
    assert heard.result.answered > 0


def test_dhclient_gets_a_lease_and_its_script_writes_the_private_resolv_conf(sandbox: Sandbox) -> None:
    """The system's dhclient and dhclient-script set up an address by DHCP and touch the sandbox's files alone."""
    machine = Path("/etc/resolv.conf").read_bytes()
    plug(sandbox, "xenbr0", "eth0", address="")

    sandbox.run(["dhclient", "-1", "-pf", f"{sandbox.root}/run/dhclient.pid", "xenbr0"])

    [lease] = sandbox.far().leases()
    assert lease.split()[1] == nic_mac("eth0")
    [device] = json.loads(sandbox.run(["ip", "-4", "-j", "address", "show", "xenbr0"]).stdout)
    assert [entry["local"] for entry in device["addr_info"]] == [lease.split()[2]]
    assert f"nameserver {GATEWAY}" in (sandbox.root / "etc/resolv.conf").read_text()
    assert Path("/etc/resolv.conf").read_bytes() == machine
    with sandbox.ping_stream() as stream:
        stream.wait_answered(20)


def test_dhcp_server_is_off_where_the_spec_says_so_and_can_be_switched() -> None:
    """Without the server dhclient gets no lease; once the test starts it, it does; stopped, it no longer runs."""
    with Sandbox(SandboxSpec(segments=default_segments(dhcp=False))) as sandbox:
        plug(sandbox, "xenbr0", "eth0", address="")
        once = ["dhclient", "-1", "-cf", f"{sandbox.root}/etc/dhclient.conf", "xenbr0"]
        (sandbox.root / "etc/dhclient.conf").write_text("timeout 2;\n")

        silent = sandbox.run(once, check=False)
        sandbox.far().dhcp.start()
        answered = sandbox.run(once, check=False)
        sandbox.far().dhcp.stop()

        assert silent.returncode != 0
        assert answered.returncode == 0
        assert len(sandbox.far().leases()) == 1
        assert sandbox.far().dhcp.pid is None


def test_guest_reaches_the_wire_and_dom0_through_its_port(sandbox: Sandbox) -> None:
    """A guest's pings to the gateway and to dom0 pass the switch, each answered once; without flows none."""
    plug(sandbox, "xenbr0", "eth0")
    guest = sandbox.add_guest("guest1", "xenbr0")

    with guest.ping_stream(GATEWAY) as wire, guest.ping_stream("192.0.2.10") as dom0:
        wire.wait_answered(100)
        dom0.wait_answered(100)
    sandbox.delete_flows("xenbr0")
    with guest.ping_stream(GATEWAY) as control:
        control.wait_sent(50)

    assert (wire.result.lost, wire.result.duplicates) == (0, 0)
    assert (dom0.result.lost, dom0.result.duplicates) == (0, 0)
    assert control.result.answered == 0


def test_each_nic_has_a_segment_of_its_own() -> None:
    """By default every NIC has its own far host, and no segment hears another."""
    with Sandbox(SandboxSpec(segments=default_segments(nics=4, dhcp=False))) as sandbox:
        plug(sandbox, "xenbr1", "eth1", address="198.51.100.10/24")

        with sandbox.ping_stream("198.51.100.1") as stream:
            stream.wait_answered(20)

        assert stream.result.lost == 0
        assert sandbox.spec.nics == ("eth0", "eth1", "eth2", "eth3")
        for nic in sandbox.spec.nics:
            assert (sandbox.run(["cat", f"{sandbox.root}/sys/class/net/{nic}/address"]).stdout).strip() == nic_mac(nic)
        assert nic_mac("eth1") in sandbox.far("far1").run(["ip", "neighbour"]).stdout
        assert sandbox.far("gateway").run(["ip", "neighbour"]).stdout == ""


def test_several_nics_can_share_a_segment() -> None:
    """NICs on one segment reach the same far host and hear one another's frames."""
    with Sandbox(SandboxSpec(segments=shared_segment(nics=2))) as sandbox:
        plug(sandbox, "xenbr0", "eth0")
        plug(sandbox, "xenbr1", "eth1", address="")
        guest = sandbox.add_guest("guest1", "xenbr1")

        with guest.ping_stream("192.0.2.10") as across, sandbox.ping_stream() as gateway:
            across.wait_answered(20)
            gateway.wait_answered(20)

        assert across.result.lost == 0
        assert gateway.result.lost == 0


def test_carrier_and_addresses_of_a_far_host_can_be_taken_away(sandbox: Sandbox) -> None:
    """A pulled cable takes the NIC's carrier; a far host without its address no longer answers."""
    plug(sandbox, "xenbr0", "eth0")
    carrier = ["cat", "/sys/class/net/eth0/carrier"]

    before = sandbox.run(carrier).stdout.strip()
    sandbox.far().set_carrier("eth0", up=False)
    pulled = sandbox.run(carrier).stdout.strip()
    sandbox.far().set_carrier("eth0", up=True)
    sandbox.far().set_addresses("192.0.2.7/24")
    with sandbox.ping_stream(GATEWAY) as old, sandbox.ping_stream("192.0.2.7") as new:
        old.wait_sent(20)
        new.wait_answered(20)

    assert (before, pulled) == ("1", "0")
    assert old.result.answered == 0


def test_ovs_daemons_can_be_stopped_killed_paused_and_started(sandbox: Sandbox) -> None:
    """Each daemon's absence is visible to its clients, and it comes back with its database."""
    plug(sandbox, "xenbr0", "eth0")
    ask = ["ovs-vsctl", "--timeout=2", "--no-wait", "list-br"]

    sandbox.vswitchd.kill()
    assert sandbox.vswitchd.pid is None
    assert sandbox.run(["ovs-vsctl", "--timeout=1", "add-br", "b"], check=False).returncode != 0
    sandbox.vswitchd.start()
    sandbox.ovsdb_server.pause()
    assert sandbox.run(ask, check=False).returncode != 0
    sandbox.ovsdb_server.resume()
    assert "xenbr0" in sandbox.run(ask).stdout
    sandbox.ovsdb_server.stop()
    assert sandbox.run(ask, check=False).returncode != 0
    sandbox.ovsdb_server.start()
    assert "xenbr0" in sandbox.run(ask).stdout


def test_root_prefix_is_a_dom0s() -> None:
    """Below the prefix stand the files of a dom0, with the real NICs' addresses in the cache; a spec's files win."""
    files = {"etc/sysconfig/network": "NETWORKING=yes\n", "etc/xensource/network.conf": "bridge\n"}
    spec = SandboxSpec(management_address="192.0.2.10/24", files=files, ovsdb=False)
    with Sandbox(spec) as sandbox:
        cache = (sandbox.root / "var/xapi/network.dbcache").read_text()

        assert f"<MAC>{nic_mac('eth1')}</MAC>" in cache
        assert "<netmask>255.255.255.0</netmask>" in cache
        assert "MANAGEMENT_INTERFACE='xenbr0'" in (sandbox.root / "etc/xensource-inventory").read_text()
        assert (sandbox.root / "etc/xensource/network.conf").read_text() == "bridge\n"
        assert (sandbox.root / "etc/sysconfig/network").read_text() == "NETWORKING=yes\n"
        assert sandbox.ovsdb_server.pid is None
        assert (sandbox.run(["cat", f"{sandbox.root}/proc/1/comm"])).stdout != Path("/proc/1/comm").read_text()


def test_commands_get_the_environment_of_the_sandbox(sandbox: Sandbox) -> None:
    """PATH finds our commands, the settings are those of the sandbox, and a call's own variables win."""
    shown = sandbox.run(["env"], env={"OVS_LOGDIR": "/elsewhere"}).stdout.splitlines()
    variables = dict(line.split("=", 1) for line in shown if "=" in line)

    assert variables["XSAGENT_SANDBOX_ROOT"] == str(sandbox.root)
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
    with Sandbox() as sandbox:
        plug(sandbox, "xenbr0", "eth0", address="")
        sandbox.run(["dhclient", "-1", "-pf", f"{sandbox.root}/run/dhclient.pid", "xenbr0"])
        namespace = Path(f"/proc/{_pid(sandbox)}/ns/net").readlink()
        during = _processes_naming(sandbox.directory.name)

    assert any("ovs-vswitchd" in line for line in during)
    assert any("dhclient" in line for line in during)
    assert _processes_naming(sandbox.directory.name) == []
    assert sandbox.directory.name not in Path("/proc/self/mountinfo").read_text()
    assert not sandbox.directory.exists()
    assert namespace not in _network_namespaces()
    assert not Path("/run/netns/gateway").exists()


def _pid(sandbox: Sandbox) -> int:
    """Process id of the sandbox's PID 1."""
    assert sandbox._namespaces is not None
    return sandbox._namespaces.pid


def _network_namespaces() -> set[Path]:
    """Network namespaces of all processes that we may look at."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/ns/net"):
        try:
            found.add(path.readlink())
        except OSError:
            continue
    return found


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
    assert _processes_naming(sandbox.directory.name) == []


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


def test_cli_runs_a_command_with_its_exit_status_and_directory(tmp_path: Path) -> None:
    """``xsagent sandbox run -- COMMAND``: the command's output and exit status, in the caller's directory."""
    source = str(Path(xsagent.__file__).parent.parent)
    command = [sys.executable, "-m", "xsagent.cli.sandbox", "sandbox", "run", "--nics", "3", "--"]
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


@pytest.mark.parametrize("nics", [0, -1, 33])
def test_an_impossible_number_of_nics_is_refused(nics: int) -> None:
    """A sandbox has 1 to 32 NICs."""
    with pytest.raises(UsageError, match=str(nics)):
        default_segments(nics=nics)


def test_a_segment_without_ipv4_address_has_no_gateway() -> None:
    """The gateway of a segment is its first IPv4 address; there is none to guess."""
    segment = Segment(name="x", nics=("eth0",), addresses=("2001:db8::1/64", "192.0.2.9/24"))

    assert str(segment.gateway.ip) == "192.0.2.9"
    with pytest.raises(UsageError, match="no IPv4"):
        _ = Segment(name="x", nics=("eth0",), addresses=("2001:db8::1/64",)).gateway
