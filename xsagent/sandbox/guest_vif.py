"""GuestVif -> what the toolstack writes and what netback makes for one VIF, as text. Pure.

`xenopsd` writes and runs it. Keys and file are those of features.md section 19 and wire.md section 3, spelt out here
and not by `sources`, so that what the product is fed was not written by the product.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal

from xsagent.model.vif import DeviceType, Layout, VifId
from xsagent.sandbox import wiring
from xsagent.sandbox.root_prefix import record_uuid

BACKEND = "xenlight"
"""xenopsd's name of its own backend, a folder of its VIF files."""
_LAST_GUEST = 254


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestVif:
    """One VIF of a guest as XAPI wants it.

    Attributes:
        bridge: of its network; empty: the toolstack names none.
        mac: of the guest; empty: made from the ids.
        mtu: bytes.
        locking: as xenopsd writes it: ``Unlocked``, ``Disabled``, or ``Locked`` with `allowed`.
        allowed: addresses that a locked guest may send from, IPv4 and IPv6.
        trunks: VLANs let through; empty: all.
        layout: where the private and hotplug keys are.
        tap: a device model's tap beside the vif.
        address: CIDR that the guest gives itself; empty: none.
        other_config: of the VIF record (``ethtool-gso``, ``promiscuous`` ...).
    """

    id: VifId
    bridge: str = "xenbr0"
    mac: str = ""
    mtu: int = 1500
    locking: Literal["Unlocked", "Locked", "Disabled"] = "Unlocked"
    allowed: tuple[str, ...] = ()
    trunks: tuple[int, ...] = ()
    layout: Layout = Layout.UUID
    tap: bool = False
    address: str = ""
    other_config: tuple[tuple[str, str], ...] = ()

    @property
    def device(self) -> str:
        """The netdev of dom0's end."""
        return self.id.device(DeviceType.VIF)

    @property
    def tap_device(self) -> str:
        """The device model's netdev."""
        return self.id.device(DeviceType.TAP)

    @property
    def guest(self) -> str:
        """The guest's network namespace inside the sandbox."""
        return f"guest{self.id.domid}"

    @property
    def interface(self) -> str:
        """The guest's own name of the device."""
        return f"eth{self.id.devid}"

    @property
    def guest_mac(self) -> str:
        """The guest's hardware address."""
        domid, devid = self.id.domid, self.id.devid
        return self.mac or f"00:16:3e:{devid & 0xFF:02x}:{domid >> 8:02x}:{domid & 0xFF:02x}"

    @property
    def vm_uuid(self) -> str:
        """Of the guest's VM record."""
        return record_uuid(f"vm guest{self.id.domid}")

    @property
    def uuid(self) -> str:
        """Of the VIF record."""
        return record_uuid(f"vif {self.device}")

    @property
    def network_uuid(self) -> str:
        """Of the network record whose bridge it is."""
        return record_uuid(f"network {self.bridge}")

    @property
    def owner(self) -> str:
        """Below which name in /xapi the keys are."""
        return self.vm_uuid if self.layout is Layout.UUID else str(self.id.domid)

    @property
    def private(self) -> str:
        """The directory of what the toolstack tells the hotplug script."""
        return f"/xapi/{self.owner}/private/vif/{self.id.devid}"

    @property
    def hotplug(self) -> str:
        """The directory of what the hotplug script tells the toolstack."""
        if self.layout is Layout.UUID:
            return f"/xapi/{self.vm_uuid}/hotplug/{self.id.domid}/vif/{self.id.devid}"
        return f"/xapi/{self.id.domid}/hotplug/vif/{self.id.devid}"

    @property
    def backend(self) -> str:
        """The device's directory in dom0's part of xenstore."""
        return f"{self.domain_backends}/{self.id.devid}"

    @property
    def domain_backends(self) -> str:
        """The directory of all vif backends of its domain."""
        return f"/local/domain/0/backend/vif/{self.id.domid}"

    @property
    def domain(self) -> str:
        """The directory of the guest's domain."""
        return f"/local/domain/{self.id.domid}"

    @property
    def frontend(self) -> str:
        """The device's directory in the guest's part, which the guest may write."""
        return f"{self.domain}/device/vif/{self.id.devid}"

    @property
    def file(self) -> str:
        """Xenopsd's file about the VIF, below the root prefix."""
        return f"run/nonpersistent/xenopsd/{BACKEND}/VM/{self.vm_uuid}/vif.{self.id.devid}"


def default_address(vif: VifId, network: str = "192.0.2.") -> str:
    """CIDR of a guest's first VIF on the first segment, while there are any left; else empty."""
    host = 199 + vif.domid
    return f"{network}{host}/24" if vif.devid == 0 and vif.domid > 0 and host <= _LAST_GUEST else ""


def render_keys(vif: GuestVif) -> dict[str, str]:
    """Xenstore values by path, as they are when the device's `online` comes; netback's ``state`` among them."""
    vm = f"/vm/{vif.vm_uuid}"
    keys = {
        f"{vif.domain}/vm": vm,
        f"{vm}/uuid": vif.vm_uuid,
        **{f"{vif.private}/{name}": value for name, value in _private(vif).items()},
        f"{vif.frontend}/backend": vif.backend,
        f"{vif.frontend}/backend-id": "0",
        f"{vif.frontend}/handle": str(vif.id.devid),
        f"{vif.frontend}/mac": vif.guest_mac,
        f"{vif.frontend}/state": "1",
        f"{vif.backend}/frontend": vif.frontend,
        f"{vif.backend}/frontend-id": str(vif.id.domid),
        f"{vif.backend}/online": "1",
        f"{vif.backend}/handle": str(vif.id.devid),
        f"{vif.backend}/mac": vif.guest_mac,
        f"{vif.backend}/script": "/etc/xensource/scripts/vif",
        f"{vif.backend}/state": "2",
    }
    return keys if vif.bridge else {path: value for path, value in keys.items() if not path.endswith("/bridge")}


def _private(vif: GuestVif) -> dict[str, str]:
    ipv4, ipv6 = _split(vif.allowed)
    locked = {"ipv4-allowed": ",".join(ipv4), "ipv6-allowed": ",".join(ipv6)}
    return {
        "bridge": vif.bridge,
        "bridge-MAC": "fe:ff:ff:ff:ff:ff",
        "mac": vif.guest_mac,
        "MTU": str(vif.mtu),
        "trunks": ",".join(map(str, vif.trunks)),
        "vif-uuid": vif.uuid,
        "network-uuid": vif.network_uuid,
        "xenopsd-backend": BACKEND,
        "setup-vif-rules": "/etc/xensource/scripts/setup-vif-rules",
        **{f"other-config/{key}": value for key, value in vif.other_config},
        "locking-mode": vif.locking.lower(),
        **(locked if vif.locking == "Locked" else {}),
    }


def render_file(vif: GuestVif) -> str:
    """Xenopsd's file about the VIF."""
    ipv4, ipv6 = _split(vif.allowed)
    mode = ["Locked", {"ipv4": ipv4, "ipv6": ipv6}] if vif.locking == "Locked" else vif.locking
    form = {
        "id": [vif.vm_uuid, str(vif.id.devid)],
        "position": vif.id.devid,
        "mac": vif.guest_mac,
        "carrier": True,
        "mtu": vif.mtu,
        "backend": ["Local", vif.bridge],
        "other_config": dict(vif.other_config),
        "locking_mode": mode,
        "extra_private_keys": {"vif-uuid": vif.uuid, "network-uuid": vif.network_uuid},
        "ipv4_configuration": "Unspecified4",
        "ipv6_configuration": "Unspecified6",
        "trunks": list(vif.trunks),
    }
    return json.dumps(form)


def _split(addresses: tuple[str, ...]) -> tuple[list[str], list[str]]:
    return [text for text in addresses if ":" not in text], [text for text in addresses if ":" in text]


def render_netdev(vif: GuestVif) -> str:
    """Commands of ``ip -batch`` in dom0: the vif, down as netback makes it, with its end in the guest's namespace."""
    peer = f"peer name {vif.interface} netns {vif.guest} address {vif.guest_mac}"
    return f"link add {vif.device} type veth {peer}\n"


def render_guest(vif: GuestVif) -> str:
    """Commands of ``ip -batch`` in the guest's namespace: its end up, with its address."""
    addresses = wiring.render_addresses(vif.interface, [vif.address] if vif.address else [])
    return f"link set lo up\nlink set {vif.interface} up\n{addresses}"
