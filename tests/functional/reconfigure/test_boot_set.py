"""`--force-interface all` where one PIF cannot be up: management and all others are, and that one is named."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from host_records import DHCP, HostRecords, Record, static
from host_state import addresses, bridges, our_transactions, ports_of, reconfigure, refuse, spec_for, succeed, vsctl
from xapi_host import XapiHost, write_our_cache

from initscripts import install_initscripts
from xsagent.sandbox.dom0 import Sandbox
from xsagent.sandbox.spec import Segment, nic_mac

BOOT = ("--force-interface", "all", "up")
GATEWAY = "192.0.2.1"
STORAGE = "198.18.0.1"
SEGMENTS = (
    Segment(name="lan", nics=("eth0", "eth1"), addresses=(f"{GATEWAY}/24",)),
    Segment(name="storage", nics=("eth2", "eth3"), addresses=(f"{STORAGE}/24",)),
)
NOBODYS_MAC = "00:1b:21:99:99:99"


class Host:
    """Management on eth0, a guests' network on eth1, storage on eth2; a case makes one thing of it wrong.

    Attributes:
        prepare: what is done to the host before the boot.
    """

    def __init__(self) -> None:
        self.records = HostRecords()
        self.management = self.records.nic("eth0", management=True, **static("192.0.2.10"))
        self.guests = self.records.nic("eth1")
        self.storage = self.records.nic("eth2", **static("198.18.0.10", gateway=""))
        self.prepare: Callable[[Sandbox], object] = lambda _: None


def absent_nic(host: Host) -> str:
    """The card of the guests' network is dead."""
    host.guests |= {"device": "eth9", "MAC": NOBODYS_MAC}
    return "(eth9) could not be brought up: network device eth9 is not on this host"


def absent_nic_with_a_vlan(host: Host) -> str:
    """And a VLAN with an address was on it."""
    host.records.vlan("eth1", 100, "xapi100", **static("203.0.113.10", gateway=""))
    for pif in host.records.classes["PIF"].values():
        if pif["device"] == "eth1":
            pif |= {"device": "eth9", "MAC": NOBODYS_MAC}
    return "(eth9.100) could not be brought up: network device eth9 is not on this host"


def absent_bond(host: Host) -> str:
    """Another bond has no member that is there."""
    for device in ("eth8", "eth9"):
        host.records.nic(device)
    host.records.bond("bond0", ["eth8", "eth9"], "xenbr1", mode="active-backup")
    host.guests["managed"] = False
    del host.records.classes["PIF"][next(r for r, p in host.records.classes["PIF"].items() if p is host.guests)]
    return "(bond0) could not be brought up: bond bond0: none of its members eth8, eth9 is on this host"


def foreign_vlan_bridge(host: Host) -> str:
    """Somebody made a VLAN bridge by hand on the tag of a VLAN that has an address."""
    host.records.vlan("eth1", 100, "xapi100", **static("203.0.113.10", gateway=""))
    host.prepare = lambda sandbox: vsctl(
        sandbox, "add-br", "xenbr1", "--", "set", "Bridge", "xenbr1", "datapath_type=netdev", "--",
        "add-br", "hand", "xenbr1", "100",
    )  # fmt: skip
    return "(eth1.100) could not be brought up: VLAN bridge hand on xenbr1 has tag 100"


def linux_bridge(host: Host) -> str:
    """A Linux bridge has the name of ours: only the switch finds out, when all is in the database."""
    host.prepare = lambda sandbox: sandbox.run(["ip", "link", "add", "xenbr1", "type", "bridge"])
    return "(eth1) could not be brought up: the switch refuses port xenbr1"


def bad_record(host: Host) -> str:
    """The records hold an address that is none."""
    host.guests |= static("198.18.0.300", gateway="")
    return "(eth1) could not be brought up: '198.18.0.300' is not an IPv4 address"


def managements_bridge_name(host: Host) -> str:
    """The guests' network has the bridge name of management's: an address twice is management's too."""
    host.guests["network"] = host.records.network("xenbr0", name="another")
    return "(eth1) could not be brought up: several networks have its bridge name xenbr0"


CASES = (
    absent_nic,
    absent_nic_with_a_vlan,
    absent_bond,
    foreign_vlan_bridge,
    linux_bridge,
    bad_record,
    managements_bridge_name,
)


def answers(sandbox: Sandbox, address: str) -> bool:
    """Whether somebody on the wire answers."""
    return sandbox.run(["ping", "-c3", "-i0.3", "-W2", address], check=False).returncode == 0


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_one_pif_that_cannot_be_up_costs_no_other_its_network(case: Callable[[Host], str]) -> None:
    """Exit 1 and one sentence that names it; management and storage are reachable (DESIGN.md rule 1)."""
    host = Host()
    named = case(host)
    with Sandbox(spec_for(host.records, segments=SEGMENTS)) as sandbox:
        host.prepare(sandbox)

        said = refuse(sandbox, *BOOT)

        assert named in said
        assert "eth0" not in said
        assert "eth2" not in said
        assert (ports_of(sandbox, "xenbr0"), ports_of(sandbox, "xenbr2")) == (["eth0"], ["eth2"])
        assert (addresses(sandbox, "xenbr0"), addresses(sandbox, "xenbr2")) == (["192.0.2.10/24"], ["198.18.0.10/24"])
        assert answers(sandbox, GATEWAY)
        assert answers(sandbox, STORAGE)
        # a second try, as the unit makes one, finds nothing to do and says the same
        before = our_transactions(sandbox)
        assert refuse(sandbox, *BOOT) == said
        assert our_transactions(sandbox) - before == (2 if case is linux_bridge else 0)


@pytest.mark.parametrize("device", ["xenbr0", "xapi20"])
def test_a_network_without_a_pif_costs_management_no_bridge_name(device: str) -> None:
    """Whatever the records say of it: by XAPI's word, in the cache that is written of it, and at the boot after it."""
    records = HostRecords()
    management = records.nic("eth0", management=True, **static("192.0.2.10"))
    if device == "xapi20":
        records.nic("eth1")
        records.bond("bond0", ["eth0", "eth1"], "xapi0")
        management |= {"management": False, "ip_configuration_mode": "None"}
        management = records.vlan("bond0", 20, device, management=True, **static("192.0.2.10"))
        records.network("xapi0", name="another below")
    records.network(device, name="another")
    with XapiHost(records, segments=SEGMENTS) as host:
        host.up(management, "--no-deadman")
        assert addresses(host.sandbox, device) == ["192.0.2.10/24"]
        write_our_cache(host.sandbox, records)
        vsctl(host.sandbox, "emer-reset", "--", "del-br", vsctl(host.sandbox, "br-to-parent", device))
        assert bridges(host.sandbox) == []

        succeed(host.sandbox, *BOOT)

        assert addresses(host.sandbox, device) == ["192.0.2.10/24"]
        before = our_transactions(host.sandbox)
        succeed(host.sandbox, "--force", device, "up")
        assert our_transactions(host.sandbox) == before


def test_the_carrier_of_a_vlan_that_cannot_be_up_is() -> None:
    """A hand-made bridge is in the VLAN's way, not in the NIC's; it stays."""
    host = Host()
    foreign_vlan_bridge(host)
    with Sandbox(spec_for(host.records, segments=SEGMENTS)) as sandbox:
        host.prepare(sandbox)
        refuse(sandbox, *BOOT)

        assert ports_of(sandbox, "xenbr1") == ["eth1"]
        assert bridges(sandbox) == ["hand", "xenbr0", "xenbr1", "xenbr2"]


def test_what_the_host_can_have_is_one_transaction() -> None:
    """An absent NIC is found while planning, before anything is done."""
    host = Host()
    absent_nic(host)
    with Sandbox(spec_for(host.records, segments=SEGMENTS)) as sandbox:
        before = our_transactions(sandbox)
        refuse(sandbox, *BOOT)

        assert our_transactions(sandbox) == before + 1


def test_two_nics_with_each_others_names_are_left_out_and_management_is_up() -> None:
    """Which wire a guest's network is on is not guessed (features.md section 3)."""
    host = Host()
    host.guests["MAC"], host.storage["MAC"] = host.storage["MAC"], host.guests["MAC"]
    with Sandbox(spec_for(host.records, segments=SEGMENTS)) as sandbox:
        said = refuse(sandbox, *BOOT)

        assert f"eth1 has MAC {nic_mac('eth1')}" in said
        assert f"eth2 has MAC {nic_mac('eth2')}" in said
        assert bridges(sandbox) == ["xenbr0"]
        assert answers(sandbox, GATEWAY)


def test_the_others_come_up_where_management_cannot() -> None:
    """The switch refuses its bridge; guests and storage have theirs, and management is named."""
    host = Host()
    with Sandbox(spec_for(host.records, segments=SEGMENTS)) as sandbox:
        sandbox.run(["ip", "link", "add", "xenbr0", "type", "bridge"])

        said = refuse(sandbox, *BOOT)

        assert "(eth0) could not be brought up: the switch refuses port xenbr0" in said
        assert bridges(sandbox) == ["xenbr1", "xenbr2"]
        assert answers(sandbox, STORAGE)


def test_the_others_come_up_where_managements_nic_is_gone_and_none_can_stand_in() -> None:
    """Three candidates are no choice: said with the command that says which."""
    host = Host()
    host.management |= {"device": "eth9", "MAC": NOBODYS_MAC}
    with Sandbox(spec_for(host.records, segments=SEGMENTS)) as sandbox:
        said = refuse(sandbox, *BOOT)

        assert "rewrite --device=NIC" in said
        assert "(eth9) could not be brought up" in said
        assert bridges(sandbox) == ["xenbr1", "xenbr2"]
        assert answers(sandbox, STORAGE)


def test_one_vlan_that_the_switch_refuses_costs_no_other_on_its_nic() -> None:
    """Its name is taken in the kernel; what rides beside it comes up in the next transaction."""
    host = Host()
    for number in (3, 4, 5):
        host.records.vlan("eth1", number, f"xapi{number}", **static(f"203.0.{number}.10", gateway=""))
    with Sandbox(spec_for(host.records, segments=SEGMENTS)) as sandbox:
        sandbox.run(["ip", "link", "add", "xapi4", "type", "bridge"])

        said = refuse(sandbox, *BOOT)

        assert "(eth1.4) could not be brought up" in said
        assert "(eth1.3)" not in said
        assert bridges(sandbox) == ["xapi3", "xapi5", "xenbr0", "xenbr1", "xenbr2"]
        assert addresses(sandbox, "xapi5") == ["203.0.5.10/24"]


def test_a_failure_that_names_nobody_is_found_by_trying_in_parts() -> None:
    """A sysctl cannot be set: management comes up first, then the others, until the one is found."""
    host = Host()
    host.guests |= static("203.0.2.10", gateway="")
    vlans = [host.records.vlan("eth1", n, f"xapi{n}", **static(f"203.0.{n}.10", gateway="")) for n in range(3, 65)]
    vlans[1]["ipv6_configuration_mode"] = "Autoconf"
    with Sandbox(spec_for(host.records, segments=SEGMENTS)) as sandbox:
        write_our_cache(sandbox, host.records)
        # new devices have what all others want of IPv6, which nobody can change then
        for name in ("accept_ra", "autoconf"):
            sandbox.run(["sysctl", "-w", f"net.ipv6.conf.default.{name}=0"])
        sysctls = str(sandbox.root / "proc/sys/net")
        sandbox.run(["mount", "--bind", sysctls, sysctls])
        sandbox.run(["mount", "-o", "remount,bind,ro", sysctls])

        said = refuse(sandbox, *BOOT)

        assert "(eth1.4) could not be brought up" in said
        assert said.count("PIF ") == 1
        assert len(bridges(sandbox)) == 2 + len(vlans)
        assert addresses(sandbox, "xapi64") == ["203.0.64.10/24"]
        assert answers(sandbox, GATEWAY)


def test_a_file_that_cannot_be_replaced_is_its_pifs() -> None:
    """No other is taken back for it again."""
    host = Host()
    for number in (3, 4, 5):
        host.records.vlan("eth1", number, f"xapi{number}", **static(f"203.0.{number}.10", gateway=""))
    with Sandbox(spec_for(host.records, segments=SEGMENTS, ip_backend="ifcfg")) as sandbox:
        install_initscripts(sandbox)
        # as with chattr +i, which takes more rights than a test has: nothing is renamed over a mount
        pinned = sandbox.root / "etc/sysconfig/network-scripts/ifcfg-xapi4"
        pinned.write_text("DEVICE=xapi4\n")
        sandbox.run(["mount", "--bind", str(pinned), str(pinned)])

        said = refuse(sandbox, *BOOT)

        assert "(eth1.4) could not be brought up" in said
        assert "(eth1.3)" not in said
        assert bridges(sandbox) == ["xapi3", "xapi5", "xenbr0", "xenbr1", "xenbr2"]
        assert addresses(sandbox, "xapi5") == ["203.0.5.10/24"]
        assert answers(sandbox, GATEWAY)


def test_an_ifup_that_fails_costs_no_other_device_its_addresses() -> None:
    """The step names its device; what it was about is left out, and the rest tried again."""
    host = Host()
    with Sandbox(spec_for(host.records, segments=SEGMENTS, ip_backend="ifcfg")) as sandbox:
        install_initscripts(sandbox)
        (sandbox.log / "failing-ifup").write_text("xenbr2")

        said = refuse(sandbox, *BOOT)

        assert "(eth2) could not be brought up" in said
        assert "xenbr2" in said
        assert bridges(sandbox) == ["xenbr0", "xenbr1"]
        assert answers(sandbox, GATEWAY)


def ifup_fails(sandbox: Sandbox) -> None:
    """As the initscripts' does where another host has the address."""
    install_initscripts(sandbox)
    (sandbox.log / "failing-ifup").write_text("xenbr0")


def dhclient_fails(sandbox: Sandbox) -> None:
    """It ends at once."""
    (sandbox.bin / "dhclient").write_text("#!/bin/sh\nexit 1\n")
    (sandbox.bin / "dhclient").chmod(0o755)


@pytest.mark.parametrize(
    ("backend", "own", "fail"),
    [("ifcfg", static("192.0.2.10", gateway=""), ifup_fails), ("netlink", DHCP, dhclient_fails)],
)
def test_a_carrier_without_its_own_address_carries_management_all_the_same(
    backend: str, own: Record, fail: Callable[[Sandbox], None]
) -> None:
    """What failed is above the bridge that VLANs ride on, not in it; a second try changes nothing of them."""
    records = HostRecords()
    records.nic("eth0", **own)
    records.vlan("eth0", 5, "xapi5", management=True, **static("203.0.113.10", gateway=""))
    records.vlan("eth0", 6, "xapi6", **static("203.0.114.10", gateway=""))
    records.nic("eth2", **static("198.18.0.10", gateway=""))
    with Sandbox(spec_for(records, segments=SEGMENTS, ip_backend=backend)) as sandbox:
        fail(sandbox)

        said = refuse(sandbox, *BOOT)

        assert "(eth0) could not be brought up" in said
        assert "(eth0." not in said
        assert ports_of(sandbox, "xenbr0") == ["eth0"]
        assert addresses(sandbox, "xapi5") == ["203.0.113.10/24"]
        assert addresses(sandbox, "xapi6") == ["203.0.114.10/24"]
        assert answers(sandbox, STORAGE)
        before = our_transactions(sandbox)
        assert refuse(sandbox, *BOOT) == said
        assert our_transactions(sandbox) == before


def test_a_dry_run_shows_what_the_boot_would_do() -> None:
    """The plan for all that can be up, with the reason why one is not; nothing is changed."""
    host = Host()
    absent_nic(host)
    with Sandbox(spec_for(host.records, segments=SEGMENTS)) as sandbox:
        done = reconfigure(sandbox, *BOOT, "--dry-run")

        assert done.returncode == 0, done.stderr
        assert "network device eth9 is not on this host" in done.stdout
        assert "xenbr2" in done.stdout
        assert bridges(sandbox) == []
