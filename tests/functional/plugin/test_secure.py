"""Bridges that become secure: management stays reachable, guests stay locked, and a failure is taken back whole."""

from __future__ import annotations

import os
import signal
import subprocess
import time

import pytest
from deadman_host import guardians, wait_until
from host_state import configuration
from plugin_host import CACERT, CONTROLLER, NO_CHANGE, PACKAGE, TARGET, PluginHost, mess

from xsagent.apply.flows import read_flows, replace_flows
from xsagent.hotplug.locking import render_flows
from xsagent.model.vif import Locking, LockingMode
from xsagent.sandbox.namespaces import pid_of

SECURE = {"vswitch-controller-fail-mode": "secure"}


def ping(host: PluginHost, address: str = CONTROLLER) -> bool:
    """Whether the far host answers dom0, ARP asked anew."""
    host.sandbox.run(["ip", "neigh", "flush", "all"], check=False)
    return host.sandbox.run(["ping", "-c1", "-W2", address], check=False).returncode == 0


def replace_ofctl(host: PluginHost, text: str) -> None:
    """Put a stand-in for ovs-ofctl first in PATH."""
    program = host.sandbox.bin / "ovs-ofctl"
    program.write_text("#!/bin/sh\n" + text)
    program.chmod(0o755)


def put_behind_vlan_switch(host: PluginHost) -> None:
    """The far host on VLAN 1 of a switch of its own; xenbr0's NIC is nic0, a trunk to that switch."""
    host.sandbox.run(["ip", "link", "add", "nic0", "type", "veth", "peer", "name", "trunk0"])
    for device in ("nic0", "trunk0"):
        host.sandbox.run(["ip", "link", "set", device, "up"])
        host.sandbox.leave_to_switch(device)
    host.vsctl(
        "del-port", "xenbr0", "eth0", "--", "add-port", "xenbr0", "nic0",
        "--", "add-br", "wall", "--", "set", "Bridge", "wall", "datapath_type=netdev",
        "--", "add-port", "wall", "eth0", "tag=1", "--", "add-port", "wall", "trunk0",
    )  # fmt: skip


def test_management_stays_reachable_on_a_bridge_that_becomes_secure(host: PluginHost) -> None:
    """Both ways, with ARP and neighbour discovery from nothing; other traffic of a secure bridge is dropped."""
    host.sandbox.run(["ip", "address", "add", "2001:db8::10/64", "dev", "xenbr0", "nodad"])
    host.set_network("xenbr0", **SECURE)

    assert host.update() == "Updated fail_mode.  "

    assert host.vsctl("get-fail-mode", "xenbr0") == "secure"
    assert ping(host)
    assert ping(host, "2001:db8::1")
    host.sandbox.far().run(["ip", "neigh", "flush", "all"])
    assert host.sandbox.far().run(["ping", "-c1", "-W2", "192.0.2.10"], check=False).returncode == 0
    assert host.update() == NO_CHANGE
    host.sandbox.delete_flows("xenbr0")
    assert not ping(host)


def test_management_on_a_vlan_stays_reachable(host: PluginHost) -> None:
    """The parent becomes secure; the VLAN's own port and tag are let through (F09)."""
    put_behind_vlan_switch(host)
    host.sandbox.run(["ip", "address", "flush", "dev", "xenbr0"])
    host.vsctl("add-br", "xapi1", "xenbr0", "1")
    host.sandbox.run(["ip", "link", "set", "xapi1", "up"])
    host.sandbox.run(["ip", "address", "add", "192.0.2.10/24", "dev", "xapi1"])
    host.sandbox.run(["ip", "route", "add", "default", "via", CONTROLLER])
    host.set_pif("eth0", management=False, device="nic0")
    host.set_pif("eth0.1", management=True, device="nic0")
    inventory = host.path("etc/xensource-inventory")
    inventory.write_text(inventory.read_text() + "MANAGEMENT_INTERFACE='xapi1'\n")
    assert ping(host)

    host.set_network("xenbr0", **SECURE)
    assert host.update() == "Updated fail_mode.  "

    assert host.vsctl("get-fail-mode", "xenbr0") == "secure"
    assert ping(host)
    host.sandbox.delete_flows("xenbr0")
    assert not ping(host)


def test_guests_stay_locked_through_a_change_that_flushes_flows(host: PluginHost) -> None:
    """The locking flows that were there are there again, exactly."""
    guest = host.sandbox.add_guest("guest", "xenbr0")
    rundir = host.path("run/openvswitch")
    port = int(host.vsctl("get", "Interface", guest.vif, "ofport"))
    lines = render_flows(Locking(mode=LockingMode.LOCKED), "00:16:3e:00:00:01", port)
    replace_flows(rundir, "xenbr0", {port: lines})
    before = read_flows(rundir, "xenbr0")
    host.set_network("xenbr0", **SECURE)

    assert host.update() == "Updated fail_mode.  "

    assert read_flows(rundir, "xenbr0") == before
    assert host.answer("emergency_reset")["Status"] == "Success"
    assert read_flows(rundir, "xenbr0") == before


def test_flows_that_the_switch_refuses_take_all_back(host: PluginHost) -> None:
    """A secure bridge without the flows would cut management off: the fail mode goes back, the flow is named."""
    host.set_network("xenbr0", **SECURE)
    host.set_pool(vswitch_controller=CONTROLLER)
    replace_ofctl(host, 'case "$*" in *add-flows*) echo refused >&2; exit 1;; esac\nexec /usr/bin/ovs-ofctl "$@"\n')
    host.update_marks()
    before = configuration(host.sandbox)

    code, exit_status, switch, flow = host.failure()

    assert (code, exit_status, switch) == ("VSWITCH_ADD_FLOW_FAILURE", "1", "xenbr0")
    assert "actions=" in flow
    assert configuration(host.sandbox) == before
    assert ping(host)


def test_a_whole_reset_is_taken_back(host: PluginHost) -> None:
    """Managers, TLS files and CA, controllers, mirrors, collectors: all as before, compared without our code."""
    host.start_controller("one")
    host.set_pool(vswitch_controller=CONTROLLER)
    host.update()
    host.await_connected()
    trusted = host.path(CACERT).read_text()
    mess(host)
    host.vsctl("set-manager", TARGET, "--", "set", "Manager", TARGET, "inactivity_probe=7000")
    host.set_network("xenbr0", **SECURE)
    host.set_pool(vswitch_controller="192.0.2.77")
    before = configuration(host.sandbox)
    replace_ofctl(host, 'case "$*" in *add-flows*) exit 1;; esac\nexec /usr/bin/ovs-ofctl "$@"\n')

    assert host.failure()[0] == "VSWITCH_ADD_FLOW_FAILURE"

    assert configuration(host.sandbox) == before
    assert host.path(CACERT).read_text() == trusted


def test_safety_flows_that_were_there_come_back_with_what_is_taken_back(host: PluginHost) -> None:
    """The transaction flushes them on the way there, and again on the way back."""
    before = put_under_controller(host)
    marker = host.path("refused")
    once = f'case "$*" in *add-flows*) [ -e {marker} ] || {{ touch {marker}; exit 1; }};; esac\n'
    replace_ofctl(host, once + 'exec /usr/bin/ovs-ofctl "$@"\n')

    assert host.answer("emergency_reset")["Status"] == "Failure"

    assert host.vsctl("get-controller", "xenbr0") == "tcp:127.0.0.1:6653"
    assert safety_flows(host) == before
    assert ping(host)


def test_what_the_plugin_could_not_take_back_the_guardian_tries_again(host: PluginHost) -> None:
    """The switch refuses flows on the way back too: exit at once, and the guardian goes on until they are there."""
    before = put_under_controller(host)
    accepted = host.path("accepted")
    refuse = f'case "$*" in *add-flows*) [ -e {accepted} ] || exit 1;; esac\n'
    replace_ofctl(host, refuse + 'exec /usr/bin/ovs-ofctl "$@"\n')

    assert host.answer("emergency_reset")["Status"] == "Failure"
    assert safety_flows(host) == []
    accepted.touch()

    wait_until(lambda: not guardians(host.sandbox), "the guardian gave up or never ended")
    assert host.vsctl("get-controller", "xenbr0") == "tcp:127.0.0.1:6653"
    assert safety_flows(host) == before
    assert ping(host)


def put_under_controller(host: PluginHost) -> list[str]:
    """Make management's bridge secure, then give it a controller that is away; its safety flows, which stay."""
    host.set_network("xenbr0", **SECURE)
    host.update()
    flows = safety_flows(host)
    host.vsctl("set-controller", "xenbr0", "tcp:127.0.0.1:6653")
    host.sandbox.run(["ovs-ofctl", "add-flows", "xenbr0", "-"], input_text="\n".join(flows))
    return flows


def safety_flows(host: PluginHost) -> list[str]:
    """The flows with our cookie on management's bridge."""
    done = host.sandbox.run(["/usr/bin/ovs-ofctl", "--no-stats", "dump-flows", "xenbr0", "cookie=0x7873/-1"])
    return sorted(line.strip() for line in done.stdout.splitlines() if "actions=" in line)


def test_a_database_that_changes_meanwhile_is_planned_for_anew(host: PluginHost) -> None:
    """A bridge that came after the look is reset with the others: nothing is done on what is no longer so."""
    host.update_marks()
    marker = host.path("intruded")
    intrude = "ovs-vsctl add-br intruder -- set Bridge intruder datapath_type=netdev fail_mode=secure"
    look = f'case "$*" in *dump-flows*) [ -e {marker} ] || {{ touch {marker}; {intrude}; }};; esac\n'
    replace_ofctl(host, look + 'exec /usr/bin/ovs-ofctl "$@"\n')
    host.vsctl("set-controller", "xapib0", "tcp:127.0.0.1:6653")
    host.set_pool(vswitch_controller=CONTROLLER)

    assert host.update() == f"Successfully set controller to {CONTROLLER}.  "

    assert marker.exists()
    assert host.vsctl("get", "Bridge", "intruder", "fail_mode") == "[]"
    assert host.vsctl("get-manager") == TARGET


def test_a_gateway_that_falls_silent_takes_all_back(host: PluginHost) -> None:
    """Flows that are said to be in, and are not: the deadman notices and the bridge is as it was."""
    host.set_network("xenbr0", **SECURE)
    host.update_marks()
    before = configuration(host.sandbox)
    replace_ofctl(host, 'case "$*" in *add-flows*) exit 0;; esac\nexec /usr/bin/ovs-ofctl "$@"\n')

    code, _, sentence = host.failure(deadman_s="2")

    assert code == "VSWITCH_CONFIG_MOD_FAILURE"
    assert f"gateway {CONTROLLER} does not answer" in sentence
    assert configuration(host.sandbox) == before
    assert ping(host)


@pytest.mark.parametrize("guarded", [True, False])
def test_a_plugin_killed_between_transaction_and_flows_is_taken_back(host: PluginHost, *, guarded: bool) -> None:
    """By the guardian where the gateway answered before; otherwise by the next run of anything."""
    host.set_network("xenbr0", **SECURE)
    host.update_marks()
    before = configuration(host.sandbox)
    hangs = f'case "$*" in *add-flows*) touch {host.path("hangs")}; sleep 60;; esac\nexec /usr/bin/ovs-ofctl "$@"\n'
    replace_ofctl(host, hangs)
    env = {"PYTHONPATH": str(PACKAGE), "XSAGENT_DEADMAN_S": "5" if guarded else "0"}
    process = host.sandbox.spawn(host.command("update"), env=env)
    await_file(host, "hangs", process)
    assert configuration(host.sandbox) != before

    os.kill(pid_of(process), signal.SIGKILL)
    process.communicate(timeout=20)
    (host.sandbox.bin / "ovs-ofctl").unlink()

    if not guarded:
        host.set_network("xenbr0")
        assert host.update() == NO_CHANGE
    host.vsctl("wait-until", "Bridge", "xenbr0", "fail_mode=standalone")
    assert configuration(host.sandbox) == before
    assert ping(host)


def await_file(host: PluginHost, name: str, process: subprocess.Popen[str]) -> None:
    """Return once a file is there; fails when the process ends first."""
    while not host.path(name).exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
