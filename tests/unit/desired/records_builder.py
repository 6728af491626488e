"""A host's records put together in a few words, for the tests of desired/: NICs, bonds, VLANs, tunnels, SR-IOV."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from xsagent.desired.build import build_desired
from xsagent.desired.request import BuildOptions, HostFacts, Request
from xsagent.model.records import Bond, Network, Pif, Pool, Ref, Sriov, Tunnel, Vlan
from xsagent.model.snapshot import Snapshot
from xsagent.topology.desired import Desired

HOST = HostFacts(hostname="host0", sysconfig_network="NETWORKING=yes\nHOSTNAME=host0\n")
IFCFG = BuildOptions(ip_backend="ifcfg")
NETLINK = BuildOptions(ip_backend="netlink")


@dataclass
class Records:
    """Records so far. A NIC, bond ... is named by its PIF's reference, for example ``pif-eth0``."""

    source: str = "xapi"
    pifs: dict[Ref, Pif] = field(default_factory=dict)
    networks: dict[Ref, Network] = field(default_factory=dict)
    bonds: dict[Ref, Bond] = field(default_factory=dict)
    vlans: dict[Ref, Vlan] = field(default_factory=dict)
    tunnels: dict[Ref, Tunnel] = field(default_factory=dict)
    sriovs: dict[Ref, Sriov] = field(default_factory=dict)
    pool: Pool | None = field(default_factory=lambda: Pool(ref=Ref("pool"), uuid="uuid-pool"))

    def nic(self, number: int, *, bridge: str | None = None, **fields: object) -> Ref:
        """NIC ethN on bridge xenbrN with MAC 00:16:3e:00:00:0N."""
        device = f"eth{number}"
        fields = {"mac": f"00:16:3e:00:00:{number:02x}", "physical": True, **fields}
        return self._pif(device, device, f"xenbr{number}" if bridge is None else bridge, fields)

    def bond(self, *members: Ref, bridge: str = "xapi0", record: dict[str, Any] | None = None, **fields: object) -> Ref:
        """bond0 over these members; its MAC is the first member's."""
        mac = self.pifs[members[0]].mac if members else "00:16:3e:00:00:99"
        ref = self._pif("bond0", "bond0", bridge, {"mac": mac, "bond": Ref("bond-bond0"), **fields})
        self.bonds[Ref("bond-bond0")] = Bond(
            ref=Ref("bond-bond0"), uuid="uuid-bond0", pif=ref, members=members, **(record or {})
        )
        for member in members:
            self.change(member, member_of=Ref("bond-bond0"))
        return ref

    def vlan(self, carrier: Ref, tag: int, *, bridge: str | None = None, **fields: object) -> Ref:
        """A VLAN on a NIC or bond, on bridge xapiTAG."""
        below = self.pifs[carrier]
        name, record = f"{below.device}.{tag}", Ref(f"vlan-{below.device}.{tag}")
        fields = {"mac": below.mac, "vlan": tag, "vlan_record": record, **fields}
        ref = self._pif(name, below.device, f"xapi{tag}" if bridge is None else bridge, fields)
        self.vlans[record] = Vlan(ref=record, uuid=f"uuid-{record}", carrier=carrier, pif=ref, tag=tag)
        self.change(carrier, vlans_on=(*self.pifs[carrier].vlans_on, record))
        return ref

    def tunnel(self, transport: Ref, *, protocol: str = "gre", bridge: str = "xapi5", **fields: object) -> Ref:
        """A tunnel's access PIF."""
        record = Ref("tunnel-0")
        fields = {"mac": "de:ad:be:ef:00:05", "tunnel_access_of": (record,), **fields}
        ref = self._pif("tunnel0", "tunnel0", bridge, fields)
        self.tunnels[record] = Tunnel(
            ref=record, uuid="uuid-tunnel0", access_pif=ref, transport_pif=transport, protocol=protocol
        )
        self.change(transport, tunnel_transport_of=(record,))
        return ref

    def sriov(self, physical: Ref, **fields: object) -> Ref:
        """An SR-IOV logical PIF."""
        record, device = Ref("sriov-0"), self.pifs[physical].device
        fields = {"mac": "fe:ff:ff:ff:ff:ff", "sriov_logical_of": (record,), **fields}
        ref = self._pif("sriov", device, "", fields)
        self.sriovs[record] = Sriov(ref=record, uuid="uuid-sriov0", physical_pif=physical, logical_pif=ref)
        self.change(physical, sriov_physical_of=(record,))
        return ref

    def network(self, name: str, bridge: str, **fields: object) -> Ref:
        """A network that no PIF is on."""
        ref = Ref(f"net-{name}")
        self.networks[ref] = Network(ref=ref, uuid=f"uuid-net-{name}", bridge=bridge, **{"mtu": "1500", **fields})
        return ref

    def change(self, pif: Ref, **fields: object) -> None:
        """Change fields of a PIF."""
        self.pifs[pif] = dataclasses.replace(self.pifs[pif], **fields)

    def change_network(self, pif: Ref, **fields: object) -> None:
        """Change fields of the network that a PIF is on."""
        network = self.pifs[pif].network
        assert network is not None
        self.networks[network] = dataclasses.replace(self.networks[network], **fields)

    def change_pool(self, **fields: object) -> None:
        """Change fields of the pool."""
        assert self.pool is not None
        self.pool = dataclasses.replace(self.pool, **fields)

    def snapshot(self) -> Snapshot:
        """The records as a Snapshot."""
        return Snapshot(
            source=self.source,
            pifs=dict(self.pifs),
            networks=dict(self.networks),
            bonds=dict(self.bonds),
            vlans=dict(self.vlans),
            tunnels=dict(self.tunnels),
            sriovs=dict(self.sriovs),
            pool=self.pool,
        )

    def up(self, pif: Ref, host: HostFacts = HOST, options: BuildOptions = NETLINK, **request: object) -> Desired:
        """What bringing a PIF up wants."""
        return build_desired(self.snapshot(), Request(action="up", pif=pif, **request), host, options)

    def down(self, pif: Ref, host: HostFacts = HOST, options: BuildOptions = NETLINK, **request: object) -> Desired:
        """What taking a PIF down wants."""
        return build_desired(self.snapshot(), Request(action="down", pif=pif, **request), host, options)

    def _pif(self, name: str, device: str, bridge: str, fields: dict[str, Any]) -> Ref:
        ref, network = Ref(f"pif-{name}"), Ref(f"net-{name}")
        self.networks[network] = Network(
            ref=network, uuid=f"uuid-net-{name}", bridge=bridge, mtu="1500", pifs=(ref,), name_label=name
        )
        self.pifs[ref] = Pif(ref=ref, uuid=f"uuid-{name}", device=device, network=network, **fields)
        return ref


def static(address: str = "192.0.2.10", gateway: str = "192.0.2.1", **fields: object) -> dict[str, Any]:
    """Fields of a PIF with a static IPv4 address."""
    return {"ip_mode": "Static", "ip": address, "netmask": "255.255.255.0", "gateway": gateway, **fields}


def management(**fields: object) -> dict[str, Any]:
    """Fields of an attached management PIF, with DHCP unless said otherwise."""
    return {"management": True, "currently_attached": True, "ip_mode": "DHCP", **fields}


def warnings(desired: Desired) -> list[str]:
    """Texts of the reasons that warn."""
    return [reason.text for reason in desired.reasons if reason.warning]
