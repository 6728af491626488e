"""A boot where something is broken: there is a switch all the same, and a sentence that says what was wrong."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from boot_host import HOST_UUID, SCHEMA

if TYPE_CHECKING:
    from boot_host import BootHost

OLD_VERSION = "8.0.0"


def comes_up(host: BootHost) -> bool:
    """The rest of the boot works."""
    host.start("management-interface")
    return host.bridges() == {"xenbr0", "xenbr1"} and host.is_reachable()


@pytest.mark.parametrize("content", [b"", b"\0" * 4096, b"OVSDB JSON 12 no sum\nrubbish"])
def test_a_database_that_cannot_be_read_is_kept_aside(host: BootHost, content: bytes) -> None:
    """A message names it and where it went; a new one serves, and management comes back from the cache."""
    host.database.parent.mkdir()
    host.database.write_bytes(content)

    said = host.start("openvswitch").stderr

    (kept,) = host.database.parent.glob("conf.db.corrupt-*")
    assert kept.read_bytes() == content
    assert str(kept) in said
    assert "an empty one was made" in said
    assert comes_up(host)


def test_a_database_of_something_else_is_kept_aside(host: BootHost) -> None:
    """It is a good database, but not Open vSwitch's."""
    host.database.parent.mkdir()
    schema = host.root / "other.ovsschema"
    schema.write_text(json.dumps({"name": "Other", "version": "1.0.0", "tables": {}}))
    host.sandbox.run(["ovsdb-tool", "create", str(host.database), str(schema)])

    assert "it holds the database Other" in host.start("openvswitch").stderr

    assert host.bridges() == set()


def test_a_tail_that_a_power_cut_tore_off_is_no_fault(host: BootHost) -> None:
    """ovsdb-server takes what is whole: nothing is put aside, nothing said."""
    host.leave_stale_bridges()
    data = host.database.read_bytes()
    host.database.write_bytes(data[:-20])

    assert host.start("openvswitch", boot_delete_bridges="none").stderr == ""

    assert list(host.database.parent.glob("conf.db.*")) == []


def make_old_database(host: BootHost) -> bytes:
    """A database of an older schema with a key in it; its bytes."""
    host.database.parent.mkdir()
    old = json.loads(Path(SCHEMA).read_text())
    schema = host.root / "old.ovsschema"
    del old["tables"]["Bridge"]["columns"]["auto_attach"], old["cksum"]
    schema.write_text(json.dumps(old | {"version": OLD_VERSION}))
    host.sandbox.run(["ovsdb-tool", "create", str(host.database), str(schema)])
    row = {"op": "insert", "table": "Open_vSwitch", "row": {"external_ids": ["map", [["mine", "stays"]]]}}
    host.sandbox.run(["ovsdb-tool", "transact", str(host.database), json.dumps(["Open_vSwitch", row])])
    return host.database.read_bytes()


def test_a_database_of_an_older_schema_is_converted(host: BootHost) -> None:
    """What stands in it stays; the old file is kept as ovs-ctl names it."""
    before = make_old_database(host)

    assert host.start("openvswitch").stderr == ""

    assert host.switch_record()["external_ids"]["mine"] == "stays"
    (backup,) = host.database.parent.glob(f"conf.db.backup{OLD_VERSION}-*")
    assert backup.read_bytes() == before


def test_a_conversion_that_fails_costs_the_content_alone(host: BootHost) -> None:
    """The old file is kept, an empty database serves."""
    make_old_database(host)
    with host.database.open("ab") as stream:
        stream.write(b"rubbish that no conversion reads\n")

    said = host.start("openvswitch").stderr

    assert "could not be converted" in said
    assert len(list(host.database.parent.glob(f"conf.db.backup{OLD_VERSION}-*"))) == 1
    assert comes_up(host)


# --- a full disk -----------------------------------------------------------------------------------------


def fill(host: BootHost, kibibytes: int) -> None:
    """A disk of this size below /etc/openvswitch, with the database on it and no room left."""
    place = host.database.parent
    data = host.database.read_bytes() if host.database.exists() else b""
    place.mkdir(exist_ok=True)
    host.sandbox.run(["mount", "-t", "tmpfs", "-o", f"size={kibibytes}k", "disk", str(place)])
    if data:
        host.sandbox.run(["dd", f"of={host.database}", "status=none"], input_text=data.decode("latin-1"))
    host.sandbox.run(["sh", "-c", f"cat /dev/zero > {place}/fill"], check=False)


def test_a_full_disk_costs_a_database_in_memory(host: BootHost) -> None:
    """A database that cannot be written lets no bridge be made: a copy in memory serves until the next boot."""
    host.leave_stale_bridges()
    fill(host, 64)

    said = host.start("openvswitch").stderr

    assert "No space left on device" in said
    assert "lasts until the next boot" in said
    assert host.bridges() == set()
    assert comes_up(host)
    assert host.script("openvswitch", "restart").returncode == 0
    assert host.bridges() == {"xenbr0", "xenbr1"}


def test_a_conversion_on_a_full_disk_happens_in_memory(host: BootHost) -> None:
    """What stood in the old database is in the converted one; the file on the disk is as it was."""
    before = make_old_database(host)
    fill(host, 32)

    assert "No space left on device" in host.start("openvswitch").stderr

    assert host.switch_record()["external_ids"]["mine"] == "stays"
    assert host.database.read_bytes() == before
    assert list(host.database.parent.glob("conf.db.*")) == []
    assert comes_up(host)


def test_a_full_disk_without_a_database_does_too(host: BootHost) -> None:
    """The first boot of all."""
    fill(host, 16)

    assert "No space left on device" in host.start("openvswitch").stderr

    assert comes_up(host)


def test_a_disk_that_cannot_be_written_at_all_does_too(host: BootHost) -> None:
    """A root file system that the kernel remounted read-only."""
    fill(host, 64)
    host.sandbox.run(["mount", "-o", "remount,ro", str(host.database.parent)])

    assert "Read-only file system" in host.start("openvswitch").stderr

    assert comes_up(host)


def test_without_a_marker_nothing_is_deleted(host: BootHost) -> None:
    """Where the boot marker cannot be made, the next start would take live bridges for stale ones."""
    host.leave_stale_bridges()
    run = host.root / "run"
    (run / "openvswitch").mkdir()
    for words in (["--rbind", run, run], ["-t", "tmpfs", "none", run / "openvswitch"], ["-o", "remount,bind,ro", run]):
        host.sandbox.run(["mount", *map(str, words)])

    said = host.start("openvswitch").stderr

    assert "without the boot marker no bridge is deleted" in said
    assert "xenbr7" in host.bridges()


# --- files and programs ----------------------------------------------------------------------------------


def test_options_of_the_start_are_honoured(host: BootHost) -> None:
    """/etc/sysconfig/openvswitch: priorities and mlockall as the daemons run, further options as ovs-ctl takes them."""
    text = "OVSDB_SERVER_PRIORITY=5\nVSWITCHD_PRIORITY='3'\nVSWITCHD_MLOCKALL=no\n"
    text += "OVS_CTL_OPTS='--ovsdb-server-options=-vjsonrpc:dbg'\n"
    (host.root / "etc/sysconfig/openvswitch").write_text(text)

    assert host.start("openvswitch").stderr == ""

    lines = host.sandbox.run(["ps", "axo", "ni,args"]).stdout.splitlines()
    (server,) = [line.split() for line in lines if " ovsdb-server /" in line]
    (switch,) = [line.split() for line in lines if " ovs-vswitchd unix:" in line]
    ours = os.nice(0)  # nice(1) adds to it
    assert (int(server[0]), int(switch[0])) == (ours + 5, ours + 3)
    assert "-vjsonrpc:dbg" in server
    assert "--mlockall" not in switch


def test_bad_options_are_a_warning_each(host: BootHost) -> None:
    """And nothing of them is executed."""
    text = (
        'FORCE_COREFILES=perhaps\nVSWITCHD_PRIORITY=$(touch /run/hacked)\nOVS_CTL_OPTS="; touch /run/hacked --a;b=1"\n'
    )
    (host.root / "etc/sysconfig/openvswitch").write_text(text)

    said = host.start("openvswitch").stderr

    assert [key for key in ("FORCE_COREFILES", "VSWITCHD_PRIORITY", "OVS_CTL_OPTS") if key not in said] == []
    assert not (host.root / "run/hacked").exists()
    assert host.script("openvswitch", "status").returncode == 0


@pytest.mark.parametrize("path", ["etc/sysconfig/openvswitch", "etc/xensource-inventory"])
def test_a_file_that_cannot_be_read_keeps_no_switch_from_starting(host: BootHost, path: str) -> None:
    """A directory in its place, which root cannot read either."""
    (host.root / path).unlink(missing_ok=True)
    (host.root / path).mkdir()

    said = host.start("openvswitch").stderr

    assert f"{path} cannot be read" in said
    assert host.script("openvswitch", "status").returncode == 0


def test_a_mistake_in_our_own_settings_keeps_no_switch_from_starting(host: BootHost) -> None:
    """The default is used, and it is said."""
    (host.root / "etc/xsagent/xsagent.conf").write_text("no TOML at all")

    assert "the default is used" in host.start("openvswitch", datapath_type="netdev").stderr

    assert host.script("openvswitch", "status").returncode == 0


def test_a_mistake_in_our_own_settings_keeps_no_host_off_the_network(host: BootHost) -> None:
    """A boot goes on, with a warning; what an admin asks for is refused, since it may depend on that setting."""
    host.start("openvswitch")
    (host.root / "etc/xsagent/xsagent.conf").write_text('deadmann_s = 0\ndatapath_type = "netdev"\n')

    assert comes_up(host)

    command = ["interface-reconfigure", f"--root-prefix={host.root}", "--pif-uuid", "x", "up"]
    refused = host.sandbox.run(command, check=False)
    assert (refused.returncode, "'deadmann_s' in" in refused.stderr) == (1, True)


@pytest.mark.parametrize("daemon", ["ovs-vswitchd", "ovsdb-server"])
def test_a_daemon_that_hangs_is_told_and_replaced(host: BootHost, daemon: str) -> None:
    """Its process id proves nothing; a restart does not wait for its flows, and its bridges stay."""
    host.start("openvswitch")
    host.vsctl("--no-wait", "add-br", "live0", "--", "set", "Bridge", "live0", "datapath_type=netdev")
    hung = host.pid(daemon)
    host.sandbox.run(["kill", "-STOP", hung])

    status = host.script("openvswitch", "status")
    restarted = host.script("openvswitch", "restart")

    assert status.returncode == 4
    assert f"{daemon} runs with pid {hung} and does not answer: `xsagent openvswitch restart`" in status.stdout
    assert restarted.returncode == 0, restarted.stderr
    assert f"{daemon} runs and does not answer, so flows of controllers and others cannot be saved" in restarted.stderr
    assert host.pid(daemon) != hung
    assert host.script("openvswitch", "status").returncode == 0
    assert host.bridges() == {"live0"}


def test_without_ovs_ctl_the_daemons_are_started_by_us(host: BootHost) -> None:
    """The same daemons on the same files, monitored, with the same ids."""
    share = host.root / "share"
    share.mkdir()
    (share / "vswitch.ovsschema").write_bytes(Path(SCHEMA).read_bytes())
    env = {"OVS_PKGDATADIR": str(share)}

    assert host.script("openvswitch", "start", env=env).returncode == 0
    assert host.switch_record()["external_ids"]["system-id"] == HOST_UUID
    assert "ovsdb-server: monitoring" in host.sandbox.run(["ps", "ax"]).stdout
    assert comes_up(host)

    done = host.script("openvswitch", "restart", env=env)
    assert "ovs-ctl is not installed" in done.stderr
    assert host.bridges() == {"xenbr0", "xenbr1"}
    refused = host.script("openvswitch", "force-reload-kmod", env=env)
    assert (refused.returncode, "is not installed" in refused.stderr) == (1, True)
    assert host.script("openvswitch", "stop", env=env).returncode == 0
    assert host.script("openvswitch", "status", env=env).returncode == 3


def test_a_missing_kernel_module_is_named(host: BootHost) -> None:
    """With the kernel that it is missing for; the database serves on, no switch that could do nothing is started."""
    host.start("openvswitch")
    host.sandbox.run(["pkill", "-9", "ovs-vswitchd"])
    host.sandbox.run(["umount", "--lazy", str(host.root / "proc")])
    (host.root / "proc/modules").touch()
    modprobe = host.sandbox.bin / "modprobe"
    modprobe.write_text("#!/bin/sh\necho 'modprobe: FATAL: Module openvswitch not found' >&2\nexit 1\n")
    modprobe.chmod(0o755)
    command = ["xsagent", "openvswitch", "start-switch", f"--root-prefix={host.root}"]

    done = host.sandbox.run(command, check=False, env={"XSAGENT_DATAPATH_TYPE": "system"})

    assert done.returncode == 1
    assert "Module openvswitch not found" in done.stderr
    assert os.uname().release in done.stderr
    assert host.sandbox.run(["pgrep", "-x", "ovs-vswitchd"], check=False).returncode == 1
    assert host.vsctl("--no-wait", "list-br") == ""


@pytest.mark.parametrize("stops", [True, False])
def test_the_ha_daemon_is_ended_while_the_module_is_replaced(host: BootHost, stops: bool) -> None:
    """Or nothing is done: an HA daemon that loses its heartbeat fences the host."""
    host.start("openvswitch")
    before = host.pid("ovs-vswitchd")
    (host.root / "etc/xensource/xhad.conf").touch()
    shutil.copy("/bin/sleep", host.sandbox.bin / "xhad")
    host.sandbox.spawn(["xhad", "1000"])
    programs = host.root / "opt/xensource/xha"
    programs.mkdir(parents=True)
    for name, code in (("ha_stop_daemon", 0 if stops else 1), ("ha_start_daemon", 0)):
        pid_file = host.root / "run/openvswitch/ovs-vswitchd.pid"
        text = f'#!/bin/sh\necho "{name} $(cat {pid_file})" >> {host.root}/ha\nexit {code}\n'
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)

    done = host.script("openvswitch", "force-reload-kmod")

    after = host.pid("ovs-vswitchd")
    said = (host.root / "ha").read_text().splitlines()
    if stops:
        assert done.returncode == 0, done.stderr
        assert said == [f"ha_stop_daemon {before}", f"ha_start_daemon {after}"]
        assert before != after
    else:
        assert (done.returncode, said, after) == (1, [f"ha_stop_daemon {before}"], before)


def test_without_open_vswitch_it_is_one_sentence(host: BootHost) -> None:
    """Exit 1, and what is missing is named."""
    share = host.root / "empty"
    share.mkdir()

    done = host.script("openvswitch", "start", env={"OVS_PKGDATADIR": str(share)})

    assert done.returncode == 1
    assert f"the schema {share}/vswitch.ovsschema is not there" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_kernels_bridge_is_not_ours(host: BootHost) -> None:
    """Backend bridge: nothing is started, and that is no failure; an unknown word is one."""
    (host.root / "etc/xensource/network.conf").write_text("bridge\n")
    assert "names the backend bridge" in host.start("openvswitch").stderr
    assert host.script("openvswitch", "start").returncode == 0
    assert not (host.root / "run/openvswitch").exists()

    assert host.script("openvswitch", "status").returncode == 3
    assert host.script("openvswitch", "stop").returncode == 0

    (host.root / "etc/xensource/network.conf").write_text("token ring\n")
    refused = host.script("openvswitch", "start")
    assert (refused.returncode, "unknown backend" in refused.stderr) == (1, True)


def test_xapi_that_never_comes_up_is_a_sentence(host: BootHost) -> None:
    """The switch stays as it was."""
    host.start("openvswitch")

    command = ["xsagent", "openvswitch", "xapi-update", "--wait=0", f"--root-prefix={host.root}"]
    done = host.sandbox.run(command, check=False)

    assert done.returncode == 1
    assert "XAPI made no" in done.stderr


@pytest.mark.parametrize("script", ["openvswitch", "management-interface", "openvswitch-xapi-update"])
def test_an_unknown_verb_is_a_usage_error(host: BootHost, script: str) -> None:
    """Exit 2, the usage on stderr; help is exit 0."""
    done = host.script(script, "frobnicate")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"usage: {script}")
    assert host.script(script, "help").returncode == 0
