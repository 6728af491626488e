"""`ip_backend` ifcfg: ifup and ifdown are run for what changed and for nothing else (legacy-faults F08).

That a failing ifup leaves files and addresses as they were is in test_undo.py.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from host_records import DHCP, HostRecords, Record, static
from host_state import addresses, ip, reconfigure, settle, spec_for, succeed, vsctl, watched, write_cache

from initscripts import install_initscripts, take_calls
from xsagent.sandbox.dom0 import Sandbox
from xsagent.sandbox.spec import shared_segment

UP = ("--force", "xenbr0", "up")
IFCFG = "etc/sysconfig/network-scripts/ifcfg-xenbr0"
ROUTE6 = "etc/sysconfig/network-scripts/route6-xenbr0"


def management(routes: str = "", **fields: object) -> HostRecords:
    """eth0 is management; its network has these static routes."""
    records = HostRecords()
    pif: Record = records.nic("eth0", management=True, **fields)
    records.network_of(pif)["other_config"]["static-routes"] = routes
    return records


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A host with ifup and ifdown that write down that they were run."""
    with Sandbox(spec_for(management(**static("192.0.2.10")), ip_backend="ifcfg")) as running:
        install_initscripts(running)
        yield running


def up(sandbox: Sandbox, records: HostRecords) -> list[str]:
    """Bring management up from these records; what was run."""
    write_cache(sandbox, records)
    succeed(sandbox, *UP)
    return take_calls(sandbox)


@pytest.mark.parametrize("fields", [DHCP, static("192.0.2.10")], ids=["dhcp", "static"])
def test_a_second_run_runs_neither_ifup_nor_ifdown(sandbox: Sandbox, fields: Record) -> None:
    """Nor does it touch the device or its file."""
    records = management("172.16.0.0/16/192.0.2.3", **fields)
    assert up(sandbox, records) == ["ifup xenbr0"]
    settle(sandbox)
    written = (sandbox.root / IFCFG).stat().st_mtime_ns

    with watched(sandbox) as changes:
        assert up(sandbox, records) == []

    assert (changes, (sandbox.root / IFCFG).stat().st_mtime_ns) == ([], written)


def test_what_only_the_first_boot_says_restarts_nothing_afterwards(sandbox: Sandbox) -> None:
    """DHCLIENTARGS says how long dhclient waits then: the file loses it, the lease stays."""
    marker = sandbox.root / "etc/firstboot.d/data/firstboot_in_progress"
    marker.parent.mkdir(parents=True, exist_ok=True)
    marker.touch()
    assert up(sandbox, management(**DHCP)) == ["ifup xenbr0"]
    assert "DHCLIENTARGS" in (sandbox.root / IFCFG).read_text()
    marker.unlink()
    leased = addresses(sandbox, "xenbr0")

    assert up(sandbox, management(**DHCP)) == []

    assert "DHCLIENTARGS" not in (sandbox.root / IFCFG).read_text()
    assert addresses(sandbox, "xenbr0") == leased != []


def test_ipv6_routes_that_change_are_brought_into_force(sandbox: Sandbox) -> None:
    """Their file is route6-DEV: ifup reads it, so the device is restarted when it comes, changes or goes."""
    restart = ["ifdown xenbr0", "ifup xenbr0"]
    fields = static("192.0.2.10")
    assert up(sandbox, management(**fields)) == ["ifup xenbr0"]

    assert up(sandbox, management("2001:db8:9::/48/fe80::1", **fields)) == restart
    assert "2001:db8:9::/48 via fe80::1" in (sandbox.root / ROUTE6).read_text()
    assert up(sandbox, management("2001:db8:8::/48/fe80::1", **fields)) == restart
    assert up(sandbox, management(**fields)) == restart
    assert not (sandbox.root / ROUTE6).exists()


@pytest.mark.parametrize("fails", [True, False], ids=["undone", "done"])
def test_a_client_of_the_initscripts_follows_its_device_to_another_bridge(*, fails: bool) -> None:
    """A VLAN on a NIC that a bond takes as its member: its device is made anew, and the client must listen on that one.

    Whether the bond comes up or is taken back.
    """
    records = management(**static("192.0.2.10"))
    records.nic("eth1")
    records.nic("eth2")
    records.vlan("eth1", 5, "xapi5", currently_attached=True, **DHCP)
    segments = shared_segment(nics=3)
    with Sandbox(spec_for(records, segments=segments, ip_backend="ifcfg")) as sandbox:
        install_initscripts(sandbox)
        succeed(sandbox, "--force", "xapi5", "up")
        first = listening(sandbox)
        assert first == index(sandbox, "xapi5")
        records.bond("bond0", ["eth1", "eth2"], "xapi1", **static("198.51.100.10", gateway="", dns=""))
        write_cache(sandbox, records)
        if fails:
            (sandbox.log / "failing-ifup").write_text("xapi1")

        done = reconfigure(sandbox, "--force", "xapi1", "up")

        assert done.returncode == int(fails), done.stderr
        assert vsctl(sandbox, "br-to-parent", "xapi5") == ("xenbr1" if fails else "xapi1")
        assert listening(sandbox) == index(sandbox, "xapi5") != first


def index(sandbox: Sandbox, device: str) -> int:
    """A device's number."""
    return int(ip(sandbox, "link", "show", "dev", device)[0]["ifindex"])


def listening(sandbox: Sandbox) -> int:
    """The number of the one device on which a DHCP client hears packets."""
    pids = sandbox.run(["pgrep", "-x", "dhclient"]).stdout.split()
    links = sandbox.run(["sh", "-c", f"readlink /proc/{pids[0]}/fd/*"]).stdout
    sockets = [line.split() for line in sandbox.run(["cat", "/proc/net/packet"]).stdout.splitlines()[1:]]
    (found,) = {int(words[4]) for words in sockets if f"socket:[{words[8]}]" in links}
    assert len(pids) == 1
    return found


def test_an_internal_networks_address_is_ifups_and_leaves_no_file(sandbox: Sandbox) -> None:
    """`xsagent network`: made by one ifup, nothing the second time; removed with its file."""
    records = management(**static("192.0.2.10"))
    installer = {"is_guest_installer_network": "true", "ip_begin": "169.254.0.1", "netmask": "255.255.255.0"}
    records.network("xapi1", other_config=installer)
    write_cache(sandbox, records)

    def network(action: str) -> list[str]:
        argv = ["xsagent", "network", action, "xapi1", f"--root-prefix={sandbox.root}"]
        sandbox.run(argv, env={"XSAGENT_XAPI_DEADLINE_S": "1"})
        return take_calls(sandbox)

    assert network("create") == ["ifup xapi1"]
    assert addresses(sandbox, "xapi1") == ["169.254.0.1/24"]
    assert network("create") == []
    assert network("remove") == ["ifdown xapi1"]
    assert not (sandbox.root / "etc/sysconfig/network-scripts/ifcfg-xapi1").exists()
    assert "xapi1" not in vsctl(sandbox, "list-br")
