"""What others do to a generated host's switch: guests' ports, SDN software, an admin's bridges, mirrors and keys.

`world.py` builds its hosts on this; nothing here goes through a plan.
"""

from __future__ import annotations

import ipaddress
import uuid
from collections.abc import Callable
from dataclasses import replace

from host_model import HostModel
from kernel_model import new_link
from strategies import Event

from xsagent.topology.values import Address, Bridge, Interface, Link, Port

FOREIGN_BRIDGE = "adminbr"
TUNNELS = ("gre", "vxlan", "geneve", "stt")
FOREIGN_PORTS = ("vif", "patch", "peer", "sdn", "tagged", *TUNNELS)
"""How the names of ports begin that are none of xsagent's."""


class Others:
    """They work on the host as it is now."""

    def __init__(self, model: HostModel) -> None:
        self.model = model
        self._count = 0

    def let_sdn_work(self) -> None:
        """SDN software takes each bridge that has no controller yet: tunnels, a tagged port and a controller."""
        for number, name in enumerate(sorted(self.model.bridges)):
            if not self.model.bridges[name].controllers:
                event = Event(what="", first=number, second=number)
                for edit in (self._plug_trunk, self._plug_tagged, self._add_controller):
                    edit(event)

    def _plug_vif(self, event: Event) -> None:
        name = self.fresh("vif9.")
        self.model.links[name] = new_link(name, mac="fe:ff:ff:ff:ff:ff", up=True)
        self._plug(event, make_port(name, keys={"xs-vif-uuid": f"uuid-{name}"}))

    def _plug_tunnel(self, event: Event) -> None:
        """A static tunnel port, as SDN software has one for each other host."""
        kind = TUNNELS[event.second % len(TUNNELS)]
        name = self.fresh(kind)
        self._plug(event, make_port(name, kind, options={"remote_ip": f"192.0.2.{100 + self._count}"}))

    def _plug_patch(self, event: Event) -> None:
        """A way between a bridge of others, where there is one, and a bridge or a VLAN."""
        name, far = self.fresh("patch"), self.fresh("peer")
        if self._plug(event, make_port(name, "patch", options={"peer": far})) and FOREIGN_BRIDGE in self.model.bridges:
            bridge = self.model.bridges[FOREIGN_BRIDGE]
            peer = make_port(far, "patch", options={"peer": name})
            self.model.bridges[FOREIGN_BRIDGE] = replace(bridge, ports={**bridge.ports, far: peer})

    def _plug_tagged(self, event: Event) -> None:
        """A device with a tag of its own on a real bridge; its VLAN may be one of ours or nobody's."""
        bridges = sorted(self.model.bridges)
        if bridges:
            bridge = self.model.bridges[bridges[event.first % len(bridges)]]
            name = self.fresh("tagged")
            self.model.links[name] = new_link(name, mac="02:00:00:00:00:09", up=True)
            port = replace(make_port(name), tag=(1, 5, 77)[event.second % 3])
            self.model.bridges[bridge.name] = replace(bridge, ports={**bridge.ports, name: port})

    def _plug_trunk(self, event: Event) -> None:
        """A port of SDN software that carries some VLANs."""
        bridges = sorted(self.model.bridges)
        if bridges:
            bridge = self.model.bridges[bridges[event.first % len(bridges)]]
            name = self.fresh("vxlan")
            tunnel = make_port(name, "vxlan", options={"remote_ip": "flow", "key": "flow"})
            ports = {**bridge.ports, name: replace(tunnel, trunks=(5, 77))}
            self.model.bridges[bridge.name] = replace(bridge, ports=ports)

    def _plug_internal(self, event: Event) -> None:
        name = self.fresh("sdn")
        if self._plug(event, make_port(name, "internal")):
            self.model.links[name] = internal_link(name)
            self.put_address(name, f"10.200.{self._count}.1/24")

    def _row_uuid(self) -> str:
        """A uuid that no other row has: OVSDB takes nothing else."""
        return str(uuid.uuid5(uuid.NAMESPACE_OID, self.fresh("row")))

    def _add_controller(self, event: Event) -> None:
        def change(bridge: Bridge) -> Bridge:
            row = {"table": "Controller", "uuid": self._row_uuid(), "row": {"target": "tcp:192.0.2.9:6653"}}
            return replace(
                bridge,
                controllers=("tcp:192.0.2.9:6653",),
                extra={**bridge.extra, "controller": ["set", [row]], "protocols": ["set", ["OpenFlow13"]]},
            )

        self.change_bridge(event.first, change)

    def _add_mirror(self, event: Event) -> None:
        row = {"table": "Mirror", "uuid": self._row_uuid(), "row": {"name": "tap", "select_all": True}}
        mirrors = {"mirrors": ["set", [row]]}
        self.change_bridge(event.first, lambda bridge: replace(bridge, extra={**bridge.extra, **mirrors}))

    def _add_qos(self, event: Event) -> None:
        extra = {"qos": {"table": "QoS", "uuid": self._row_uuid(), "row": {"type": "linux-htb"}}}
        self.change_port(event, lambda port: replace(port, extra={**port.extra, **extra}))

    def _add_key(self, event: Event) -> None:
        self.change_bridge(
            event.first,
            lambda bridge: replace(
                bridge,
                external_ids={**bridge.external_ids, "admin-note": "mine"},
                other_config={**bridge.other_config, "datapath-id": "0000000000000001"},
            ),
        )

    def fresh(self, prefix: str) -> str:
        """A name that nothing has yet."""
        self._count += 1
        return f"{prefix}{self._count}"

    def _plug(self, event: Event, port: Port) -> bool:
        """Add a port to a real bridge, or with its tag to a VLAN bridge."""
        places = [(bridge.name, None) for bridge in self.model.bridges.values()]
        places += [
            (bridge.name, item.tag)
            for bridge in self.model.bridges.values()
            for item in bridge.ports.values()
            if item.fake_bridge is True
        ]
        if not places:
            self.model.links.pop(port.name, None)
            return False
        name, tag = sorted(places, key=repr)[event.first % len(places)]
        bridge = self.model.bridges[name]
        self.model.bridges[name] = replace(bridge, ports={**bridge.ports, port.name: replace(port, tag=tag)})
        return True

    def change_bridge(self, number: int, change: Callable[[Bridge], Bridge]) -> None:
        """Change one of the bridges."""
        names = sorted(self.model.bridges)
        if names:
            name = names[number % len(names)]
            self.model.bridges[name] = change(self.model.bridges[name])
            self.model.set_macs()

    def change_port(self, event: Event, change: Callable[[Port], Port]) -> None:
        """Change one port of one of the bridges."""

        def change_bridge(bridge: Bridge) -> Bridge:
            name = sorted(bridge.ports)[event.second % len(bridge.ports)]
            return replace(bridge, ports={**bridge.ports, name: change(bridge.ports[name])})

        self.change_bridge(event.first, change_bridge)

    def put_address(self, name: str, text: str) -> None:
        """Add an address to a device."""
        item = Address(interface=ipaddress.ip_interface(text))
        present = self.model.addresses.get(name, ())
        if all(old.interface != item.interface for old in present):
            self.model.addresses[name] = (*present, item)


def internal_link(name: str) -> Link:
    """The netdev of a port of type internal."""
    return new_link(name, mac="02:00:00:00:00:02", up=True, kind="openvswitch")


def make_port(
    name: str, kind: str = "", options: dict[str, str] | None = None, keys: dict[str, str] | None = None
) -> Port:
    """A Port row as it is read from a database."""
    interface = Interface(
        name=name, type=kind, mac=None, mtu_request=None, options=options or {}, external_ids=keys or {}
    )
    return Port(
        name=name,
        interfaces={name: interface},
        tag=None,
        trunks=(),
        mac=None,
        fake_bridge=False,
        bond_fake_iface=False,
        bond_mode=None,
        lacp=None,
        bond_updelay=0,
        bond_downdelay=0,
    )
