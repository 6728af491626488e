"""Observed hosts for the pictures' tests: one with four NICs and a fault of each kind, one with 200 VLANs."""

from __future__ import annotations

import ipaddress
from typing import Any

from xsagent.topology.values import Address, Bridge, Interface, IpDevice, Link, Origin, Port, Topology

MANAGEMENT = "xenbr0"
_MAC = "00:1b:21:00:5a:0"


def interface(name: str, **fields: Any) -> Interface:
    """A row that the switch has taken."""
    return Interface(**{"name": name, "mac": None, "mtu_request": None, "ofport": 1} | fields)


def port(name: str, *interfaces: Interface, **fields: Any) -> Port:
    """A port; of one interface of its name by default."""
    plain: dict[str, Any] = {
        "tag": None,
        "trunks": (),
        "mac": None,
        "fake_bridge": False,
        "bond_fake_iface": False,
        "bond_mode": None,
        "lacp": None,
        "bond_updelay": 0,
        "bond_downdelay": 0,
    }
    found = interfaces or (interface(name),)
    return Port(name=name, interfaces={one.name: one for one in found}, **plain | fields)


def vif(name: str, tag: int | None = None, **fields: Any) -> Port:
    """A guest's port."""
    ids = {"xs-vif-uuid": "ad183578-73d1-5ace-8bdc-9e32c65a5032"}
    return port(name, interface(name, external_ids=ids, **fields), tag=tag)


def vlan(name: str, tag: int) -> Port:
    """A VLAN bridge of ours."""
    ids = {"fake-bridge-xs-network-uuids": "e65a64e7-d3e1-5188-9362-812424459b12"}
    return port(name, interface(name, type="internal"), tag=tag, fake_bridge=True, external_ids=ids)


def tunnel(name: str, kind: str, remote: str, **fields: Any) -> Port:
    """A tunnel's port, as a controller adds it."""
    return port(name, interface(name, type=kind, options={"remote_ip": remote, "key": "5"}, **fields))


def bridge(name: str, *ports: Port, ours: bool = True, **fields: Any) -> Bridge:
    """A real bridge with its own port."""
    plain: dict[str, Any] = {
        "datapath_type": "",
        "fail_mode": "standalone",
        "hwaddr": f"{_MAC}1",
        "mcast_snooping": False,
        "external_ids": {"xs-network-uuids": "e65a64e7-d3e1-5188-9362-812424459b12"} if ours else {},
    }
    own = port(name, interface(name, type="internal"))
    return Bridge(name=name, ports={one.name: one for one in (own, *ports)}, **plain | fields)


def link(name: str, *, up: bool = True, carrier: bool = True, **fields: Any) -> Link:
    """A netdev; a NIC with ``physical``."""
    plain = {"mac": f"{_MAC}1", "mtu": 1500, "kind": "openvswitch", "carrier": carrier if up else None}
    return Link(**{"name": name, "up": up} | plain | fields)


def nic(number: int, **fields: Any) -> Link:
    """NIC ethN."""
    return link(f"eth{number}", physical=True, **{"kind": "", "mac": f"{_MAC}{number + 1}"} | fields)


def ip_device(name: str, *addresses: tuple[str, Origin]) -> IpDevice:
    """A device with addresses."""
    found = (Address(interface=ipaddress.ip_interface(text), origin=origin) for text, origin in addresses)
    return IpDevice(device=name, addresses=tuple(found))


def topology(bridges: list[Bridge], links: list[Link], ip_devices: list[IpDevice]) -> Topology:
    """The whole, by name."""
    return Topology(
        bridges={one.name: one for one in bridges},
        links={one.name: one for one in links},
        ip_devices={one.device: one for one in ip_devices},
    )


def four_nics() -> Topology:
    """A bond that has lost a cable, VLANs, a tunnel that failed, a foreign bridge, guests that are cut off."""
    bond = port(
        "bond0",
        interface("eth0"),
        interface("eth1"),
        bond_mode="active-backup",
        bond_active_member=f"{_MAC}1",
    )
    gone = vif("vif3.1", error="could not open network device vif3.1 (No such device)", ofport=-1)
    vlans = [vlan(f"xapi{number}", tag) for number, tag in enumerate((10, 20, 30, 4094), 1)]
    tagged = [vif("vif4.0", 10), vif("vif4.1", 20), vif("vif5.0", 20), vif("vif6.0", 20), vif("vif7.0", 30)]
    tunnels = [tunnel("vxlan0", "vxlan", "192.0.2.20"), tunnel("vxlan1", "vxlan", "192.0.2.21", ofport=-1)]
    bridges = [
        bridge(MANAGEMENT, bond, vif("vif1.0"), vif("vif2.0"), gone, *vlans, *tagged),
        bridge("xenbr2", port("eth2"), vif("vif8.0")),
        bridge("xapi9", *tunnels, vif("vif9.0"), fail_mode="secure", controllers=("ssl:192.0.2.9:6640",)),
        bridge("br-int", port("patch-up", interface("patch-up", type="patch", options={"peer": "down"})), ours=False),
    ]
    links = [nic(0), nic(1, carrier=False), nic(2, mtu=9000), nic(3, up=False)]
    links += [link(name) for name in (MANAGEMENT, "xenbr2", "xapi9", "br-int", "xapi1", "xapi2", "xapi3")]
    links += [link("xapi4", up=False), link("vif2.0", up=False), link("vif6.0", carrier=False), link("vif33.0")]
    links += [link(f"vif{name}") for name in ("1.0", "4.0", "4.1", "5.0", "7.0", "8.0", "9.0")]
    addresses = [
        ip_device(MANAGEMENT, ("192.0.2.10/24", Origin.STATIC), ("2001:db8::10/64", Origin.ROUTER)),
        ip_device("xapi2", ("198.51.100.7/24", Origin.DHCP)),
        ip_device("xenbr2", ("203.0.113.5/24", Origin.STATIC)),
        ip_device("xapi4", ("198.18.0.7/24", Origin.STATIC)),
    ]
    return topology(bridges, links, addresses)


def many_vlans(count: int = 200) -> Topology:
    """A healthy bond with VLANs 100 to 299: every third has a guest, one has fourteen, one guest is cut off."""
    vlans = [vlan(f"xapi{number}", 100 + number) for number in range(count)]
    guests = [vif(f"vif{number + 1}.0", 100 + number) for number in range(0, count, 3)]
    guests += [vif(f"vif{500 + number}.0", 150) for number in range(14)]
    bond = port("bond0", interface("eth0"), interface("eth1"), bond_mode="balance-slb")
    links = [nic(0), nic(1), link(MANAGEMENT), *(link(one.name) for one in vlans)]
    links += [link(one.name, up=one.name != "vif31.0") for one in guests]
    addresses = [
        ip_device(MANAGEMENT, ("192.0.2.10/24", Origin.STATIC)),
        ip_device("xapi7", ("198.51.100.7/24", Origin.STATIC)),
        ip_device("xapi150", ("198.18.2.3/16", Origin.DHCP)),
    ]
    return topology([bridge(MANAGEMENT, bond, *vlans, *guests)], links, addresses)
