"""Numbers of hosts, NICs and VLANs -> the XAPI records of a whole pool, as `xapi_standin` serves them. Pure.

The layout is XAPI's own: every host has the same devices, the networks are shared by the pool, each VLAN has
a record, an upper PIF and a network. References and uuids are derived from names, so two runs give the same pool.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

Record = dict[str, object]
Records = dict[str, dict[str, Record]]
"""Records by class and reference, values as the JSON view of XML-RPC (wire.md section 5)."""

NULL = "OpaqueRef:NULL"
_CLASSES = ("host", "PIF", "network", "Bond", "VLAN", "tunnel", "network_sriov", "pool", "VM", "VIF", "SDN_controller")


def uuid_for(name: str) -> str:
    """The uuid that stands for `name` in a generated pool."""
    text = hashlib.blake2b(name.encode(), digest_size=16).hexdigest()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def ref_for(name: str) -> str:
    """The opaque reference that stands for `name` in a generated pool."""
    return "OpaqueRef:" + uuid_for("ref " + name)


@dataclass(frozen=True)
class PoolShape:
    """How big the pool is; the defaults are the 51,776 PIFs of wire.md section 8.

    Attributes:
        hosts: number of hosts.
        nics: NICs of each host that carry VLANs.
        vlans: VLANs on each of those NICs.
        bonds: bonds of each host, each over two more NICs.
        tunnels: tunnels of each host, over eth0.
        sriovs: SR-IOV enabled NICs of each host (at most `nics`).
    """

    hosts: int = 64
    nics: int = 4
    vlans: int = 200
    bonds: int = 1
    tunnels: int = 1
    sriovs: int = 1


@dataclass
class _Builder:
    shape: PoolShape
    records: Records = field(default_factory=lambda: {name: {} for name in _CLASSES})
    pifs_of: dict[str, list[str]] = field(default_factory=dict)

    def network(self, name: str, bridge: str) -> str:
        ref = ref_for(f"network {name}")
        if ref not in self.records["network"]:
            self.pifs_of[ref] = []
            self.records["network"][ref] = network_record(name, bridge) | {"PIFs": self.pifs_of[ref]}
        return ref

    def pif(self, host: int, name: str, network: str, **changes: object) -> str:
        """Add one PIF and enter it in its network's set, as XAPI keeps both ends of a relation."""
        ref = ref_for(f"PIF {host} {name}")
        base = pif_record(uuid_for(f"PIF {host} {name}"), name, network, ref_for(f"host {host}"))
        self.records["PIF"][ref] = base | changes
        self.pifs_of[network].append(ref)
        return ref

    def add(self, kind: str, name: str, **fields: object) -> str:
        ref = ref_for(f"{kind} {name}")
        self.records[kind][ref] = {"uuid": uuid_for(f"{kind} {name}"), **fields, "other_config": {}}
        return ref

    def host(self, number: int) -> None:
        name = f"host{number}"
        self.records["host"][ref_for(f"host {number}")] = {
            "uuid": uuid_for(f"host {number}"),
            "name_label": name,
            "hostname": name,
            "address": f"192.0.2.{10 + number}",
            "other_config": {},
        }
        for index in range(self.shape.nics):
            self._nic(number, index)
        for index in range(self.shape.bonds):
            self._bond(number, index)

    def _nic(self, host: int, index: int) -> None:
        device = f"eth{index}"
        network = self.network(f"Pool-wide network associated with {device}", f"xenbr{index}")
        changes: Record = {"MAC": _mac(host, index), "physical": True, "managed": True}
        if index == 0:
            changes |= _management(host)
        nic = self.pif(host, device, network, **changes)
        record = self.records["PIF"][nic]
        record["VLAN_slave_of"] = [self._vlan(host, device, nic, tag) for tag in range(1, self.shape.vlans + 1)]
        if index == 0:
            record["tunnel_transport_PIF_of"] = [self._tunnel(host, n, nic) for n in range(self.shape.tunnels)]
        if index < self.shape.sriovs:
            record["sriov_physical_PIF_of"] = [self._sriov(host, device, nic)]

    def _vlan(self, host: int, device: str, carrier: str, tag: int) -> str:
        name = f"{device}.{tag}"
        network = self.network(f"VLAN {name}", f"xapi{int(device[3:]) * 4096 + tag}")
        vlan = ref_for(f"VLAN {host} {name}")
        upper = self.pif(host, name, network, device=device, VLAN=str(tag), VLAN_master_of=vlan)
        self.add("VLAN", f"{host} {name}", tagged_PIF=carrier, untagged_PIF=upper, tag=str(tag))
        return vlan

    def _tunnel(self, host: int, index: int, transport: str) -> str:
        name = f"tunnel{index}"
        tunnel = ref_for(f"tunnel {host} {name}")
        network = self.network(name, f"xapit{index}")
        access = self.pif(host, name, network, tunnel_access_PIF_of=[tunnel])
        fields = {"access_PIF": access, "transport_PIF": transport, "protocol": "vxlan", "status": {"active": "true"}}
        return self.add("tunnel", f"{host} {name}", **fields)

    def _sriov(self, host: int, device: str, physical: str) -> str:
        sriov = ref_for(f"network_sriov {host} {device}")
        network = self.network(f"SR-IOV {device}", "")
        logical = self.pif(host, f"{device} sriov", network, device=device, sriov_logical_PIF_of=[sriov])
        self.records["network_sriov"][sriov] = {
            "uuid": uuid_for(f"network_sriov {host} {device}"),
            "physical_PIF": physical,
            "logical_PIF": logical,
            "requires_reboot": False,
            "configuration_mode": "sysfs",
        }
        return sriov

    def _bond(self, host: int, index: int) -> None:
        bond = ref_for(f"Bond {host} bond{index}")
        members = []
        for number in range(self.shape.nics + 2 * index, self.shape.nics + 2 * index + 2):
            network = self.network(f"Pool-wide network associated with eth{number}", f"xenbr{number}")
            changes = {"MAC": _mac(host, number), "physical": True, "currently_attached": False}
            members.append(self.pif(host, f"eth{number}", network, bond_slave_of=bond, **changes))
        network = self.network(f"bond{index}", f"xapib{index}")
        mac = _mac(host, self.shape.nics + 2 * index)
        master = self.pif(host, f"bond{index}", network, MAC=mac, bond_master_of=[bond])
        fields = {"master": master, "slaves": members, "primary_slave": members[0], "mode": "active-backup"}
        self.add("Bond", f"{host} bond{index}", **fields, properties={}, links_up="2", auto_update_mac=True)


def build_pool(shape: PoolShape | None = None) -> Records:
    """The records of a pool of this shape; the first host is the coordinator.

    Host number `n` has uuid ``uuid_for(f"host {n}")`` and reference ``ref_for(f"host {n}")``.
    """
    builder = _Builder(shape or PoolShape())
    for number in range(builder.shape.hosts):
        builder.host(number)
    builder.records["pool"][ref_for("pool")] = {
        "uuid": uuid_for("pool"),
        "name_label": "pool",
        "master": ref_for("host 0"),
        "vswitch_controller": "",
        "igmp_snooping_enabled": False,
        "ha_enabled": False,
        "other_config": {"vswitch-controller-fail-mode": "standalone"},
    }
    return builder.records


def network_record(name: str, bridge: str) -> Record:
    """A network as XAPI makes it, without PIFs."""
    return {
        "uuid": uuid_for(f"network {name}"),
        "name_label": name,
        "name_description": "",
        "allowed_operations": [],
        "current_operations": {},
        "VIFs": [],
        "PIFs": [],
        "MTU": "1500",
        "bridge": bridge,
        "managed": True,
        "blobs": {},
        "tags": [],
        "default_locking_mode": "unlocked",
        "assigned_ips": {},
        "purpose": [],
        "other_config": {},
    }


def pif_record(uuid: str, device: str, network: str, host: str) -> Record:
    """A PIF as XAPI makes it: untagged, attached, without IP configuration or relations."""
    return {
        "uuid": uuid,
        "device": device,
        "network": network,
        "host": host,
        "MAC": "fe:ff:ff:ff:ff:ff",
        "MTU": "1500",
        "VLAN": "-1",
        "metrics": NULL,
        "physical": False,
        "currently_attached": True,
        "ip_configuration_mode": "None",
        "IP": "",
        "netmask": "",
        "gateway": "",
        "DNS": "",
        "bond_slave_of": NULL,
        "bond_master_of": [],
        "VLAN_master_of": NULL,
        "VLAN_slave_of": [],
        "management": False,
        "other_config": {},
        "disallow_unplug": False,
        "tunnel_access_PIF_of": [],
        "tunnel_transport_PIF_of": [],
        "ipv6_configuration_mode": "None",
        "IPv6": [""],
        "ipv6_gateway": "",
        "primary_address_type": "IPv4",
        "managed": True,
        "properties": {},
        "capabilities": [],
        "igmp_snooping_status": "unknown",
        "sriov_physical_PIF_of": [],
        "sriov_logical_PIF_of": [],
        "PCI": NULL,
    }


def _mac(host: int, index: int) -> str:
    return f"0c:c4:7a:00:{host:02x}:{index:02x}"


def _management(host: int) -> Record:
    return {
        "management": True,
        "ip_configuration_mode": "Static",
        "IP": f"192.0.2.{10 + host}",
        "netmask": "255.255.255.0",
        "gateway": "192.0.2.1",
        "DNS": "192.0.2.2",
        "properties": {"gro": "on"},
    }
