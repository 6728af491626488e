"""Packages on a live host: installed, upgraded, removed by rpm itself, in a root made for it."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from host_state import succeed, transactions, vsctl
from package_root import Built, PackageRoot

from xsagent.sandbox.namespaces import pid_of
from xsagent.sandbox.traffic import StreamCounts

pytestmark = pytest.mark.timeout(900)  # the first test builds the packages

VIFS = 50
GATEWAY = "192.0.2.1"


def ours(packages: Built, release: str = "1", profile: str = "full") -> tuple[str, str]:
    """The two packages of a profile."""
    return packages[f"xsagent-0.1.0-{release}"], packages[f"xsagent-{profile}-0.1.0-{release}"]


def plug_vifs(host: PackageRoot, count: int) -> None:
    """Ports as the legacy scripts leave them, each with a locking flow."""
    links = "".join(
        f"link add vif{number}.0 type veth peer name guest{number}\nlink set vif{number}.0 up\n"
        for number in range(1, count + 1)
    )
    host.sandbox.run(["ip", "-batch", "-"], input_text=links)
    words = []
    for number in range(1, count + 1):
        words += ["--", "add-port", "xenbr0", f"vif{number}.0"]
        words += ["--", "set", "Interface", f"vif{number}.0", f"external_ids:xs-vif-uuid=vif-{number}"]
    vsctl(host.sandbox, *words[1:])
    for number in range(1, count + 1):
        host.sandbox.run(["ovs-ofctl", "add-flow", "xenbr0", f"priority=500,in_port={number + 1},actions=normal"])


def switch(host: PackageRoot) -> dict[str, object]:
    """What must not change under running guests: processes, port numbers, flows."""
    rundir = host.root / "run/openvswitch"
    interfaces = vsctl(host.sandbox, "--columns=name,ofport", "--format=csv", "--no-headings", "list", "Interface")
    flows = host.sandbox.run(["ovs-ofctl", "--no-stats", "dump-flows", "xenbr0"]).stdout
    return {
        "pids": [(rundir / f"{name}.pid").read_text() for name in ("ovsdb-server", "ovs-vswitchd")],
        "ofports": sorted(interfaces.split()),
        "flows": sorted(flows.splitlines()),
        "transactions": transactions(host.sandbox),
    }


def change(host: PackageRoot, *arguments: str) -> tuple[subprocess.CompletedProcess[str], StreamCounts]:
    """Run rpm while the host pings its gateway every 5 ms."""
    with host.sandbox.ping_stream(GATEWAY, interval_ms=5) as stream:
        done = host.rpm(*arguments, check=False)
        time.sleep(0.3)
    return done, stream.result


def test_installing_on_a_live_host_changes_nothing_that_runs(host: PackageRoot, packages: Built) -> None:
    """50 vif ports: no process, port number, flow, transaction or packet is lost; the boot is marked, all is ours."""
    succeed(host.sandbox, "--force", "xenbr0", "up")
    plug_vifs(host, VIFS)
    before = switch(host)

    done, stream = change(host, "-i", *ours(packages))

    assert (done.returncode, done.stderr) == (0, "")
    assert switch(host) == before
    assert isinstance(before["ofports"], list)
    assert len(before["ofports"]) >= VIFS
    assert (stream.lost, stream.sent > 20) == (0, True)
    assert (host.root / "run/openvswitch.booted").exists()
    assert (host.root / "var/xapi/network.dbcache").exists()
    version = host.inside("/opt/xensource/libexec/interface-reconfigure", "--version").stdout
    assert version == "interface-reconfigure (xsagent) 0.1.0\n"


def test_the_installed_commands_work_without_any_python_but_the_hosts(host: PackageRoot, packages: Built) -> None:
    """What is there, and a second `up` by the installed command: nothing to do, by programs that lie in /usr/lib."""
    host.rpm("-i", *ours(packages))
    host.inside(
        "/opt/xensource/libexec/interface-reconfigure", "--force", "xenbr0", "up", XSAGENT_DATAPATH_TYPE="netdev"
    )
    shown = json.loads(host.inside("xsagent", "show", "--json").stdout)

    assert "xenbr0" in shown["bridges"]
    assert "192.0.2.10" in host.sandbox.run(["ip", "-4", "address", "show", "xenbr0"]).stdout
    plan = host.inside("xsagent", "plan", "--force", "xenbr0", "up", XSAGENT_DATAPATH_TYPE="netdev").stdout
    assert "nothing to do" in plan.lower() or plan == ""


@pytest.mark.skipif(shutil.which("systemctl") is None, reason="this machine lacks systemctl (systemd)")
def test_systemd_sees_our_units_enabled_and_other_daemons_masked(host: PackageRoot, packages: Built) -> None:
    """By its own reading of the links, for the next boot; after removal neither."""

    def state(unit: str) -> str:
        command = ["systemctl", f"--root={host.root}", "is-enabled", f"{unit}.service"]
        return host.sandbox.run(command, check=False).stdout.strip()

    host.rpm("-i", *ours(packages))
    ours_enabled = [state(unit) for unit in ("openvswitch", "management-interface", "xsagentd")]
    others = [state(unit) for unit in ("xcp-networkd", "openvswitch-xapi-sync")]
    host.rpm("-e", "xsagent", "xsagent-full")

    assert ours_enabled == ["enabled"] * 3
    assert others == ["masked", "masked"]
    assert state("xcp-networkd") != "masked"


def test_an_upgrade_keeps_connectivity_and_the_originals(host: PackageRoot, packages: Built) -> None:
    """Release 2 over release 1; what removal will restore is still the toolstack's."""
    succeed(host.sandbox, "--force", "xenbr0", "up")
    before = host.tree()
    host.rpm("-i", *ours(packages))
    running = switch(host)

    done, stream = change(host, "-U", *ours(packages, "2"))

    assert (done.returncode, done.stderr) == (0, "")
    assert (switch(host), stream.lost) == (running, 0)
    assert host.rpm("-q", "--queryformat", "%{RELEASE}", "xsagent-full").stdout == "2"
    saved = host.root / "var/lib/xsagent/saved/opt/xensource/libexec/interface-reconfigure"
    assert saved.read_text() == "#!/bin/sh\n# toolstack 1\n"
    host.rpm("-e", "xsagent", "xsagent-full")
    assert host.tree() == before


@pytest.mark.parametrize("profile", ["full", "hotplug"])
def test_removal_restores_every_original_byte_for_byte(host: PackageRoot, packages: Built, profile: str) -> None:
    """Files, links, modes, owners, times; the network goes on, and nothing of ours is left."""
    succeed(host.sandbox, "--force", "xenbr0", "up")
    before = host.tree()
    host.rpm("-i", *ours(packages, profile=profile))
    assert host.tree() != before

    done, stream = change(host, "-e", "xsagent", f"xsagent-{profile}")

    assert (done.returncode, done.stderr, stream.lost) == (0, "", 0)
    assert host.tree() == before


def test_an_admins_options_of_the_switch_stay(host: PackageRoot, packages: Built) -> None:
    """/etc/sysconfig/openvswitch is the admin's through an installation, an upgrade and a removal."""
    text = "# mine\nVSWITCHD_PRIORITY=-7\n"
    host.put("etc/sysconfig/openvswitch", text)

    for words in (["-i", *ours(packages)], ["-U", *ours(packages, "2")], ["-e", "xsagent", "xsagent-full"]):
        assert host.rpm(*words).stderr == ""
        assert (host.root / "etc/sysconfig/openvswitch").read_text() == text


def test_a_toolstack_that_is_upgraded_afterwards_does_not_push_us_aside(host: PackageRoot, packages: Built) -> None:
    """Its package brings its scripts again: they become the originals, ours stay in place."""
    host.rpm("-i", *ours(packages))

    done = host.rpm("-U", packages["toolstack-2-1"])

    assert done.stderr == ""
    place = host.root / "opt/xensource/libexec/interface-reconfigure"
    assert str(place.readlink()) == "../../../usr/lib/xsagent/bin/interface-reconfigure"
    host.rpm("-e", "xsagent", "xsagent-full")
    assert place.read_text() == "#!/bin/sh\n# toolstack 2\n"


def refused(host: PackageRoot, packages: Built, profile: str = "full") -> str:
    """Require that the profile's package is not installed and that nothing changed; what rpm said."""
    host.rpm("-i", packages["xsagent-0.1.0-1"])
    before = host.tree()

    done = host.rpm("-i", ours(packages, profile=profile)[1], check=False)

    assert done.returncode != 0
    assert host.tree() == before
    assert f"xsagent-{profile}" not in host.installed()
    return done.stderr


def test_full_is_refused_while_networkd_is_active(host: PackageRoot, packages: Built) -> None:
    """A sentence says so before anything is changed, and hotplug installs beside it."""
    program = host.sandbox.bin / "xcp-networkd"
    program.write_bytes(Path("/bin/sleep").read_bytes())
    program.chmod(0o755)
    process = host.sandbox.spawn(["xcp-networkd", "120"])
    pid_of(process)

    assert "xcp-networkd runs and owns this host's topology" in refused(host, packages)
    host.rpm("-i", ours(packages, profile="hotplug")[1])

    assert "profile: hotplug" in host.inside("xsagent-setup", "status").stdout
    process.terminate()


@pytest.mark.parametrize("profile", ["full", "hotplug"])
def test_backend_bridge_is_refused(host: PackageRoot, packages: Built, profile: str) -> None:
    """With the reason."""
    (host.root / "etc/xensource/network.conf").write_text("bridge\n")

    assert "names the backend bridge, which xsagent does not drive" in refused(host, packages, profile)


def test_full_is_refused_when_xapi_cannot_say_what_the_cache_must_hold(host: PackageRoot, packages: Built) -> None:
    """The host would boot from it."""
    assert host.xapi is not None
    host.xapi.stop()
    (host.root / "etc/xsagent/xsagent.conf").write_text("xapi_deadline_s = 1\n")

    assert "network.dbcache, from which this host is to boot, could not be written first" in refused(host, packages)


def test_full_is_refused_when_the_cache_does_not_fit_on_the_disk(host: PackageRoot, packages: Built) -> None:
    """A full disk below /var/xapi."""
    cache = host.root / "var/xapi"
    (cache / "network.dbcache").unlink()
    host.sandbox.run(["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", str(cache)])
    host.sandbox.run(["sh", "-c", f"head -c 1M /dev/zero >{cache}/filler 2>/dev/null; :"])

    assert "No space left on device" in refused(host, packages)


def test_a_disk_that_is_full_at_take_over_is_mended_by_doing_it_again(host: PackageRoot, packages: Built) -> None:
    """The scriptlet says what could not be written and leaves each path as it was; reinstalling then does it."""
    host.rpm("-i", packages["xsagent-0.1.0-1"])
    state = host.root / "var/lib/xsagent"
    state.mkdir(exist_ok=True)
    host.sandbox.run(["mount", "-t", "tmpfs", "-o", "size=4k,nr_inodes=4", "tmpfs", str(state)])
    before = host.tree()

    done = host.rpm("-i", ours(packages)[1], check=False)

    assert "could not be" in done.stderr
    assert "as it was" in done.stderr
    assert host.tree() == before
    host.sandbox.run(["umount", str(state)])
    assert host.rpm("-i", "--replacepkgs", ours(packages)[1]).stderr == ""
    assert "profile: full" in host.inside("xsagent-setup", "status").stdout
