"""The value in the middle of the pipeline: bridges, ports, links, IP devices, files. Pure.

`desired/` builds a Topology of what must be so; `observed/` builds one of what is; `plan/` compares them.
The same types serve both sides, with two conventions for the desired one:

- a scalar that is KEEP is not spoken about: whatever is there stays;
- a map (other_config, external_ids, options) names only the keys it cares for, and a key with value None must
  be absent. Keys of others are never listed, so they survive.

An observed Topology never holds KEEP, nor None as a map's value.
"""

from __future__ import annotations

import enum
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

IpInterface = ipaddress.IPv4Interface | ipaddress.IPv6Interface
IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


IPV4: Final = 4
IPV6: Final = 6
"""IP versions, as ipaddress numbers them; the `family` of a DHCP client."""


class Keep(enum.Enum):
    """Type of KEEP."""

    KEEP = "keep"


KEEP: Final = Keep.KEEP
"""A desired scalar that is not spoken about."""

Keys = Mapping[str, str | None]
"""Keys of a map column; None (desired only) means the key must be absent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """A row of OVS's Interface table (ovs-vswitchd.conf.db(5)).

    Attributes:
        type: ``""`` a netdev of the system, ``internal``, ``patch``, ``vxlan`` ...
        mac: Interface.mac: the MAC asked for on an internal port.
        ofport: the switch's report; None while it has not answered, -1 on failure.
        error: the switch's report; None when there is no error.
        extra: configuration columns that only an undo needs, as OVSDB JSON, defaults left out.
    """

    name: str
    type: str | Keep = ""
    mac: str | None | Keep = KEEP
    mtu_request: int | None | Keep = KEEP
    options: Keys = field(default_factory=dict)
    other_config: Keys = field(default_factory=dict)
    external_ids: Keys = field(default_factory=dict)
    ofport: int | None = None
    error: str | None = None
    extra: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """A row of OVS's Port table. A VLAN bridge ("fake bridge") is a Port with `fake_bridge` and `tag`.

    Attributes:
        interfaces: by name; a bond has one per member.
        bond_mode, lacp: OVS words, None when the column is empty.
        bond_updelay, bond_downdelay: ms.
        own_keys: desired only: a key of other_config that begins so and is not named must be absent; empty: none must.
        extra: as Interface.extra; rows referred to (QoS) are nested under their column.
    """

    name: str
    interfaces: Mapping[str, Interface]
    tag: int | None | Keep = KEEP
    trunks: tuple[int, ...] | Keep = KEEP
    mac: str | None | Keep = KEEP
    fake_bridge: bool | Keep = KEEP
    bond_fake_iface: bool | Keep = KEEP
    bond_mode: str | None | Keep = KEEP
    lacp: str | None | Keep = KEEP
    bond_updelay: int | Keep = KEEP
    bond_downdelay: int | Keep = KEEP
    bond_active_member: str | None = None
    own_keys: str = ""
    other_config: Keys = field(default_factory=dict)
    external_ids: Keys = field(default_factory=dict)
    extra: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bridge:
    """A row of OVS's Bridge table: a real bridge with its ports.

    Attributes:
        hwaddr: other_config:hwaddr, in lower case; kept apart from other_config, which never holds that key.
        ports: by name; includes the bridge's own internal port and VLAN bridges' ports. A desired Bridge lists
            the ports it speaks about; others' stay.
        controllers: targets of its Controller rows (observed only).
        safety_flows: flows with our safety cookie, as the switch shows them (observed only; None: not read).
        kept_flows: flows that come back where the switch forgets those (observed only).
        extra: as Interface.extra; rows referred to (Controller, Mirror, NetFlow ...) nested under their column.
    """

    name: str
    ports: Mapping[str, Port] = field(default_factory=dict)
    datapath_type: str | Keep = KEEP
    fail_mode: str | None | Keep = KEEP
    hwaddr: str | None | Keep = KEEP
    mcast_snooping: bool | Keep = KEEP
    other_config: Keys = field(default_factory=dict)
    external_ids: Keys = field(default_factory=dict)
    controllers: tuple[str, ...] = ()
    safety_flows: tuple[str, ...] | None = None
    kept_flows: tuple[str, ...] = ()
    extra: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A netdev of the kernel.

    Attributes:
        mac: current MAC, lower case. Desired: KEEP nearly always.
        expected_mac: desired only: the MAC that the record gives this NIC (features.md section 3, last row).
        mtu: bytes.
        mtu_is_least: desired only: a NIC that is wider stays so.
        up: IFF_UP, never carrier.
        quiet: observed of guests' devices alone: IFF_NOARP without IFF_MULTICAST; None where it was not asked.
        carrier: observed only; None when the kernel does not say (link down).
        kind: IFLA_INFO_KIND (``veth``, ``bond``, ``vlan``, ``openvswitch`` ...); empty for a plain NIC.
        physical: has a device behind it in sysfs, or is a NIC of the sandbox (observed only).
        features: offloads by ethtool's short names (``rx tx sg tso ufo gso gro lro``).
        settings: link settings by ethtool's words (``autoneg``, ``speed``, ``duplex``, ``advertise`` ...).
        sysctls: per-device sysctls by path below /proc/sys/net, for example
            ``ipv6/conf/xenbr0/accept_ra``.
        parent: for a VLAN netdev the device below; None otherwise.
        virtual_functions: observed: sriov_numvfs; None where the NIC can have none, or it was not asked for.
        functions_are_spare: observed: a run of ours gave it these, in this boot, and none is set aside for guests.
    """

    name: str
    ifindex: int = 0
    mac: str | Keep = KEEP
    expected_mac: str | None = None
    mtu: int | Keep = KEEP
    mtu_is_least: bool = False
    up: bool | Keep = KEEP
    quiet: bool | None = None
    carrier: bool | None = None
    kind: str | Keep = KEEP
    physical: bool = False
    features: Mapping[str, bool] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    sysctls: Mapping[str, str] = field(default_factory=dict)
    parent: str | None = None
    vlan: int | None = None
    virtual_functions: int | None = None
    functions_are_spare: bool = False


SECURE: Final = "secure"
"""Bridge.fail_mode: without a controller it forwards nothing by itself."""
SAFETY_COOKIE: Final = 0x7873
"""Cookie of the flows that keep management reachable on a secure bridge (features.md section 11)."""


class Origin(enum.StrEnum):
    """Who put an address there."""

    STATIC = "static"
    DHCP = "dhcp"
    ROUTER = "router"
    """Autoconfigured from a router advertisement."""
    LINK_LOCAL = "link-local"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Address:
    """An address on an IP device, for example 192.0.2.10/24."""

    interface: IpInterface
    origin: Origin = Origin.STATIC


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A route through an IP device.

    Attributes:
        destination: network; 0.0.0.0/0 or ::/0 for a default route.
        gateway: None for a device-only route.
        protocol: the kernel's rt_protos number: who set it (ROUTE_PROTOCOL is ours).
        metric: as the kernel shows it; 0 for IPv4's default.
        source: address that packets on it leave with (ip-route(8), src); None: the kernel's choice.
        onlink: the gateway counts as a neighbour though no address says so (ip-route(8)).
        weight: its share where several gateways lead to one destination with one metric (ip-route(8), nexthop).
        preference: of an IPv6 route: 0 medium, 1 high, 3 low (RTA_PREF, RFC 4191).
        encapsulates: packets on it are wrapped (ip-route(8), encap); how is not read, so it cannot be set anew.
        options: what else it says to the kernel's TCP, for example ``mtu``, by the names of RTAX_*.
    """

    destination: IpNetwork
    gateway: IpAddress | None
    protocol: int = 0
    metric: int = 0
    source: IpAddress | None = None
    onlink: bool = False
    weight: int = 1
    preference: int = 0
    encapsulates: bool = False
    options: Mapping[str, int] = field(default_factory=dict, hash=False)


ROUTE_PROTOCOL: Final = 158
"""rt_protos number of the routes that we set; free in iproute2's table and in the kernel's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DhcpClient:
    """A DHCP client on an IP device.

    Attributes:
        family: 4 or 6.
        configuration: text of dhclient's configuration file; a different text is a reason to restart.
        running: observed: a live process with the right command line on this very ifindex.
        pid: observed; None when not running.
        leased: observed: addresses that its lease file and the device agree on.
    """

    family: int
    configuration: str
    running: bool = True
    pid: int | None = None
    leased: tuple[IpInterface, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class IpDevice:
    """IP configuration of one device (a bridge's internal port, a bridgeless NIC, a VLAN netdev).

    Attributes:
        ipv4_mode, ipv6_mode: ``none``, ``static``, ``dhcp``; v6 also ``autoconf``. Observed: KEEP.
        addresses: desired: the static ones; observed: all, with their origin.
        routes: desired: default and static routes that must be there; observed: all through this device.
        configured_by_ifcfg: desired: ifup and the files in Topology.files do the work.
        routes_only: desired: nothing but our static routes is spoken about (`rewrite`).
    """

    device: str
    ipv4_mode: str | Keep = KEEP
    ipv6_mode: str | Keep = KEEP
    addresses: tuple[Address, ...] = ()
    routes: tuple[Route, ...] = ()
    dhcp4: DhcpClient | None = None
    dhcp6: DhcpClient | None = None
    configured_by_ifcfg: bool = False
    routes_only: bool = False

    def mode_of(self, family: int) -> str | Keep:
        """`ipv4_mode` or `ipv6_mode`, by the family's number (4, 6)."""
        return self.ipv4_mode if family == IPV4 else self.ipv6_mode

    def client_of(self, family: int) -> DhcpClient | None:
        """`dhcp4` or `dhcp6`, by the family's number (4, 6)."""
        return self.dhcp4 if family == IPV4 else self.dhcp6


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolver:
    """What resolv.conf must name for us: servers in order, search domains in order."""

    servers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()


class ObjectKind(enum.StrEnum):
    """Kinds of things that a desired Topology can say must not be there."""

    BRIDGE = "bridge"
    PORT = "port"
    IP_DEVICE = "ip-device"
    LINK = "link"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class ObjectKey:
    """Names one object, for example (BRIDGE, xenbr0)."""

    kind: ObjectKind
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """A host's network, whole (observed) or as far as one operation speaks of it (desired).

    Attributes:
        bridges: real bridges by name; VLAN bridges are ports inside them.
        links: netdevs by name.
        ip_devices: by device name.
        resolver: None when not spoken about (desired) or not read (observed).
        files: text by absolute path without root prefix; None: must be absent (desired), is absent (observed).
        absent: desired only: what must not be there. An IP device that is absent has no addresses, routes of
            ours or DHCP client; a link that is absent is left down, a VLAN netdev is deleted.
        switch_alive: observed: ovs-vswitchd answers for this database.
        complete: observed: every part was read (False: for example, a file of `xsagent show` from elsewhere).
    """

    bridges: Mapping[str, Bridge] = field(default_factory=dict)
    links: Mapping[str, Link] = field(default_factory=dict)
    ip_devices: Mapping[str, IpDevice] = field(default_factory=dict)
    resolver: Resolver | None = None
    files: Mapping[str, str | None] = field(default_factory=dict)
    absent: frozenset[ObjectKey] = frozenset()
    switch_alive: bool = True
    complete: bool = True
