"""XAPI records of one made-up host, for the functional tests: as the stand-in takes them, and as a legacy cache.

The cache is written here and not by `xsagent`, so that what the tests feed to the product was not made by it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree as ET

from xsagent.sandbox.root_prefix import record_ref, record_uuid
from xsagent.sandbox.spec import nic_mac
from xsagent.sandbox.xapi_pool import NULL, network_record, pif_record

Record = dict[str, Any]
_LISTS = {
    "bond_master_of": "slave",
    "VLAN_slave_of": "master",
    "tunnel_access_PIF_of": "pif",
    "tunnel_transport_PIF_of": "pif",
    "PIFs": "PIF",
    "slaves": "slave",
}
_CACHED = {
    "pif": [
        "uuid",
        "management",
        "network",
        "device",
        "bond_master_of",
        "bond_slave_of",
        "VLAN",
        "VLAN_master_of",
        "VLAN_slave_of",
        "tunnel_access_PIF_of",
        "tunnel_transport_PIF_of",
        "ip_configuration_mode",
        "IP",
        "netmask",
        "gateway",
        "DNS",
        "MAC",
        "other_config",
        "currently_attached",
    ],
    "bond": ["uuid", "master", "slaves"],
    "vlan": ["uuid", "tagged_PIF", "untagged_PIF"],
    "tunnel": ["uuid", "access_PIF", "transport_PIF"],
    "network": ["uuid", "bridge", "MTU", "PIFs", "other_config"],
    "pool": ["other_config"],
}
_CLASSES = {"pif": "PIF", "bond": "Bond", "vlan": "VLAN", "tunnel": "tunnel", "network": "network", "pool": "pool"}


class HostRecords:
    """The records of the sandbox's host; each method adds one object and returns its record, to be changed at will."""

    def __init__(self) -> None:
        self.classes: dict[str, dict[str, Record]] = {name: {} for name in (*_CLASSES.values(), "host")}
        self.host = record_ref("host")
        self.classes["host"][self.host] = {"uuid": record_uuid("host"), "name_label": "dom0", "other_config": {}}
        self.pool = self.classes["pool"][record_ref("pool")] = {
            "uuid": record_uuid("pool"),
            "name_label": "",
            "master": self.host,
            "vswitch_controller": "",
            "igmp_snooping_enabled": False,
            "ha_enabled": False,
            "other_config": {},
        }

    def network(self, bridge: str, name: str = "", **fields: Any) -> str:
        """A network with this bridge (empty: bridgeless; then `name` tells it from others); its reference."""
        name = name or bridge
        ref = record_ref(f"network {name}")
        if ref not in self.classes["network"]:
            record = network_record(name, bridge) | {"uuid": record_uuid(f"network {name}"), "PIFs": []}
            self.classes["network"][ref] = record | fields
        return ref

    def nic(self, device: str, bridge: str | None = None, **fields: Any) -> Record:
        """A physical PIF on its own network (bridge xenbrN by default, empty for bridgeless)."""
        bridge = f"xenbr{device.removeprefix('eth')}" if bridge is None else bridge
        mac = nic_mac(device) if device.startswith("eth") else "0c:c4:7a:00:00:99"
        return self._pif(f"pif {device}", device, bridge, MAC=mac, physical=True, **fields)

    def bond(self, device: str, members: list[str], bridge: str, mode: str = "balance-slb", **fields: Any) -> Record:
        """A bond over NICs that are there already; its Bond record is `bond_of(device)`."""
        pif = self._pif(f"pif {device}", device, bridge, MAC=nic_mac(members[0]), **fields)
        ref, master = record_ref(f"bond {device}"), record_ref(f"pif {device}")
        slaves = [record_ref(f"pif {member}") for member in members]
        pif["bond_master_of"] = [ref]
        for slave in slaves:
            self.classes["PIF"][slave] |= {"bond_slave_of": ref, "currently_attached": False}
        self.classes["Bond"][ref] = {
            "uuid": record_uuid(f"bond {device}"),
            "master": master,
            "slaves": slaves,
            "primary_slave": slaves[0],
            "mode": mode,
            "properties": {},
            "links_up": "0",
            "auto_update_mac": True,
            "other_config": {},
        }
        return pif

    def bond_of(self, device: str) -> Record:
        """The Bond record of a bond device."""
        return self.classes["Bond"][record_ref(f"bond {device}")]

    def vlan(self, carrier: str, tag: int, bridge: str, **fields: Any) -> Record:
        """A VLAN on a NIC or bond that is there already."""
        name = f"pif {carrier}.{tag}"
        pif = self._pif(name, carrier, bridge, VLAN=str(tag), VLAN_master_of=record_ref(f"vlan {name}"), **fields)
        below = record_ref(f"pif {carrier}")
        pif["MAC"] = self.classes["PIF"][below]["MAC"]
        self.classes["VLAN"][record_ref(f"vlan {name}")] = {
            "uuid": record_uuid(f"vlan {name}"),
            "tagged_PIF": below,
            "untagged_PIF": record_ref(name),
            "tag": str(tag),
            "other_config": {},
        }
        self.classes["PIF"][below]["VLAN_slave_of"].append(record_ref(f"vlan {name}"))
        return pif

    def tunnel(self, device: str, transport: str, bridge: str, **fields: Any) -> Record:
        """A tunnel access PIF over a NIC or bond that is there already."""
        pif = self._pif(f"pif {device}", device, bridge, MAC="0e:11:22:33:44:55", **fields)
        ref, below = record_ref(f"tunnel {device}"), record_ref(f"pif {transport}")
        pif["tunnel_access_PIF_of"] = [ref]
        self.classes["PIF"][below]["tunnel_transport_PIF_of"].append(ref)
        self.classes["tunnel"][ref] = {
            "uuid": record_uuid(f"tunnel {device}"),
            "access_PIF": record_ref(f"pif {device}"),
            "transport_PIF": below,
            "protocol": "gre",
            "status": {},
            "other_config": {},
        }
        return pif

    def sriov(self, physical: str) -> Record:
        """The logical PIF of SR-IOV on a NIC that is there already, on a network of its own."""
        name, ref = f"pif {physical} sriov", record_ref(f"sriov {physical}")
        pif = self._pif(name, physical, "", MAC="fe:ff:ff:ff:ff:ff", sriov_logical_PIF_of=[ref])
        self.classes["PIF"][record_ref(f"pif {physical}")]["sriov_physical_PIF_of"].append(ref)
        self.classes.setdefault("network_sriov", {})[ref] = {
            "uuid": record_uuid(f"sriov {physical}"),
            "physical_PIF": record_ref(f"pif {physical}"),
            "logical_PIF": record_ref(name),
            "requires_reboot": False,
            "configuration_mode": "sysfs",
        }
        return pif

    def network_of(self, pif: Record) -> Record:
        """A PIF's network record."""
        return self.classes["network"][pif["network"]]

    def as_xapi(self) -> dict[str, dict[str, Record]]:
        """An independent copy in the stand-in's form."""
        return copy.deepcopy(self.classes)

    def as_dbcache(self) -> str:
        """The records as the legacy scripts write network.dbcache."""
        tree = ET.Element("xenserver-network-configuration")
        for element, name in _CLASSES.items():
            for ref, record in self.classes[name].items():
                self._add(ET.SubElement(tree, element, ref=ref), record, _CACHED[element])
        ET.indent(tree, "\t")
        return '<?xml version="1.0" ?>\n' + ET.tostring(tree, encoding="unicode") + "\n"

    def _pif(self, name: str, device: str, bridge: str, **fields: Any) -> Record:
        network = self.network(bridge, name="" if bridge else f"bridgeless {name}")
        record = pif_record(record_uuid(name), device, network, self.host)
        self.classes["PIF"][record_ref(name)] = record | {"currently_attached": False, "IPv6": []} | fields
        self.classes["network"][network]["PIFs"].append(record_ref(name))
        return self.classes["PIF"][record_ref(name)]

    def _add(self, parent: ET.Element, record: Record, fields: list[str]) -> None:
        for field in fields:
            child, value = ET.SubElement(parent, field), record.get(field, "")
            for name, text in self._children(field, value):
                ET.SubElement(child, name).text = text
            if not isinstance(value, list | dict):
                child.text = str(value)

    def _children(self, field: str, value: Any) -> Iterator[tuple[str, str]]:
        if isinstance(value, list):
            yield from ((_LISTS[field], item) for item in value)
        elif isinstance(value, dict):
            yield from value.items()


def static(address: str, gateway: str = "192.0.2.1", netmask: str = "255.255.255.0", dns: str = "") -> Record:
    """Fields of a static IPv4 configuration."""
    return {"ip_configuration_mode": "Static", "IP": address, "netmask": netmask, "gateway": gateway, "DNS": dns}


DHCP: Record = {"ip_configuration_mode": "DHCP"}

__all__ = ["DHCP", "NULL", "HostRecords", "Record", "static"]
