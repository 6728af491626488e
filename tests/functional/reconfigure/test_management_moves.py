"""Management moves between a bond and its VLANs: both are up until the new one was seen to work."""

from __future__ import annotations

import pytest
from host_records import HostRecords, static
from host_state import addresses, bridges, ip, ports_of, vsctl
from trunk import UNTAGGED, Trunk
from xapi_host import XapiHost

from xsagent.sandbox.root_prefix import record_ref
from xsagent.sandbox.spec import shared_segment

SUBNETS = {"bond0": "192.0.2", "bond0.100": "198.51.100", "bond0.200": "203.0.113"}
PING = ["ping", "-c1", "-w20", "-i0.2"]
"""For so long: a member's own IPv6 stack speaks with the bond's MAC at first, and the far switch learns it there."""
BRIDGES = {"bond0": "xapi0", "bond0.100": "xapi100", "bond0.200": "xapi200"}


def records_with(former: str) -> HostRecords:
    """A bond with two VLANs, each with an address and gateway of its own; management is where it is first."""

    def fields(name: str) -> dict[str, object]:
        subnet = SUBNETS[name]
        return {"management": name == former, **static(f"{subnet}.10", gateway=f"{subnet}.1")}

    records = HostRecords()
    records.nic("eth0")
    records.nic("eth1")
    records.bond("bond0", ["eth0", "eth1"], "xapi0", mode="active-backup", **fields("bond0"))
    for tag in (100, 200):
        records.vlan("bond0", tag, f"xapi{tag}", **fields(f"bond0.{tag}"))
    return records


@pytest.mark.parametrize(
    ("former", "new"),
    [("bond0.100", "bond0.200"), ("bond0", "bond0.200"), ("bond0.100", "bond0")],
)
def test_management_moves_on_a_bond_and_the_former_place_stays_as_it_is(former: str, new: str) -> None:
    """The default route moves. Nothing is unplugged, and the former interface has its own address until XAPI's down."""
    records = records_with(former)
    with XapiHost(records, segments=shared_segment(nics=2, dhcp=False)) as host:
        trunk = Trunk(host.sandbox, UNTAGGED)
        for tag in (100, 200):
            trunk.carry(tag, f"{SUBNETS[f'bond0.{tag}']}.1/24")
        before, after = (records.classes["PIF"][record_ref(f"pif {name}")] for name in (former, new))
        host.up(before, "--no-deadman")
        guest = host.sandbox.add_guest("guest", BRIDGES[former], f"{SUBNETS[former]}.77/24")
        row = vsctl(host.sandbox, "get", "Port", guest.vif, "_uuid")

        host.up(after, "--management")

        assert set(bridges(host.sandbox)) == {"xapi0", BRIDGES[former], BRIDGES[new]}
        assert [route["dev"] for route in ip(host.sandbox, "route", "show", "default")] == [BRIDGES[new]]
        for name in (former, new):
            assert addresses(host.sandbox, BRIDGES[name]) == [f"{SUBNETS[name]}.10/24"]
            assert host.sandbox.run([*PING, f"{SUBNETS[name]}.1"], check=False).returncode == 0
        assert guest.vif in ports_of(host.sandbox, BRIDGES[former])
        assert vsctl(host.sandbox, "get", "Port", guest.vif, "_uuid") == row
        assert guest.run([*PING, f"{SUBNETS[former]}.1"], check=False).returncode == 0
