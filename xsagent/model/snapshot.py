"""Snapshot: one host's records, indexed and checked; the only input that `desired/` takes from XAPI. Pure.

Made by `sources/` (XAPI, network.dbcache, networkd.db, management.conf), read by `desired/`.
A lookup that must succeed raises NotFoundError with the sentence for people; one that may fail returns None.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from xsagent.errors import InputError, NotFoundError
from xsagent.model.records import UNTAGGED, Bond, Network, Pif, Pool, Ref, Sriov, Tunnel, Vlan

XAPI_SOURCE: Final = "xapi"
"""Snapshot.source of records that XAPI itself just gave."""
_MOST_NAMED: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Records of this host by reference.

    Attributes:
        source: where it came from: XAPI_SOURCE, or the path of the file.
        host_uuid: host.uuid (INSTALLATION_UUID); empty where the source has none.
        complete: every record of this host is there, so absence means absence (prune only then).
        unusable: references of records that could not be parsed, with the reason.
        warnings: what the source noticed and passed over (dangling references, unknown elements).
    """

    source: str
    host_uuid: str = ""
    complete: bool = True
    pifs: Mapping[Ref, Pif] = field(default_factory=dict)
    networks: Mapping[Ref, Network] = field(default_factory=dict)
    bonds: Mapping[Ref, Bond] = field(default_factory=dict)
    vlans: Mapping[Ref, Vlan] = field(default_factory=dict)
    tunnels: Mapping[Ref, Tunnel] = field(default_factory=dict)
    sriovs: Mapping[Ref, Sriov] = field(default_factory=dict)
    pool: Pool | None = None
    unusable: Mapping[Ref, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def pif(self, ref: Ref) -> Pif:
        """The PIF with this reference.

        Raises:
            NotFoundError: no such PIF on this host.
            InputError: the record is there but cannot be used.
        """
        if ref in self.pifs:
            return self.pifs[ref]
        if ref in self.unusable:
            raise InputError(f"PIF {ref} cannot be used: {self.unusable[ref]}; nothing was changed")
        raise NotFoundError(f"PIF {ref} is in no record of this host ({self.source}); nothing was changed")

    def pif_by_uuid(self, uuid: str) -> Pif:
        """The PIF with this uuid; NotFoundError when this host has none."""
        for pif in self.pifs.values():
            if pif.uuid == uuid:
                return pif
        raise NotFoundError(f"no PIF of this host has uuid {uuid} ({self.source}); nothing was changed")

    def network_of(self, pif: Pif) -> Network:
        """The PIF's network; InputError when the record names none that exists."""
        network = self.networks.get(pif.network) if pif.network else None
        if network is None:
            raise InputError(
                f"PIF {pif.uuid} ({pif.device}) refers to network {pif.network}, which is in no record; "
                "nothing was changed"
            )
        return network

    def bridge_of(self, pif: Pif) -> str:
        """Name of the PIF's bridge; empty when its network is bridgeless or unknown."""
        network = self.networks.get(pif.network) if pif.network else None
        return network.bridge if network else ""

    def network_named(self, name: str) -> Network:
        """The network with this uuid, or else the one with this bridge name.

        Raises:
            NotFoundError: none is internal, or has a PIF of this host, and has that uuid or bridge name.
            InputError: several networks share the bridge name, so the choice would be a guess.
        """
        for network in self.networks.values():
            if network.uuid == name:
                return network
        return self._network_with_bridge(name, "uuid or bridge")

    def _network_with_bridge(self, bridge: str, what: str = "bridge") -> Network:
        """The one network with this bridge name; NotFoundError without one, InputError when several share it.

        Those that no PIF of this host is on stand back for others.
        """
        networks = [network for network in self.networks.values() if network.bridge == bridge]
        networks = self.used_here(networks) or networks
        if not networks:
            raise NotFoundError(
                f"no network has {what} {bridge} ({self.source}){self._hint(bridge)}; nothing was changed"
            )
        if len(networks) > 1:
            uuids = ", ".join(sorted(network.uuid for network in networks))
            raise InputError(f"networks {uuids} share the bridge name {bridge}; nothing was changed")
        return networks[0]

    def used_here(self, networks: Iterable[Network]) -> list[Network]:
        """Those of the networks that a PIF of this host is on."""
        used = {pif.network for pif in self.pifs.values()}
        return [network for network in networks if network.ref in used]

    def _hint(self, name: str) -> str:
        """Where the NIC of this name is, or else which bridges there are."""
        of_nic = [pif for pif in self.pifs.values() if pif.device == name and pif.vlan == UNTAGGED]
        if of_nic and self.bridge_of(of_nic[0]):
            return f": {name}'s PIF is on {self.bridge_of(of_nic[0])}"
        bridges = sorted({network.bridge for network in self.networks.values() if network.bridge})
        more = f" and {len(bridges) - _MOST_NAMED} more" if bridges[_MOST_NAMED:] else ""
        return f": there are {', '.join(bridges[:_MOST_NAMED])}{more}" if bridges else ""

    def pif_for_bridge(self, bridge: str) -> Pif:
        """The one PIF of this host on the network with this bridge name (``--force BRIDGE``).

        Raises:
            NotFoundError: no network has that bridge name, or none of this host's PIFs is on it.
            InputError: several networks or PIFs share the name, so the choice would be a guess.
        """
        network = self._network_with_bridge(bridge)
        pifs = [pif for pif in self.pifs.values() if pif.network == network.ref]
        if not pifs:
            raise NotFoundError(f"no PIF of this host is on bridge {bridge} ({self.source}); nothing was changed")
        if len(pifs) > 1:
            uuids = ", ".join(sorted(pif.uuid for pif in pifs))
            raise InputError(f"PIFs {uuids} of this host are all on bridge {bridge}; nothing was changed")
        return pifs[0]

    def bond_of(self, pif: Pif) -> Bond | None:
        """The bond whose device this PIF is."""
        return self.bonds.get(pif.bond) if pif.bond else None

    def bond_with_member(self, pif: Pif) -> Bond | None:
        """The bond of which this PIF is a member."""
        return self.bonds.get(pif.member_of) if pif.member_of else None

    def members_of(self, bond: Bond) -> tuple[Pif, ...]:
        """Member PIFs that have a record, in the Bond record's order."""
        return tuple(self.pifs[ref] for ref in bond.members if ref in self.pifs)

    def vlan_of(self, pif: Pif) -> Vlan | None:
        """The VLAN whose upper PIF this is."""
        return self.vlans.get(pif.vlan_record) if pif.vlan_record else None

    def carrier_of(self, pif: Pif) -> Pif | None:
        """The PIF (NIC or bond) that a VLAN PIF rides on; None for anything else."""
        vlan = self.vlan_of(pif)
        return self.pifs.get(vlan.carrier) if vlan else None

    def vlan_pifs_on(self, pif: Pif) -> tuple[Pif, ...]:
        """PIFs of the VLANs that ride on this PIF and have a record."""
        vlans = (self.vlans[ref] for ref in pif.vlans_on if ref in self.vlans)
        return tuple(self.pifs[vlan.pif] for vlan in vlans if vlan.pif in self.pifs)

    def sriov_pifs_on(self, pif: Pif) -> tuple[Pif, ...]:
        """Logical PIFs of the SR-IOV networks that have their virtual functions from this NIC, and have a record."""
        sriovs = (self.sriovs[ref] for ref in pif.sriov_physical_of if ref in self.sriovs)
        return tuple(self.pifs[sriov.logical_pif] for sriov in sriovs if sriov.logical_pif in self.pifs)

    def management_pif(self) -> Pif | None:
        """The PIF whose record says management; the first by device where several do."""
        chosen = [pif for pif in self.pifs.values() if pif.management]
        chosen.sort(key=lambda pif: (pif.device, pif.vlan, pif.uuid))
        return chosen[0] if chosen else None

    def is_tunnel_access(self, pif: Pif) -> bool:
        """Whether this PIF is the access side of a tunnel."""
        return bool(pif.tunnel_access_of)

    def is_sriov_logical(self, pif: Pif) -> bool:
        """Whether this PIF is an SR-IOV logical PIF."""
        return bool(pif.sriov_logical_of)


def networks_by_bridge(networks: Mapping[Ref, Network]) -> dict[str, tuple[Network, ...]]:
    """Networks that have a bridge, by its name."""
    found: defaultdict[str, list[Network]] = defaultdict(list)
    for network in networks.values():
        if network.bridge:
            found[network.bridge].append(network)
    return {name: tuple(several) for name, several in found.items()}
