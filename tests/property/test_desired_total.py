"""Totality and determinism of desired/: any other_config, any text in any field, any shape of records.

Hypothesis makes records; either there is a Desired, or one of our own errors with a sentence, never anything else.
"""

from __future__ import annotations

import dataclasses

from hypothesis import event, given
from hypothesis import strategies as st

from xsagent.desired.boot import build_boot_desired
from xsagent.desired.build import build_desired
from xsagent.desired.internal import build_internal_desired
from xsagent.desired.request import BuildOptions, HostFacts, Request
from xsagent.desired.resolve import build_aliases
from xsagent.desired.rewrite import build_rewrite_desired
from xsagent.errors import InputError, InUseError
from xsagent.model.records import Bond, Network, Pif, Pool, Ref, Sriov, Tunnel, Vlan
from xsagent.model.references import check_references
from xsagent.model.snapshot import Snapshot
from xsagent.topology.codec import from_json, to_json
from xsagent.topology.desired import Desired
from xsagent.topology.values import KEEP, Bridge, ObjectKind

_KEYS = [
    "mtu", "domain", "peerdns", "defaultroute", "static-routes", "vswitch-controller-fail-mode",
    "vswitch-disable-in-band", "mac-table-size", "ipv6-link-local", "ethtool-tx", "ethtool-gro", "ethtool-speed",
    "ethtool-duplex", "ethtool-autoneg", "ethtool-advertise", "ethtool-wol", "ethtool-ring-rx", "bond-mode",
    "bond-miimon", "bond-updelay", "bond-downdelay", "bond-use_carrier", "bond-hashing-algorithm", "bond-x", "bond-",
    "bond-hashing_algorithm", "bond-rebalance-interval", "bond-lacp-time", "bond-lacp-fallback-ab",
    "bond-lacp-aggregation-key",
]  # fmt: skip
_WORDS = [
    "", "true", "false", "on", "off", "1500", "9000", " 1_500 ", "-1", "0", "99999999999999999999999", "0x1f", "secure",
    "lacp", "balance-tcp", "balance-rr", "src_mac", "slow", "1.2.3.4", "10.0.0.0/8/192.0.2.1", "a'b", "$(id)", "\n",
    "\ud800", "é", "١٢", "10.0.0.0/8/", "::/0/fe80::1", "example.com", "g", "None", "Static", "DHCP", "Autoconf",
]  # fmt: skip
_TEXT = st.sampled_from(_WORDS) | st.text(max_size=20)
_OTHER_CONFIG = st.dictionaries(st.sampled_from(_KEYS) | st.text(max_size=8), _TEXT, max_size=8)
_BRIDGES = ["xenbr0", "xenbr1", "xenbr2", "xapi0", "xapi5", "", "a-name-much-too-long"]
_NAMES = ["eth0", "eth1", "eth2", "bond0", "eth0.5", "bond0.5", "eth1.6", "tunnel0", "sriov"]
_ANY_PIF = st.sampled_from([Ref(name) for name in (*_NAMES, "gone")])
_RECORDS = [Ref("bond"), Ref("vlan-eth0.5"), Ref("vlan-bond0.5"), Ref("vlan-eth1.6"), Ref("tunnel"), Ref("gone")]
_ANY_RECORD = st.sampled_from(_RECORDS)
_REFS = st.lists(_ANY_RECORD, max_size=2).map(tuple)

_CHANGES: dict[str, st.SearchStrategy[object]] = {
    "currently_attached": st.just(value=True),
    "management": st.just(value=True),
    "managed": st.just(value=False),
    "disallow_unplug": st.just(value=True),
    "other_config": _OTHER_CONFIG,
    "properties": st.dictionaries(st.just("gro"), _TEXT, max_size=1),
    "ip_mode": st.sampled_from(["DHCP", "None"]) | _TEXT,
    "ip": st.just("192.0.2.9") | _TEXT,
    "netmask": st.just("255.255.255.0") | _TEXT,
    "gateway": st.just("192.0.2.1") | _TEXT,
    "dns": st.just("192.0.2.2,ns") | _TEXT,
    "ipv6_mode": st.sampled_from(["Autoconf", "DHCP", "Static"]) | _TEXT,
    "ipv6": st.lists(st.sampled_from(["2001:db8::1/64", "2001:db8::2/64"]) | _TEXT, max_size=2).map(tuple),
    "ipv6_gateway": st.just("fe80::1") | _TEXT,
    "primary_address_type": st.just("IPv6") | _TEXT,
    "mac": st.sampled_from(["00:16:3E:00:00:02", "x", ""]),
    "device": _TEXT,
    "vlan": st.sampled_from([-1, 0, 5, 4095]),
    "network": st.none() | st.sampled_from([Ref("net-eth0"), Ref("net-bond0"), Ref("gone")]),
    "bond": st.none() | _ANY_RECORD,
    "member_of": st.none() | _ANY_RECORD,
    "vlan_record": st.none() | _ANY_RECORD,
    "vlans_on": _REFS,
    "tunnel_access_of": _REFS,
    "sriov_logical_of": _REFS,
}
_HARMLESS = list(_CHANGES)[:6]
_NETWORK_CHANGES: dict[str, st.SearchStrategy[object]] = {
    "bridge": st.sampled_from(_BRIDGES),
    "mtu": st.sampled_from(["9000", "1400"]) | _TEXT,
    "other_config": _OTHER_CONFIG,
    "managed": st.just(value=False),
}


def _one_of(changes: dict[str, st.SearchStrategy[object]], names: list[str]) -> st.SearchStrategy[tuple[str, object]]:
    return st.sampled_from(names).flatmap(lambda name: st.tuples(st.just(name), changes[name]))


def _base() -> Snapshot:
    """Every kind of PIF, all good: NICs, a bond over two of them, VLANs, a tunnel, SR-IOV."""
    static = {"ip_mode": "Static", "netmask": "255.255.255.0", "gateway": "192.0.2.1", "dns": "192.0.2.2"}
    pifs = [
        _pif("eth0", ip="192.0.2.10", vlans_on=(Ref("vlan-eth0.5"),), management=True, **static),
        _pif("eth1", member_of=Ref("bond"), vlans_on=(Ref("vlan-eth1.6"),), ip_mode="DHCP"),
        _pif("eth2", member_of=Ref("bond")),
        _pif("bond0", bond=Ref("bond"), vlans_on=(Ref("vlan-bond0.5"),), ip="192.0.2.11", **static),
        _pif("tunnel0", tunnel_access_of=(Ref("tunnel"),)),
        _pif("sriov", device="eth2", sriov_logical_of=(Ref("sriov"),)),
        *(_vlan_pif(name) for name in ("eth0.5", "bond0.5", "eth1.6")),
    ]
    return Snapshot(
        source="xapi",
        pifs={pif.ref: pif for pif in pifs},
        networks={Ref(f"net-{name}"): _network(name) for name in _NAMES},
        bonds={Ref("bond"): Bond(ref=Ref("bond"), uuid="bond", pif=Ref("bond0"), members=(Ref("eth1"), Ref("eth2")))},
        vlans={Ref(f"vlan-{name}"): _vlan(name) for name in ("eth0.5", "bond0.5", "eth1.6")},
        tunnels={
            Ref("tunnel"): Tunnel(ref=Ref("tunnel"), uuid="t", access_pif=Ref("tunnel0"), transport_pif=Ref("eth0"))
        },
        sriovs={Ref("sriov"): Sriov(ref=Ref("sriov"), uuid="s", physical_pif=Ref("eth2"), logical_pif=Ref("sriov"))},
        pool=Pool(ref=Ref("pool")),
    )


def _pif(name: str, **fields: object) -> Pif:
    fields = {"device": name.partition(".")[0], "mac": "00:16:3e:00:00:01", **fields}
    return Pif(ref=Ref(name), uuid=f"uuid-{name}", network=Ref(f"net-{name}"), **fields)


def _vlan_pif(name: str) -> Pif:
    return _pif(name, vlan=int(name[-1]), vlan_record=Ref(f"vlan-{name}"))


def _vlan(name: str) -> Vlan:
    carrier = Ref(name.partition(".")[0])
    return Vlan(ref=Ref(f"vlan-{name}"), uuid=f"v-{name}", carrier=carrier, pif=Ref(name), tag=int(name[-1]))


def _network(name: str) -> Network:
    bridge = "" if name == "sriov" else f"br-{name}"
    return Network(ref=Ref(f"net-{name}"), uuid=f"n-{name}", bridge=bridge, mtu="1500")


_BASE = _base()
_PIF_CHANGES = st.lists(st.tuples(_ANY_PIF, _one_of(_CHANGES, _HARMLESS)), max_size=6)
_WILD_CHANGES = st.lists(st.tuples(_ANY_PIF, _one_of(_CHANGES, list(_CHANGES))), max_size=2)
_OF_NETWORKS = st.lists(st.tuples(_ANY_PIF, _one_of(_NETWORK_CHANGES, list(_NETWORK_CHANGES))), max_size=3)


@st.composite
def _snapshots(draw: st.DrawFn) -> Snapshot:
    """The good host with some things changed: mostly harmless ones, sometimes anything."""
    pifs, networks = dict(_BASE.pifs), dict(_BASE.networks)
    pifs.pop(draw(_LEFT_OUT), None)
    for ref, (name, value) in draw(_PIF_CHANGES) + draw(_WILD_CHANGES):
        if ref in pifs:
            pifs[ref] = dataclasses.replace(pifs[ref], **{name: value})
    for ref, (name, value) in draw(_OF_NETWORKS):
        network = Ref(f"net-{ref}")
        if network in networks:
            networks[network] = dataclasses.replace(networks[network], **{name: value})
    bond = dataclasses.replace(_BASE.bonds[Ref("bond")], **dict(draw(_BOND_CHANGES)))
    snapshot = dataclasses.replace(
        _BASE,
        source=draw(st.sampled_from(["xapi", "/var/xapi/network.dbcache"])),
        pifs=pifs,
        networks=networks,
        bonds={bond.ref: bond},
        pool=draw(_POOLS),
    )
    # desired/ takes a snapshot without circles: the sources see to that
    return check_references(snapshot)


_LEFT_OUT = st.sampled_from([*[Ref("none")] * 5, Ref("eth0"), Ref("eth1"), Ref("bond0")])
_BOND_CHANGES = st.lists(
    st.tuples(st.just("mode"), _TEXT)
    | st.tuples(st.just("properties"), st.dictionaries(st.sampled_from(_KEYS), _TEXT, max_size=3))
    | st.tuples(st.just("members"), st.lists(_ANY_PIF, max_size=3, unique=True).map(tuple)),
    max_size=1,
)
_POOLS = st.none() | st.builds(
    Pool, ref=st.just(Ref("pool")), igmp_snooping_enabled=st.booleans(), other_config=_OTHER_CONFIG
)
_HOSTS = st.builds(
    HostFacts,
    management_bridge=st.sampled_from(_BRIDGES),
    current_interfaces=st.lists(st.sampled_from(_BRIDGES), max_size=3).map(tuple),
    first_boot=st.booleans(),
    hostname=_TEXT,
    sysconfig_network=st.sampled_from(["", "GATEWAYDEV=br-eth0\nGATEWAYDEV=br1\n", "DNSDEV='br-bond0'"])
    | st.text(max_size=30),
    present_bridges=st.none() | st.frozensets(st.sampled_from(_BRIDGES), max_size=3),
    root_macs=st.frozensets(st.sampled_from(["00:16:3e:00:00:01"])),
    ipv6_available=st.booleans(),
)
_OPTIONS = st.builds(BuildOptions, ip_backend=st.sampled_from(["ifcfg", "netlink"]))
_REQUESTS = st.builds(
    Request,
    action=st.sampled_from(["up", "down"]),
    pif=_ANY_PIF,
    becoming_management=st.booleans(),
    origin=st.sampled_from(["session", "pif-uuid", "force"]),
    even_if_in_use=st.booleans(),
)


def _desired(snapshot: Snapshot, request: Request, host: HostFacts, options: BuildOptions) -> Desired | str:
    try:
        return build_desired(snapshot, request, host, options)
    except (InputError, InUseError) as error:
        return str(error)


@given(_snapshots(), _REQUESTS, _HOSTS, _OPTIONS)
def test_any_records_give_a_desired_state_or_one_sentence(
    snapshot: Snapshot, request: Request, host: HostFacts, options: BuildOptions
) -> None:
    """Never another exception; the same again for the same records in another order."""
    first = _desired(snapshot, request, host, options)
    if isinstance(first, str):
        event("refused")
        assert first.isprintable()
        assert first
    assert _desired(_reversed(snapshot), request, host, options) == first


@given(_snapshots(), _HOSTS, _OPTIONS)
def test_a_boot_always_has_a_desired_state(snapshot: Snapshot, host: HostFacts, options: BuildOptions) -> None:
    """What cannot come up is left out, whatever it is."""
    boot = build_boot_desired(snapshot, host, options)
    again = build_boot_desired(_reversed(snapshot), host, options)
    assert (again.desired, again.members, again.left_out) == (boot.desired, boot.members, boot.left_out)
    _check_consistent(boot.desired)
    for member in boot.members:
        _check_consistent(boot.part(member))


@given(_snapshots(), _REQUESTS, _HOSTS, _OPTIONS)
def test_a_desired_state_is_consistent(
    snapshot: Snapshot, request: Request, host: HostFacts, options: BuildOptions
) -> None:
    """Nothing is wanted and unwanted at once; NIC >= VLAN >= IP device; it survives the journal's JSON."""
    desired = _desired(snapshot, request, host, options)
    if isinstance(desired, Desired):
        _check_consistent(desired)
        assert from_json(Desired, to_json(desired)) == desired


@given(
    _snapshots(),
    st.dictionaries(st.sampled_from([*_BRIDGES, "br-eth0", "br-eth0.5", "br-bond0"]), st.none() | st.just("br-eth0")),
)
def test_rewrite_and_resolving_are_total(snapshot: Snapshot, parents: dict[str, str | None]) -> None:
    """Both skip what they cannot use; rewrite wants no bridge that is not there."""
    desired = build_rewrite_desired(snapshot, parents)
    assert set(desired.topology.bridges) <= {*parents, *(parent for parent in parents.values() if parent)}
    assert all(new and new != old for old, new in build_aliases(snapshot).items())


@given(_snapshots(), st.sampled_from(["up", "down"]), _HOSTS, _OPTIONS)
def test_internal_networks_are_total(snapshot: Snapshot, action: str, host: HostFacts, options: BuildOptions) -> None:
    """A desired state or one sentence."""
    for ref in (*snapshot.networks, Ref("gone")):
        try:
            _check_consistent(build_internal_desired(snapshot, ref, action, host, options))
        except InputError:
            event("refused")


@given(_OTHER_CONFIG, _OTHER_CONFIG, _OTHER_CONFIG, st.sampled_from(["ifcfg", "netlink"]))
def test_no_other_config_is_ever_an_error(
    pif: dict[str, str], network: dict[str, str], pool: dict[str, str], backend: str
) -> None:
    """A good record stays usable whatever stands in the free-form maps."""
    bond, members = Ref("bond"), (Ref("m0"), Ref("m1"))
    fields = {"ip_mode": "Static", "ip": "192.0.2.10", "netmask": "255.255.255.0", "gateway": "192.0.2.1"}
    pifs = [Pif(ref=ref, uuid=ref, device=f"eth{n}", network=ref, member_of=bond, other_config=pif)
            for n, ref in enumerate(members)]  # fmt: skip
    top = Pif(ref=Ref("top"), uuid="top", device="bond0", network=Ref("top"), bond=bond, other_config=pif, **fields)
    snapshot = Snapshot(
        source="xapi",
        pifs={one.ref: one for one in (*pifs, top)},
        networks={
            ref: Network(ref=ref, uuid=ref, bridge=f"br{ref}", other_config=network) for ref in (*members, top.ref)
        },
        bonds={bond: Bond(ref=bond, uuid="bond", pif=top.ref, members=members)},
        pool=Pool(ref=Ref("pool"), other_config=pool),
    )
    options = BuildOptions(ip_backend=backend)
    desired = build_desired(snapshot, Request(action="up", pif=top.ref), HostFacts(), options)
    assert set(desired.topology.bridges["brtop"].ports) == {"brtop", "bond0"}
    for text in desired.topology.files.values():
        assert "$(" not in (text or "")


def _reversed(snapshot: Snapshot) -> Snapshot:
    """The same records in another order."""
    maps = {}
    for name in ("pifs", "networks", "bonds", "vlans", "tunnels", "sriovs"):
        maps[name] = dict(reversed(getattr(snapshot, name).items()))
    return dataclasses.replace(snapshot, **maps)


def _check_consistent(desired: Desired) -> None:
    topology = desired.topology
    wanted = {
        ObjectKind.BRIDGE: set(topology.bridges),
        ObjectKind.PORT: {name for bridge in topology.bridges.values() for name in bridge.ports},
        ObjectKind.IP_DEVICE: set(topology.ip_devices),
        ObjectKind.LINK: set(topology.links),
    }
    assert not [key for key in topology.absent if key.name in wanted[key.kind]]
    assert desired.moves.keys() <= {key.name for key in topology.absent if key.kind is ObjectKind.BRIDGE}
    for bridge in topology.bridges.values():
        assert bridge.name in bridge.ports
        _check_mtu(desired, bridge)
    _check_one_place(list(topology.bridges.values()))


def _check_mtu(desired: Desired, bridge: Bridge) -> None:
    """A carrier that is spoken about is as wide as the VLANs on it."""
    widths = [
        interface.mtu_request
        for port in bridge.ports.values()
        if port.fake_bridge is not True and port.name != bridge.name
        for interface in port.interfaces.values()
    ]
    vlans = [port.interfaces[port.name].mtu_request for port in bridge.ports.values() if port.fake_bridge is True]
    if widths and KEEP not in widths:
        assert all(vlan is KEEP or vlan <= min(widths) for vlan in vlans)
    for name, link in desired.topology.links.items():
        if name in bridge.ports and name != bridge.name and name in bridge.ports[name].interfaces:
            assert link.mtu == bridge.ports[name].interfaces[name].mtu_request


def _check_one_place(bridges: list[Bridge]) -> None:
    """No interface in two ports."""
    names = [name for bridge in bridges for port in bridge.ports.values() for name in port.interfaces]
    assert len(names) == len(set(names))
