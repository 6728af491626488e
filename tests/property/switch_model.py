"""The Open vSwitch half of the host model: what the operations of a transaction do to bridges, ports and interfaces.

Knows OVSDB's rules and nothing of xsagent's plan/ or desired/: operations are told apart by the name of their class.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from xsagent.errors import ConflictError
from xsagent.topology.values import Bridge, Interface, Port

EMPTY = ["set", []]
_FIELDS = {"mcast_snooping_enable": "mcast_snooping"}
_PLAIN = (str, int, tuple, type(None))

Bridges = dict[str, Bridge]


def after_transaction(step: Any, before: Mapping[str, Bridge]) -> Bridges:
    """The bridges after a step's operations; a relied-on fact that is not so is a ConflictError."""
    for relied in step.relied:
        _check_relied(relied, before)
    switch = _Transaction(dict(before))
    for operation in step.operations:
        getattr(switch, f"do_{type(operation).__name__}")(operation)
    _check_unique_names(switch.bridges)
    return switch.bridges


def internal_devices(bridges: Mapping[str, Bridge]) -> dict[str, tuple[str, Interface]]:
    """Devices of type internal, with the bridge that each is on: one that changes its bridge is made anew."""
    return {
        name: (bridge.name, interface)
        for bridge in bridges.values()
        for port in bridge.ports.values()
        for name, interface in port.interfaces.items()
        if interface.type == "internal"
    }


def bond_devices(bridges: Mapping[str, Bridge]) -> dict[str, str]:
    """Devices that bonds have under their own name (bond_fake_iface), with their bridge."""
    return {
        port.name: bridge.name
        for bridge in bridges.values()
        for port in bridge.ports.values()
        if port.bond_fake_iface is True and len(port.interfaces) > 1
    }


_END = re.compile(r"(in_port|output)[=:]([^,\s]+)")


def live_flows(bridge: Bridge, lines: Iterable[str]) -> set[str]:
    """Flows whose ports the bridge has: one that names a port which is gone carries nothing."""
    interfaces = {name for port in bridge.ports.values() for name in port.interfaces}
    return {line for line in lines if {end for _, end in _END.findall(line)} <= {*interfaces, "LOCAL"}}


def shown_flows(bridge: Bridge, lines: Iterable[str]) -> tuple[str, ...]:
    """Flows as the switch shows them: a port that is gone by its number."""
    live = live_flows(bridge, lines)
    return tuple(line if line in live else _END.sub(r"\1=9", line) for line in lines)


def carries(bridge: Bridge, device: str, mac: object, lines: Iterable[str], nics: Iterable[str]) -> bool:
    """Whether frames of an IP device get out and answers to it come in, each through one of the NICs at least."""
    if bridge.fail_mode != "secure":
        return True
    port = bridge.ports[device]
    end = "LOCAL" if device == bridge.name else device
    to_device = "LOCAL" if device == bridge.name else f"output:{device}"
    tag = f"dl_vlan={port.tag}" if isinstance(port.tag, int) else ""
    parts = [set(re.split(r"[,\s]+", line.replace("actions=", ""))) for line in live_flows(bridge, lines)]
    goes_out = any({f"in_port={end}", f"dl_src={mac}"} <= flow and {"arp", "icmp6"}.isdisjoint(flow) for flow in parts)
    inbound = [flow for flow in parts if to_device in flow and any("dl_vlan=" in p for p in flow) == bool(tag)]
    inbound = [flow for flow in inbound if not tag or tag in flow]
    found = {nic for nic in nics for flow in inbound if {f"in_port={nic}", f"dl_dst={mac}"} <= flow}
    asked = {nic for nic in nics for flow in inbound if {f"in_port={nic}", "arp", "arp_op=1"} <= flow}
    return goes_out and bool(found & asked)


def _check_relied(relied: Any, bridges: Mapping[str, Bridge]) -> None:
    ports = {name: port for bridge in bridges.values() for name, port in bridge.ports.items()}
    rows = {"Bridge": bridges, "Port": ports}[relied.table]
    if relied.column == "name":
        if (relied.record in rows) is not relied.value:
            raise ConflictError(f"{relied.record} is not as relied on")
    elif not set(relied.value) <= set(getattr(rows[relied.record], relied.column)):
        raise ConflictError(f"{relied.column} of {relied.record} are not as relied on")


def _check_unique_names(bridges: Mapping[str, Bridge]) -> None:
    """OVSDB's indexes: a Port's and an Interface's name stand once in the whole database."""
    ports = [name for bridge in bridges.values() for name in bridge.ports]
    interfaces = [name for bridge in bridges.values() for port in bridge.ports.values() for name in port.interfaces]
    assert len(ports) == len(set(ports)), f"two ports of one name: {sorted(ports)}"
    assert len(interfaces) == len(set(interfaces)), f"two interfaces of one name: {sorted(interfaces)}"


class _Transaction:
    """One transaction under way."""

    def __init__(self, bridges: Bridges) -> None:
        self.bridges = bridges

    def do_CreateBridge(self, operation: Any) -> None:
        assert operation.bridge.name not in self.bridges, f"bridge {operation.bridge.name} is there"
        self.bridges[operation.bridge.name] = _inserted_bridge(operation.bridge)

    def do_DeleteBridge(self, operation: Any) -> None:
        del self.bridges[operation.name]

    def do_AddPort(self, operation: Any) -> None:
        self._put_port(operation.bridge, _inserted_port(operation.port))

    def do_DeletePort(self, operation: Any) -> None:
        self._take_port(operation.bridge, operation.name)

    def do_MovePort(self, operation: Any) -> None:
        self._put_port(operation.target, self._take_port(operation.source, operation.name))

    def do_MoveMirror(self, operation: Any) -> None:
        source, target = self.bridges[operation.source], self.bridges[operation.target]
        left = [mirror for mirror in _mirrors(source) if mirror != operation.mirror]
        assert len(left) < len(_mirrors(source)), f"no such mirror on {source.name}"
        for bridge, mirrors in ((source, left), (target, [*_mirrors(target), operation.mirror])):
            others = {column: value for column, value in bridge.extra.items() if column != "mirrors"}
            extra = {**others, "mirrors": ["set", mirrors]} if mirrors else others
            self.bridges[bridge.name] = replace(bridge, extra=extra)

    def do_AddInterface(self, operation: Any) -> None:
        bridge, port = self._find_port(operation.port)
        interface = _inserted_interface(operation.interface)
        assert interface.name not in port.interfaces
        self._put_port(bridge, replace(port, interfaces={**port.interfaces, interface.name: interface}))

    def do_RemoveInterface(self, operation: Any) -> None:
        bridge, port = self._find_port(operation.port)
        rest = {name: value for name, value in port.interfaces.items() if name != operation.name}
        assert rest, "a port without interfaces"
        assert len(rest) < len(port.interfaces), f"{operation.name} is not in {operation.port}"
        self._put_port(bridge, replace(port, interfaces=rest))

    def do_SetColumns(self, operation: Any) -> None:
        changes = {_FIELDS.get(name, name): _decoded(name, value) for name, value in operation.columns.items()}
        self._change_row(operation.table, operation.record, lambda row: replace(row, **changes))

    def do_SetKeys(self, operation: Any) -> None:
        def change(row: Any) -> Any:
            keys = dict(getattr(row, operation.column))
            hwaddr = {}
            for key, value in operation.keys.items():
                if isinstance(row, Bridge) and (operation.column, key) == ("other_config", "hwaddr"):
                    hwaddr["hwaddr"] = value
                elif value is None:
                    keys.pop(key, None)
                else:
                    keys[key] = value
            return replace(row, **{operation.column: keys}, **hwaddr)

        self._change_row(operation.table, operation.record, change)

    def _change_row(self, table: str, record: str, change: Callable[[Any], Any]) -> None:
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


def _mirrors(bridge: Bridge) -> list[Any]:
    value: Any = bridge.extra.get("mirrors", EMPTY)
    return list(value[1])


def _decoded(column: str, value: Any) -> Any:
    if value == EMPTY:
        return () if column == "trunks" else None
    if isinstance(value, list):
        return tuple(value[1])
    return value


def _inserted_bridge(bridge: Bridge) -> Bridge:
    ports = {name: _inserted_port(port) for name, port in bridge.ports.items()}
    defaults = {"datapath_type": "", "fail_mode": None, "hwaddr": None, "mcast_snooping": False}
    return replace(bridge, ports=ports, **_filled(bridge, defaults))


def _inserted_port(port: Port) -> Port:
    assert port.interfaces, f"port {port.name} without interfaces"
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
    """What the database puts where an insert says nothing; a key that must be absent has no place in an insert."""
    for column in ("other_config", "external_ids", "options"):
        assert None not in getattr(row, column, {}).values(), f"{column} of {row.name} is inserted with an empty value"
    return {name: value for name, value in defaults.items() if not isinstance(getattr(row, name), _PLAIN)}
