"""What a reset, or another record, leaves behind: no address is twice, guests stay on the wire (pains.md 1)."""

from __future__ import annotations

from typing import Literal

import pytest
from host_records import DHCP, HostRecords, Record, static
from host_state import addresses, bridges, ip, ports_of, reconfigure, settle, spec_for, state, succeed, vsctl
from xapi_host import XapiHost

from xsagent.sandbox.dom0 import Sandbox
from xsagent.sandbox.far import Guest
from xsagent.sandbox.root_prefix import record_ref
from xsagent.sandbox.spec import Segment

GATEWAY = "192.0.2.1"
ADDRESS = "192.0.2.10"
PING = ("ping", "-c1", "-w5", "-i0.2")
SEGMENTS = (Segment(name="gateway", nics=("eth0", "eth1"), addresses=(f"{GATEWAY}/24", "198.51.100.1/24"), dhcp=True),)
WITHOUT = ("var/lib/xsagent", "var/lib/xcp", "run")
"""Folders whose files are no part of what comes back: our own state, XAPI's."""
RESET = {
    "static": ("--mode=static", f"--ip={ADDRESS}", "--netmask=255.255.255.0", f"--gateway={GATEWAY}"),
    "dhcp": ("--mode=dhcp",),
}


def holders(sandbox: Sandbox, address: str) -> list[str]:
    """Devices that have an address, by the kernel."""
    return [link["ifname"] for link in ip(sandbox, "address", "show", "to", address) if link]


def assert_reachable(sandbox: Sandbox, device: str, address: str = ADDRESS) -> None:
    """One device has the address; host and far host reach each other, with nothing learnt before."""
    assert holders(sandbox, address) == [device]
    for run in (sandbox.run, sandbox.far().run):
        run(["ip", "neigh", "flush", "all"])
    assert sandbox.run([*PING, GATEWAY], check=False).returncode == 0
    assert sandbox.far().run([*PING, address], check=False).returncode == 0


def assert_on_the_wire(guest: Guest) -> None:
    """The guest reaches the far host."""
    assert guest.run([*PING, GATEWAY], check=False).returncode == 0


def reset(sandbox: Sandbox, bridge: str, mode: str) -> None:
    """The two commands of an emergency reset, without the reboot after it; a second `up` changes nothing."""
    succeed(sandbox, "--force", bridge, "rewrite", "--device=eth0", "--mac=x", *RESET[mode])
    succeed(sandbox, "--force", bridge, "up")
    again = reconfigure(sandbox, "--no-syslog", "--force", bridge, "up")
    assert "changed=false" in again.stderr, again.stderr


# --- emergency reset -------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["static", "dhcp"])
def test_a_reset_to_another_bridge_takes_the_old_one_along(mode: Literal["static", "dhcp"]) -> None:
    """The old bridge's name is in no record: it goes with its address, its DHCP client, and its guests move."""
    records = HostRecords()
    records.nic("eth0", management=True, **(DHCP if mode == "dhcp" else static(ADDRESS)))
    records.nic("eth1")
    with Sandbox(spec_for(records, segments=SEGMENTS)) as sandbox:
        succeed(sandbox, "--force-interface", "all", "up")
        guest = sandbox.add_guest("guest", "xenbr0", "192.0.2.77/24")
        row = vsctl(sandbox, "get", "Port", guest.vif, "_uuid")

        reset(sandbox, "brmgmt", mode)

        assert bridges(sandbox) == ["brmgmt", "xenbr1"]
        assert ports_of(sandbox, "brmgmt") == ["eth0", guest.vif]
        assert vsctl(sandbox, "get", "Port", guest.vif, "_uuid") == row
        (held,) = addresses(sandbox, "brmgmt")
        assert_reachable(sandbox, "brmgmt", held.partition("/")[0])
        assert_on_the_wire(guest)
        clients = sandbox.run(["pgrep", "-x", "dhclient"], check=False).stdout.split()
        assert len(clients) == (1 if mode == "dhcp" else 0)


def test_a_reset_from_a_vlan_takes_its_address() -> None:
    """The VLAN's bridge may have guests, so it stays."""
    records = HostRecords()
    records.nic("eth0")
    records.vlan("eth0", 7, "xapi7", management=True, **static(ADDRESS))
    with Sandbox(spec_for(records, segments=SEGMENTS)) as sandbox:
        succeed(sandbox, "--force-interface", "all", "up")

        reset(sandbox, "xenbr0", "static")

        assert bridges(sandbox) == ["xapi7", "xenbr0"]
        assert_reachable(sandbox, "xenbr0")


def test_a_reset_from_a_bond_takes_its_address_and_leaves_guests_the_other_member() -> None:
    """A bond that keeps a member is a way out of its bridge."""
    records = HostRecords()
    records.nic("eth0")
    records.nic("eth1")
    records.bond("bond0", ["eth0", "eth1"], "xapi0", mode="active-backup", management=True, **static(ADDRESS))
    with Sandbox(spec_for(records, segments=SEGMENTS)) as sandbox:
        succeed(sandbox, "--force-interface", "all", "up")
        guest = sandbox.add_guest("guest", "xapi0", "192.0.2.77/24")

        reset(sandbox, "xenbr0", "static")

        assert bridges(sandbox) == ["xapi0", "xenbr0"]
        assert_reachable(sandbox, "xenbr0")
        assert_on_the_wire(guest)


# --- another bridge name by XAPI's records ---------------------------------------------------------------


def renamed(records: HostRecords, device: str, bridge: str, *, keep: bool = False) -> Record:
    """The PIF's network is another one now; the old one is no more, or stays without a PIF."""
    pif = records.classes["PIF"][record_ref(f"pif {device}")]
    old, new = pif["network"], records.network(bridge)
    pif["network"] = new
    records.classes["network"][new]["PIFs"].append(record_ref(f"pif {device}"))
    if keep:
        records.classes["network"][old]["PIFs"].clear()
    else:
        del records.classes["network"][old]
    return pif


def management_on(device: str) -> HostRecords:
    """Two NICs, one of them management."""
    records = HostRecords()
    for name in ("eth0", "eth1"):
        records.nic(name, **({"management": True, **static(ADDRESS)} if name == device else {}))
    return records


def test_management_moves_to_its_networks_new_bridge_with_the_guests() -> None:
    """As after a pool join: the bridge of before is in no record of this host."""
    records = management_on("eth0")
    with XapiHost(records, segments=SEGMENTS) as host:
        host.up(records.classes["PIF"][record_ref("pif eth0")])
        guest = host.sandbox.add_guest("guest", "xenbr0", "192.0.2.77/24")

        host.up(renamed(records, "eth0", "xapi5"), "--management")

        assert bridges(host.sandbox) == ["xapi5"]
        assert_reachable(host.sandbox, "xapi5")
        assert_on_the_wire(guest)


def test_what_went_along_comes_back_when_the_change_is_taken_back() -> None:
    """Bridge, address, route and the guest's port are as they were."""
    records = management_on("eth0")
    with XapiHost(records, segments=SEGMENTS) as host:
        for device in ("eth0", "eth1"):
            host.up(records.classes["PIF"][record_ref(f"pif {device}")])
        guest = host.sandbox.add_guest("guest", "xenbr0", "192.0.2.77/24")
        settle(host.sandbox)
        before = state(host.sandbox, without=WITHOUT)

        pif = renamed(records, "eth0", "xapi5")
        pif["gateway"] = "192.0.2.250"
        done = host.run("up", pif, "--management", XSAGENT_DEADMAN_S="2")

        assert done.returncode == 1
        settle(host.sandbox)
        assert state(host.sandbox, without=WITHOUT) == before
        assert_reachable(host.sandbox, "xenbr0")
        assert_on_the_wire(guest)


def test_an_internal_networks_bridge_keeps_its_guests_and_not_the_address() -> None:
    """The old network stays as a record without a PIF, so XAPI wants its guests off the wire."""
    records = management_on("eth0")
    with XapiHost(records, segments=SEGMENTS) as host:
        host.up(records.classes["PIF"][record_ref("pif eth0")])
        guest = host.sandbox.add_guest("guest", "xenbr0", "192.0.2.77/24")

        host.up(renamed(records, "eth0", "xapi5", keep=True), "--management")

        assert ports_of(host.sandbox, "xenbr0") == [guest.vif]
        assert_reachable(host.sandbox, "xapi5")


# --- leases, and devices of others -----------------------------------------------------------------------


def test_an_address_that_a_lease_gives_management_goes_from_where_it_was_left() -> None:
    """Nobody can know before the lease is there; nor does the next run find anything to do."""
    records = HostRecords()
    nic, other = records.nic("eth0", management=True, **DHCP), records.nic("eth1", **static("198.51.100.9", gateway=""))
    with XapiHost(records, segments=SEGMENTS) as host:
        host.up(nic)
        host.up(other)
        (leased,) = addresses(host.sandbox, "xenbr0")
        host.down(nic, "--even-if-in-use")
        host.sandbox.run(["ip", "address", "add", leased, "dev", "xenbr1"])

        host.up(nic)

        assert addresses(host.sandbox, "xenbr1") == ["198.51.100.9/24"]
        assert_reachable(host.sandbox, "xenbr0", leased.partition("/")[0])
        assert "changed=false" in host.run("up", nic).stderr


def test_a_gateway_that_the_kernel_would_ask_through_a_dead_device_is_no_gateway() -> None:
    """It answers ARP on management's device, and nothing of the host's own would ever get there."""
    records = management_on("eth0")
    nic = records.classes["PIF"][record_ref("pif eth0")]
    with XapiHost(records, segments=SEGMENTS) as host:
        host.up(nic)
        host.sandbox.run(["ip", "link", "add", "sink", "type", "veth", "peer", "name", "sunk"])
        for name in ("sink", "sunk"):
            host.sandbox.run(["ip", "link", "set", name, "up"])
        host.sandbox.run(["ip", "address", "add", "198.51.100.66/24", "dev", "sink"])

        nic.update(static("198.51.100.10", gateway="198.51.100.1"))
        done = host.run("up", nic, XSAGENT_DEADMAN_S="2")

        assert done.returncode == 1
        assert "gateway 198.51.100.1 does not answer" in done.stderr
        assert_reachable(host.sandbox, "xenbr0")
