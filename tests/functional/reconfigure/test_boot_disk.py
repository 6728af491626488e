"""`--force-interface all` on a root that is full or read-only: a host with a full disk has its network after a boot."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from disks import disk_without_files, full_disk, read_only_disk
from host_records import DHCP, HostRecords, Record, static
from host_state import addresses, bridges, ip, ports_of, reconfigure, refuse, spec_for, succeed, vsctl, write_cache

from initscripts import install_initscripts
from xsagent.apply.journal import NAME, Journal
from xsagent.plan.steps import FileStep
from xsagent.sandbox.dom0 import Sandbox
from xsagent.sandbox.spec import Segment

BOOT = ("--force-interface", "all", "up")
SEGMENTS = (Segment(name="lan", nics=("eth0", "eth1"), addresses=("192.0.2.1/24",), dhcp=True),)
FOLDERS = ("etc", "var/lib", "var/xapi")
STATE = "var/lib/xsagent"
RUN = "run/xsagent"
Disk = Callable[[Sandbox, str], None]
DISKS = pytest.mark.parametrize("disk", [full_disk, read_only_disk])


def records(management: Record) -> HostRecords:
    """Management on eth0, a VLAN with an address on eth1."""
    made = HostRecords()
    made.nic("eth0", management=True, **management)
    made.nic("eth1")
    made.vlan("eth1", 7, "xapi7", **static("198.51.100.10", gateway=""))
    return made


def is_reachable(sandbox: Sandbox) -> bool:
    """Whether management's gateway answers."""
    return sandbox.run(["ping", "-c3", "-i0.3", "-W2", "192.0.2.1"], check=False).returncode == 0


def reboot(sandbox: Sandbox) -> None:
    """As far as a sandbox can: the switch has nothing, and the NICs are down."""
    for bridge in bridges(sandbox):
        vsctl(sandbox, "--if-exists", "del-br", bridge)
    for nic in ("eth0", "eth1"):
        sandbox.run(["ip", "link", "set", nic, "down"])


def boot_on(disk: Disk, sandbox: Sandbox, *, earlier: bool = False) -> None:
    """Boot with nothing that can be written but /run; it must bring up all, and say once what it did without.

    Before that it says what of an `earlier` run could not be taken back.
    """
    for folder in FOLDERS:
        disk(sandbox, folder)

    done = reconfigure(sandbox, *BOOT)

    assert done.returncode == 0, done.stderr
    *before, warning = done.stderr.splitlines()
    assert ["of an earlier run: " in line for line in before] == [True] * earlier
    assert "warning: " in warning
    assert "the boot goes on without it" in warning
    assert ports_of(sandbox, "xenbr0") == ["eth0"]
    assert addresses(sandbox, "xapi7") == ["198.51.100.10/24"]
    assert is_reachable(sandbox)


@DISKS
def test_the_first_boot_with_a_static_address_needs_no_disk(disk: Disk) -> None:
    """Not even for resolv.conf, which stays as it is."""
    with Sandbox(spec_for(records(static("192.0.2.10", dns="192.0.2.53")), segments=SEGMENTS)) as sandbox:
        boot_on(disk, sandbox)

        assert addresses(sandbox, "xenbr0") == ["192.0.2.10/24"]
        assert "192.0.2.53" not in sandbox.run(["cat", str(sandbox.root / "etc/resolv.conf")], check=False).stdout


@DISKS
@pytest.mark.parametrize("backend", ["netlink", "ifcfg"])
@pytest.mark.parametrize("management", [static("192.0.2.10"), DHCP], ids=["static", "dhcp"])
def test_a_boot_needs_no_disk_for_what_was_up_before(disk: Disk, backend: str, management: Record) -> None:
    """The files of the network scripts, and those of our DHCP client, are right already."""
    with Sandbox(spec_for(records(management), segments=SEGMENTS, ip_backend=backend)) as sandbox:
        if backend == "ifcfg":
            install_initscripts(sandbox)
        succeed(sandbox, *BOOT)
        reboot(sandbox)

        boot_on(disk, sandbox)

        assert len(addresses(sandbox, "xenbr0")) == 1


@pytest.mark.parametrize("disk", [full_disk, read_only_disk, disk_without_files])
@pytest.mark.parametrize("backend", ["netlink", "ifcfg"])
def test_a_boot_needs_no_run_directory_either(disk: Disk, backend: str) -> None:
    """Nobody else can have the lock then; where there is room for the lock, but not for our name, nothing is missed."""
    with Sandbox(spec_for(records(static("192.0.2.10")), segments=SEGMENTS, ip_backend=backend)) as sandbox:
        if backend == "ifcfg":
            install_initscripts(sandbox)
        (sandbox.root / RUN).mkdir(exist_ok=True)
        disk(sandbox, RUN)

        done = reconfigure(sandbox, *BOOT)

        assert done.returncode == 0, done.stderr
        said = done.stderr.splitlines()
        assert len(said) == (0 if disk is full_disk else 1)
        assert all("run/xsagent/lock could not be made" in line for line in said)
        assert all(line.endswith("; the boot goes on without it") for line in said)
        assert (ports_of(sandbox, "xenbr0"), addresses(sandbox, "xapi7")) == (["eth0"], ["198.51.100.10/24"])
        assert is_reachable(sandbox)


def test_a_dhcp_client_that_has_no_run_directory_is_named_and_all_else_comes_up() -> None:
    """It is told there what it was leased; with the network scripts it has its own places."""
    with Sandbox(spec_for(records(DHCP), segments=SEGMENTS)) as sandbox:
        (sandbox.root / RUN).mkdir(exist_ok=True)
        disk_without_files(sandbox, RUN)

        done = reconfigure(sandbox, *BOOT)

        assert done.returncode == 1
        assert "(eth0) could not be brought up: " in done.stderr.splitlines()[-1]
        assert addresses(sandbox, "xapi7") == ["198.51.100.10/24"]


def test_any_other_run_refuses_where_it_can_have_no_lock() -> None:
    """Before anything is changed, in one sentence."""
    with Sandbox(spec_for(records(static("192.0.2.10")), segments=SEGMENTS)) as sandbox:
        (sandbox.root / RUN).mkdir(exist_ok=True)
        read_only_disk(sandbox, RUN)

        (said,) = refuse(sandbox, "--force", "xenbr0", "up").splitlines()

        assert said.endswith("run/xsagent/lock could not be made: Read-only file system; nothing was changed")
        assert bridges(sandbox) == []


def test_a_directory_in_the_journals_place_stops_every_run_but_a_boot() -> None:
    """In one sentence, with exit status 1 and nothing changed."""
    with Sandbox(spec_for(records(static("192.0.2.10")), segments=SEGMENTS)) as sandbox:
        (sandbox.root / STATE / NAME / "what is this").mkdir(parents=True)

        for words in (("--force", "xenbr0", "up"), ("rewrite",)):
            (said,) = refuse(sandbox, *words).splitlines()
            assert f"{STATE}/{NAME} of an earlier run could not be read: Is a directory; nothing was changed" in said
            assert bridges(sandbox) == []

        done = reconfigure(sandbox, *BOOT)
        assert done.returncode == 0
        assert "what an earlier run left was not finished: the journal" in done.stderr
        assert is_reachable(sandbox)


@DISKS
def test_an_address_whose_file_must_change_and_cannot_is_named_with_the_file(disk: Disk) -> None:
    """With the network scripts: they would set the one of before. All others come up."""
    with Sandbox(spec_for(records(static("192.0.2.10")), segments=SEGMENTS, ip_backend="ifcfg")) as sandbox:
        install_initscripts(sandbox)
        succeed(sandbox, *BOOT)
        changed = records(static("192.0.2.10"))
        changed.vlan("eth1", 8, "xapi8", **static("203.0.113.10", gateway=""))
        write_cache(sandbox, changed)
        reboot(sandbox)
        for folder in FOLDERS:
            disk(sandbox, folder)

        done = reconfigure(sandbox, *BOOT)

        assert done.returncode == 1
        last = done.stderr.splitlines()[-1]
        assert "(eth1.8) could not be brought up: " in last
        assert "network-scripts/ifcfg-xapi8 could not be replaced: " in last
        assert last.count("could not be brought up") == 1
        assert addresses(sandbox, "xapi7") == ["198.51.100.10/24"]
        assert is_reachable(sandbox)


@DISKS
def test_what_fails_is_taken_back_without_a_journal_too(disk: Disk) -> None:
    """The run itself knows what it has begun."""
    with Sandbox(spec_for(records(static("192.0.2.10")), segments=SEGMENTS)) as sandbox:
        disk(sandbox, "var/lib")
        sandbox.run(["ip", "link", "add", "xenbr1", "type", "bridge"])

        done = reconfigure(sandbox, *BOOT)

        assert done.returncode == 1
        assert "could not be brought up: the switch refuses port xenbr1" in done.stderr
        assert bridges(sandbox) == ["xenbr0"]
        assert [link["flags"] for link in ip(sandbox, "link", "show", "eth1") if "UP" in link["flags"]] == []
        assert is_reachable(sandbox)


def test_what_a_run_before_the_boot_left_stays_on_a_disk_that_cannot_be_written() -> None:
    """Its file cannot be restored now: the boot goes on, any other run refuses, and one that can write restores it."""
    with Sandbox(spec_for(records(static("192.0.2.10")), segments=SEGMENTS)) as sandbox:
        state = sandbox.root / STATE
        undo = FileStep(path="/etc/left", text="as it was")
        journal = Journal(directory=state, boot="an earlier one", operation="up xenbr1", desired=None)
        journal.begin(FileStep(path="/etc/left", text="half done", undo=(undo,)))
        journal.close()

        boot_on(read_only_disk, sandbox, earlier=True)

        assert sandbox.run(["cat", str(state / NAME)]).stdout
        assert reconfigure(sandbox, "--force", "xapi7", "down").returncode == 1
        assert addresses(sandbox, "xapi7") == ["198.51.100.10/24"]
        for folder in FOLDERS:
            sandbox.run(["mount", "-o", "remount,rw", str(sandbox.root / folder)])
        succeed(sandbox, "--force", "xapi7", "down")
        assert sandbox.run(["cat", str(sandbox.root / "etc/left")]).stdout == "as it was"


def test_a_resolv_conf_that_nobody_may_write_costs_no_network_at_a_boot() -> None:
    """As with chattr +i, which admins like: it is left as it is, and the log says so."""
    with Sandbox(spec_for(records(static("192.0.2.10", dns="192.0.2.53")), segments=SEGMENTS)) as sandbox:
        pinned = sandbox.root / "etc/resolv.conf"
        pinned.write_text("nameserver 192.0.2.54\n")
        sandbox.run(["mount", "--bind", str(pinned), str(pinned)])

        succeed(sandbox, *BOOT)

        assert is_reachable(sandbox)
        assert pinned.read_text() == "nameserver 192.0.2.54\n"
