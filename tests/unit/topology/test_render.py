"""xsagent/topology/render.py: the tree that `xsagent show` prints."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Interface

from xsagent.topology.desired import Ownership
from xsagent.topology.render import render_topology
from xsagent.topology.values import (
    Address,
    Bridge,
    DhcpClient,
    Interface,
    IpDevice,
    Link,
    Origin,
    Port,
    Resolver,
    Route,
    Topology,
)

_MARK = "xs-network-uuids"
_VLAN_MARK = "fake-bridge-xs-network-uuids"
OURS = Bridge(name="xenbr0", external_ids={_MARK: "11111111-1"})


def _port(name: str, interface: Interface | None = None) -> Port:
    return Port(name=name, interfaces={name: interface or Interface(name=name, ofport=1)})


def _local(name: str) -> Port:
    return Port(name=name, interfaces={name: Interface(name=name, type="internal", ofport=65534)})


def _vlan(name: str, tag: int, network: str) -> Port:
    interface = Interface(name=name, type="internal", ofport=3)
    return Port(
        name=name, tag=tag, fake_bridge=True, interfaces={name: interface}, external_ids={_VLAN_MARK: f"{network}-1"}
    )


def _vif(name: str, tag: int | None = None) -> Port:
    ids = {"xs-vif-uuid": "aaaaaaaa-1", "xs-vm-uuid": "bbbbbbbb-1"}
    return Port(name=name, tag=tag, interfaces={name: Interface(name=name, ofport=5, external_ids=ids)})


def _nic(name: str, *, mtu: int = 1500, up: bool = True, carrier: bool | None = True) -> Link:
    return Link(
        name=name, mac=f"52:54:00:00:00:0{name[-1]}", mtu=mtu, up=up, carrier=carrier if up else None, physical=True
    )


def _netdev(name: str, *, carrier: bool = True) -> Link:
    return Link(name=name, mac="fe:ff:ff:ff:ff:ff", mtu=1500, up=True, carrier=carrier)


def _bridge(bridge: Bridge, *ports: Port) -> Bridge:
    return replace(bridge, ports={port.name: port for port in (_local(bridge.name), *ports)})


def _four_nics() -> Topology:
    management = _bridge(
        Bridge(
            name="xenbr0",
            fail_mode="standalone",
            hwaddr="52:54:00:00:00:00",
            external_ids={_MARK: "11111111-1;22222222-1;33333333-1"},
        ),
        _port("eth0", Interface(name="eth0", ofport=1, mtu_request=1500)),
        _vif("vif1.0"),
        _vlan("xapi1", 10, "22222222"),
        _vlan("xapi2", 5, "33333333"),
        _vif("vif2.0", tag=10),
        _port("sdn0", Interface(name="sdn0", type="vxlan", options={"remote_ip": "192.0.2.99", "key": "7"}, ofport=1)),
    )
    members = {name: Interface(name=name, ofport=1) for name in ("eth1", "eth2")}
    bond = Port(name="bond0", bond_mode="balance-slb", lacp="off", bond_active_member="eth1", interfaces=members)
    refused = Interface(name="gone", ofport=-1, error="could not open network device gone (No such device)")
    storage = _bridge(
        Bridge(
            name="xapi3",
            fail_mode="secure",
            external_ids={_MARK: "44444444-1"},
            controllers=("ssl:192.0.2.9:6640",),
        ),
        bond,
        _port("gone", refused),
    )
    foreign = _bridge(Bridge(name="br-admin"), _port("p\x1b[2J", Interface(name="p\x1b[2J")))
    return Topology(
        bridges={bridge.name: bridge for bridge in (management, storage, foreign)},
        links={link.name: link for link in _links()},
        ip_devices=_ip_devices(),
        resolver=Resolver(servers=("192.0.2.53", "192.0.2.54"), search=("example.com",)),
    )


def _ip_devices() -> dict[str, IpDevice]:
    address = IpDevice(
        device="xenbr0",
        addresses=(
            Address(interface=IPv6Interface("2001:db8::10/64"), origin=Origin.ROUTER),
            Address(interface=IPv6Interface("fe80::1/64"), origin=Origin.LINK_LOCAL),
            Address(interface=IPv4Interface("192.0.2.10/24"), origin=Origin.DHCP),
        ),
        routes=(
            Route(destination=IPv4Network("198.51.100.0/24"), gateway=IPv4Address("192.0.2.254")),
            Route(destination=IPv4Network("0.0.0.0/0"), gateway=IPv4Address("192.0.2.1")),
            Route(destination=IPv4Network("192.0.2.0/24"), gateway=None),
        ),
        dhcp4=DhcpClient(family=4, configuration="", pid=1234),
    )
    vlan_address = IpDevice(device="xapi1", addresses=(Address(interface=IPv4Interface("10.0.0.2/24")),))
    return {"xenbr0": address, "xapi1": vlan_address}


def _links() -> tuple[Link, ...]:
    vlan_netdev = Link(name="eth3.7", mac="52:54:00:00:00:03", mtu=1500, up=True, carrier=True, parent="eth3", vlan=7)
    return (
        _nic("eth0"),
        _nic("eth1"),
        _nic("eth2", mtu=9000, carrier=False),
        _nic("eth3", up=False),
        vlan_netdev,
        Link(name="xenbr0", mac="52:54:00:00:00:00", mtu=1500, up=True, carrier=True),
        *(_netdev(name) for name in ("lo", "ovs-system", "xapi1", "vif1.0", "vif9.0")),
        _netdev("vif2.0", carrier=False),
    )


FOUR_NICS = """\
bridge br-admin  foreign
  port p\\u001b[2J  foreign, NO SUCH DEVICE, not in the switch yet
bridge xapi3     network 44444444, fail mode secure, controller ssl:192.0.2.9:6640
  port bond0  bond balance-slb, lacp off, active eth1
    member eth1  nic 52:54:00:00:00:01, mtu 1500, up, carrier
    member eth2  nic 52:54:00:00:00:02, mtu 9000, up, NO CARRIER
  port gone   foreign, ERROR could not open network device gone (No such device)
bridge xenbr0    network 11111111 and 2 more, fail mode standalone, hwaddr 52:54:00:00:00:00, mtu 1500, up
  ip 192.0.2.10/24 (dhcp), 2001:db8::10/64 (router)
  route default via 192.0.2.1
  route 198.51.100.0/24 via 192.0.2.254
  dhcp client pid 1234
  port eth0      nic 52:54:00:00:00:00, mtu 1500, up, carrier
  port sdn0      foreign, vxlan key=7 remote_ip=192.0.2.99
  port vif1.0    vif aaaaaaaa of vm bbbbbbbb, fe:ff:ff:ff:ff:ff, mtu 1500, up, carrier
  vlan 5 xapi2   network 33333333
  vlan 10 xapi1  network 22222222, fe:ff:ff:ff:ff:ff, mtu 1500, up
    ip 10.0.0.2/24 (static)
    port vif2.0  vif aaaaaaaa of vm bbbbbbbb, fe:ff:ff:ff:ff:ff, mtu 1500, up, NO CARRIER
on no bridge
  nic eth3  52:54:00:00:00:03, mtu 1500, DOWN
  eth3.7    vlan 7 on eth3, 52:54:00:00:00:03, mtu 1500, up, carrier
  vif9.0    fe:ff:ff:ff:ff:ff, mtu 1500, up, carrier
dns              192.0.2.53 192.0.2.54, search example.com
"""


def test_a_host_with_four_nics_reads_as_a_tree() -> None:
    """Each thing stands below what carries it, with its state, whose it is, and what is wrong with it."""
    assert render_topology(_four_nics()) == FOUR_NICS


def test_names_of_records_tell_ours_from_others() -> None:
    """With XAPI's records at hand a NIC that no record names is foreign, and a bridge that one names is ours."""
    text = render_topology(_four_nics(), Ownership(bridges=frozenset({"br-admin"}), devices=frozenset({"bond0"})))

    lines = {line.split()[1]: line for line in text.splitlines()}
    assert "foreign" not in lines["br-admin"]
    assert "foreign" not in lines["bond0"]
    assert lines["eth0"].startswith("  port eth0      foreign, nic 52:54:00:00:00:00")


def test_two_hundred_vlans_are_two_hundred_lines_in_order_of_their_tag() -> None:
    """A host with many VLANs stays readable: a line each, sorted, in columns."""
    vlans = [_vlan(f"xapi{tag}", tag, f"{tag:08d}") for tag in range(200, 0, -1)]
    bridge = _bridge(OURS, _port("eth0"), *vlans)

    text = render_topology(Topology(bridges={"xenbr0": bridge}, links={"eth0": _nic("eth0")}))

    lines = text.splitlines()
    assert lines[:2] == [
        "bridge xenbr0  network 11111111",
        "  port eth0         nic 52:54:00:00:00:00, mtu 1500, up, carrier",
    ]
    assert lines[2:] == [f"  {f'vlan {tag} xapi{tag}':<16}  network {tag:08d}" for tag in range(1, 201)]


def test_names_are_sorted_as_people_count() -> None:
    """eth2 stands before eth10."""
    links = {name: Link(name=name, physical=True) for name in ("eth10", "eth2", "eth1")}

    text = render_topology(Topology(links=links))

    assert text == "on no bridge\n  nic eth1\n  nic eth2\n  nic eth10\n"


def test_an_empty_host_is_said_to_be_empty() -> None:
    """No output at all would look like a failure."""
    assert render_topology(Topology()) == "no bridges and no network devices\n"


def test_a_dead_switch_is_one_complaint_and_not_one_at_each_port() -> None:
    """While ovs-vswitchd is away its reports mean nothing."""
    bridge = _bridge(OURS, _port("eth0", Interface(name="eth0")))

    text = render_topology(
        Topology(bridges={"xenbr0": bridge}, links={"eth0": _nic("eth0")}, switch_alive=False, complete=False)
    )

    assert text == (
        "ovs-vswitchd DOES NOT ANSWER: bridges are shown as the database has them\n"
        "INCOMPLETE: not every part of this host could be read\n"
        "bridge xenbr0  network 11111111\n"
        "  port eth0  nic 52:54:00:00:00:00, mtu 1500, up, carrier\n"
    )


def test_what_is_unusual_on_a_port_is_said() -> None:
    """Trunks, a tag without a VLAN bridge, a refused port, a DHCP client that died, in-band control switched off."""
    trunk = Port(name="eth0", trunks=(1, 2), interfaces={"eth0": Interface(name="eth0", ofport=1, mtu_request=9000)})
    access = Port(name="tap1", tag=7, interfaces={"tap1": Interface(name="tap1", ofport=-1)})
    unusual = replace(OURS, other_config={"disable-in-band": "true"}, datapath_type="netdev", mcast_snooping=True)
    bridge = _bridge(unusual, trunk, access)
    device = IpDevice(
        device="xenbr0",
        dhcp4=DhcpClient(family=4, configuration="", running=False),
        dhcp6=DhcpClient(family=6, configuration=""),
    )

    text = render_topology(
        Topology(bridges={"xenbr0": bridge}, links={"eth0": _nic("eth0")}, ip_devices={"xenbr0": device})
    )

    assert text == (
        "bridge xenbr0  network 11111111, datapath netdev, in-band off, multicast snooping\n"
        "  dhcp client NOT RUNNING\n"
        "  dhcp v6 client\n"
        "  port eth0  trunks 1 2, nic 52:54:00:00:00:00, mtu 1500, up, carrier, MTU 9000 ASKED FOR\n"
        "  port tap1  foreign, tag 7, NO SUCH DEVICE, ERROR the switch did not take it (ofport -1)\n"
    )


def test_an_address_on_a_device_that_is_gone_is_said() -> None:
    """What the IP side names and netlink does not know is a finding, not a crash."""
    device = IpDevice(device="eth9", addresses=(Address(interface=IPv4Interface("192.0.2.9/24")),))

    text = render_topology(Topology(ip_devices={"eth9": device}, resolver=Resolver()))

    assert text == "on no bridge\n  eth9  NO SUCH DEVICE\n    ip 192.0.2.9/24 (static)\ndns  no servers\n"
