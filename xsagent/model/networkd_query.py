"""A Snapshot and a name -> the lines that xcp-networkd's query tool prints for it. Pure.

Support scripts, xsconsole and bug reports ask `networkd_db` how a bridge is built and how an interface gets its
addresses (features.md section 22, Query tool). `cli/networkd_db.py` prints what comes from here.
"""

from __future__ import annotations

from xsagent.errors import NotFoundError
from xsagent.model.records import UNTAGGED, IpMode, Ipv6Mode, Pif
from xsagent.model.snapshot import Snapshot
from xsagent.model.values import parse_domains, parse_host_list

Line = tuple[str, str]
"""Key and value of one ``key=value`` line."""


def query_bridge(snapshot: Snapshot, bridge: str) -> tuple[Line, ...]:
    """How a bridge is built: its NICs with their MACs; of a VLAN bridge the tag and the carrier's bridge.

    Raises:
        NotFoundError: no network of this host's records has that bridge name.
        InputError: several do.
    """
    pif = snapshot.pif_for_bridge(bridge)
    nics = _nics(snapshot, pif)
    lines = (("interfaces", ",".join(nic.device for nic in nics)), ("hwaddrs", ",".join(nic.mac for nic in nics)))
    carrier = snapshot.carrier_of(pif)
    if carrier is None:
        return lines
    return (*lines, ("vlan", str(pif.vlan)), ("parent", snapshot.bridge_of(carrier)))


def query_interface(snapshot: Snapshot, device: str) -> tuple[Line, ...]:
    """How an IP device gets its addresses; a family that has none has no line.

    Args:
        device: the bridge's name, or the device's where the network is bridgeless.

    Raises:
        NotFoundError: no PIF of this host has that IP device.
        InputError: the PIF's list of name servers is none.
    """
    for pif in snapshot.pifs.values():
        if device in {snapshot.bridge_of(pif), _bridgeless_device(snapshot, pif)} - {""}:
            return (*_ipv4(pif), *_ipv6(pif))
    raise NotFoundError(f"no interface {device} is in the records of this host ({snapshot.source})")


def _nics(snapshot: Snapshot, pif: Pif) -> tuple[Pif, ...]:
    """The NICs that the bridge itself has as ports: none for a VLAN, a tunnel or an SR-IOV network."""
    bond = snapshot.bond_of(pif)
    if bond is not None:
        return snapshot.members_of(bond)
    return (pif,) if pif.physical and pif.vlan == UNTAGGED else ()


def _bridgeless_device(snapshot: Snapshot, pif: Pif) -> str:
    if snapshot.bridge_of(pif):
        return ""
    return pif.device if pif.vlan == UNTAGGED else f"{pif.device}.{pif.vlan}"


def _ipv4(pif: Pif) -> tuple[Line, ...]:
    if pif.ip_mode == IpMode.DHCP:
        return (("mode", "dhcp"),)
    if pif.ip_mode != IpMode.STATIC:
        return ()
    lines = [("mode", "static"), ("ipaddr", pif.ip), ("netmask", pif.netmask), ("gateway", pif.gateway)]
    lines.append(("dns", ",".join(str(server) for server in parse_host_list(pif.dns))))
    lines.append(("domain", ",".join(parse_domains(pif.other_config.get("domain", "")))))
    return tuple((key, value) for key, value in lines if value)


def _ipv6(pif: Pif) -> tuple[Line, ...]:
    words = {Ipv6Mode.DHCP: "dhcp", Ipv6Mode.AUTOCONF: "autoconf", Ipv6Mode.STATIC: "static"}
    word = next((word for mode, word in words.items() if pif.ipv6_mode == mode), None)
    if word is None:
        return ()
    if word != "static":
        return (("modev6", word),)
    gateway = (("gatewayv6", pif.ipv6_gateway),) if pif.ipv6_gateway else ()
    return (("modev6", word), *(("ipv6addr", address) for address in pif.ipv6), *gateway)
