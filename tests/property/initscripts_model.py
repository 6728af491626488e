"""The initscripts' part of the host model: ifup and ifdown with the files of /etc/sysconfig, as far as we write them.

Source: sysconfig.txt of the initscripts package. Knows nothing of xsagent's plan/ or desired/.
"""

from __future__ import annotations

import contextlib
import ipaddress
import shlex
from dataclasses import dataclass, field
from typing import Any

from kernel_model import LEASES, KernelModel

from xsagent.errors import CommandError, DhcpSilentError, NetlinkError
from xsagent.topology.values import Address, Origin, Route

SCRIPTS = "/etc/sysconfig/network-scripts"
NETWORK = "/etc/sysconfig/network"
_BOOT = 3


@dataclass
class InitscriptsModel(KernelModel):
    """A kernel with ifup and ifdown.

    Attributes:
        files: by absolute path; None: removed.
        asking: devices on which ifup started a DHCP client that lives; one whose device was made anew is deaf.
    """

    files: dict[str, str | None] = field(default_factory=dict)
    asking: dict[str, bool] = field(default_factory=dict)

    def _run_FileStep(self, step: Any) -> None:
        self.files[step.path] = step.text

    def _run_IfupStep(self, step: Any) -> None:
        self.ifup(step.device)

    def ifup(self, device: str) -> None:
        """What ifup-eth does for a device, by its file."""
        self.require(device)
        text = self.files.get(f"{SCRIPTS}/ifcfg-{device}")
        if text is None:
            raise CommandError(f"ifup knows no {device}")
        keys = _keys(text)
        if "MTU" in keys:
            with contextlib.suppress(NetlinkError):  # ifup-eth does not look at what `ip link set mtu` says
                self.set_mtu(device, int(keys["MTU"]))
        self.bring_up(device)
        self._add_static(device, keys)
        self._add_routes(device, keys)
        if "dhcp" in {keys.get("BOOTPROTO"), keys.get("DHCPV6C", "").replace("yes", "dhcp")}:
            self.asking[device] = True
        if keys.get("DHCPV6C") == "yes" and self.dhcp_answers:
            self._add_leased(device, 6)
        if keys.get("BOOTPROTO") == "dhcp":
            self._add_lease(device)

    def _run_IfdownStep(self, step: Any) -> None:
        self.asking.pop(step.device, None)
        if step.device in self.links:
            self.set_addresses(step.device, ())
            self.take_down(step.device)

    def remove_link(self, name: str) -> None:
        """A client that the initscripts started does not notice that its device is gone, and serves it no more."""
        super().remove_link(name)
        self.asking.pop(name, None)

    def _add_static(self, device: str, keys: dict[str, str]) -> None:
        texts = [f"{keys['IPADDR']}/{keys['NETMASK']}"] if "IPADDR" in keys else []
        texts += [keys["IPV6ADDR"], *keys.get("IPV6ADDR_SECONDARIES", "").split()] if "IPV6ADDR" in keys else []
        for item in (Address(interface=ipaddress.ip_interface(text)) for text in texts):
            present = self.addresses.get(device, ())
            if all(old.interface != item.interface for old in present):
                self.addresses[device] = (*present, item)

    def _add_routes(self, device: str, keys: dict[str, str]) -> None:
        holder = _keys(self.files.get(NETWORK) or "").get("GATEWAYDEV", device)
        lines = [f"0.0.0.0/0 via {keys['GATEWAY']}"] if "GATEWAY" in keys and holder == device else []
        lines += [f"::/0 via {keys['IPV6_DEFAULTGW']}"] if "IPV6_DEFAULTGW" in keys and holder == device else []
        for name in ("route", "route6"):
            lines += (self.files.get(f"{SCRIPTS}/{name}-{device}") or "").splitlines()
        for words in map(str.split, lines):
            gateway = ipaddress.ip_address(words[2]) if "via" in words else None
            destination = ipaddress.ip_network(words[0])
            metric = 1024 if destination.version == 6 else 0
            route = Route(destination=destination, gateway=gateway, protocol=_BOOT, metric=metric)
            if not self._is_reachable(device, route):
                continue
            # ifup-eth sets the default route by `ip route replace`, ifup-routes the others by `ip route add`
            if destination.prefixlen == 0:
                self.displace(destination, metric)
            if not self.has_route(destination, metric):
                self.routes[device] = (*self.routes.get(device, ()), route)

    def _is_reachable(self, device: str, route: Route) -> bool:
        """Whether the kernel takes the route; ifup goes on without one that it refuses."""
        try:
            self._check_gateway(device, route, self.routes.get(device, ()))
        except NetlinkError:
            return False
        return True

    def _add_lease(self, device: str) -> None:
        if any(item.interface == LEASES[4] for item in self.addresses.get(device, ())):
            return
        if not self.dhcp_answers:
            raise DhcpSilentError(f"no DHCP server answered on {device}")
        self._add_leased(device, 4)
        if _keys(self.files.get(NETWORK) or "").get("GATEWAYDEV", device) == device:
            self.set_leased_route(device)

    def _add_leased(self, device: str, family: int) -> None:
        lease = Address(interface=LEASES[family], origin=Origin.DHCP)
        present = self.addresses.get(device, ())
        if all(item.interface != lease.interface for item in present):
            self.addresses[device] = (*present, lease)


def _keys(text: str) -> dict[str, str]:
    lines = (line.strip() for line in text.splitlines())
    pairs = (line.partition("=") for line in lines if "=" in line and not line.startswith("#"))
    return {name: " ".join(shlex.split(value)) for name, _, value in pairs}
