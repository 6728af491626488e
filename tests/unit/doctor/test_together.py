"""doctor/together.py: what many PIFs want, as one; and when that cannot be said."""

from __future__ import annotations

from xsagent.doctor.together import merge_desired
from xsagent.topology.desired import Desired, ManagementPath
from xsagent.topology.values import Bridge, Interface, IpDevice, Link, ObjectKey, ObjectKind, Port, Topology


def vlan(name: str, tag: int, *, mtu: int = 1500) -> Desired:
    """A VLAN bridge on xenbr0, with its carrier."""
    ports = {
        "eth0": Port(name="eth0", interfaces={"eth0": Interface(name="eth0")}),
        name: Port(name=name, interfaces={name: Interface(name=name, type="internal")}, tag=tag, fake_bridge=True),
    }
    links = {"eth0": Link(name="eth0", up=True, mtu=mtu), name: Link(name=name, up=True)}
    return Desired(topology=Topology(bridges={"xenbr0": Bridge(name="xenbr0", ports=ports)}, links=links))


def test_vlans_of_one_carrier_become_one_topology() -> None:
    """Each port once, the carrier as wide as its widest use; what one wants gone and another there stays."""
    management = ManagementPath(device="xapi1")
    first = Desired(
        topology=Topology(absent=frozenset({ObjectKey(kind=ObjectKind.BRIDGE, name="xapi2")})), management=management
    )

    merged = merge_desired([first, vlan("xapi1", 1), vlan("xapi2", 2, mtu=9000)])

    assert merged is not None
    assert merged.topology.bridges["xenbr0"].ports.keys() == {"eth0", "xapi1", "xapi2"}
    assert merged.topology.links["eth0"].mtu == 9000
    assert merged.topology.absent == frozenset()
    assert merged.management == management


def test_two_that_do_not_agree_are_not_made_one() -> None:
    """Of an address, a file, a device."""

    def address(mode: str) -> Desired:
        return Desired(topology=Topology(ip_devices={"xenbr0": IpDevice(device="xenbr0", ipv4_mode=mode)}))

    def file(text: str) -> Desired:
        return Desired(topology=Topology(files={"/etc/sysconfig/network": text}))

    elsewhere = Port(name="bond0", interfaces={"eth0": Interface(name="eth0")})
    claims = Desired(topology=Topology(bridges={"xapi9": Bridge(name="xapi9", ports={"bond0": elsewhere})}))

    assert merge_desired([address("static"), address("dhcp")]) is None
    assert merge_desired([file("a"), file("b")]) is None
    assert merge_desired([vlan("xapi1", 1), claims]) is None
    assert merge_desired([address("static"), address("static"), file("a"), file("a")]) is not None
