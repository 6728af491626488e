"""A generated host while things happen to it: records, the host model, and what XAPI would write into the records.

`test_pipeline.py` walks through a scenario's events with it; an edit changes records or host by hand, never by a plan.
"""

from __future__ import annotations

import ipaddress
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from host_model import HostModel
from kernel_model import FEATURES, new_link
from strategies import MANAGEMENT, Event, NicState, Scenario

from xsagent.desired.build import build_desired
from xsagent.desired.request import BuildOptions, HostFacts, Request
from xsagent.model.records import Pif, Ref
from xsagent.model.snapshot import Snapshot
from xsagent.plan.options import PlanOptions
from xsagent.topology.desired import Desired
from xsagent.topology.values import Address, Bridge, Interface, Link, Port, Route

FOREIGN_BRIDGE = "adminbr"
TUNNELS = ("gre", "vxlan", "geneve", "stt")
FOREIGN_PORTS = ("vif", "patch", "peer", "sdn", "tagged", *TUNNELS)
"""How the names of ports begin that are none of xsagent's."""


class World:
    """One host.

    Attributes:
        snapshot: records as XAPI has them now.
        model: the host as it is now.
    """

    def __init__(self, scenario: Scenario) -> None:
        self.snapshot: Snapshot = scenario.snapshot
        self.facts = HostFacts(hostname="host0", ipv6_available=scenario.ipv6_available)
        self.options = BuildOptions(datapath_type=scenario.datapath_type, ip_backend=scenario.ip_backend)
        self.model = HostModel(dhcp_answers=scenario.dhcp_answers, has_bond_devices=scenario.has_bond_devices)
        self._count = 0
        self._has_sdn = scenario.has_sdn
        for number, state in enumerate(scenario.nics):
            self._put_nic(f"eth{number}", f"00:16:3e:00:00:0{number}", state)
        spare = NicState(up=True, mtu=1500, carrier=True, address=True, gro=True)
        self._put_nic("eth8", "00:16:3e:00:00:08", spare)
        if scenario.foreign_bridge:
            ports = [_port(FOREIGN_BRIDGE, "internal"), _port("eth8" if not scenario.foreign_holds_nic else "eth0")]
            self._put_foreign_bridge(ports)

    # --- operations --------------------------------------------------------------------------------------

    def pif(self, event: Event) -> Pif:
        """The PIF that an operation is about."""
        management = self.snapshot.management_pif()
        if event.first == MANAGEMENT and management is not None:
            return management
        refs = sorted(self.snapshot.pifs)
        return self.snapshot.pifs[refs[event.first % len(refs)]]

    def desired(self, event: Event) -> Desired:
        """What the operation wants; raises as build_desired does."""
        request = Request(
            action="up" if event.what == "up" else "down",
            pif=self.pif(event).ref,
            becoming_management=event.becoming_management,
            origin=event.origin,
            even_if_in_use=event.even_if_in_use,
        )
        bridges = self.model.bridges.values()
        vlan_bridges = {name for bridge in bridges for name, port in bridge.ports.items() if port.fake_bridge is True}
        facts = replace(
            self.facts,
            present_bridges=frozenset({*self.model.bridges, *vlan_bridges}),
            sysconfig_network=self.model.files.get("/etc/sysconfig/network") or "",
        )
        return build_desired(self.snapshot, request, facts, self.options)

    def plan_options(self, event: Event, model: HostModel) -> PlanOptions:
        """What the flow tells the planner."""
        keep = event.origin != "session" and not event.even_if_in_use
        return PlanOptions(keep_vif_ports=keep, refused_features=model.refused, refused_settings=model.refused_settings)

    def take_over(self, event: Event, model: HostModel) -> None:
        """The operation was applied: the host is this model now, and XAPI writes down what it did."""
        self.model = model
        if self._has_sdn:
            self._let_sdn_work()
        pif = self.pif(event)
        if event.what == "down":
            self._change(pif.ref, currently_attached=False)
            return
        self._change(pif.ref, currently_attached=True)
        if event.becoming_management and event.origin != "force":
            for ref in self.snapshot.pifs:
                self._change(ref, management=ref == pif.ref)
        base = self.snapshot.carrier_of(pif) or pif
        bond = self.snapshot.bond_of(base)
        lost = [*self.snapshot.members_of(bond)] if bond else []
        over = self.snapshot.bond_with_member(base)
        lost += [self.snapshot.pifs[over.pif]] if over and over.pif in self.snapshot.pifs else []
        for other in lost:
            for ref in (other.ref, *(vlan.ref for vlan in self.snapshot.vlan_pifs_on(other))):
                self._change(ref, currently_attached=False)

    def _let_sdn_work(self) -> None:
        """SDN software takes each bridge that has no controller yet: tunnels, a tagged port and a controller."""
        for number, name in enumerate(sorted(self.model.bridges)):
            if not self.model.bridges[name].controllers:
                event = Event(what="", first=number, second=number)
                for edit in (self._plug_trunk, self._plug_tagged, self._add_controller):
                    edit(event)

    # --- edits -------------------------------------------------------------------------------------------

    def edit(self, event: Event) -> None:
        """Change the records or the host by hand; nothing where it cannot be."""
        name = "_" + event.what.replace(" ", "_")
        getattr(self, name)(event)

    def _plug_vif(self, event: Event) -> None:
        name = self._fresh("vif9.")
        self.model.links[name] = new_link(name, mac="fe:ff:ff:ff:ff:ff", up=True)
        self._plug(event, _port(name, keys={"xs-vif-uuid": f"uuid-{name}"}))

    def _plug_tunnel(self, event: Event) -> None:
        """A static tunnel port, as SDN software has one for each other host."""
        kind = TUNNELS[event.second % len(TUNNELS)]
        name = self._fresh(kind)
        self._plug(event, _port(name, kind, options={"remote_ip": f"192.0.2.{100 + self._count}"}))

    def _plug_patch(self, event: Event) -> None:
        """A way between a bridge of others, where there is one, and a bridge or a VLAN."""
        name, far = self._fresh("patch"), self._fresh("peer")
        if self._plug(event, _port(name, "patch", options={"peer": far})) and FOREIGN_BRIDGE in self.model.bridges:
            bridge = self.model.bridges[FOREIGN_BRIDGE]
            peer = _port(far, "patch", options={"peer": name})
            self.model.bridges[FOREIGN_BRIDGE] = replace(bridge, ports={**bridge.ports, far: peer})

    def _plug_tagged(self, event: Event) -> None:
        """A device with a tag of its own on a real bridge; its VLAN may be one of ours or nobody's."""
        bridges = sorted(self.model.bridges)
        if bridges:
            bridge = self.model.bridges[bridges[event.first % len(bridges)]]
            name = self._fresh("tagged")
            self.model.links[name] = new_link(name, mac="02:00:00:00:00:09", up=True)
            port = replace(_port(name), tag=(1, 5, 77)[event.second % 3])
            self.model.bridges[bridge.name] = replace(bridge, ports={**bridge.ports, name: port})

    def _plug_trunk(self, event: Event) -> None:
        """A port of SDN software that carries some VLANs."""
        bridges = sorted(self.model.bridges)
        if bridges:
            bridge = self.model.bridges[bridges[event.first % len(bridges)]]
            name = self._fresh("vxlan")
            tunnel = _port(name, "vxlan", options={"remote_ip": "flow", "key": "flow"})
            ports = {**bridge.ports, name: replace(tunnel, trunks=(5, 77))}
            self.model.bridges[bridge.name] = replace(bridge, ports=ports)

    def _plug_internal(self, event: Event) -> None:
        name = self._fresh("sdn")
        if self._plug(event, _port(name, "internal")):
            self.model.links[name] = _internal_link(name)
            self._put_address(name, f"10.200.{self._count}.1/24")

    def _row_uuid(self) -> str:
        """A uuid that no other row has: OVSDB takes nothing else."""
        return str(uuid.uuid5(uuid.NAMESPACE_OID, self._fresh("row")))

    def _add_controller(self, event: Event) -> None:
        def change(bridge: Bridge) -> Bridge:
            row = {"table": "Controller", "uuid": self._row_uuid(), "row": {"target": "tcp:192.0.2.9:6653"}}
            return replace(
                bridge,
                controllers=("tcp:192.0.2.9:6653",),
                extra={**bridge.extra, "controller": ["set", [row]], "protocols": ["set", ["OpenFlow13"]]},
            )

        self._change_bridge(event.first, change)

    def _add_mirror(self, event: Event) -> None:
        row = {"table": "Mirror", "uuid": self._row_uuid(), "row": {"name": "tap", "select_all": True}}
        mirrors = {"mirrors": ["set", [row]]}
        self._change_bridge(event.first, lambda bridge: replace(bridge, extra={**bridge.extra, **mirrors}))

    def _add_qos(self, event: Event) -> None:
        extra = {"qos": {"table": "QoS", "uuid": self._row_uuid(), "row": {"type": "linux-htb"}}}
        self._change_port(event, lambda port: replace(port, extra={**port.extra, **extra}))

    def _add_key(self, event: Event) -> None:
        self._change_bridge(
            event.first,
            lambda bridge: replace(
                bridge,
                external_ids={**bridge.external_ids, "admin-note": "mine"},
                other_config={**bridge.other_config, "datapath-id": "0000000000000001"},
            ),
        )

    def _drift_link(self, event: Event) -> None:
        names = sorted(self.model.links)
        name = names[event.first % len(names)]
        if self.model.links[name].up:
            self.model.take_down(name)
        elif self.model.links[name].parent is None:
            self.model.bring_up(name)

    def _drift_mtu(self, event: Event) -> None:
        names = sorted(name for name, link in self.model.links.items() if link.parent is None)
        self.model.set_mtu(names[event.first % len(names)], (1400, 1500, 1600)[event.second % 3])

    def _drift_address(self, event: Event) -> None:
        names = sorted(name for name, items in self.model.addresses.items() if items)
        if names:
            name = names[event.first % len(names)]
            self.model.set_addresses(name, self.model.addresses[name][1:])

    def _drift_extra_address(self, event: Event) -> None:
        names = sorted(name for name, link in self.model.links.items() if link.up)
        self._put_address(names[event.first % len(names)], f"10.201.{event.second}.1/24")

    def _drift_route(self, event: Event) -> None:
        """An admin's own route, through an interface that has an address."""
        names = sorted(name for name, items in self.model.addresses.items() if items and self.model.links[name].up)
        if names:
            name = names[event.first % len(names)]
            route = self._admin_route(name, event.second)
            present = self.model.routes.get(name, ())
            self.model.routes[name] = (*(old for old in present if old.destination != route.destination), route)

    def _admin_route(self, device: str, number: int) -> Route:
        """On the link; through a gateway, with the address that it leaves with, or as an onlink one."""
        route = Route(destination=ipaddress.ip_network(f"10.99.{number}.0/24"), gateway=None, protocol=3)
        held = sorted(item.interface for item in self.model.addresses[device] if item.interface.version == 4)
        if number % 4 == 0 or not held:
            return route
        if number % 4 == 1:
            return replace(route, gateway=ipaddress.ip_address("203.0.113.9"), onlink=True)
        # through the last subnet: its address may go while others stay, and the route then has no way that is known
        through = replace(route, gateway=held[-1].network[-2])
        every = [item.interface.ip for _, items in sorted(self.model.addresses.items()) for item in items]
        sources = [address for address in every if address.version == 4]
        return through if number % 4 == 2 else replace(through, source=sources[number % len(sources)])

    def _drift_port(self, event: Event) -> None:
        bridges = sorted(self.model.bridges)
        if bridges:
            bridge = self.model.bridges[bridges[event.first % len(bridges)]]
            nics = [name for name in sorted(bridge.ports) if name.startswith("eth")]
            if nics and bridge.name != FOREIGN_BRIDGE:
                left = {name: port for name, port in bridge.ports.items() if name != nics[0]}
                self.model.bridges[bridge.name] = replace(bridge, ports=left)

    def _drift_tag(self, event: Event) -> None:
        self._change_port(event, lambda port: replace(port, tag=7) if port.name.startswith("eth") else port)

    def _drift_fail_mode(self, event: Event) -> None:
        self._change_bridge(event.first, lambda bridge: replace(bridge, fail_mode=None, mcast_snooping=True))

    def _drift_key(self, event: Event) -> None:
        self._change_bridge(event.first, lambda bridge: replace(bridge, other_config={}, hwaddr=None))

    def _client_dies(self, event: Event) -> None:
        clients = sorted(self.model.clients)
        if clients:
            del self.model.clients[clients[event.first % len(clients)]]

    def _swap_networks(self, event: Event) -> None:
        """Two PIFs that are down change places: a VLAN bridge's name becomes a real bridge's, and the reverse."""
        refs = sorted(ref for ref, pif in self.snapshot.pifs.items() if not pif.currently_attached)
        if len(refs) > 1:
            first = self.snapshot.pifs[refs[event.first % len(refs)]]
            second = self.snapshot.pifs[refs[event.second % len(refs)]]
            if self.snapshot.bridge_of(first) and self.snapshot.bridge_of(second):
                self._change(first.ref, network=second.network)
                self._change(second.ref, network=first.network)

    def _move_vlan(self, event: Event) -> None:
        """XAPI moves a VLAN to another carrier (Bond.create): the network stays."""
        records = sorted(self.snapshot.vlans)
        carriers = sorted(
            ref
            for ref, pif in self.snapshot.pifs.items()
            if pif.vlan_record is None and not pif.tunnel_access_of and self.snapshot.bridge_of(pif)
        )
        if not records or not carriers:
            return
        vlan = self.snapshot.vlans[records[event.first % len(records)]]
        target = self.snapshot.pifs[carriers[event.second % len(carriers)]]
        tags = {self.snapshot.vlans[ref].tag for ref in target.vlans_on}
        if target.ref == vlan.carrier or vlan.tag in tags or not self.snapshot.bridge_of(self.snapshot.pifs[vlan.pif]):
            return
        source = self.snapshot.pifs[vlan.carrier]
        self._change(source.ref, vlans_on=tuple(ref for ref in source.vlans_on if ref != vlan.ref))
        self._change(target.ref, vlans_on=(*target.vlans_on, vlan.ref))
        self._change(vlan.pif, device=target.device, mac=target.mac)
        vlans = {**self.snapshot.vlans, vlan.ref: replace(vlan, carrier=target.ref)}
        self.snapshot = replace(self.snapshot, vlans=vlans)

    def _change_members(self, event: Event) -> None:
        bonds = sorted(self.snapshot.bonds)
        if not bonds:
            return
        bond = self.snapshot.bonds[bonds[event.first % len(bonds)]]
        nics = sorted(ref for ref, pif in self.snapshot.pifs.items() if pif.physical)
        nic = self.snapshot.pifs[nics[event.second % len(nics)]]
        members = bond.members
        if nic.member_of == bond.ref and len(members) > 1:
            members = tuple(ref for ref in members if ref != nic.ref)
            self._change(nic.ref, member_of=None)
        elif nic.member_of is None:
            members = (*members, nic.ref)
            self._change(nic.ref, member_of=bond.ref, currently_attached=False)
        self.snapshot = replace(self.snapshot, bonds={**self.snapshot.bonds, bond.ref: replace(bond, members=members)})

    def _change_ip(self, event: Event) -> None:
        refs = sorted(self.snapshot.pifs)
        self._change(refs[event.second % len(refs)], **event.fields)

    def _change_mtu(self, event: Event) -> None:
        refs = sorted(self.snapshot.networks)
        network = self.snapshot.networks[refs[event.first % len(refs)]]
        changed = replace(network, mtu=("1500", "9000", "1400")[event.second % 3])
        self.snapshot = replace(self.snapshot, networks={**self.snapshot.networks, network.ref: changed})

    def _change_bond_mode(self, event: Event) -> None:
        bonds = sorted(self.snapshot.bonds)
        if bonds:
            bond = self.snapshot.bonds[bonds[event.first % len(bonds)]]
            changed = replace(bond, mode=("active-backup", "lacp", "balance-slb")[event.second % 3])
            self.snapshot = replace(self.snapshot, bonds={**self.snapshot.bonds, bond.ref: changed})

    def _forget_attached(self, event: Event) -> None:
        refs = sorted(self.snapshot.pifs)
        pif = self.snapshot.pifs[refs[event.first % len(refs)]]
        self._change(pif.ref, currently_attached=not pif.currently_attached)

    # --- parts -------------------------------------------------------------------------------------------

    def _change(self, ref: Ref, **fields: Any) -> None:
        pifs = {**self.snapshot.pifs, ref: replace(self.snapshot.pifs[ref], **fields)}
        self.snapshot = replace(self.snapshot, pifs=pifs)

    def _fresh(self, prefix: str) -> str:
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

    def _change_bridge(self, number: int, change: Callable[[Bridge], Bridge]) -> None:
        names = sorted(self.model.bridges)
        if names:
            name = names[number % len(names)]
            self.model.bridges[name] = change(self.model.bridges[name])
            self.model.set_macs()

    def _change_port(self, event: Event, change: Callable[[Port], Port]) -> None:
        def change_bridge(bridge: Bridge) -> Bridge:
            name = sorted(bridge.ports)[event.second % len(bridge.ports)]
            return replace(bridge, ports={**bridge.ports, name: change(bridge.ports[name])})

        self._change_bridge(event.first, change_bridge)

    def _put_nic(self, name: str, mac: str, state: NicState) -> None:
        self.model.links[name] = new_link(
            name,
            mac=mac,
            mtu=state.mtu,
            up=state.up,
            carrier=state.carrier,
            physical=True,
            features={**FEATURES, "gro": state.gro},
            settings={"autoneg": "on", "speed": "1000"},
        )
        if state.address:
            self._put_address(name, f"10.202.{name[3:]}.1/24")

    def _put_foreign_bridge(self, ports: list[Port]) -> None:
        self.model.bridges[FOREIGN_BRIDGE] = Bridge(
            name=FOREIGN_BRIDGE,
            ports={port.name: port for port in ports},
            datapath_type=self.options.datapath_type,
            fail_mode="secure",
            hwaddr=None,
            mcast_snooping=False,
            external_ids={"owner": "admin"},
            controllers=("tcp:192.0.2.1:6653",),
        )
        self.model.links[FOREIGN_BRIDGE] = _internal_link(FOREIGN_BRIDGE)
        self._put_address(FOREIGN_BRIDGE, "10.203.0.1/24")

    def _put_address(self, name: str, text: str) -> None:
        item = Address(interface=ipaddress.ip_interface(text))
        present = self.model.addresses.get(name, ())
        if all(old.interface != item.interface for old in present):
            self.model.addresses[name] = (*present, item)


def _internal_link(name: str) -> Link:
    return new_link(name, mac="02:00:00:00:00:02", up=True, kind="openvswitch")


def _port(name: str, kind: str = "", options: dict[str, str] | None = None, keys: dict[str, str] | None = None) -> Port:
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
