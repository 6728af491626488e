"""A real fault at each kind of step: RolledBack, exit 1 with the reason, and the host as it was (F11, F14)."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator

import pytest
from disks import small_disk
from host_records import DHCP, HostRecords, static
from host_state import addresses, reconfigure, refuse, spec_for, state, succeed, write_cache

from xsagent.sandbox.dom0 import Sandbox
from xsagent.sandbox.spec import nic_mac

QUICK = {"XSAGENT_XAPI_DEADLINE_S": "1", "XSAGENT_DEADMAN_S": "3"}
SCRIPTS = "etc/sysconfig/network-scripts"
IFUP = """#!/bin/sh
. @ROOT@/etc/sysconfig/network-scripts/ifcfg-$1
[ "$1" != "$(cat @ROOT@/../log/failing 2>/dev/null)" ] || { echo "no way up for $1" >&2; exit 1; }
ip link set $1 up
[ -z "$IPADDR" ] || ip address replace $IPADDR/24 dev $1
[ -z "$GATEWAY" ] || ip route replace default via $GATEWAY dev $1
"""
IFDOWN = """#!/bin/sh
ip address flush dev $1 scope global 2>/dev/null
ip link set $1 down 2>/dev/null
exit 0
"""


def records(**fields: object) -> HostRecords:
    """Management on eth0; eth1 with an address."""
    made = HostRecords()
    made.nic("eth0", management=True, **{**static("192.0.2.10"), **fields})
    made.nic("eth1", **static("198.51.100.10", gateway="", dns="198.51.100.1"))
    return made


@pytest.fixture
def host() -> Iterator[Sandbox]:
    """A host whose management is up."""
    with Sandbox(spec_for(records())) as sandbox:
        succeed(sandbox, "--force", "xenbr0", "up")
        yield sandbox


@pytest.fixture
def scripted() -> Iterator[Sandbox]:
    """The same by ifcfg files; ifup fails for the device that the file `failing` names."""
    with Sandbox(spec_for(records(), ip_backend="ifcfg")) as sandbox:
        for name, text in (("ifup", IFUP), ("ifdown", IFDOWN)):
            (sandbox.bin / name).write_text(text.replace("@ROOT@", str(sandbox.root)))
            (sandbox.bin / name).chmod(0o755)
        succeed(sandbox, "--force", "xenbr0", "up")
        yield sandbox


def rolled_back(sandbox: Sandbox, *arguments: str) -> str:
    """Run a command that must fail and leave the host as it was; the sentence."""
    before = state(sandbox)

    said = refuse(sandbox, *arguments, env=QUICK)

    assert state(sandbox) == before
    assert not (sandbox.root / "var/lib/xsagent/journal").exists()
    return said


def test_a_port_that_the_switch_refuses_is_taken_back(host: Sandbox) -> None:
    """Interface.error: a device of another kind has the bridge's name. The NIC is down again, the bridge gone."""
    host.run(["ip", "link", "add", "xenbr1", "type", "veth", "peer", "name", "other"])

    said = rolled_back(host, "--force", "xenbr1", "up")

    assert "xenbr1" in said
    assert "the host is as it was before" in said


def test_a_nic_that_goes_away_in_the_middle_is_taken_back(host: Sandbox) -> None:
    """The switch hangs over the transaction; meanwhile the NIC is pulled out."""
    before = state(host)
    run = host.spawn(["interface-reconfigure", f"--root-prefix={host.root}", "--force", "xenbr1", "up"])
    journal = host.root / "var/lib/xsagent/journal"
    deadline = time.monotonic() + 30
    while not journal.exists():
        assert time.monotonic() < deadline, run.communicate(timeout=5)
        time.sleep(0.001)
    host.run(["ip", "link", "delete", "eth1"])
    _, said = run.communicate(timeout=90)

    assert run.returncode == 1, said
    found = state(host)
    assert found["database"] == before["database"]
    assert found["addresses"] == before["addresses"]
    assert found["files"] == before["files"]
    assert not journal.exists(), said


@pytest.mark.skipif(os.geteuid() != 0, reason="root in a user namespace may not change an immutable or read-only file")
def test_a_state_directory_that_cannot_be_written_stops_the_run_before_any_effect(host: Sandbox) -> None:
    """No journal, no effect; the sentence names the journal."""
    folder = str(host.root / "var/lib/xsagent")
    host.run(["mount", "--bind", "-o", "ro", folder, folder])

    said = rolled_back(host, "--force", "xenbr1", "up")

    assert "journal" in said
    assert "Read-only" in said


def test_a_full_disk_stops_the_run_before_any_effect(host: Sandbox) -> None:
    """ENOSPC when the journal is begun."""
    host.run(["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", str(host.root / "var/lib/xsagent")])
    host.run(["sh", "-c", f"head -c 4096 /dev/zero > {host.root}/var/lib/xsagent/full"])
    before = state(host)

    said = refuse(host, "--force", "xenbr1", "up", env=QUICK)

    assert "No space left" in said
    assert state(host) == before


def test_a_journal_that_cannot_grow_takes_back_what_was_begun(host: Sandbox) -> None:
    """ENOSPC in the middle of the run, on disks that are larger each time: nothing is left of the steps before."""
    before = state(host)
    said = []
    for size_k in range(64, 160, 4):
        small_disk(host, "var/lib/xsagent", size_k)
        done = reconfigure(host, "--no-syslog", "--force", "xenbr1", "up", env=QUICK)
        if done.returncode == 0:
            break
        said.append(done.stderr)
        assert state(host) == before, done.stderr
        host.run(["umount", str(host.root / "var/lib/xsagent")])

    assert "nothing was changed" in said[0].splitlines()[-1]
    assert any("journal" in text.splitlines()[-1] and "undo_step" in text for text in said), said[-1]
    assert addresses(host, "xenbr1") == ["198.51.100.10/24"]


@pytest.mark.parametrize("folder", ["etc", "var/lib/xsagent"])
def test_a_disk_that_fills_up_in_the_middle_of_a_run_does_not_keep_it_from_going_back(
    scripted: Sandbox, folder: str
) -> None:
    """The room for the way back was taken before the first effect: RolledBack, not Stuck; it is free again."""
    small_disk(scripted, folder, 512)
    program = scripted.bin / "ifup"
    full = scripted.root / folder / "full"
    fill = f'[ "$IPADDR" != 192.0.2.20 ] || {{ cat /dev/zero > {full}; exit 1; }}\nip link set $1 up\n'
    program.write_text(program.read_text().replace("ip link set $1 up\n", fill))
    write_cache(scripted, records(IP="192.0.2.20"))
    before = state(scripted)

    said = refuse(scripted, "--force", "xenbr0", "up", env=QUICK)

    assert "the host is as it was before" in said
    assert scripted.run(["cat", str(full)], check=False).stdout, "the disk was not filled: the test proves nothing"
    scripted.run(["rm", str(full)])
    assert state(scripted) == before
    assert scripted.run(["ls", "-A", str(scripted.root / folder)]).stdout.split().count(".xsagent-room") == 0


def test_the_kernel_s_refusal_is_taken_back(host: Sandbox) -> None:
    """A default gateway that is a broadcast address: the address set before it goes, the old one is back."""
    write_cache(host, records(IP="192.0.2.20", gateway="192.0.2.255"))

    said = rolled_back(host, "--force", "xenbr0", "up")

    assert "192.0.2.255" in said
    assert addresses(host, "xenbr0") == ["192.0.2.10/24"]


def test_routes_of_an_admin_come_back_whatever_they_are(host: Sandbox) -> None:
    """Also one whose gateway's subnet has gone, which the kernel keeps and takes anew only as an onlink one.

    The address that they leave with goes in between, here and on the device of another.
    """
    host.run(["ip", "link", "set", "eth1", "up"])
    for words in (
        ["address", "add", "10.5.0.2/24", "dev", "xenbr0"],
        ["address", "add", "10.55.0.2/24", "dev", "eth1"],
        ["route", "add", "10.6.0.0/16", "via", "10.5.0.1", "mtu", "1400"],
        ["route", "add", "10.7.0.0/16", "via", "192.0.2.7", "src", "192.0.2.10"],
        ["route", "add", "10.8.0.0/16", "via", "10.55.0.1", "src", "192.0.2.10"],
        ["route", "add", "10.9.0.0/16", "via", "203.0.113.1", "dev", "xenbr0", "onlink"],
        ["address", "delete", "10.5.0.2/24", "dev", "xenbr0"],
    ):
        host.run(["ip", *words])
    write_cache(host, records(IP="192.0.2.20", gateway="192.0.2.255"))
    before = state(host)
    assert sum(".0.0/16" in route for route in before["routes"]) == 4

    said = refuse(host, "--force", "xenbr0", "up", env=QUICK)

    assert said.splitlines()[-1].endswith("the host is as it was before"), said
    found = state(host)
    found["routes"] = sorted(
        route.replace('["onlink"]', "[]") if '"10.6.0.0/16"' in route else route for route in found["routes"]
    )
    assert found == before


def test_a_route_that_cannot_come_back_is_named(host: Sandbox) -> None:
    """Somebody deletes its device in the middle: rolled back, told which route is missing, and the next run goes on."""
    made = records()
    made.nic("eth2", bridge="", **static("203.0.113.2", gateway=""))
    host.run(["ip", "link", "add", "eth2", "type", "veth", "peer", "name", "other"])
    host.run(["ip", "link", "set", "eth2", "address", nic_mac("eth2")])
    write_cache(host, made)
    pif = next(record for record in made.classes["PIF"].values() if record["device"] == "eth2")
    succeed(host, "--pif-uuid", pif["uuid"], "up", env=QUICK)
    host.run(["ip", "route", "add", "10.6.0.0/16", "via", "203.0.113.1"])
    pif.update(DHCP)
    write_cache(host, made)
    dhclient = host.bin / "dhclient"
    dhclient.write_text("#!/bin/sh\nip link delete eth2\nexit 1\n")
    dhclient.chmod(0o755)

    said = reconfigure(host, "--pif-uuid", pif["uuid"], "up", env=QUICK).stderr

    lost = "the route to 10.6.0.0/16 via 203.0.113.1 cannot come back: eth2 is gone"
    assert said.rstrip().endswith(f"all was taken back but for this: {lost}"), said
    succeed(host, "--force", "xenbr0", "up")


def test_an_ifup_that_fails_is_taken_back(scripted: Sandbox) -> None:
    """Files, bridge and addresses are as they were, and its last words are in the sentence (F11, F15)."""
    (scripted.log / "failing").write_text("xenbr1")

    said = rolled_back(scripted, "--force", "xenbr1", "up")

    assert "no way up for xenbr1" in said
    assert not list((scripted.root / SCRIPTS).glob("*xsagent*"))
    assert not list((scripted.root / SCRIPTS).glob("ifcfg-xenbr1*"))


def test_an_ifup_that_fails_on_a_changed_management_brings_the_old_one_up_again(scripted: Sandbox) -> None:
    """The old ifcfg file is back and was run: F11 left the interface down."""
    write_cache(scripted, records(IP="192.0.2.20"))
    program = scripted.bin / "ifup"
    fail = '[ "$IPADDR" != 192.0.2.20 ] || exit 1\nip link set $1 up\n'
    program.write_text(program.read_text().replace("ip link set $1 up\n", fail))
    before = state(scripted)

    refuse(scripted, "--force", "xenbr0", "up", env=QUICK)

    assert state(scripted) == before
    assert addresses(scripted, "xenbr0") == ["192.0.2.10/24"]
    assert scripted.run(["ping", "-c3", "-i0.3", "-W2", "192.0.2.1"], check=False).returncode == 0


def test_a_dhclient_that_cannot_start_is_taken_back(host: Sandbox) -> None:
    """The static address, its route and DNS are there again."""
    (host.bin / "dhclient").write_text("#!/bin/sh\necho broken >&2\nexit 1\n")
    write_cache(host, records(**DHCP))

    said = rolled_back(host, "--force", "xenbr0", "up")

    assert "dhclient" in said
    assert host.run(["ping", "-c3", "-i0.3", "-W2", "192.0.2.1"], check=False).returncode == 0


def test_the_way_back_waits_no_longer_for_a_lease_than_a_way_back_may() -> None:
    """A step fails: the DHCP client that ran before runs again, and asks on by itself; the run would have 60 s."""
    with Sandbox(spec_for(records(**DHCP, IP="", netmask="", gateway=""))) as sandbox:
        succeed(sandbox, "--force", "xenbr0", "up")
        sandbox.far().dhcp.stop()
        write_cache(sandbox, records(gateway="192.0.2.255"))

        done = reconfigure(sandbox, "--no-syslog", "--force", "xenbr0", "up", env=QUICK)

        assert done.returncode == 1
        assert "no DHCP server answered on xenbr0 within 1 s; the client keeps asking" in done.stderr
        assert sandbox.run(["pgrep", "-x", "dhclient"], check=False).stdout != ""


def test_a_way_back_that_fails_too_is_stuck_and_the_next_run_finishes_it(scripted: Sandbox) -> None:
    """Exit 1, what is left in the log; a run for another PIF is refused until it is mended; then all is as it was."""
    before = state(scripted)
    write_cache(scripted, records(IP="192.0.2.20"))
    (scripted.log / "failing").write_text("xenbr0")
    uuid = next(pif["uuid"] for pif in records().classes["PIF"].values() if pif["device"] == "eth0")

    done = reconfigure(scripted, "--no-syslog", "--pif-uuid", uuid, "up", "--no-deadman", env=QUICK)

    assert done.returncode == 1
    assert "1 steps of the way back failed" in done.stderr.splitlines()[-1]
    assert "undo_left" in done.stderr
    assert "step=IfupStep" in done.stderr
    assert (scripted.root / "var/lib/xsagent/journal").exists()
    again = refuse(scripted, "--pif-uuid", uuid, "up", "--no-deadman", env=QUICK)
    assert "was interrupted" in again

    (scripted.log / "failing").unlink()
    write_cache(scripted, records())
    assert "nosuch" in refuse(scripted, "--force", "nosuch", "up")
    assert state(scripted) == before


def test_a_stuck_way_back_does_not_keep_a_host_from_booting(scripted: Sandbox) -> None:
    """--force goes on without it, and says so in the log: a network counts for more."""
    write_cache(scripted, records(IP="192.0.2.20"))
    (scripted.log / "failing").write_text("xenbr0")
    refuse(scripted, "--force", "xenbr0", "up", env=QUICK)
    assert (scripted.root / "var/lib/xsagent/journal").exists()

    done = reconfigure(scripted, "--no-syslog", "--force", "xenbr1", "up")

    assert done.returncode == 0, done.stderr
    assert "give_up_earlier_run" in done.stderr
    assert addresses(scripted, "xenbr1") == ["198.51.100.10/24"]


def test_files_are_never_missing_while_they_change(scripted: Sandbox) -> None:
    """F14: somebody who looks all the time always finds a whole ifcfg file."""
    path = scripted.root / SCRIPTS / "ifcfg-xenbr0"
    go = scripted.log / "go"
    go.touch()
    look = f'while [ -e {go} ]; do grep -q "^IPADDR" {path} || echo missing; done'
    watcher = subprocess.Popen(["sh", "-c", look], stdout=subprocess.PIPE, text=True)
    for address in ("192.0.2.20", "192.0.2.21", "192.0.2.22"):
        write_cache(scripted, records(IP=address))
        succeed(scripted, "--force", "xenbr0", "up")
    go.unlink()
    out, _ = watcher.communicate(timeout=20)

    assert out == ""
