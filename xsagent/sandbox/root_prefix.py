"""SandboxSpec -> the files of a dom0 below a root prefix, as the host installer and XAPI leave them.

Writes files only; runs before any process of the sandbox does. The cache is rendered here and not by `sources`,
so that what the tests feed to the product was not written by the product.
"""

from __future__ import annotations

import ipaddress
import uuid
from pathlib import Path
from xml.etree import ElementTree as ET

from xsagent.sandbox.spec import SandboxSpec, Segment, nic_mac

NULL = "OpaqueRef:NULL"
_NAMESPACE = uuid.UUID("5b3c3a5e-6a0f-4d7e-9a51-6d1e0d2a7f10")
_DIRECTORIES = (
    "etc/sysconfig/network-scripts",
    "etc/xensource",
    "etc/xsagent",
    "proc",
    "run/netns",
    "run/openvswitch",
    "sys",
    "var/lib/dhcp",
    "var/lib/xcp",
    "var/lib/xsagent",
    "var/xapi",
)


def record_uuid(name: str) -> str:
    """The uuid that record `name` (``pif eth0``, ``network xenbr0``, ``host``, ``pool``) has in every sandbox."""
    return str(uuid.uuid5(_NAMESPACE, name))


def record_ref(name: str) -> str:
    """The opaque reference of record `name`."""
    return f"OpaqueRef:{uuid.uuid5(_NAMESPACE, 'ref ' + name)}"


def bridge_name(nic: str) -> str:
    """Bridge of the network that XAPI makes for a NIC: xenbr0 for eth0."""
    return f"xenbr{nic.removeprefix('eth')}"


def write_root_prefix(root: Path, spec: SandboxSpec) -> None:
    """Write all files of the dom0 below `root`, which exists and is empty."""
    for directory in _DIRECTORIES:
        (root / directory).mkdir(parents=True)
    (root / "var/run").symlink_to("../run")
    for path, text in (_default_files(spec) | dict(spec.files)).items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")


def _default_files(spec: SandboxSpec) -> dict[str, str]:
    """Text by path below the root prefix."""
    files = {
        "etc/xensource-inventory": _render_inventory(spec),
        "etc/xensource/network.conf": "openvswitch\n",
        "etc/resolv.conf": "",
    }
    cache = render_dbcache(spec) if spec.dbcache is None else spec.dbcache
    if cache:
        files["var/xapi/network.dbcache"] = cache
    return files


def _render_inventory(spec: SandboxSpec) -> str:
    """etc/xensource-inventory (wire.md section 6): shell assignments with single quotes."""
    values = {
        "PRIMARY_DISK": "/dev/sda",
        "PRODUCT_BRAND": "XCP-ng",
        "PRODUCT_NAME": "xenenterprise",
        "PRODUCT_VERSION": "9.0.0",
        "PLATFORM_VERSION": "4.0.0",
        "INSTALLATION_UUID": record_uuid("host"),
        "CONTROL_DOMAIN_UUID": record_uuid("control domain"),
        "MANAGEMENT_INTERFACE": bridge_name(spec.nics[0]),
        "MANAGEMENT_ADDRESS_TYPE": "IPv4",
        "CURRENT_INTERFACES": bridge_name(spec.nics[0]),
    }
    return "".join(f"{key}='{value}'\n" for key, value in values.items())


def render_dbcache(spec: SandboxSpec) -> str:
    """network.dbcache (features.md section 22): a PIF and a network for each NIC, and the pool."""
    tree = ET.Element("xenserver-network-configuration")
    for nic in spec.nics:
        _add_pif(tree, nic, spec.segments[0] if nic == spec.nics[0] else None, spec.management_address)
    for nic in spec.nics:
        _add_network(tree, nic)
    ET.SubElement(ET.SubElement(tree, "pool", ref=record_ref("pool")), "other_config")
    ET.indent(tree, "\t")
    return '<?xml version="1.0" ?>\n' + ET.tostring(tree, encoding="unicode") + "\n"


def _add_pif(tree: ET.Element, nic: str, management: Segment | None, address: str) -> None:
    """A physical PIF; `management` is the segment of the management PIF, None for every other PIF."""
    record = ET.SubElement(tree, "pif", ref=record_ref(f"pif {nic}"))
    fields = {
        "uuid": record_uuid(f"pif {nic}"),
        "management": str(management is not None),
        "network": record_ref(f"network {bridge_name(nic)}"),
        "device": nic,
        "bond_master_of": "",
        "bond_slave_of": NULL,
        "VLAN": "-1",
        "VLAN_master_of": NULL,
        "VLAN_slave_of": "",
        "tunnel_access_PIF_of": "",
        "tunnel_transport_PIF_of": "",
        **ip_fields(management, address),
        "MAC": nic_mac(nic),
        "other_config": "",
        "currently_attached": "False",
    }
    for name, text in fields.items():
        ET.SubElement(record, name).text = text


def ip_fields(management: Segment | None, address: str) -> dict[str, str]:
    """The PIF's fields of IP configuration."""
    empty = dict.fromkeys(("IP", "netmask", "gateway", "DNS"), "")
    if management is None:
        return {"ip_configuration_mode": "None", **empty}
    if not address:
        return {"ip_configuration_mode": "DHCP", **empty}
    interface = ipaddress.IPv4Interface(address)
    gateway = str(management.gateway.ip)
    return {
        "ip_configuration_mode": "Static",
        "IP": str(interface.ip),
        "netmask": str(interface.netmask),
        "gateway": gateway,
        "DNS": gateway,
    }


def _add_network(tree: ET.Element, nic: str) -> None:
    """The network of a NIC's PIF."""
    bridge = bridge_name(nic)
    record = ET.SubElement(tree, "network", ref=record_ref(f"network {bridge}"))
    ET.SubElement(record, "uuid").text = record_uuid(f"network {bridge}")
    ET.SubElement(record, "bridge").text = bridge
    ET.SubElement(record, "MTU").text = "1500"
    ET.SubElement(ET.SubElement(record, "PIFs"), "PIF").text = record_ref(f"pif {nic}")
    ET.SubElement(record, "other_config")
