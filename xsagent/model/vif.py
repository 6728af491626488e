"""A guest's network device as the toolstack describes it: the frozen Vif record, its identity and locking. Pure.

Made by `sources/vif.py` from xenstore and xenopsd's VIF file, read by `hotplug/`. Every value is checked already:
names are safe in paths and commands, addresses are parsed, so that nothing after this record meets raw text.
"""

from __future__ import annotations

import enum
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

DEFAULT_MTU: Final = 1500
"""MTU in bytes of a VIF for which the toolstack names none (features.md section 8)."""

DEFAULT_BRIDGE_MAC: Final = "fe:ff:ff:ff:ff:ff"
"""MAC of the dom0 end of every vif (features.md section 19): the highest, so that no bridge adopts it."""


class DeviceType(enum.StrEnum):
    """The two kinds of netdev that one VIF can have in dom0."""

    VIF = "vif"
    """Of xen-netback."""
    TAP = "tap"
    """Of the device model, for a guest without PV drivers."""


@dataclass(frozen=True, slots=True, order=True)
class VifId:
    """Which VIF: `domid` of the frontend's domain and `devid`, its device number there."""

    domid: int
    devid: int

    def device(self, kind: DeviceType) -> str:
        """Name of the netdev of that kind, for example ``vif5.0``."""
        return f"{kind}{self.domid}.{self.devid}"

    @property
    def backend_path(self) -> str:
        """The backend directory in dom0's part of xenstore."""
        return f"/local/domain/0/backend/vif/{self.domid}/{self.devid}"

    def __str__(self) -> str:
        """``5/0``, as in XENBUS_PATH."""
        return f"{self.domid}/{self.devid}"


class LockingMode(enum.StrEnum):
    """How the switch treats what a VIF sends (VIF.locking_mode; XAPI resolves ``network_default`` itself)."""

    UNLOCKED = "unlocked"
    LOCKED = "locked"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Locking:
    """A locking mode with the addresses that a locked VIF may send from; both are empty in the other modes."""

    mode: LockingMode = LockingMode.UNLOCKED
    ipv4: tuple[ipaddress.IPv4Address, ...] = ()
    ipv6: tuple[ipaddress.IPv6Address, ...] = ()


class Layout(enum.StrEnum):
    """Where the toolstack keeps a VIF's private and hotplug keys (features.md section 19)."""

    UUID = "uuid"
    """/xapi/VMUUID/private/vif/V and /xapi/VMUUID/hotplug/D/vif/V."""
    DOMID = "domid"
    """/xapi/D/private/vif/V and /xapi/D/hotplug/vif/V."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VifPaths:
    """Absolute xenstore directories of one VIF.

    Attributes:
        private: what the toolstack wrote for the hotplug script.
        hotplug: what the script writes back.
        backend: the device's directory in dom0; holds ``hotplug-status`` and ``hotplug-error``.
    """

    layout: Layout
    private: str
    hotplug: str
    backend: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Vif:
    """A VIF as wanted.

    Attributes:
        mac: the guest's MAC, lower case; empty when the toolstack wrote none.
        bridge: name of the bridge it belongs on, real or VLAN.
        bridge_mac: MAC of the dom0 end.
        network_uuid, vif_uuid, vm_uuid: empty when unknown. `vm_uuid` is the one the VM has after a migration.
        mtu: bytes; None when the toolstack wrote none.
        trunks: VLANs let through; None when not spoken about, empty for all.
        ethtool: offloads by ethtool's short names.
        offloaded: an SR-IOV virtual function carries it: no hotplug work at all.
        nicira_iface_id: XAPI's override of iface-id; empty for none.
    """

    id: VifId
    paths: VifPaths
    bridge: str = ""
    mac: str = ""
    bridge_mac: str = DEFAULT_BRIDGE_MAC
    network_uuid: str = ""
    vif_uuid: str = ""
    vm_uuid: str = ""
    mtu: int | None = None
    trunks: tuple[int, ...] | None = None
    promiscuous: bool = False
    ethtool: Mapping[str, bool] = field(default_factory=dict)
    locking: Locking = field(default_factory=Locking)
    offloaded: bool = False
    nicira_iface_id: str = ""
