"""The records of a host of which one management interface is known and nothing else. Pure.

Made when there is no fuller state: a forced rewrite, management.conf, an emergency reset. `force_rewrite` checks the
words and calls `build_management_snapshot`; the records are spelt as the legacy scripts' forced rewrite spelt them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from xsagent.model.records import UNTAGGED, AddressType, Bond, IpMode, Ipv6Mode, Network, Pif, Ref, Vlan
from xsagent.model.snapshot import Snapshot

MANAGEMENT_NETWORK_UUID: Final = "InitialManagementNetwork"
"""A reader of the cache knows by it that the snapshot is not of the whole host."""
_CARRIER_NETWORK_UUID: Final = "InitialCarrierNetwork"
_SPARE_BRIDGE: Final = "xentemp"
"""What xcp-networkd calls a bridge whose name XAPI has not said yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IpChoice:
    """IP configuration, each text already checked and in PIF's form."""

    ip_mode: IpMode = IpMode.NONE
    ip: str = ""
    netmask: str = ""
    gateway: str = ""
    dns: str = ""
    domain: str = ""
    ipv6_mode: Ipv6Mode = Ipv6Mode.NONE
    ipv6: tuple[str, ...] = ()
    ipv6_gateway: str = ""
    primary_address_type: AddressType = AddressType.IPV4


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagementChoice:
    """Which interface is management.

    Attributes:
        bridge: the bridge that carries the IP configuration.
        device: the NIC, or the bond's device.
        members: NICs of the bond; empty for a plain NIC.
        macs: MAC by device, the bond's too; an unknown one is missing.
        vlan: tag, or UNTAGGED.
    """

    bridge: str
    device: str
    ip: IpChoice
    members: tuple[str, ...] = ()
    bond_mode: str = ""
    macs: Mapping[str, str] = field(default_factory=dict)
    vlan: int = UNTAGGED


def bridge_for_device(device: str) -> str:
    """The bridge name that xcp-networkd and XAPI give a NIC's network: xenbr0 for eth0, else ``br`` before it."""
    number = device.removeprefix("eth")
    return f"xenbr{number}" if number != device else f"br{device}"[:15]


def build_management_snapshot(choice: ManagementChoice, source: str, warnings: tuple[str, ...] = ()) -> Snapshot:
    """The records of this one interface with what it needs below it; never `complete`.

    References are made from device names, so the same choice gives the same records.
    """
    management = _management_pif(choice)
    pifs = [management, *_member_pifs(choice)]
    networks = [_network(choice.bridge, MANAGEMENT_NETWORK_UUID, management)]
    vlans: list[Vlan] = []
    if choice.vlan != UNTAGGED:
        carrier = _carrier_pif(choice, management)
        pifs.append(carrier)
        networks.append(_network(_carrier_bridge(choice), _CARRIER_NETWORK_UUID, carrier))
        vlans.append(
            Vlan(
                ref=_ref("vlan", management.uuid),
                uuid=f"{choice.device}Vlan{choice.vlan}",
                carrier=carrier.ref,
                pif=management.ref,
                tag=choice.vlan,
            )
        )
    bonds = [_bond(choice)] if choice.members else []
    return Snapshot(
        source=source,
        complete=False,
        pifs={pif.ref: pif for pif in pifs},
        networks={network.ref: network for network in networks},
        bonds={bond.ref: bond for bond in bonds},
        vlans={vlan.ref: vlan for vlan in vlans},
        warnings=warnings,
    )


def _ref(kind: str, uuid: str) -> Ref:
    return Ref(f"OpaqueRef:initial-{kind}-{uuid}")


def _pif_uuid(device: str, vlan: int = UNTAGGED) -> str:
    return f"{device}Pif" if vlan == UNTAGGED else f"{device}.{vlan}Pif"


def _management_pif(choice: ManagementChoice) -> Pif:
    """The PIF with the IP configuration: NIC, bond or VLAN."""
    uuid = _pif_uuid(choice.device, choice.vlan)
    untagged = choice.vlan == UNTAGGED
    other_config = {"domain": choice.ip.domain} if choice.ip.domain else {}
    if untagged:
        other_config |= _bond_keys(choice)
    return Pif(
        ref=_ref("pif", uuid),
        uuid=uuid,
        device=choice.device,
        network=_ref("network", MANAGEMENT_NETWORK_UUID),
        mac=choice.macs.get(choice.device, ""),
        vlan=choice.vlan,
        physical=untagged and not choice.members,
        management=True,
        ip_mode=choice.ip.ip_mode,
        ip=choice.ip.ip,
        netmask=choice.ip.netmask,
        gateway=choice.ip.gateway,
        dns=choice.ip.dns,
        ipv6_mode=choice.ip.ipv6_mode,
        ipv6=choice.ip.ipv6,
        ipv6_gateway=choice.ip.ipv6_gateway,
        primary_address_type=choice.ip.primary_address_type,
        bond=_bond_ref(choice) if untagged and choice.members else None,
        vlan_record=None if untagged else _ref("vlan", uuid),
        other_config=other_config,
    )


def _carrier_pif(choice: ManagementChoice, management: Pif) -> Pif:
    """The NIC or bond below the VLAN."""
    uuid = _pif_uuid(choice.device)
    return Pif(
        ref=_ref("pif", uuid),
        uuid=uuid,
        device=choice.device,
        network=_ref("network", _CARRIER_NETWORK_UUID),
        mac=choice.macs.get(choice.device, ""),
        physical=not choice.members,
        bond=_bond_ref(choice) if choice.members else None,
        vlans_on=(_ref("vlan", management.uuid),),
        other_config=_bond_keys(choice),
    )


def _member_pifs(choice: ManagementChoice) -> list[Pif]:
    return [
        Pif(
            ref=_ref("pif", _pif_uuid(member)),
            uuid=_pif_uuid(member),
            device=member,
            network=None,
            mac=choice.macs.get(member, ""),
            physical=True,
            member_of=_bond_ref(choice),
        )
        for member in choice.members
    ]


def _bond_ref(choice: ManagementChoice) -> Ref:
    return _ref("bond", choice.device)


def _bond_keys(choice: ManagementChoice) -> dict[str, str]:
    """The legacy scripts know a bond's mode from here alone."""
    return {"bond-mode": choice.bond_mode} if choice.members else {}


def _bond(choice: ManagementChoice) -> Bond:
    """With LACP it must also work before the switch talks LACP (pains.md 5)."""
    members = tuple(_ref("pif", _pif_uuid(member)) for member in choice.members)
    return Bond(
        ref=_bond_ref(choice),
        uuid=f"{choice.device}Bond",
        pif=_ref("pif", _pif_uuid(choice.device)),
        members=members,
        primary_member=members[0],
        mode=choice.bond_mode,
        properties={"lacp-fallback-ab": "true"} if choice.bond_mode == "lacp" else {},
    )


def _carrier_bridge(choice: ManagementChoice) -> str:
    name = bridge_for_device(choice.device)
    return name if name != choice.bridge else _SPARE_BRIDGE


def _network(bridge: str, uuid: str, pif: Pif) -> Network:
    return Network(ref=_ref("network", uuid), uuid=uuid, bridge=bridge, pifs=(pif.ref,))
