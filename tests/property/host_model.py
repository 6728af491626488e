"""A host in memory that has the effects of steps, for the property tests.

It knows the kernel's and the switch's manners and nothing of xsagent's plan/ or desired/: steps are told apart by the
name of their class, so that a mistake in the planner cannot hide in the model.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace
from typing import Any

from xsagent.topology.values import (
    Address,
    Bridge,
    DhcpClient,
    Interface,
    IpDevice,
    Link,
    Origin,
    Port,
    Resolver,
    Route,
    Topology,
)

LEASE_PREFIX = "198.51.100."
EMPTY = ["set", []]


@dataclass
class HostModel:
    """Bridges, links, addresses, routes, DHCP clients and files of a made-up host."""

    bridges: dict[str, Bridge] = field(default_factory=dict)
    links: dict[str, Link] = field(default_factory=dict)
    addresses: dict[str, list[Address]] = field(default_factory=dict)
    routes: dict[str, list[Route]] = field(default_factory=dict)
    clients: dict[tuple[str, int], DhcpClient] = field(default_factory=dict)
    files: dict[str, str | None] = field(default_factory=dict)
    resolver: Resolver = field(default_factory=Resolver)
    transactions: int = 0

    def copy(self) -> HostModel:
        """An independent copy."""
        return copy.deepcopy(self)

    def observe(self, files: frozenset[str] = frozenset()) -> Topology:
        """The host as an observed topology; these files are read too."""
        names = set(self.addresses) | set(self.routes) | {device for device, _ in self.clients}
        return Topology(
            bridges=dict(self.bridges),
            links=dict(self.links),
            ip_devices={name: self._ip_device(name) for name in sorted(names) if self._has_ip(name)},
            resolver=self.resolver,
            files={path: self.files.get(path) for path in files},
        )

    def state(self) -> dict[str, Any]:
        """Everything that an undo must bring back, in a form that compares."""
        return {
            "bridges": self.bridges,
            "links": {name: replace(link, ifindex=0) for name, link in self.links.items()},
            "addresses": {name: sorted(map(str, items)) for name, items in self.addresses.items() if items},
            "routes": {name: sorted(map(str, items)) for name, items in self.routes.items() if items},
            "clients": {key: client.configuration for key, client in self.clients.items() if client.running},
            "files": {path: text for path, text in self.files.items() if text is not None},
            "resolver": self.resolver,
        }

    def run(self, step: Any) -> None:
        """Have the effect of one step."""
        getattr(self, f"_run_{type(step).__name__}")(step)

    # --- steps -------------------------------------------------------------------------------------------

    def _run_OvsdbStep(self, step: Any) -> None:
        before = copy.deepcopy(self.bridges)
        try:
            for operation in step.operations:
                getattr(self, f"_do_{type(operation).__name__}")(operation)
            self._check_unique_names()
        except (KeyError, AssertionError):
            self.bridges = before
            raise
        self.transactions += 1
        self._follow_switch(before)

    def _run_LinkStep(self, step: Any) -> None:
        link = self.links[step.device]
        changes = {name: getattr(step, name) for name in ("mtu", "up", "mac") if getattr(step, name) is not None}
        self.links[step.device] = replace(link, **changes)
        if step.up is False:
            self.routes.pop(step.device, None)

    def _run_CreateVlanLinkStep(self, step: Any) -> None:
        assert step.device not in self.links
        assert step.parent in self.links
        self.links[step.device] = Link(
            name=step.device,
            mac="02:00:00:00:00:01",
            mtu=1500,
            up=False,
            kind="vlan",
            parent=step.parent,
            vlan=step.tag,
        )

    def _run_DeleteLinkStep(self, step: Any) -> None:
        self._remove_link(step.device)

    def _run_WaitCarrierStep(self, step: Any) -> None:
        assert all(device in self.links for device in step.devices)

    def _run_FeaturesStep(self, step: Any) -> None:
        link = self.links[step.device]
        self.links[step.device] = replace(link, features={**link.features, **step.features})

    def _run_LinkSettingsStep(self, step: Any) -> None:
        link = self.links[step.device]
        self.links[step.device] = replace(link, settings={**link.settings, **step.settings})

    def _run_SysctlStep(self, step: Any) -> None:
        for path, value in step.values.items():
            device = path.split("/")[2]
            link = self.links[device]
            self.links[device] = replace(link, sysctls={**link.sysctls, path: value})

    def _run_AddressStep(self, step: Any) -> None:
        present = self.addresses.setdefault(step.device, [])
        assert self.links[step.device].up is True or not step.add, "an address on a link that is down"
        there = {item.interface for item in present}
        present += [item for item in step.add if item.interface not in there]
        removed = {item.interface for item in step.remove}
        self.addresses[step.device] = [item for item in present if item.interface not in removed]

    def _run_RouteStep(self, step: Any) -> None:
        present = self.routes.setdefault(step.device, [])
        assert not step.add or self.links[step.device].up is True, "a route through a link that is down"
        for route in step.add:
            present[:] = [old for old in present if (old.destination, old.metric) != (route.destination, route.metric)]
            present.append(route)
        removed = {(route.destination, route.gateway) for route in step.remove}
        self.routes[step.device] = [
            route for route in present if (route.destination, route.gateway) not in removed or route in step.add
        ]

    def _run_StartDhcpStep(self, step: Any) -> None:
        assert self.links[step.device].up is True, "a DHCP client on a link that is down"
        self.clients[step.device, step.client.family] = replace(step.client, running=True, pid=7, leased=())

    def _run_StopDhcpStep(self, step: Any) -> None:
        self.clients.pop((step.device, step.family), None)

    def _run_FileStep(self, step: Any) -> None:
        self.files[step.path] = step.text

    def _run_ResolverStep(self, step: Any) -> None:
        self.resolver = step.resolver

    def _run_AnnounceStep(self, step: Any) -> None:
        assert step.device in self.links

    def _run_UpdateIssueStep(self, step: Any) -> None:
        """Shows addresses to people; nothing that is observed changes."""

    # --- operations of a transaction ---------------------------------------------------------------------

    def _do_CreateBridge(self, operation: Any) -> None:
        assert operation.bridge.name not in self.bridges
        self.bridges[operation.bridge.name] = _inserted_bridge(operation.bridge)

    def _do_DeleteBridge(self, operation: Any) -> None:
        del self.bridges[operation.name]

    def _do_AddPort(self, operation: Any) -> None:
        self._put_port(operation.bridge, _inserted_port(operation.port))

    def _do_DeletePort(self, operation: Any) -> None:
        self._take_port(operation.bridge, operation.name)

    def _do_MovePort(self, operation: Any) -> None:
        self._put_port(operation.target, self._take_port(operation.source, operation.name))

    def _do_AddInterface(self, operation: Any) -> None:
        bridge, port = self._find_port(operation.port)
        interface = _inserted_interface(operation.interface)
        self._put_port(bridge, replace(port, interfaces={**port.interfaces, interface.name: interface}))

    def _do_RemoveInterface(self, operation: Any) -> None:
        bridge, port = self._find_port(operation.port)
        rest = {name: value for name, value in port.interfaces.items() if name != operation.name}
        assert rest, "a port without interfaces"
        assert len(rest) < len(port.interfaces)
        self._put_port(bridge, replace(port, interfaces=rest))

    def _do_SetColumns(self, operation: Any) -> None:
        changes = {_FIELDS.get(name, name): _decoded(name, value) for name, value in operation.columns.items()}
        self._change_row(operation.table, operation.record, lambda row: replace(row, **changes))

    def _do_SetKeys(self, operation: Any) -> None:
        def change(row: Any) -> Any:
            keys = dict(getattr(row, operation.column))
            extra = {}
            for key, value in operation.keys.items():
                if isinstance(row, Bridge) and (operation.column, key) == ("other_config", "hwaddr"):
                    extra["hwaddr"] = value
                elif value is None:
                    keys.pop(key, None)
                else:
                    keys[key] = value
            return replace(row, **{operation.column: keys}, **extra)

        self._change_row(operation.table, operation.record, change)

    # --- how a switch behaves ----------------------------------------------------------------------------

    def _change_row(self, table: str, record: str, change: Any) -> None:
        if table == "Bridge":
            self.bridges[record] = change(self.bridges[record])
            return
        for name, bridge in self.bridges.items():
            for port in bridge.ports.values():
                if table == "Port" and port.name == record:
                    self._put_port(name, change(port))
                    return
                if table == "Interface" and record in port.interfaces:
                    interfaces = {**port.interfaces, record: change(port.interfaces[record])}
                    self._put_port(name, replace(port, interfaces=interfaces))
                    return
        raise KeyError(record)

    def _find_port(self, name: str) -> tuple[str, Port]:
        for bridge in self.bridges.values():
            if name in bridge.ports:
                return bridge.name, bridge.ports[name]
        raise KeyError(name)

    def _put_port(self, bridge: str, port: Port) -> None:
        row = self.bridges[bridge]
        self.bridges[bridge] = replace(row, ports={**row.ports, port.name: port})

    def _take_port(self, bridge: str, name: str) -> Port:
        row = self.bridges[bridge]
        taken = row.ports[name]
        self.bridges[bridge] = replace(row, ports={key: port for key, port in row.ports.items() if key != name})
        return taken

    def _check_unique_names(self) -> None:
        """OVSDB's indexes: a Port's and an Interface's name stand once in the whole database."""
        ports = [name for bridge in self.bridges.values() for name in bridge.ports]
        interfaces = [
            name for bridge in self.bridges.values() for port in bridge.ports.values() for name in port.interfaces
        ]
        assert len(ports) == len(set(ports)), "two ports of one name"
        assert len(interfaces) == len(set(interfaces)), "two interfaces of one name"

    def _follow_switch(self, before: dict[str, Bridge]) -> None:
        """Internal ports come and go as devices, and a port's requested MTU is set."""
        old, new = _internal_devices(before), _internal_devices(self.bridges)
        for name in old.keys() - new.keys():
            self._remove_link(name)
        for name in new.keys() - old.keys():
            self.links[name] = Link(name=name, mac="02:00:00:00:00:02", mtu=1500, up=False, kind="openvswitch")
        for bridge in self.bridges.values():
            for port in bridge.ports.values():
                for interface in port.interfaces.values():
                    if isinstance(interface.mtu_request, int) and interface.name in self.links:
                        self.links[interface.name] = replace(self.links[interface.name], mtu=interface.mtu_request)

    def _remove_link(self, name: str) -> None:
        self.links.pop(name, None)
        self.addresses.pop(name, None)
        self.routes.pop(name, None)
        self.clients = {key: client for key, client in self.clients.items() if key[0] != name}

    def _has_ip(self, name: str) -> bool:
        device = self._ip_device(name)
        return bool(device.addresses or device.routes or device.dhcp4 or device.dhcp6)

    def _ip_device(self, name: str) -> IpDevice:
        return IpDevice(
            device=name,
            addresses=tuple(self.addresses.get(name, ())),
            routes=tuple(self.routes.get(name, ())),
            dhcp4=self._client(name, 4),
            dhcp6=self._client(name, 6),
        )

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

    def answer_dhcp(self, address: Address) -> None:
        """A server answers every client that runs without a lease."""
        for name, family in self.clients:
            if family == address.interface.version and not self._has_lease(name, family):
                self.addresses.setdefault(name, []).append(address)

    def _has_lease(self, name: str, family: int) -> bool:
        client = self._client(name, family)
        return client is not None and bool(client.leased)


_FIELDS = {"mcast_snooping_enable": "mcast_snooping"}


def _decoded(column: str, value: Any) -> Any:
    if value == EMPTY:
        return () if column == "trunks" else None
    if isinstance(value, list):
        return tuple(value[1])
    return value


def _internal_devices(bridges: dict[str, Bridge]) -> dict[str, Interface]:
    return {
        name: interface
        for bridge in bridges.values()
        for port in bridge.ports.values()
        for name, interface in port.interfaces.items()
        if interface.type == "internal"
    }


def _inserted_bridge(bridge: Bridge) -> Bridge:
    ports = {name: _inserted_port(port) for name, port in bridge.ports.items()}
    defaults = {"datapath_type": "", "fail_mode": None, "hwaddr": None, "mcast_snooping": False}
    return replace(bridge, ports=ports, **_filled(bridge, defaults))


def _inserted_port(port: Port) -> Port:
    interfaces = {name: _inserted_interface(value) for name, value in port.interfaces.items()}
    defaults = {
        "tag": None,
        "trunks": (),
        "mac": None,
        "fake_bridge": False,
        "bond_fake_iface": False,
        "bond_mode": None,
        "lacp": None,
        "bond_updelay": 0,
        "bond_downdelay": 0,
    }
    return replace(port, interfaces=interfaces, **_filled(port, defaults))


def _inserted_interface(interface: Interface) -> Interface:
    return replace(interface, **_filled(interface, {"type": "", "mac": None, "mtu_request": None}))


def _filled(row: Any, defaults: dict[str, Any]) -> dict[str, Any]:
    """What the database puts where an insert says nothing."""
    return {name: value for name, value in defaults.items() if not isinstance(getattr(row, name), _PLAIN)}


_PLAIN = (str, int, tuple, type(None))
