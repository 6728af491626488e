"""Plain facts of the host that decisions need beside XAPI's records. Values only, pure.

Filled by `sources/host_files`, read by `desired/` and the commands.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """/etc/xensource-inventory, as far as networking reads it (wire.md section 6). XAPI rewrites it at any time.

    Attributes:
        installation_uuid: host.uuid; empty when it is missing or no uuid.
        management_interface: a bridge name; empty when management is disabled.
        management_address_type: ``IPv4`` or ``IPv6``; ``IPv4`` on old releases, which do not say.
        current_interfaces: bridge names.
        warnings: what was passed over.
    """

    installation_uuid: str = ""
    control_domain_uuid: str = ""
    management_interface: str = ""
    management_address_type: str = "IPv4"
    current_interfaces: tuple[str, ...] = ()
    product_brand: str = ""
    product_version: str = ""
    build_number: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFacts:
    """Plain values from the host.

    Attributes:
        management_bridge: MANAGEMENT_INTERFACE of the inventory; empty for none.
        current_interfaces: CURRENT_INTERFACES of the inventory.
        first_boot: the first boot is in progress, so DHCP may take long.
        network_boot_mac: MAC of the NIC that a PVS (Ardence) host booted from; that NIC is never touched.
        root_macs: MACs of NICs that the root filesystem is reached through: never taken down.
        hostname: the kernel's; empty for none.
        sysconfig_network: present text of /etc/sysconfig/network; empty when there is none.
        present_bridges: bridges that the switch has, VLAN bridges too. What the records of a cache say about
            `currently_attached` is as old as the cache (and always False in one of the legacy scripts), so without
            XAPI these decide. None: not known, the records decide.
        ipv6_available: the kernel has IPv6 and it is not disabled for all devices.
        high_availability: xhad runs, so management may not be away for long (DESIGN.md section 4).
    """

    management_bridge: str = ""
    current_interfaces: tuple[str, ...] = ()
    first_boot: bool = False
    network_boot_mac: str | None = None
    root_macs: frozenset[str] = frozenset()
    hostname: str = ""
    sysconfig_network: str = ""
    present_bridges: frozenset[str] | None = None
    ipv6_available: bool = True
    high_availability: bool = False
