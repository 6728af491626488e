"""What is asked for, beside the records: the request, plain facts of the host, options. Values only.

Filled by the commands and the daemon, read by everything in `desired/`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from xsagent.model.host import HostFacts
from xsagent.model.records import Ref

__all__ = ["Action", "BuildOptions", "HostFacts", "IpBackend", "Origin", "Request"]

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
