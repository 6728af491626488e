"""LACP below management, switched on where nobody speaks it and off again: no host stays locked out of its bond."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from host_records import HostRecords, Record, static
from host_state import vsctl
from xapi_host import XapiHost

from xsagent.sandbox.root_prefix import record_ref
from xsagent.sandbox.spec import Segment

GATEWAY = "192.0.2.1"
SEGMENT = Segment(name="gateway", nics=("eth0", "eth1"), addresses=(f"{GATEWAY}/24",))
ALONE = {"hashing_algorithm": "tcpudp_ports", "lacp-time": "slow", "lacp-fallback-ab": "false"}
"""LACP that lets nothing through without a partner."""


@pytest.fixture
def host() -> Iterator[XapiHost]:
    """Management on a bond of two NICs whose switch speaks no LACP."""
    records = HostRecords()
    for device in ("eth0", "eth1"):
        records.nic(device)
    records.bond("bond0", ["eth0", "eth1"], "xapi0", mode="active-backup", management=True, **static("192.0.2.10"))
    with XapiHost(records, segments=(SEGMENT,)) as host:
        host.up(bond_pif(host))
        yield host


def bond_pif(host: XapiHost) -> Record:
    """The bond's PIF."""
    return host.records.classes["PIF"][record_ref("pif bond0")]


def set_mode(host: XapiHost, mode: str, **properties: str) -> int:
    """What XAPI's Bond.set_mode and Bond.set_property write, and its call; returns the exit status."""
    host.records.bond_of("bond0").update(mode=mode, properties=properties)
    return host.run("up", bond_pif(host)).returncode


def reachable(host: XapiHost) -> bool:
    """Whether the gateway answers, within 5 s."""
    return host.sandbox.run(["ping", "-c1", "-w5", "-i0.2", GATEWAY], check=False).returncode == 0


@pytest.mark.parametrize("downdelay", ["0", "200", "2000"])
def test_lacp_that_finds_no_partner_is_taken_back_and_management_works(host: XapiHost, downdelay: str) -> None:
    """Also where the members go on for the bond's downdelay, and the gateway answers so long."""
    bond_pif(host)["other_config"]["bond-downdelay"] = downdelay

    status = set_mode(host, "lacp", **ALONE)

    assert status == 1
    assert vsctl(host.sandbox, "get", "Port", "bond0", "lacp") == "off"
    assert reachable(host)


def test_lacp_that_falls_back_is_kept(host: XapiHost) -> None:
    """Without a partner one member forwards all the same."""
    status = set_mode(host, "lacp", **ALONE | {"lacp-fallback-ab": "true", "lacp-time": "fast"})

    assert status == 0
    assert vsctl(host.sandbox, "get", "Port", "bond0", "lacp") == "active"
    assert reachable(host)


def test_a_bond_that_lacp_locked_out_forwards_once_lacp_is_off(host: XapiHost) -> None:
    """The switch alone would not look at its members again."""
    vsctl(
        host.sandbox,
        "set",
        "Port",
        "bond0",
        "lacp=active",
        "bond_mode=balance-tcp",
        "other_config:lacp-fallback-ab=false",
    )
    while reachable(host):
        pass

    status = set_mode(host, "active-backup")

    assert status == 0
    assert reachable(host)
