"""Hypothesis strategies: XAPI's records of whole hosts, what stands on the host before, and what happens to it.

`world.py` interprets the events; everything here is plain values, so that a failing example shrinks and prints.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from xsagent.desired.request import IpBackend, Origin
from xsagent.model.records import Bond, Network, Pif, Pool, Ref, Tunnel, Vlan
from xsagent.model.snapshot import Snapshot

PIF_NOISE = (
    ("mtu", "9000"),
    ("mtu", "1400"),
    ("mtu", "no number"),
    ("mtu", "67"),
    ("bond-mode", "active-backup"),
    ("bond-mode", "lacp"),
    ("bond-mode", "broadcast"),
    ("bond-updelay", "100"),
    ("bond-updelay", "-1"),
    ("bond-odd-option", "x"),
    ("bond-lacp-aggregation-key", "7"),
    ("ethtool-gro", "off"),
    ("ethtool-tso", "off"),
    ("ethtool-lro", "on"),
    ("ethtool-rx", "perhaps"),
    ("ethtool-speed", "1000"),
    ("ethtool-autoneg", "off"),
    ("static-routes", "172.16.0.0/15/,172.18.0.0/16/10.0.0.3,2001:db8:5::/64/fe80::9,rubbish"),
    ("static-routes", "192.0.2.0/24/10.0.0.3"),
    ("domain", "example.net, other.example, $(bad)"),
    ("peerdns", "true"),
    ("peerdns", "maybe"),
    ("defaultroute", "true"),
    ("defaultroute", "false"),
    ("vswitch-controller-fail-mode", "secure"),
    ("ipv6-link-local", "true"),
    ("\x00 strange key", "value\n"),
)
NETWORK_NOISE = (
    ("mtu", "9000"),
    ("mtu", "-5"),
    ("mac-table-size", "20000"),
    ("mac-table-size", "1"),
    ("vswitch-controller-fail-mode", "secure"),
    ("vswitch-controller-fail-mode", "wild"),
    ("vswitch-disable-in-band", "true"),
    ("vswitch-disable-in-band", "2"),
    ("ethtool-gso", "off"),
    ("ethtool-sg", "off"),
    ("ethtool-duplex", "full"),
    ("static-routes", "203.0.113.0/255.255.255.0/"),
    ("static-routes", "192.0.2.0/24/"),
    ("ipv6-link-local", "true"),
    ("automatic", "false"),
)
BOND_PROPERTIES = (
    ("hashing_algorithm", "src_mac"),
    ("hashing_algorithm", "other"),
    ("updelay", "0"),
    ("miimon", "50"),
    ("lacp-time", "fast"),
    ("unknown-thing", "5"),
)
EDITS = (
    "plug vif",
    "plug vif",
    "plug tunnel",
    "plug patch",
    "plug tagged",
    "plug trunk",
    "plug internal",
    "add controller",
    "add mirror",
    "add qos",
    "add key",
    "drift link",
    "drift mtu",
    "drift address",
    "drift extra address",
    "drift route",
    "drift port",
    "drift tag",
    "drift fail mode",
    "drift key",
    "client dies",
    "swap networks",
    "move vlan",
    "change members",
    "change ip",
    "change mtu",
    "change bond mode",
    "forget attached",
    "nic vanishes",
)


MANAGEMENT = -1
"""Event.first for the management PIF, where there is one."""


@dataclass(frozen=True)
class Event:
    """Something that happens: an operation (`up`, `down`) on a PIF, or an edit of host or records.

    Attributes:
        what: ``up``, ``down`` or one of EDITS.
        first, second: picks, taken modulo the number of choices.
        fields: for ``change ip`` the new IP configuration.
    """

    what: str
    first: int = 0
    second: int = 0
    origin: Origin = "session"
    becoming_management: bool = False
    even_if_in_use: bool = False
    fields: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class NicState:
    """A NIC as the kernel has it at the start."""

    up: bool
    mtu: int
    carrier: bool
    address: bool
    gro: bool


@dataclass(frozen=True)
class Scenario:
    """A host, and what happens to it.

    Attributes:
        has_sdn: SDN software takes hold of each bridge as soon as it is there.
    """

    snapshot: Snapshot
    nics: tuple[NicState, ...]
    events: tuple[Event, ...]
    foreign_bridge: bool = True
    foreign_holds_nic: bool = False
    has_sdn: bool = False
    dhcp_answers: bool = True
    has_bond_devices: bool = True
    ipv6_available: bool = True
    datapath_type: str = ""
    ip_backend: IpBackend = "netlink"


def _noise(pairs: tuple[tuple[str, str], ...]) -> st.SearchStrategy[dict[str, str]]:
    return st.lists(st.sampled_from(pairs), max_size=2).map(dict)


@st.composite
def ip_fields(draw: Any, number: int) -> dict[str, Any]:
    """IP configuration of a PIF; `number` makes its subnet."""
    fields: dict[str, Any] = {"ip_mode": draw(st.sampled_from(["None", "Static", "Static", "DHCP"]))}
    if fields["ip_mode"] == "Static":
        subnet = draw(st.sampled_from([f"10.{number}.0", f"10.{number}.9", "192.0.2"]))
        fields |= {"ip": f"{subnet}.{10 + number}", "netmask": "255.255.255.0"}
        fields["gateway"] = draw(st.sampled_from([f"{subnet}.1", f"{subnet}.1", f"{subnet}.2", ""]))
        fields["dns"] = draw(st.sampled_from(["", "192.0.2.53", "192.0.2.53,2001:db8::53,bad"]))
    mode6 = draw(st.sampled_from(["None", "None", "None", "Static", "Autoconf", "DHCP"]))
    fields["ipv6_mode"] = mode6
    if mode6 == "Static":
        addresses = (f"2001:db8:{number}::10/64", f"2001:db8:{number}:1::10/64")
        fields["ipv6"] = addresses[: draw(st.integers(1, 2))]
        fields["ipv6_gateway"] = draw(st.sampled_from(["", "fe80::1", f"2001:db8:{number}::1"]))
    if mode6 != "None" and draw(st.booleans()):
        fields["primary_address_type"] = "IPv6"
    return fields


@dataclass
class _Records:
    """Records while they are put together."""

    pifs: dict[Ref, Pif] = field(default_factory=dict)
    networks: dict[Ref, Network] = field(default_factory=dict)
    bonds: dict[Ref, Bond] = field(default_factory=dict)
    vlans: dict[Ref, Vlan] = field(default_factory=dict)
    tunnels: dict[Ref, Tunnel] = field(default_factory=dict)

    def pif(self, name: str, device: str, bridge: str, draw: Any, **fields: Any) -> Ref:
        ref, network = Ref(f"pif-{name}"), Ref(f"net-{name}")
        mtu = draw(st.sampled_from(["1500", "1500", "9000", "1400", ""]))
        self.networks[network] = Network(
            ref=network,
            uuid=f"net-{name}",
            bridge=bridge,
            mtu=mtu,
            pifs=(ref,),
            other_config=draw(_noise(NETWORK_NOISE)),
        )
        fields |= draw(ip_fields(len(self.pifs)))
        other_config = draw(_noise(PIF_NOISE))
        self.pifs[ref] = Pif(
            ref=ref, uuid=f"uuid-{name}", device=device, network=network, other_config=other_config, **fields
        )
        return ref

    def change(self, ref: Ref, **fields: Any) -> None:
        self.pifs[ref] = dataclasses.replace(self.pifs[ref], **fields)


@st.composite
def snapshots(draw: Any) -> Snapshot:
    """The records of one host: NICs, up to two bonds, VLANs on either, a tunnel."""
    records = _Records()
    count = draw(st.integers(1, 4))
    nics = []
    for number in range(count):
        bridge = "" if draw(st.integers(0, 5)) == 0 else f"xenbr{number}"
        fields = {"mac": f"00:16:3e:00:00:0{number}", "physical": True}
        nics.append(records.pif(f"eth{number}", f"eth{number}", bridge, draw, **fields))
    carriers = list(nics)
    for number in range(draw(st.integers(0, 2)) if count > 1 else 0):
        free = [ref for ref in nics if records.pifs[ref].member_of is None]
        if free:
            carriers.append(_bond(draw, records, number, free[: draw(st.integers(1, len(free)))]))
    for number in range(draw(st.integers(0, 3))):
        _vlan(draw, records, number, draw(st.sampled_from(carriers)))
    if draw(st.integers(0, 3)) == 0:
        _tunnel(draw, records, draw(st.sampled_from(carriers)))
    refs = sorted(records.pifs)
    if draw(st.integers(0, 4)):
        records.change(draw(st.sampled_from(refs)), management=True)
    pool = Pool(
        ref=Ref("pool"),
        igmp_snooping_enabled=draw(st.booleans()),
        other_config={"vswitch-controller-fail-mode": "secure"} if draw(st.integers(0, 3)) == 0 else {},
    )
    tables = {entry.name: getattr(records, entry.name) for entry in dataclasses.fields(records)}
    return Snapshot(source="xapi", pool=draw(st.sampled_from([pool, pool, None])), **tables)


def _bond(draw: Any, records: _Records, number: int, members: list[Ref]) -> Ref:
    record = Ref(f"bond-{number}")
    mac = records.pifs[members[0]].mac
    ref = records.pif(f"bond{number}", f"bond{number}", f"xapi{number}", draw, mac=mac, bond=record)
    records.bonds[record] = Bond(
        ref=record,
        uuid=f"bond-{number}",
        pif=ref,
        members=tuple(members),
        mode=draw(st.sampled_from(["", "balance-slb", "active-backup", "lacp", "balance-rr"])),
        properties=draw(_noise(BOND_PROPERTIES)),
    )
    for member in members:
        records.change(member, member_of=record)
    return ref


def _vlan(draw: Any, records: _Records, number: int, carrier: Ref) -> None:
    below = records.pifs[carrier]
    used = {records.vlans[ref].tag for ref in below.vlans_on}
    tag = draw(st.sampled_from([tag for tag in (0, 1, 5, 4094) if tag not in used]))
    record = Ref(f"vlan-{number}")
    assert below.network is not None
    bridge = f"xapi{10 + number}" if records.networks[below.network].bridge else ""
    name = f"vlan{number}"
    ref = records.pif(name, below.device, bridge, draw, mac=below.mac, vlan=tag, vlan_record=record)
    records.vlans[record] = Vlan(ref=record, uuid=record, carrier=carrier, pif=ref, tag=tag)
    records.change(carrier, vlans_on=(*records.pifs[carrier].vlans_on, record))


def _tunnel(draw: Any, records: _Records, transport: Ref) -> None:
    record = Ref("tunnel-0")
    fields = {"mac": "de:ad:be:ef:00:05", "tunnel_access_of": (record,)}
    ref = records.pif("tunnel0", "tunnel0", "xapi20", draw, **fields)
    records.tunnels[record] = Tunnel(ref=record, uuid="tunnel-0", access_pif=ref, transport_pif=transport)
    records.change(transport, tunnel_transport_of=(record,))


@st.composite
def events(draw: Any) -> Event:
    """An operation, or an edit between two."""
    if draw(st.integers(0, 9)) < 6:
        return draw(operations())
    what = draw(st.sampled_from(EDITS))
    number = draw(st.integers(0, 7))
    fields = draw(ip_fields(number)) if what == "change ip" else {}
    return Event(what=what, first=number, second=draw(st.integers(0, 7)), fields=fields)


@st.composite
def operations(draw: Any) -> Event:
    """A PIF goes up or down."""
    up = draw(st.integers(0, 3)) > 0
    return Event(
        what="up" if up else "down",
        first=draw(st.integers(0, 9)),
        origin=draw(st.sampled_from(["session", "session", "session", "pif-uuid", "force"])),
        becoming_management=draw(st.integers(0, 3)) == 0,
        even_if_in_use=draw(st.booleans()),
    )


NIC_STATES = st.builds(
    NicState,
    up=st.booleans(),
    mtu=st.sampled_from([1500, 1500, 9000, 1400]),
    carrier=st.booleans(),
    address=st.integers(0, 5).map(lambda number: number == 0),
    gro=st.booleans(),
)

FIRST = st.sampled_from([(), (Event(what="up", first=MANAGEMENT, origin="force"),)])
"""Half of the hosts have management up before anything else happens."""

SCENARIOS = st.builds(
    Scenario,
    snapshot=snapshots(),
    nics=st.tuples(*[NIC_STATES] * 4),
    events=st.tuples(FIRST, st.lists(events(), min_size=1, max_size=6).map(tuple)).map(lambda pair: pair[0] + pair[1]),
    foreign_bridge=st.booleans(),
    foreign_holds_nic=st.integers(0, 7).map(lambda number: number == 0),
    has_sdn=st.integers(0, 2).map(lambda number: number == 0),
    dhcp_answers=st.integers(0, 3).map(bool),
    has_bond_devices=st.booleans(),
    ipv6_available=st.integers(0, 7).map(bool),
    ip_backend=st.sampled_from(["netlink", "netlink", "ifcfg"]),
)
"""Hosts with up to six events; each operation among them is examined by itself."""
