"""The kernel's half of the host model: links, addresses, routes and DHCP clients, as Linux treats them.

An AssertionError is a step that no plan may hold; a NetlinkError is the kernel's refusal. Knows nothing of xsagent's
plan/ or desired/.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field, replace
from typing import Any

from xsagent.errors import DeviceAbsentError, DhcpSilentError, ForeignObjectError, NetlinkError, RouteLostError
from xsagent.topology.values import Address, DhcpClient, IpDevice, Link, Origin, Route

LEASES = {4: ipaddress.ip_interface("198.51.100.7/24"), 6: ipaddress.ip_interface("2001:db8:77::7/128")}
LEASED_ROUTE = Route(
    destination=ipaddress.ip_network("0.0.0.0/0"), gateway=ipaddress.ip_address("198.51.100.1"), protocol=16
)
FEATURES = {"rx": True, "tx": True, "sg": True, "tso": True, "gso": True, "gro": True, "lro": False}
IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
_OURS = 158
_KERNELS_OWN = 2
_MIN_IPV6_MTU = 1280


@dataclass
class KernelModel:
    """What `ip` shows of a made-up host.

    Attributes:
        dhcp_answers: a server gives every client that starts a lease.
        strict: an address on a link that is down is a mistake, not only pointless; an undo may have to bring one back.
        idle: addresses of devices that were down when they went; one that is made anew gets its own back.
    """

    links: dict[str, Link] = field(default_factory=dict)
    addresses: dict[str, tuple[Address, ...]] = field(default_factory=dict)
    routes: dict[str, tuple[Route, ...]] = field(default_factory=dict)
    clients: dict[tuple[str, int], DhcpClient] = field(default_factory=dict)
    idle: dict[str, tuple[Address, ...]] = field(default_factory=dict)
    dhcp_answers: bool = True
    strict: bool = True

    def _run_LinkStep(self, step: Any) -> None:
        self.require(step.device)
        if step.up is False:
            self.take_down(step.device)
        if step.mac is not None:
            self.links[step.device] = replace(self.links[step.device], mac=step.mac)
        if step.mtu is not None:
            self.set_mtu(step.device, step.mtu)
        if step.up:
            self.bring_up(step.device)

    def _run_CreateVlanLinkStep(self, step: Any) -> None:
        self.require(step.parent)
        there = self.links.get(step.device)
        if there is not None:
            if (there.kind, there.parent, there.vlan) != ("vlan", step.parent, step.tag):
                raise ForeignObjectError(f"{step.device} is another device")
            return
        parent = self.links[step.parent]
        self.links[step.device] = new_link(
            step.device, mac=parent.mac, mtu=parent.mtu, kind="vlan", parent=step.parent, vlan=step.tag
        )

    def _run_DeleteLinkStep(self, step: Any) -> None:
        there = self.links.get(step.device)
        assert there is None or there.kind == "vlan", f"{step.device} is no VLAN device"
        self.remove_link(step.device)

    def _run_WaitCarrierStep(self, step: Any) -> None:
        for device in step.devices:
            self.require(device)

    def _run_SysctlStep(self, step: Any) -> None:
        for path, value in step.values.items():
            device = path.split("/")[2]
            link = self.links.get(device)
            if link is None:
                raise NetlinkError(f"no sysctl {path}")
            self.links[device] = replace(link, sysctls={**link.sysctls, path: value})
            if path.endswith("/disable_ipv6") and value == "1":
                self._lose_ipv6(device)

    def _run_AddressStep(self, step: Any) -> None:
        link = self.require(step.device)
        may_add = link.up is True or not self.strict or set(step.add) <= set(self.idle.get(step.device, ()))
        assert may_add, f"an address on {step.device}, which is down"
        present = self.addresses.get(step.device, ())
        for item in step.add:
            if item.interface.version == 6 and self._is_ipv6_off(step.device):
                raise NetlinkError(f"IPv6 is off on {step.device}")
            if all(item.interface != old.interface for old in present):
                present = (*present, item)
        removed = {item.interface for item in step.remove}
        self.set_addresses(step.device, tuple(item for item in present if item.interface not in removed))

    def _run_RouteStep(self, step: Any) -> None:
        link = self.require(step.device)
        assert link.up is True or not step.add or not self.strict, f"a route through {step.device}, which is down"
        if step.add and link.up is not True:
            raise RouteLostError(step.device) if step.restores else NetlinkError(f"{step.device} is down")
        refused: list[NetlinkError] = []
        for route in sorted(step.add, key=lambda route: route.gateway is not None):
            try:
                self._set_route(step.device, _as_set(route), restores=step.restores)
            except NetlinkError as error:
                refused.append(error)
        removed = {_identity(_as_set(route)) for route in step.remove}
        present = self.routes.get(step.device, ())
        self.routes[step.device] = tuple(route for route in present if _identity(route) not in removed)
        if refused:
            raise refused[0]

    def _set_route(self, device: str, route: Route, *, restores: bool) -> None:
        """Set one as the kernel does; one that was there before is set as onlink where its gateway is not found."""
        present = self.routes.get(device, ())
        if route.source is not None and not self._has_address(route.source):
            raise RouteLostError(str(route.source)) if restores else NetlinkError(f"{route.source} is not ours")
        if not restores:
            self._check_gateway(device, route, present)
            held = {own.destination: name for name in self.links for own in self._subnets(name)}
            holder = None if route.metric else held.get(route.destination)
            assert holder is None, f"a route through {device} in the place of the subnet of {holder}"
        same = (route.destination, route.metric)
        kept = tuple(old for old in present if (old.destination, old.metric) != same)
        self._replace_elsewhere(device, same)
        self.routes[device] = (*kept, route)

    def _has_address(self, wanted: object) -> bool:
        return any(item.interface.ip == wanted for items in self.addresses.values() for item in items)

    def displace(self, destination: IpNetwork, metric: int) -> None:
        """What `replace` does first: no device has a route with this prefix and metric any more."""
        self._replace_elsewhere("", (destination, metric))

    def has_route(self, destination: IpNetwork, metric: int) -> bool:
        """Whether any device has a route with this prefix and metric: `add` fails then."""
        return any(
            (route.destination, route.metric) == (destination, metric)
            for routes in self.routes.values()
            for route in routes
        )

    def set_leased_route(self, device: str) -> None:
        """The router of a lease becomes the way out, by `replace` (dhclient-script, ours and others')."""
        self.displace(LEASED_ROUTE.destination, LEASED_ROUTE.metric)
        self.routes[device] = (*self.routes.get(device, ()), LEASED_ROUTE)

    def _replace_elsewhere(self, device: str, same: tuple[object, int]) -> None:
        """`replace` puts a route in the place of the one with its prefix and metric, whatever device that is on."""
        for other in self.routes.keys() - {device}:
            kept = (route for route in self.routes[other] if (route.destination, route.metric) != same)
            self.routes[other] = tuple(kept)

    def _run_StartDhcpStep(self, step: Any) -> None:
        link = self.require(step.device)
        assert link.up is True, f"a DHCP client on {step.device}, which is down"
        family = step.client.family
        self.clients[step.device, family] = replace(step.client, running=True, pid=7, leased=())
        if self.dhcp_answers:
            self.answer_dhcp()
        elif not self._ip_device_has_lease(step.device, family):
            raise DhcpSilentError(f"no DHCP server answered on {step.device}")

    def _run_StopDhcpStep(self, step: Any) -> None:
        client = self._client(step.device, step.family)
        self.clients.pop((step.device, step.family), None)
        if client is None or not step.flush:
            return
        self.routes[step.device] = tuple(
            route for route in self.routes.get(step.device, ()) if step.family == 6 or route != LEASED_ROUTE
        )
        present = self.addresses.get(step.device, ())
        self.set_addresses(step.device, tuple(item for item in present if item.interface not in client.leased))

    def _run_AnnounceStep(self, step: Any) -> None:
        self.require(step.device)

    def answer_dhcp(self) -> None:
        """A server answers every client that runs without a lease."""
        for name, family in self.clients:
            client = self._client(name, family)
            if client is not None and not client.leased and not (family == 6 and self._is_ipv6_off(name)):
                lease = Address(interface=LEASES[family], origin=Origin.DHCP)
                self.addresses[name] = (*self.addresses.get(name, ()), lease)
                if "routers" in client.configuration:
                    self.set_leased_route(name)

    def require(self, device: str) -> Link:
        if device not in self.links:
            raise DeviceAbsentError(f"there is no device {device}")
        return self.links[device]

    def bring_up(self, device: str) -> None:
        link = self.links[device]
        parent = self.links.get(link.parent or "")
        if parent is not None and parent.up is not True:
            raise NetlinkError(f"{device} cannot come up: {parent.name} below it is down")
        self.links[device] = replace(link, up=True)
        self.idle.pop(device, None)
        for upper in self._riding_on(device):
            self.bring_up(upper)

    def take_down(self, device: str) -> None:
        """Routes go with the link, and IPv6 addresses (keep_addr_on_down is off); IPv4 addresses stay."""
        self.links[device] = replace(self.links[device], up=False)
        self.routes.pop(device, None)
        self._lose_ipv6(device)
        for upper in self._riding_on(device):
            self.take_down(upper)

    def set_mtu(self, device: str, mtu: int) -> None:
        """A VLAN's device is never wider than the one below it."""
        link = self.links[device]
        parent = self.links.get(link.parent or "")
        if parent is not None and isinstance(parent.mtu, int) and mtu > parent.mtu:
            raise NetlinkError(f"MTU {mtu} of {device} is above that of {parent.name}")
        self.links[device] = replace(link, mtu=mtu)
        if mtu < _MIN_IPV6_MTU:
            self._lose_ipv6(device)
        for upper in self._riding_on(device):
            width = self.links[upper].mtu
            if isinstance(width, int) and width > mtu:
                self.set_mtu(upper, mtu)

    def _riding_on(self, device: str) -> list[str]:
        return [link.name for link in self.links.values() if link.parent == device]

    def _is_ipv6_off(self, device: str) -> bool:
        link = self.links[device]
        narrow = isinstance(link.mtu, int) and link.mtu < _MIN_IPV6_MTU
        return narrow or link.sysctls.get(f"ipv6/conf/{device}/disable_ipv6") == "1"

    def _lose_ipv6(self, device: str) -> None:
        before = self.addresses.get(device, ())
        self.addresses[device] = tuple(item for item in before if item.interface.version == 4)
        self.routes[device] = tuple(route for route in self.routes.get(device, ()) if route.destination.version == 4)

    def set_addresses(self, device: str, addresses: tuple[Address, ...]) -> None:
        """With the last IPv4 address all IPv4 routes through the device go, with any those that leave with it."""
        before = self.addresses.get(device, ())
        had = any(item.interface.version == 4 for item in before)
        self.addresses[device] = addresses
        self._lose_sources(before)
        if had and all(item.interface.version == 6 for item in addresses):
            routes = self.routes.get(device, ())
            self.routes[device] = tuple(route for route in routes if route.destination.version == 6)

    def _lose_sources(self, before: tuple[Address, ...]) -> None:
        """What happens when some of these addresses of a device are no more."""
        gone = {item.interface.ip for item in before if not self._has_address(item.interface.ip)}
        for name, routes in self.routes.items():
            self.routes[name] = tuple(route for route in routes if route.source not in gone)

    def _check_gateway(self, device: str, route: Route, present: tuple[Route, ...]) -> None:
        gateway = route.gateway
        if gateway is None or route.onlink:
            return
        if isinstance(gateway, ipaddress.IPv6Address) and gateway.is_link_local:
            return
        subnets = [item.interface.network for item in self.addresses.get(device, ())]
        subnets += [other.destination for other in present if other.gateway is None]
        if not any(gateway.version == subnet.version and gateway in subnet for subnet in subnets):
            raise NetlinkError(f"{gateway} cannot be reached through {device}")

    def remove_link(self, name: str) -> None:
        gone, had = self.links.pop(name, None), self.addresses.pop(name, ())
        self.idle[name] = had if gone is not None and gone.up is not True else ()
        self.routes.pop(name, None)
        self._lose_sources(had)
        self.clients = {key: client for key, client in self.clients.items() if key[0] != name}

    def ip_device(self, name: str) -> IpDevice:
        return IpDevice(
            device=name,
            addresses=self.addresses.get(name, ()),
            routes=(*self.routes.get(name, ()), *self._subnets(name)),
            dhcp4=self._client(name, 4),
            dhcp6=self._client(name, 6),
        )

    def _subnets(self, name: str) -> tuple[Route, ...]:
        """The kernel's own routes to the subnets of a device's IPv4 addresses."""
        link = self.links.get(name)
        if link is None or link.up is not True:
            return ()
        held = (item.interface for item in self.addresses.get(name, ()) if item.interface.version == 4)
        subnets = dict.fromkeys(item.network for item in held)
        return tuple(Route(destination=subnet, gateway=None, protocol=_KERNELS_OWN) for subnet in subnets)

    def _ip_device_has_lease(self, name: str, family: int) -> bool:
        client = self._client(name, family)
        return client is not None and bool(client.leased)

    def _client(self, name: str, family: int) -> DhcpClient | None:
        client = self.clients.get((name, family))
        if client is None:
            return None
        leased = tuple(
            item.interface
            for item in self.addresses.get(name, ())
            if item.origin is Origin.DHCP and item.interface.version == family
        )
        return replace(client, leased=leased)


def new_link(name: str, **fields: Any) -> Link:
    """A netdev with a driver's and the kernel's defaults."""
    conf = {"disable_ipv6": "0", "accept_ra": "1", "autoconf": "1", "accept_ra_defrtr": "1"}
    sysctls = {f"ipv6/conf/{name}/{key}": value for key, value in conf.items()}
    known = {"mtu": 1500, "up": False, "carrier": True, "features": dict(FEATURES), "sysctls": sysctls}
    return Link(name=name, **{**known, **fields})


def _as_set(route: Route) -> Route:
    """The route as the kernel has it: a protocol and, for IPv6, a metric are filled in."""
    metric = route.metric or (1024 if route.destination.version == 6 else 0)
    return replace(route, protocol=route.protocol or _OURS, metric=metric)


def _identity(route: Route) -> tuple[Any, ...]:
    return route.destination, route.gateway, route.metric
