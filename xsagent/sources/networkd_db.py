"""xcp-networkd's database (JSON) to a Snapshot: how the host was configured before it was ours.

Read by `boot` when there is no cache. The database knows bridges and interfaces, not XAPI's records, so references
and uuids are made from names; only networks' uuids are in it. Nothing is written back, and the file stays.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from xsagent.config import Paths
from xsagent.errors import CacheError, InputError
from xsagent.model.records import UNTAGGED, Bond, Network, Pif, Pool, Ref, Vlan
from xsagent.model.references import check_references
from xsagent.model.snapshot import Snapshot
from xsagent.model.values import parse_device_name, shown
from xsagent.sources.host_files import read_inventory, read_mac
from xsagent.sources.networkd_records import build_ip_fields, build_network, make_ref, read_texts
from xsagent.sources.networkd_values import (
    InterfaceValues,
    read_integer,
    read_interface,
    read_list,
    read_octets,
    read_optional_text,
    read_pairs,
    read_text_value,
)

_MAX_BYTES: Final = 4 << 20
_PAIR: Final = 2


def read_networkd_db(paths: Paths) -> Snapshot:
    """The Snapshot that the database describes; never `complete`.

    Raises:
        CacheError: it is missing, unreadable, no such database, or knows no bridge.
    """
    path = paths.networkd_db
    try:
        text = _read(path)
        inventory = read_inventory(paths)
        return parse_networkd_db(text, str(path), inventory.management_interface, lambda nic: read_mac(paths, nic))
    except OSError as error:
        raise CacheError(f"{path} cannot be read: {error.strerror}") from error
    except InputError as error:
        raise CacheError(f"{path} cannot be used: {error}") from error


def _read(path: Path) -> str:
    with path.open("rb") as stream:
        data = stream.read(_MAX_BYTES + 1)
    if len(data) > _MAX_BYTES:
        raise InputError(f"it is larger than {_MAX_BYTES} bytes")
    return data.decode("latin-1")


def parse_networkd_db(text: str, source: str, management_bridge: str, mac_of: Callable[[str], str]) -> Snapshot:
    """The Snapshot in the database's text (decoded as Latin-1).

    Args:
        text: one JSON object.
        source: Snapshot.source.
        management_bridge: MANAGEMENT_INTERFACE; the gateway's interface where that is empty or unknown.
        mac_of: the MAC that a NIC has now, empty when it is absent; asked where the database knows none.

    Raises:
        InputError: it is no such database, or knows no bridge.
    """
    try:
        database = read_pairs(json.loads(text, strict=False))
    except (ValueError, RecursionError) as error:
        raise InputError("it is not JSON") from error
    reader = _Reader(database, mac_of)
    if not reader.bridges:
        raise InputError("it knows no bridge")
    if management_bridge not in reader.bridges:
        management_bridge = reader.gateway_bridge
    reader.read_bridges(management_bridge)
    return check_references(reader.snapshot(source))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Port:
    """What a bridge's port says of the PIF: its device, and members and properties when it is a bond."""

    device: str
    mac: str
    members: tuple[str, ...] = ()
    properties: Mapping[str, str] = field(default_factory=dict)


class _Reader:
    """Builds records bridge by bridge; a bridge that cannot be understood is left out with a warning."""

    def __init__(self, database: Mapping[str, object], mac_of: Callable[[str], str]) -> None:
        self.bridges = read_pairs(database.get("bridge_config") or {})
        self._interfaces = read_pairs(database.get("interface_config") or {})
        self.gateway_bridge = read_optional_text(database.get("gateway_interface"))
        self._dns_bridge = read_optional_text(database.get("dns_interface"))
        self._known_macs = _ordered_macs(database.get("interface_order"))
        self._mac_of = mac_of
        self._pifs: dict[Ref, Pif] = {}
        self._networks: dict[Ref, Network] = {}
        self._bonds: dict[Ref, Bond] = {}
        self._vlans: dict[Ref, Vlan] = {}
        self._igmp_snooping = False
        self._warnings: list[str] = []

    def read_bridges(self, management_bridge: str) -> None:
        """Bridges on NICs and bonds first, so that VLANs find their carriers."""
        by_vlan = sorted(self.bridges.items(), key=lambda item: _has_vlan(item[1]))
        for name, value in by_vlan:
            try:
                config = read_pairs(value)
                self._read_bridge(parse_device_name(name), config, management=name == management_bridge)
            except InputError as error:
                self._warnings.append(f"bridge {shown(name)} was left out: {error}")

    def _read_bridge(self, name: str, config: Mapping[str, object], *, management: bool) -> None:
        interface = read_interface(self._interfaces.get(name, {}))
        other_config = read_texts(config.get("other_config"))
        vlan = config.get("vlan")
        port = None if vlan else self._port(config)
        tag, carrier = self._carrier(vlan) if vlan else (UNTAGGED, None)
        device = carrier.device if carrier else port.device if port else ""
        self._igmp_snooping |= config.get("igmp_snooping") in (True, [True])
        pif = self._pif(name, device, tag, interface, management=management) if device else None
        self._networks[make_ref("network", name)] = build_network(name, other_config, interface, pif)
        if pif is None:
            return
        if port:
            pif = self._on_port(pif, port)
        if carrier:
            pif = self._on_carrier(pif, carrier)
        self._pifs[pif.ref] = pif

    def _port(self, config: Mapping[str, object]) -> _Port | None:
        """The port that goes out; None on an internal network. Ports of the PVS proxy are not it."""
        for name, value in read_pairs(config.get("ports") or {}).items():
            fields = read_pairs(value)
            members = tuple(
                parse_device_name(read_text_value(item)) for item in read_list(fields.get("interfaces", []))
            )
            if not members or read_optional_text(fields.get("kind")) not in {"", "Basic_port"}:
                continue
            mac = read_optional_text(fields.get("bond_mac")) or read_optional_text(config.get("bridge_mac"))
            if len(members) == 1:
                return _Port(device=members[0], mac=self._mac(members[0]) or mac)
            properties = read_texts(fields.get("bond_properties"))
            return _Port(device=parse_device_name(name), mac=mac, members=members, properties=properties)
        return None

    def _mac(self, device: str) -> str:
        return self._known_macs.get(device) or self._mac_of(device)

    def _carrier(self, vlan: object) -> tuple[int, Pif]:
        pair = read_list(vlan)
        if len(pair) == 1:
            pair = read_list(pair[0])
        if len(pair) != _PAIR:
            raise InputError(f"{shown(str(vlan))} is not a pair of carrier and tag")
        parent = read_text_value(pair[0])
        carriers = [pif for pif in self._pifs.values() if pif.network == make_ref("network", parent)]
        if not carriers:
            raise InputError(f"its carrier {shown(parent)} is not a bridge on a NIC or bond")
        return read_integer(pair[1]), carriers[0]

    def _pif(self, name: str, device: str, tag: int, interface: InterfaceValues, *, management: bool) -> Pif:
        uuid = f"{device}Pif" if tag == UNTAGGED else f"{device}.{tag}Pif"
        return Pif(
            ref=make_ref("pif", uuid),
            uuid=uuid,
            device=device,
            network=make_ref("network", name),
            vlan=tag,
            physical=tag == UNTAGGED,
            management=management,
            currently_attached=True,
            other_config=self._pif_keys(name, device, tag, interface, management=management),
            **build_ip_fields(interface),
        )

    def _pif_keys(
        self, name: str, device: str, tag: int, interface: InterfaceValues, *, management: bool
    ) -> dict[str, str]:
        keys = {"domain": ",".join(interface.domains)} if interface.domains else {}
        if tag == UNTAGGED:
            keys |= read_interface(self._interfaces.get(device, {})).ethtool
        if name == self.gateway_bridge and not management:
            keys["defaultroute"] = "true"
        if name == self._dns_bridge and not management:
            keys["peerdns"] = "true"
        return keys

    def _on_port(self, pif: Pif, port: _Port) -> Pif:
        if not port.members:
            return dataclasses.replace(pif, mac=port.mac)
        bond = make_ref("bond", port.device)
        members = [self._member(member, bond) for member in port.members]
        self._pifs.update({member.ref: member for member in members})
        properties = {key: text for key, text in port.properties.items() if key != "mode"}
        self._bonds[bond] = Bond(
            ref=bond,
            uuid=f"{port.device}Bond",
            pif=pif.ref,
            members=tuple(member.ref for member in members),
            primary_member=members[0].ref,
            mode=port.properties.get("mode", ""),
            properties=properties,
        )
        return dataclasses.replace(pif, mac=port.mac or members[0].mac, physical=False, bond=bond)

    def _member(self, device: str, bond: Ref) -> Pif:
        uuid = f"{device}Pif"
        keys = dict(read_interface(self._interfaces.get(device, {})).ethtool)
        return Pif(
            ref=make_ref("pif", uuid),
            uuid=uuid,
            device=device,
            network=None,
            mac=self._mac(device),
            physical=True,
            member_of=bond,
            other_config=keys,
        )

    def _on_carrier(self, pif: Pif, carrier: Pif) -> Pif:
        vlan = make_ref("vlan", pif.uuid)
        self._vlans[vlan] = Vlan(ref=vlan, uuid=f"{pif.uuid}Vlan", carrier=carrier.ref, pif=pif.ref, tag=pif.vlan)
        self._pifs[carrier.ref] = dataclasses.replace(carrier, vlans_on=(*carrier.vlans_on, vlan))
        return dataclasses.replace(pif, mac=carrier.mac, vlan_record=vlan)

    def snapshot(self, source: str) -> Snapshot:
        """Everything read so far."""
        return Snapshot(
            source=source,
            complete=False,
            pifs=self._pifs,
            networks=self._networks,
            bonds=self._bonds,
            vlans=self._vlans,
            pool=Pool(ref=make_ref("pool", "pool"), igmp_snooping_enabled=True) if self._igmp_snooping else None,
            warnings=tuple(self._warnings),
        )


def _has_vlan(value: object) -> bool:
    with contextlib.suppress(InputError):
        return bool(read_pairs(value).get("vlan"))
    return False


def _ordered_macs(value: object) -> dict[str, str]:
    """MACs of NICs by name, from interface_order; what cannot be understood there can be done without."""
    macs = {}
    for item in value if isinstance(value, list) else []:
        with contextlib.suppress(InputError):
            fields = read_pairs(item)
            macs[read_text_value(fields.get("name"))] = read_octets(fields.get("mac"))
    return macs
