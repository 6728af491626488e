"""`xsagent show` and `xsagent plan` on a running host, and from its files elsewhere."""

from __future__ import annotations

import json
from pathlib import Path

from xsagent.sandbox.dom0 import Sandbox

NOTHING = "Nothing to do: the host is as it should be."


def _up(sandbox: Sandbox) -> None:
    sandbox.run(["interface-reconfigure", f"--root-prefix={sandbox.root}", "--no-syslog", "--force", "xenbr0", "up"])


def _xsagent(sandbox: Sandbox, *words: str) -> str:
    verb, *rest = words
    return sandbox.run(["xsagent", verb, f"--root-prefix={sandbox.root}", *rest]).stdout


def test_show_tells_what_the_kernel_and_the_switch_say(sandbox: Sandbox) -> None:
    """After `up`: the bridge with its NIC, the lease that the kernel has, the gateway, and a foreign port as such."""
    _up(sandbox)
    sandbox.run(["ovs-vsctl", "add-port", "xenbr0", "sdn0", "--", "set", "Interface", "sdn0", "type=internal"])
    address = json.loads(sandbox.run(["ip", "-j", "-4", "address", "show", "xenbr0"]).stdout)[0]["addr_info"][0]

    lines = _xsagent(sandbox, "show").splitlines()

    bridge = next(line for line in lines if line.startswith("bridge xenbr0"))
    assert "fail mode standalone" in bridge
    assert "foreign" not in bridge
    assert f"  ip {address['local']}/{address['prefixlen']} (dhcp)" in lines
    assert f"  route default via {sandbox.gateway_address}" in lines
    assert any(line.startswith("  port eth0") and line.endswith("up, carrier") for line in lines)
    assert any(line.startswith("  port sdn0") and "foreign, internal" in line for line in lines)
    assert any(line.startswith("  nic eth1") and line.endswith("DOWN") for line in lines)


def test_what_show_writes_is_planned_with_elsewhere(sandbox: Sandbox, tmp_path: Path) -> None:
    """From the two files of a host that is up the plan is empty; before that, it is the host's own."""
    cache = str(sandbox.root / "var/xapi/network.dbcache")
    before, after = tmp_path / "before.json", tmp_path / "after.json"
    before.write_text(_xsagent(sandbox, "show", "--json"))
    on_host = _xsagent(sandbox, "plan", "--force", "xenbr0", "up")
    _up(sandbox)
    after.write_text(_xsagent(sandbox, "show", "--json"))

    from_before = _xsagent(sandbox, "plan", "--from-dbcache", cache, f"--observed={before}", "--force", "xenbr0", "up")
    from_after = _xsagent(sandbox, "plan", "--from-dbcache", cache, f"--observed={after}", "--force", "xenbr0", "up")

    assert from_after.splitlines()[0] == NOTHING
    assert "create bridge xenbr0" in from_before
    # the sandbox's datapath type is a setting of the host, which no file of the two holds
    assert from_before == on_host.replace(" datapath_type=netdev", "")


def test_a_plan_changes_nothing(sandbox: Sandbox) -> None:
    """Neither the database nor the kernel: what they dump before and after is the same."""
    dump = ["ovsdb-client", "dump", f"unix:{sandbox.root}/run/openvswitch/db.sock", "Open_vSwitch"]
    before = sandbox.run(dump).stdout, sandbox.run(["ip", "address"]).stdout

    printed = _xsagent(sandbox, "plan", "--force", "xenbr0", "up")

    assert printed.startswith("1. ")
    assert (sandbox.run(dump).stdout, sandbox.run(["ip", "address"]).stdout) == before


def test_show_without_open_vswitch_shows_the_rest(sandbox: Sandbox) -> None:
    """When the database is down the NICs and addresses are shown all the same, and what is missing is said."""
    sandbox.ovsdb_server.stop()

    done = sandbox.run(["xsagent", "show", f"--root-prefix={sandbox.root}"])

    lines = done.stdout.splitlines()
    assert lines[0] == "INCOMPLETE: ovsdb-server does not answer, so bridges and ports are not known"
    assert "ovs-vswitchd" not in done.stdout
    assert any(line.startswith("  nic eth0") for line in lines)
    assert done.stderr.startswith("xsagent: ovsdb-server does not answer on ")
    assert "changed" not in done.stderr


def test_a_plan_does_not_wait_for_a_database_that_is_down(sandbox: Sandbox) -> None:
    """A change waits half a minute for it (DESIGN.md section 5); who only looks reads what to type."""
    sandbox.ovsdb_server.stop()
    command = ["xsagent", "plan", f"--root-prefix={sandbox.root}", "--force", "xenbr0", "up"]

    done = sandbox.run(command, check=False)

    assert done.returncode == 1
    assert " within 1 s (" in done.stderr
    assert "`xsagent openvswitch restart` brings it back; nothing was changed" in done.stderr


def test_who_may_not_ask_the_database_hears_so_at_once(sandbox: Sandbox) -> None:
    """It does not come by waiting, and it is not dead."""
    (sandbox.root / "run/openvswitch/db.sock").chmod(0)
    caps = "-dac_override,-dac_read_search"
    lowered = ["setpriv", f"--bounding-set={caps}", f"--inh-caps={caps}"]
    command = ["xsagent", "plan", f"--root-prefix={sandbox.root}", "--force", "xenbr0", "up"]

    done = sandbox.run([*lowered, *command], check=False)

    assert done.returncode == 1
    assert "(Permission denied): run this as root; nothing was changed" in done.stderr
    assert " within " not in done.stderr  # what is said after a wait


def test_a_dead_switch_is_told_from_a_living_one(sandbox: Sandbox) -> None:
    """What the database says is shown with one complaint on top."""
    _up(sandbox)
    sandbox.vswitchd.kill()

    lines = _xsagent(sandbox, "show").splitlines()

    assert lines[0] == "ovs-vswitchd DOES NOT ANSWER: bridges are shown as the database has them"
    assert lines[1].startswith("bridge xenbr0")
