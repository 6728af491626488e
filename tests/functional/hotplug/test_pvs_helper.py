"""The toolstack's helper for a VIF's PVS proxy: when it is called, and what is there by then."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from dom0 import KEYS, Dom0

HELPER = "/usr/libexec/xenopsd/setup-pvs-proxy-rules"


def write_helper(dom0: Dom0, ending: str = "exit 3") -> Path:
    """Name a helper for the guest's VIF and put it in place: it notes its arguments, the key and the port it finds."""
    record = dom0.sandbox.root / "pvs.log"
    program = dom0.sandbox.root / HELPER.lstrip("/")
    program.parent.mkdir(parents=True)
    socket = dom0.sandbox.root / "run/xenstored/socket"
    program.write_text(
        f"#!{shutil.which('sh')}\n"
        f'key=$(XENSTORED_PATH={socket} xenstore-read "$5/$2-ofport")\n'
        f'echo "$@" "key=$key" "port=$(ovs-vsctl get Interface $3 ofport)" "$(ovs-vsctl port-to-br $3)" >>{record}\n'
        f"{ending}\n"
    )
    program.chmod(0o755)
    dom0.write("pvs-site", "site")
    dom0.write("pvs-interface", "pvs1")
    dom0.write("setup-pvs-proxy-rules", HELPER)
    return record


def called(record: Path) -> list[str]:
    """The calls so far; the record is empty afterwards."""
    lines = record.read_text().splitlines() if record.exists() else []
    record.unlink(missing_ok=True)
    return lines


def call(dom0: Dom0, action: str, device: str = "vif1.0", bridge: str = "xenbr0") -> str:
    """One call that finds the port on its bridge and its number in xenstore."""
    number = dom0.vsctl("get", "Interface", device, "ofport")
    return f"{action} {device[:3]} {device} {KEYS.private} {KEYS.hotplug} key={number} port={number} {bridge}"


def test_it_is_called_when_the_port_is_there_and_before_it_goes(dom0: Dom0) -> None:
    """At both times the port is in the switch and its number in xenstore; how the helper ends does not matter."""
    record = write_helper(dom0)

    done = dom0.vif("vif", "1", "0", "online", XSAGENT_HOTPLUG_S="30")
    assert called(record) == [call(dom0, "add")]
    assert "ignore_pvs_helper" in done.stderr
    expected = call(dom0, "remove")
    dom0.vif("vif", "1", "0", "remove", XSAGENT_HOTPLUG_S="30")

    assert called(record) == [expected]
    assert (dom0.bridge_of(), dom0.read(f"{KEYS.hotplug}/hotplug")) == ("", None)


def test_nobody_is_told_of_the_device_and_its_link_is_down_until_it_has_ended(dom0: Dom0) -> None:
    """The guest starts when xenopsd and netback are told: a boot from PVS finds its proxy (features.md section 16)."""
    record = write_helper(dom0)
    program, socket = dom0.sandbox.root / HELPER.lstrip("/"), dom0.sandbox.root / "run/xenstored/socket"
    told = f'$(XENSTORED_PATH={socket} xenstore-read "{KEYS.backend}/hotplug-status" "$5/hotplug" 2>&1 | tr "\\n" " ")'
    link = "$(cat /sys/class/net/$3/flags)"
    program.write_text(f'#!{shutil.which("sh")}\nsleep 1\necho "told={told}" "flags={link}" >>{record}\n')

    dom0.vif("vif", "1", "0", "online", XSAGENT_HOTPLUG_S="30")

    (line,) = called(record)
    assert "connected" not in line
    assert "online" not in line
    assert int(line.rsplit("flags=", 1)[1], 16) & 1 == 0
    assert dom0.read(f"{KEYS.backend}/hotplug-status") == "connected"
    assert "UP" in dom0.link()["flags"]


def test_rules_outlive_no_device_whose_port_somebody_took_away(dom0: Dom0) -> None:
    """They are not the port's: the helper finds them by what it noted when it put them in."""
    record = write_helper(dom0, "exit 0")
    dom0.vif("vif", "1", "0", "online", XSAGENT_HOTPLUG_S="30")
    called(record)
    dom0.vsctl("del-port", "vif1.0")

    dom0.vif("vif", "1", "0", "remove", XSAGENT_HOTPLUG_S="30")

    assert [line.split()[:3] for line in called(record)] == [["remove", "vif", "vif1.0"]]


def test_a_tap_has_its_own_rules(dom0: Dom0) -> None:
    """By its own name and number, with the VIF's directories."""
    record = write_helper(dom0, "exit 0")
    dom0.sandbox.run(["ip", "tuntap", "add", "tap1.0", "mode", "tap"])

    dom0.vif("tap", "1", "0", "add", XSAGENT_HOTPLUG_S="30")

    assert called(record) == [call(dom0, "add", "tap1.0")]


def test_the_rules_follow_a_port_that_leaves_its_bridge(dom0: Dom0) -> None:
    """Out before it moves or is disabled, in where it is afterwards; a port that stays keeps them."""
    record = write_helper(dom0, "exit 0")
    dom0.vif("vif", "1", "0", "online", XSAGENT_HOTPLUG_S="30")
    called(record)

    leaves = call(dom0, "remove")
    dom0.write("bridge", "xenbr1")
    dom0.vif("vif", "1", "0", "move", XSAGENT_HOTPLUG_S="30")
    assert called(record) == [leaves, call(dom0, "add", bridge="xenbr1")]

    leaves = call(dom0, "remove", bridge="xenbr1")
    dom0.lock("Disabled")
    dom0.run("setup_vif_rules", "xenlight", "vif1.0", KEYS.private.split("/")[2], "0", "filter", XSAGENT_HOTPLUG_S="30")
    assert called(record) == [leaves]


def test_without_a_proxy_it_is_not_called(dom0: Dom0) -> None:
    """The toolstack names the helper for each VIF; the key `pvs-interface` switches it on."""
    record = write_helper(dom0)
    dom0.remove(f"{KEYS.private}/pvs-interface")

    dom0.vif("vif", "1", "0", "online")
    dom0.vif("vif", "1", "0", "remove")

    assert called(record) == []


@pytest.mark.parametrize("named", ["setup-pvs-proxy-rules", "/usr/../usr/bin/x", "/etc", "/none", ""])
def test_what_is_no_program_by_an_absolute_path_is_not_run(dom0: Dom0, named: str) -> None:
    """The VIF is attached and detached all the same, and the log says why."""
    record = write_helper(dom0)
    (dom0.sandbox.root / "etc").mkdir(exist_ok=True)
    dom0.write("setup-pvs-proxy-rules", named)

    done = dom0.vif("vif", "1", "0", "online")
    assert "ignore_pvs_helper" in done.stderr
    assert dom0.read(f"{KEYS.hotplug}/hotplug") == "online"
    dom0.vif("vif", "1", "0", "remove")

    assert (dom0.bridge_of(), called(record)) == ("", [])


def test_one_that_never_ends_is_killed_and_the_port_goes(dom0: Dom0) -> None:
    """A removal waits for it half its own time."""
    record = write_helper(dom0, "sleep 600")

    dom0.vif("vif", "1", "0", "online", XSAGENT_HOTPLUG_S="4")
    done = dom0.vif("vif", "1", "0", "remove", XSAGENT_HOTPLUG_S="4")

    assert [line.split()[0] for line in called(record)] == ["add", "remove"]
    assert "was killed" in done.stderr
    assert (dom0.bridge_of(), dom0.read(f"{KEYS.hotplug}/hotplug")) == ("", None)
