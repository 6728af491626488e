"""Management given a VLAN that the physical switch does not carry: reachable again on the old configuration."""

from __future__ import annotations

import sys
import time
from typing import Any

import pytest
from host_records import HostRecords, Record, static
from host_state import addresses, bridges, ip, refuse, state, succeed, vsctl
from trunk import Trunk
from xapi_host import XapiHost

from xsagent.sandbox.root_prefix import record_ref
from xsagent.sandbox.spec import shared_segment

WINDOW_S = 3
WINDOW = {"XSAGENT_DEADMAN_S": str(WINDOW_S)}
OLD = "192.0.2.10"
OTHER = 200


def state_of(host: XapiHost) -> dict[str, Any]:
    """What must be as it was; the stand-in's own files and the userspace datapath's own device are not the host's."""
    found = state(host.sandbox, without=("var/lib/xsagent", "run", "var/lib/xcp"))
    del found["links"]["ovs-netdev"]
    return found


def start(host: XapiHost, trunk: Trunk, pif: Record) -> None:
    """Bring management up as at boot; the far host reaches it and no other way leads there."""
    succeed(host.sandbox, "--force", host.records.network_of(pif)["bridge"], "up")
    pif["currently_attached"] = True
    assert reached(trunk)


def reached(trunk: Trunk, address: str = OLD) -> bool:
    """Whether the far host has an answer from this address, asked for by ARP anew."""
    trunk.far.run(["ip", "neighbour", "flush", "all"])
    return trunk.far.run(["ping", "-c1", "-W1", address], check=False).returncode == 0


def words_for(host: XapiHost, name: str, *options: str) -> tuple[str, ...]:
    """The words with which XAPI brings up PIF `name` of the records as they are now."""
    session = host.restart_xapi().control("open_session", originator="xapi")
    return ("--session", session, "--pif", record_ref(name), "up", *options)


def taken_back(host: XapiHost, trunk: Trunk, words: tuple[str, ...], case: str, *, interrupted: bool = False) -> str:
    """Run it, and require the old configuration back: by the far host, the database, the kernel; the time is printed.

    `interrupted`: the change must have cut the old path in between, or it was never made.
    """
    before = state_of(host)
    with trunk.far.ping_stream(OLD, interval_ms=20) as stream:
        stream.wait_answered(5)
        started = time.monotonic()
        said = refuse(host.sandbox, *words, env=WINDOW)
        took = time.monotonic() - started
        stream.wait_answered(5)
    silent = stream.result.longest_gap * 0.02
    sys.stdout.write(f"{case}: back after {took:.1f} s, {silent:.1f} s without answer; {said.strip()}\n")
    assert reached(trunk)
    assert (stream.result.lost > 0) >= interrupted
    assert state_of(host) == before
    assert not (host.sandbox.root / "var/lib/xsagent/journal").exists()
    return said


def test_a_wrong_tag_of_managements_vlan_is_taken_back() -> None:
    """The tag on the VLAN bridge's port is the old one again; exit 1 names the gateway, the bridge and the window."""
    records = HostRecords()
    records.nic("eth0")
    vlan = records.vlan("eth0", 100, "xapi100", management=True, **static(OLD))
    with XapiHost(records) as host:
        trunk = Trunk(host.sandbox, 100)
        start(host, trunk, vlan)
        vlan["VLAN"] = str(OTHER)
        records.classes["VLAN"][vlan["VLAN_master_of"]]["tag"] = str(OTHER)

        said = taken_back(host, trunk, words_for(host, "pif eth0.100"), "wrong tag", interrupted=True)

        assert "gateway 192.0.2.1 does not answer on xapi100 within 3 s; the old configuration is back" in said
        assert vsctl(host.sandbox, "br-to-vlan", "xapi100") == "100"


MOVES = {
    "another subnet": static("203.0.113.11", gateway="203.0.113.1"),
    "another address of the same subnet": static("192.0.2.11"),
    "the same address": static(OLD),
}


@pytest.mark.parametrize("case", MOVES)
def test_management_moved_from_the_nic_to_a_wrong_vlan_is_taken_back(case: str) -> None:
    """The NIC's bridge has address, routes and role as before, and nothing is left of the VLAN bridge."""
    records = HostRecords()
    nic = records.nic("eth0", management=True, **static(OLD))
    with XapiHost(records) as host:
        trunk = Trunk(host.sandbox)
        start(host, trunk, nic)
        vlan = records.vlan("eth0", OTHER, "xapi200", **MOVES[case])

        said = taken_back(host, trunk, words_for(host, f"pif eth0.{OTHER}", "--management"), case)

        gateway = vlan["gateway"]
        assert f"gateway {gateway} does not answer on xapi200 within 3 s; the old configuration is back" in said
        assert bridges(host.sandbox) == ["xenbr0"]
        assert addresses(host.sandbox, "xenbr0") == [f"{OLD}/24"]


def bonded(**fields: object) -> HostRecords:
    """A bond of both NICs, which are plugged into one switch."""
    records = HostRecords()
    records.nic("eth0")
    records.nic("eth1")
    records.bond("bond0", ["eth0", "eth1"], "xapi1", mode="active-backup", **fields)
    return records


def test_a_wrong_tag_of_managements_vlan_on_a_bond_is_taken_back() -> None:
    """The bond keeps its members and the VLAN bridge its old tag."""
    records = bonded()
    vlan = records.vlan("bond0", 100, "xapi100", management=True, **static(OLD))
    with XapiHost(records, segments=shared_segment(nics=2)) as host:
        trunk = Trunk(host.sandbox, 100)
        start(host, trunk, vlan)
        vlan["VLAN"] = str(OTHER)
        records.classes["VLAN"][vlan["VLAN_master_of"]]["tag"] = str(OTHER)

        said = taken_back(host, trunk, words_for(host, "pif bond0.100"), "wrong tag on a bond", interrupted=True)

        assert "gateway 192.0.2.1 does not answer on xapi100 within 3 s; the old configuration is back" in said
        assert vsctl(host.sandbox, "br-to-vlan", "xapi100") == "100"


def test_management_moved_from_a_bond_to_a_wrong_vlan_on_it_is_taken_back() -> None:
    """The bond's bridge has address, routes and role as before, and nothing is left of the VLAN bridge."""
    records = bonded(management=True, **static(OLD))
    with XapiHost(records, segments=shared_segment(nics=2)) as host:
        trunk = Trunk(host.sandbox)
        start(host, trunk, records.classes["PIF"][record_ref("pif bond0")])
        records.vlan("bond0", OTHER, "xapi200", **static(OLD))

        said = taken_back(host, trunk, words_for(host, f"pif bond0.{OTHER}", "--management"), "bond to VLAN")

        assert "gateway 192.0.2.1 does not answer on xapi200 within 3 s; the old configuration is back" in said
        assert bridges(host.sandbox) == ["xapi1"]
        assert addresses(host.sandbox, "xapi1") == [f"{OLD}/24"]


def test_a_wrong_vlan_for_a_management_nic_that_becomes_a_bonds_member_is_taken_back() -> None:
    """The bond, its VLAN and the member's lost bridge in one change: the NIC has all of its own again.

    Without updelay, for which the window would be longer: the second member has no carrier before.
    """
    records = HostRecords()
    nic = records.nic("eth0", management=True, **static(OLD))
    records.nic("eth1")
    with XapiHost(records, segments=shared_segment(nics=2)) as host:
        trunk = Trunk(host.sandbox)
        start(host, trunk, nic)
        no_updelay = {"other_config": {"bond-updelay": "0"}}
        records.bond("bond0", ["eth0", "eth1"], "xapi1", mode="active-backup", **no_updelay)
        records.vlan("bond0", OTHER, "xapi200", **static(OLD))

        words = words_for(host, f"pif bond0.{OTHER}", "--management")
        said = taken_back(host, trunk, words, "NIC to a VLAN on its bond", interrupted=True)

        assert "gateway 192.0.2.1 does not answer on xapi200 within 3 s; the old configuration is back" in said
        assert bridges(host.sandbox) == ["xenbr0"]


def test_management_moved_between_vlans_to_a_wrong_one_is_taken_back() -> None:
    """The VLAN that works stays what it was."""
    records = HostRecords()
    records.nic("eth0")
    old = records.vlan("eth0", 100, "xapi100", management=True, **static(OLD))
    with XapiHost(records) as host:
        trunk = Trunk(host.sandbox, 100)
        start(host, trunk, old)
        records.vlan("eth0", OTHER, "xapi200", **static("203.0.113.11", gateway="203.0.113.1"))

        said = taken_back(host, trunk, words_for(host, f"pif eth0.{OTHER}", "--management"), "VLAN to VLAN")

        assert "gateway 203.0.113.1 does not answer on xapi200 within 3 s; the old configuration is back" in said
        assert bridges(host.sandbox) == ["xapi100", "xenbr0"]


def test_management_moved_to_a_vlan_that_is_carried_stays_there() -> None:
    """The control: with the tag carried the same request is done; the NIC keeps its address, no gateway."""
    records = HostRecords()
    nic = records.nic("eth0", management=True, **static(OLD))
    with XapiHost(records) as host:
        trunk = Trunk(host.sandbox)
        start(host, trunk, nic)
        trunk.carry(OTHER, "203.0.113.1/24")
        records.vlan("eth0", OTHER, "xapi200", **static("203.0.113.11", gateway="203.0.113.1"))

        succeed(host.sandbox, *words_for(host, f"pif eth0.{OTHER}", "--management"), env=WINDOW)

        assert reached(trunk, "203.0.113.11")
        assert addresses(host.sandbox, "xapi200") == ["203.0.113.11/24"]
        assert addresses(host.sandbox, "xenbr0") == [f"{OLD}/24"]
        assert [route["dev"] for route in ip(host.sandbox, "route", "show", "default")] == ["xapi200"]
