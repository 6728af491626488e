"""XAPI's network records as frozen values: what `sources/` parses, what `desired/` reads. Pure.

Field names follow XenAPI in our words (bond members, carrier). Text that only some uses need to be valid
(addresses, MTU) stays text here: `desired/` parses it where it matters, so that one bad record does not stop
work on another. Defaults are those of servers that lack the field (wire.md section 4).
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NewType

Ref = NewType("Ref", str)
"""An opaque reference, for example ``OpaqueRef:3f0c1b9e-...``."""

NULL_REF: Final = "OpaqueRef:NULL"
"""XAPI's reference to nothing."""

UNTAGGED: Final = -1
"""PIF.VLAN of a PIF that is no VLAN."""

NO_MAC: Final = "fe:ff:ff:ff:ff:ff"
"""PIF.MAC of a VLAN's and of an SR-IOV logical PIF, on each host alike: it is no device's (xapi_vlan.ml, vlan_mac)."""


class IpMode(enum.StrEnum):
    """PIF.ip_configuration_mode."""

    NONE = "None"
    DHCP = "DHCP"
    STATIC = "Static"


class Ipv6Mode(enum.StrEnum):
    """PIF.ipv6_configuration_mode."""

    NONE = "None"
    DHCP = "DHCP"
    STATIC = "Static"
    AUTOCONF = "Autoconf"


class AddressType(enum.StrEnum):
    """PIF.primary_address_type."""

    IPV4 = "IPv4"
    IPV6 = "IPv6"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pif:
    """A PIF of this host.

    Attributes:
        vlan: tag, or UNTAGGED. Not range-checked: an out-of-range tag is refused where it is used.
        mtu: PIF.MTU as text; what XAPI last read back, never what is wanted.
        ip_mode: text; one of IpMode, or a word that makes the PIF unusable.
        ipv6: addresses in CIDR form, empty strings already dropped.
        bond: the Bond whose device this PIF is (XAPI: bond_master_of).
        member_of: the Bond of which this PIF is a member (XAPI: bond_slave_of).
        vlan_record: the VLAN whose upper PIF this is (XAPI: VLAN_master_of).
        vlans_on: VLANs that ride on this PIF (XAPI: VLAN_slave_of).
    """

    ref: Ref
    uuid: str
    device: str
    network: Ref | None
    mac: str = ""
    vlan: int = UNTAGGED
    mtu: str = ""
    physical: bool = False
    managed: bool = True
    management: bool = False
    currently_attached: bool = False
    disallow_unplug: bool = False
    ip_mode: str = IpMode.NONE
    ip: str = ""
    netmask: str = ""
    gateway: str = ""
    dns: str = ""
    ipv6_mode: str = Ipv6Mode.NONE
    ipv6: tuple[str, ...] = ()
    ipv6_gateway: str = ""
    primary_address_type: str = AddressType.IPV4
    bond: Ref | None = None
    member_of: Ref | None = None
    vlan_record: Ref | None = None
    vlans_on: tuple[Ref, ...] = ()
    tunnel_access_of: tuple[Ref, ...] = ()
    tunnel_transport_of: tuple[Ref, ...] = ()
    sriov_physical_of: tuple[Ref, ...] = ()
    sriov_logical_of: tuple[Ref, ...] = ()
    capabilities: tuple[str, ...] = ()
    properties: Mapping[str, str] = field(default_factory=dict)
    igmp_snooping_status: str = "unknown"
    other_config: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A network of the pool, as far as this host's PIFs (or an internal bridge) refer to it.

    Attributes:
        bridge: bridge name; empty for a bridgeless network.
        mtu: network.MTU as text; empty where the source has none.
    """

    ref: Ref
    uuid: str
    bridge: str = ""
    name_label: str = ""
    mtu: str = ""
    pifs: tuple[Ref, ...] = ()
    managed: bool = True
    default_locking_mode: str = "unlocked"
    purpose: tuple[str, ...] = ()
    other_config: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bond:
    """A bond of this host. `mode` and `properties` are empty where the source has none."""

    ref: Ref
    uuid: str
    pif: Ref
    members: tuple[Ref, ...]
    primary_member: Ref | None = None
    mode: str = ""
    properties: Mapping[str, str] = field(default_factory=dict)
    auto_update_mac: bool = True
    other_config: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vlan:
    """A VLAN: `pif` (XAPI: untagged_PIF) rides with `tag` on `carrier` (XAPI: tagged_PIF)."""

    ref: Ref
    uuid: str
    carrier: Ref
    pif: Ref
    tag: int
    other_config: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tunnel:
    """A tunnel: `access_pif` is reached over `transport_pif`."""

    ref: Ref
    uuid: str
    access_pif: Ref
    transport_pif: Ref
    protocol: str = "gre"
    status: Mapping[str, str] = field(default_factory=dict)
    other_config: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sriov:
    """An SR-IOV enablement (XAPI: network_sriov)."""

    ref: Ref
    uuid: str
    physical_pif: Ref
    logical_pif: Ref
    requires_reboot: bool = False
    configuration_mode: str = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """The pool record, as far as networking reads it."""

    ref: Ref
    uuid: str = ""
    vswitch_controller: str = ""
    igmp_snooping_enabled: bool = False
    ha_enabled: bool = False
    other_config: Mapping[str, str] = field(default_factory=dict)
