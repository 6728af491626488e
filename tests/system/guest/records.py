"""PIFs of a dom0 -> network.dbcache in the legacy layout (features.md section 22), by no code of the product."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree as ET

_NULL = "OpaqueRef:NULL"
_NAMESPACE = uuid.UUID("0bd0a8a4-9d0f-4f0e-8d0c-5d1f2a3b4c5d")
_NET = Path("/sys/class/net")


@dataclass(frozen=True, kw_only=True)
class Pif:
    """A PIF and its network.

    Attributes:
        device: NIC or bond; for a VLAN the device of its carrier.
        bridge: of its network; empty for a bridgeless one.
        vlan: tag; -1 for none.
        members: devices, for a bond.
        ip: address with prefix length, ``dhcp``, or empty.
        mtu: of the network.
    """

    device: str
    bridge: str
    vlan: int = -1
    members: tuple[str, ...] = ()
    ip: str = ""
    gateway: str = ""
    management: bool = False
    mtu: int = 1500
    other_config: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The PIF's name here: the device, with the tag behind it."""
        return self.device if self.vlan < 0 else f"{self.device}.{self.vlan}"

    @property
    def uuid(self) -> str:
        """PIF.uuid."""
        return record_uuid(f"pif {self.name}")


def record_uuid(name: str) -> str:
    """The uuid of a record, always the same."""
    return str(uuid.uuid5(_NAMESPACE, name))


def _ref(name: str) -> str:
    return f"OpaqueRef:{uuid.uuid5(_NAMESPACE, 'ref ' + name)}"


def mac_of(device: str) -> str:
    """A NIC's hardware address."""
    return (_NET / device / "address").read_text(encoding="ascii").strip()


def write_cache(pifs: Sequence[Pif], path: Path = Path("/var/xapi/network.dbcache")) -> None:
    """Write the cache of a host that has these PIFs, and the inventory that names its management interface."""
    tree = ET.Element("xenserver-network-configuration")
    for pif in pifs:
        _add_pif(tree, pif, pifs)
    for pif in pifs:
        _add_relations(tree, pif)
    for pif in pifs:
        network = ET.SubElement(tree, "network", ref=_ref(f"network {pif.name}"))
        _add_texts(network, uuid=record_uuid(f"network {pif.name}"), bridge=pif.bridge, MTU=str(pif.mtu))
        _add_refs(network, "PIFs", "PIF", [f"pif {pif.name}"])
        ET.SubElement(network, "other_config")
    ET.SubElement(ET.SubElement(tree, "pool", ref=_ref("pool")), "other_config")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('<?xml version="1.0" ?>\n' + ET.tostring(tree, encoding="unicode"), encoding="utf-8")
    _write_host_files([pif.bridge for pif in pifs if pif.management])


def _write_host_files(management: Sequence[str]) -> None:
    inventory = {"INSTALLATION_UUID": record_uuid("host"), "MANAGEMENT_INTERFACE": "".join(management)}
    lines = "".join(f"{key}='{value}'\n" for key, value in inventory.items())
    Path("/etc/xensource-inventory").write_text(lines, encoding="ascii")
    Path("/etc/xensource").mkdir(exist_ok=True)
    Path("/etc/xensource/network.conf").write_text("openvswitch\n", encoding="ascii")


def _add_pif(tree: ET.Element, pif: Pif, pifs: Sequence[Pif]) -> None:
    record = ET.SubElement(tree, "pif", ref=_ref(f"pif {pif.name}"))
    bond = next((other.device for other in pifs if pif.vlan < 0 and pif.device in other.members), "")
    _add_texts(
        record,
        uuid=pif.uuid,
        management=str(pif.management),
        network=_ref(f"network {pif.name}"),
        device=pif.device,
        bond_slave_of=_ref(f"bond {bond}") if bond else _NULL,
        VLAN=str(pif.vlan),
        VLAN_master_of=_ref(f"vlan {pif.name}") if pif.vlan >= 0 else _NULL,
        MAC=mac_of(_first_nic(pif, pifs)),
        currently_attached="False",
        **_address_fields(pif),
    )
    vlans = [other for other in pifs if pif.vlan < 0 <= other.vlan and other.device == pif.device]
    _add_refs(record, "bond_master_of", "slave", [f"bond {pif.device}"] if pif.members else [])
    _add_refs(record, "VLAN_slave_of", "master", [f"vlan {vlan.name}" for vlan in vlans])
    _add_refs(record, "tunnel_access_PIF_of", "pif", [])
    _add_refs(record, "tunnel_transport_PIF_of", "pif", [])
    config = ET.SubElement(record, "other_config")
    _add_texts(config, **pif.other_config)


def _first_nic(pif: Pif, pifs: Sequence[Pif]) -> str:
    """The NIC whose address the PIF has: a bond's is that of its first member."""
    members = [other.members for other in pifs if other.members and other.device == pif.device]
    return members[0][0] if members else pif.device


def _address_fields(pif: Pif) -> dict[str, str]:
    if pif.ip in {"", "dhcp"}:
        empty = dict.fromkeys(("IP", "netmask", "gateway", "DNS"), "")
        return {"ip_configuration_mode": "DHCP" if pif.ip else "None", **empty}
    address, length = pif.ip.split("/")
    mask = (0xFFFFFFFF << (32 - int(length))) & 0xFFFFFFFF
    netmask = ".".join(str(octet) for octet in mask.to_bytes(4, "big"))
    return {
        "ip_configuration_mode": "Static",
        "IP": address,
        "netmask": netmask,
        "gateway": pif.gateway,
        "DNS": pif.gateway,
    }


def _add_relations(tree: ET.Element, pif: Pif) -> None:
    """The records of a bond or a VLAN."""
    if pif.vlan >= 0:
        vlan = ET.SubElement(tree, "vlan", ref=_ref(f"vlan {pif.name}"))
        _add_texts(
            vlan,
            uuid=record_uuid(f"vlan {pif.name}"),
            tagged_PIF=_ref(f"pif {pif.device}"),
            untagged_PIF=_ref(f"pif {pif.name}"),
        )
    elif pif.members:
        bond = ET.SubElement(tree, "bond", ref=_ref(f"bond {pif.device}"))
        _add_texts(bond, uuid=record_uuid(f"bond {pif.device}"), master=_ref(f"pif {pif.device}"))
        _add_refs(bond, "slaves", "slave", [f"pif {member}" for member in pif.members])


def _add_texts(record: ET.Element, **texts: str) -> None:
    for name, text in texts.items():
        ET.SubElement(record, name).text = text


def _add_refs(record: ET.Element, name: str, item: str, targets: Sequence[str]) -> None:
    parent = ET.SubElement(record, name)
    for target in targets:
        ET.SubElement(parent, item).text = _ref(target)
