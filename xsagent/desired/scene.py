"""Everything that a builder looks at, in one value: records, host, options, who goes up, who is management. Pure.

Made once by `build.py`, passed to every builder of `desired/`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from xsagent.desired.kind import refusal
from xsagent.desired.request import BuildOptions, HostFacts, Origin
from xsagent.errors import InputError
from xsagent.model.records import UNTAGGED, Bond, IpMode, Ipv6Mode, Network, Pif, Ref
from xsagent.model.snapshot import XAPI_SOURCE, Snapshot, networks_by_bridge
from xsagent.model.values import parse_device_name, parse_vlan_tag, shown

_LOOPBACK: Final = "lo"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What is given.

    Attributes:
        raised: PIFs that this operation brings up.
        lowered: PIFs that it takes down.
        management: the management PIF as it is to be afterwards.
        unusable_bridges: networks that cannot have their bridge name, each with the reason.
    """

    snapshot: Snapshot
    host: HostFacts
    options: BuildOptions
    raised: frozenset[Ref] = frozenset()
    lowered: frozenset[Ref] = frozenset()
    management: Pif | None = None
    origin: Origin = "session"
    even_if_in_use: bool = False
    unusable_bridges: Mapping[Ref, str] = field(default_factory=dict)

    def was_up(self, pif: Pif) -> bool:
        """Whether the PIF is up now: as XAPI says, else as the switch shows, else as the cache says.

        Of an SR-IOV network the switch shows nothing, whatever bridge name XAPI gave it.
        """
        present = self.host.present_bridges
        is_shown = self.snapshot.source != XAPI_SOURCE and not self.snapshot.is_sriov_logical(pif)
        if is_shown and present is not None and (bridge := self.snapshot.bridge_of(pif)):
            return bridge in present
        return pif.currently_attached

    def is_attached(self, pif: Pif) -> bool:
        """Whether the PIF must be taken to be up; management always (legacy-faults F06)."""
        return self.was_up(pif) or (self.management is not None and self.management.ref == pif.ref)

    def will_be_up(self, pif: Pif) -> bool:
        """Whether the PIF is up after the operation."""
        if pif.ref in self.lowered:
            return False
        return pif.ref in self.raised or self.is_attached(pif)

    def stands(self, pif: Pif) -> bool:
        """Whether the switch has the PIF's bridge, and this operation leaves the PIF up; XAPI need not know of it."""
        return pif.ref not in self.lowered and self.snapshot.bridge_of(pif) in (self.host.present_bridges or ())

    def vlans_up_on(self, pif: Pif) -> Iterator[Pif]:
        """PIFs of VLANs on this one that are up after the operation."""
        return (upper for upper in self.snapshot.vlan_pifs_on(pif) if self.will_be_up(upper))

    def riders_on(self, pif: Pif) -> Iterator[Pif]:
        """As vlans_up_on, with those that the switch has though XAPI does not say so: guests may be on them."""
        return (upper for upper in self.snapshot.vlan_pifs_on(pif) if self.will_be_up(upper) or self.stands(upper))

    def has_sriov_up(self, pif: Pif) -> bool:
        """Whether an SR-IOV network is up after the operation that has its virtual functions from this NIC."""
        return any(self.will_be_up(logical) for logical in self.snapshot.sriov_pifs_on(pif))

    def is_bond_in_use(self, bond: Bond) -> bool:
        """Whether the bond's own PIF, or a VLAN on it, is up after the operation."""
        pif = self.snapshot.pifs.get(bond.pif)
        return pif is not None and (self.will_be_up(pif) or any(True for _ in self.vlans_up_on(pif)))

    def carries_management(self, pif: Pif) -> bool:
        """Whether management is on this PIF or on a VLAN over it."""
        if self.management is None:
            return False
        carrier = self.snapshot.carrier_of(self.management)
        return pif.ref in {self.management.ref, carrier.ref if carrier else None}

    def network_of(self, pif: Pif) -> Network:
        """The PIF's network; InputError when the record names none that exists."""
        network = self.snapshot.networks.get(pif.network) if pif.network else None
        if network is None:
            raise refusal(pif, f"it refers to network {shown(pif.network or '')}, which is in no record")
        return network

    def bridge_name(self, pif: Pif) -> str:
        """The PIF's bridge, checked; empty on a bridgeless network.

        Raises:
            InputError: no name that a bridge can have, or one that others have too (legacy-faults F04).
        """
        network = self.network_of(pif)
        name = network.bridge
        if not name:
            return ""
        try:
            parse_device_name(name)
        except InputError as error:
            raise refusal(pif, f"its bridge: {error}") from error
        if network.ref in self.unusable_bridges:
            raise refusal(pif, self.unusable_bridges[network.ref])
        return name

    def device_name(self, pif: Pif) -> str:
        """Name of the netdev of a NIC or bond, or of a bridgeless VLAN's own device; InputError as bridge_name."""
        carrier = self.snapshot.carrier_of(pif)
        name = pif.device if carrier is None else f"{carrier.device}.{self.vlan_tag(pif)}"
        try:
            return parse_device_name(name)
        except InputError as error:
            raise refusal(pif, error) from error

    def ip_device_name(self, pif: Pif) -> str:
        """The device that has the PIF's addresses: its bridge's internal port, or its netdev without a bridge."""
        return self.bridge_name(pif) or self.device_name(pif)

    def vlan_tag(self, pif: Pif) -> int:
        """The VLAN's tag; InputError when it is out of range."""
        vlan = self.snapshot.vlan_of(pif)
        try:
            return parse_vlan_tag(str(pif.vlan if vlan is None else vlan.tag))
        except InputError as error:
            raise refusal(pif, error) from error


def has_ip(pif: Pif) -> bool:
    """Whether either family has a mode."""
    return pif.ip_mode != IpMode.NONE or pif.ipv6_mode != Ipv6Mode.NONE


def unusable_bridges(snapshot: Snapshot, preferred: Collection[Ref | None] = ()) -> dict[Ref, str]:
    """Networks that cannot have their bridge name, each with the reason: it is a device's, or others have it too.

    One of several can: the preferred one, or the only one that a PIF of this host is on.
    """
    devices = {pif.device for pif in snapshot.pifs.values() if pif.vlan == UNTAGGED and not pif.tunnel_access_of}
    devices.add(_LOOPBACK)
    found: dict[Ref, str] = {}
    for name, networks in networks_by_bridge(snapshot.networks).items():
        refs = {network.ref for network in networks}
        if name in devices:
            reason = f"its bridge cannot be named {name}, as a NIC, a bond or the loopback device is"
            found |= dict.fromkeys(refs, reason)
        elif len(refs) > 1:
            first = [ref for ref in refs if ref in preferred] or [one.ref for one in snapshot.used_here(networks)]
            others = refs.difference(first) if len(first) == 1 else refs
            found |= dict.fromkeys(others, f"several networks have its bridge name {name}")
    return found
