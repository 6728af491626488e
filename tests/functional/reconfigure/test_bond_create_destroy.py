"""XAPI makes a bond and destroys it again, with VLANs on it and guests plugged: each call leaves a host that works."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from host_records import HostRecords, static
from host_state import addresses, bridges, ip, ports_of, vsctl
from trunk import UNTAGGED, Trunk
from xapi_bonds import XapiBonds
from xapi_host import XapiHost

from xsagent.sandbox.far import Guest
from xsagent.sandbox.spec import Segment, nic_mac

GATEWAYS = {UNTAGGED: "198.51.100.1", 100: "203.0.113.1", 200: "192.0.2.1"}
ELSEWHERE = "198.18.0.1"
PING = ("ping", "-c1", "-w5", "-i0.2")
"""Until one is answered, at most 5 s."""
SEGMENTS = (
    Segment(name="gateway", nics=("eth0", "eth1"), addresses=(f"{GATEWAYS[UNTAGGED]}/24",)),
    Segment(name="other", nics=("eth2",), addresses=(f"{ELSEWHERE}/24",)),
)


@dataclass(frozen=True)
class Place:
    """Where management is.

    Attributes:
        gateway: its own.
        before: the bridge with its address while there is no bond, and after it.
        meanwhile: the bridge with its address while there is one.
    """

    gateway: str
    before: str
    meanwhile: str

    @property
    def address(self) -> str:
        """Of management."""
        return f"{self.gateway}0"


PLACES = {
    "the bond": Place(GATEWAYS[UNTAGGED], "xenbr0", "xapi0"),
    "a VLAN of the bond": Place(GATEWAYS[200], "xapi200", "xapi200"),
    "elsewhere": Place(ELSEWHERE, "xenbr2", "xenbr2"),
}


def records_for(place: Place) -> HostRecords:
    """Three NICs, two VLANs on the first, and management where it is to be; XAPI moves VLAN 100 before 200."""

    def role(bridge: str) -> dict[str, object]:
        is_here = bridge == place.before
        return {"management": True, **static(place.address, gateway=place.gateway)} if is_here else {}

    records = HostRecords()
    for device in ("eth0", "eth1", "eth2"):
        records.nic(device, **role(f"xenbr{device[3:]}"))
    for tag in (100, 200):
        records.vlan("eth0", tag, f"xapi{tag}", **role(f"xapi{tag}"))
    return records


def reaches(guest: Guest, tag: int) -> bool:
    """Whether the far host of a VLAN answers a guest."""
    return guest.run([*PING, GATEWAYS[tag]], check=False).returncode == 0


def assert_works(host: XapiHost, guest: Guest, place: Place, said: str) -> None:
    """Every real bridge has one way out, management and an untagged guest reach their gateways."""
    for bridge in bridges(host.sandbox):
        if vsctl(host.sandbox, "br-to-parent", bridge) == bridge:
            uplinks = [port for port in ports_of(host.sandbox, bridge) if port.startswith(("eth", "bond"))]
            assert len(uplinks) == 1, (said, bridge, uplinks)
    held = [link["ifname"] for link in ip(host.sandbox, "-4", "address") if link["addr_info"]]
    assert len([name for name in held if name != "lo"]) == 1, (said, held)
    done = host.sandbox.run([*PING, place.gateway], check=False)
    assert done.returncode == 0, (said, done.stdout)
    assert reaches(guest, UNTAGGED), said


def assert_up(host: XapiHost) -> None:
    """The kernel has both members up, whoever has them, and VLANs with their carrier's MAC, of which XAPI says none."""
    links = {link["ifname"]: link for link in ip(host.sandbox, "link")}
    assert "UP" in links["eth0"]["flags"]
    assert "UP" in links["eth1"]["flags"]
    assert {links[name]["address"] for name in ("xapi100", "xapi200")} == {nic_mac("eth0")}


@pytest.mark.parametrize("management", sorted(PLACES))
def test_xapi_makes_a_bond_and_destroys_it_under_vlans_and_guests(management: str) -> None:
    """Bond.destroy moves the VLANs to a member while the Bond record still says that the bond is there."""
    place = PLACES[management]
    records = records_for(place)
    with XapiHost(records, segments=SEGMENTS) as host:
        trunk = Trunk(host.sandbox, UNTAGGED)
        for tag in (100, 200):
            trunk.carry(tag, f"{GATEWAYS[tag]}/24")
        for pif in records.classes["PIF"].values():
            host.up(pif, "--no-deadman")
        guests = {
            tag: host.sandbox.add_guest(f"guest{tag}", bridge, f"{GATEWAYS[tag]}7/24")
            for tag, bridge in ((UNTAGGED, "xenbr0"), (100, "xapi100"))
        }
        plain, tagged = guests[UNTAGGED], guests[100]
        row = vsctl(host.sandbox, "get", "Port", plain.vif, "_uuid")
        vifs = {plain.vif: "xenbr0", tagged.vif: "xapi100"}
        xapi = XapiBonds(host, vifs, lambda said: assert_works(host, plain, place, said))

        xapi.create("bond0", ["eth0", "eth1"], "xapi0")

        assert bridges(host.sandbox) == ["xapi0", "xapi100", "xapi200", "xenbr2"]
        assert ports_of(host.sandbox, "xapi0") == ["bond0", plain.vif]
        assert [ports_of(host.sandbox, bridge) for bridge in ("xapi100", "xapi200")] == [[tagged.vif], []]
        assert {vsctl(host.sandbox, "br-to-parent", bridge) for bridge in ("xapi100", "xapi200")} == {"xapi0"}
        assert addresses(host.sandbox, place.meanwhile) == [f"{place.address}/24"]
        assert reaches(tagged, 100)
        assert_up(host)

        xapi.destroy("bond0")

        assert bridges(host.sandbox) == ["xapi100", "xapi200", "xenbr0", "xenbr1", "xenbr2"]
        assert ports_of(host.sandbox, "xenbr0") == ["eth0", plain.vif]
        assert ports_of(host.sandbox, "xenbr1") == ["eth1"]
        assert [ports_of(host.sandbox, bridge) for bridge in ("xapi100", "xapi200")] == [[tagged.vif], []]
        assert {vsctl(host.sandbox, "br-to-parent", bridge) for bridge in ("xapi100", "xapi200")} == {"xenbr0"}
        assert addresses(host.sandbox, place.before) == [f"{place.address}/24"]
        assert vsctl(host.sandbox, "get", "Port", plain.vif, "_uuid") == row
        assert reaches(tagged, 100)
        assert_up(host)


@pytest.mark.parametrize("management", sorted(PLACES))
def test_a_secure_pool_is_heard_after_each_call_of_a_bond_s_making_and_destroying(management: str) -> None:
    """Management is below the VLAN that is moved first, moves along with it, and then by a call of its own."""
    place = PLACES[management]
    records = records_for(place)
    records.pool["other_config"]["vswitch-controller-fail-mode"] = "secure"
    with XapiHost(records, segments=SEGMENTS) as host:
        trunk = Trunk(host.sandbox, UNTAGGED)
        for tag in (100, 200):
            trunk.carry(tag, f"{GATEWAYS[tag]}/24")
        for pif in records.classes["PIF"].values():
            host.up(pif, "--no-deadman")
        far = host.sandbox.far("other") if place.gateway == ELSEWHERE else trunk.far

        def assert_heard(said: str) -> None:
            far.run(["ip", "neighbour", "flush", "all"])
            assert far.run([*PING, place.address], check=False).returncode == 0, said
            ours = [name for name in bridges(host.sandbox) if vsctl(host.sandbox, "br-to-parent", name) == name]
            assert {vsctl(host.sandbox, "get-fail-mode", name) for name in ours} == {"secure"}, said

        assert_heard("at the start")
        xapi = XapiBonds(host, {}, assert_heard)

        xapi.create("bond0", ["eth0", "eth1"], "xapi0")
        assert addresses(host.sandbox, place.meanwhile) == [f"{place.address}/24"]

        xapi.destroy("bond0")
        assert addresses(host.sandbox, place.before) == [f"{place.address}/24"]
