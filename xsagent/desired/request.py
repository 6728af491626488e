"""What is asked for, beside the records: the request, plain facts of the host, options. Values only.

Filled by the commands and the daemon, read by everything in `desired/`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from xsagent.model.records import Ref

Action = Literal["up", "down"]
Origin = Literal["session", "pif-uuid", "force"]
IpBackend = Literal["ifcfg", "netlink"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One PIF to bring up or take down.

    Attributes:
        becoming_management: ``--management``; without effect when `origin` is ``force`` (features.md section 1).
        origin: who asks: XAPI (``--session/--pif``), an admin (``--pif-uuid``), or ``--force``.
        even_if_in_use: ``--even-if-in-use``.
    """

    action: Action
    pif: Ref
    becoming_management: bool = False
    origin: Origin = "session"
    even_if_in_use: bool = False


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


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOptions:
    """Settings that shape what is wanted.

    Attributes:
        ip_backend: who configures IP devices (DESIGN.md section 8).
        datapath_type: of new bridges; empty for the kernel's.
        dhcp_vendor_class: sent by dhclient; empty for none.
        mac_table_size: entries of a bridge's MAC table.
    """

    ip_backend: IpBackend = "netlink"
    datapath_type: str = ""
    dhcp_vendor_class: str = ""
    mac_table_size: int = 10000
