"""Tunnels of the switch and of XAPI -> what the firewall must let in for them (features.md section 21). Pure.

GRE is let in from Open vSwitch's start on, as the original start script does (INSTALL.XenServer); every other tunnel
only while there is one. `plan/firewall.py` compares the result with the host's chains.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

from xsagent.model.snapshot import Snapshot
from xsagent.topology.firewall import FirewallRule, Protocol, TunnelPort

_GRE: Final = FirewallRule("gre")
_OVER_GRE: Final = frozenset({"gre", "ip6gre", "erspan", "ip6erspan", "gre64", "ipsec_gre", "ipsec_gre64"})
_PORTS: Final[Mapping[str, tuple[Protocol, int]]] = {
    "vxlan": ("udp", 4789),
    "geneve": ("udp", 6081),
    "lisp": ("udp", 4341),
    "gtpu": ("udp", 2152),
    "bareudp": ("udp", 0),
    "stt": ("tcp", 7471),
}
"""Each kind of tunnel that has a port: with the one that Open vSwitch takes where options:dst_port names none."""
TUNNEL_TYPES: Final = frozenset({*_PORTS, *_OVER_GRE})
"""Types of Interface that are tunnels."""
_IPSEC: Final = (FirewallRule("udp", 500), FirewallRule("udp", 4500), FirewallRule("esp"))
"""IKE, IKE behind NAT, and the packets themselves."""
_IPSEC_KEYS: Final = frozenset({"psk", "remote_cert", "remote_name", "use_ssl_cert", "certificate", "peer_cert"})
"""Options by which ovs-monitor-ipsec takes a tunnel for one of its own (openvswitch-ipsec's documentation)."""
_HIGHEST_PORT: Final = 65535
_NUMBER: Final = re.compile(r"[0-9]{1,5}", re.ASCII)


def build_firewall_rules(
    ports: Iterable[TunnelPort], records: Iterable[str], *, vxlan_port: int
) -> frozenset[FirewallRule]:
    """What the firewall must let in.

    Args:
        ports: the switch's tunnel ports, whoever added them.
        records: protocols of XAPI's tunnels that are attached; an SDN controller may add their ports any moment.
        vxlan_port: of a VXLAN tunnel that names no port (key vxlan_port).
    """
    rules = {_GRE}
    for port in ports:
        rules.update(_rules_of(port.type, port.options, vxlan_port))
    for protocol in records:
        rules.update(_rules_of(protocol, {}, vxlan_port))
    return frozenset(rules)


def attached_tunnels(snapshot: Snapshot, bridges: Collection[str]) -> frozenset[str]:
    """Protocols of the tunnels whose access PIF is attached.

    Args:
        bridges: those that the switch has. They decide: a record is as old as the cache, and XAPI's says that a PIF
            is attached only after we said so.
    """
    found = set()
    for tunnel in snapshot.tunnels.values():
        access = snapshot.pifs.get(tunnel.access_pif)
        network = snapshot.networks.get(access.network) if access and access.network else None
        if network is not None and network.bridge in bridges:
            found.add(tunnel.protocol)
    return frozenset(found)


def _rules_of(kind: str, options: Mapping[str, str], vxlan_port: int) -> Iterator[FirewallRule]:
    if kind.startswith("ipsec_") or options.keys() & _IPSEC_KEYS:
        yield from _IPSEC
    if kind in _PORTS:
        protocol, default = _PORTS[kind]
        port = _port(options.get("dst_port", ""), vxlan_port if kind == "vxlan" else default)
        if port:
            yield FirewallRule(protocol, port)


def _port(text: str, default: int) -> int:
    """The port that an option names; Open vSwitch ignores what is no port."""
    is_port = _NUMBER.fullmatch(text) and 0 < int(text) <= _HIGHEST_PORT
    return int(text) if is_port else default


def is_tunnel(kind: str) -> bool:
    """Whether an Interface of this type is a tunnel."""
    return kind in TUNNEL_TYPES
