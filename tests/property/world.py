"""A generated host while things happen to it: records, the host model, and what XAPI would write into the records.

`test_pipeline.py` walks through a scenario's events with it; an edit changes records or host by hand, never by a plan.
"""

from __future__ import annotations

import ipaddress
from dataclasses import replace
from typing import Any

from host_model import HostModel
from kernel_model import FEATURES, new_link
from others import FOREIGN_BRIDGE, Others, internal_link, make_port
from strategies import MANAGEMENT, Event, NicState, Scenario

from xsagent.desired.build import build_desired
from xsagent.desired.request import BuildOptions, HostFacts, Request
from xsagent.model.records import Pif, Ref
from xsagent.model.snapshot import Snapshot
from xsagent.plan.options import PlanOptions
from xsagent.topology.desired import Desired
from xsagent.topology.values import Bridge, Link, Port, Route


class World(Others):
    """One host.

    Attributes:
        snapshot: records as XAPI has them now.
        model: the host as it is now.
    """

    def __init__(self, scenario: Scenario) -> None:
        self.snapshot: Snapshot = scenario.snapshot
        self.facts = HostFacts(hostname="host0", ipv6_available=scenario.ipv6_available)
        self.options = BuildOptions(datapath_type=scenario.datapath_type, ip_backend=scenario.ip_backend)
        super().__init__(HostModel(dhcp_answers=scenario.dhcp_answers, has_bond_devices=scenario.has_bond_devices))
        self._has_sdn = scenario.has_sdn
        self._nics = len(scenario.nics)
        self._away: dict[str, Link] = {}
        for number, state in enumerate(scenario.nics):
            self._put_nic(f"eth{number}", f"00:16:3e:00:00:0{number}", state)
        spare = NicState(up=True, mtu=1500, carrier=True, address=True, gro=True)
        self._put_nic("eth8", "00:16:3e:00:00:08", spare)
        if scenario.foreign_bridge:
            nic = "eth0" if scenario.foreign_holds_nic else "eth8"
            self._put_foreign_bridge([make_port(FOREIGN_BRIDGE, "internal"), make_port(nic)])

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
        return build_desired(self.snapshot, request, self.facts_now(), self.options)

    def facts_now(self) -> HostFacts:
        """What `desired/` is told of the host as it is."""
        bridges = self.model.bridges.values()
        vlan_bridges = {name for bridge in bridges for name, port in bridge.ports.items() if port.fake_bridge is True}
        return replace(
            self.facts,
            present_bridges=frozenset({*self.model.bridges, *vlan_bridges}),
            sysconfig_network=self.model.files.get("/etc/sysconfig/network") or "",
        )

    def plan_options(self, event: Event, model: HostModel) -> PlanOptions:
        """What the flow tells the planner."""
        keep = event.origin != "session" and not event.even_if_in_use
        return PlanOptions(keep_ports=keep, refused_features=model.refused, refused_settings=model.refused_settings)

    def take_over(self, event: Event, model: HostModel) -> None:
        """The operation was applied: the host is this model now, and XAPI writes down what it did."""
        self.model = model
        if self._has_sdn:
            self.let_sdn_work()
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

    # --- edits -------------------------------------------------------------------------------------------

    def edit(self, event: Event) -> None:
        """Change the records or the host by hand; nothing where it cannot be."""
        name = "_" + event.what.replace(" ", "_")
        getattr(self, name)(event)

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
        self.put_address(names[event.first % len(names)], f"10.201.{event.second}.1/24")

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
        self.change_port(event, lambda port: replace(port, tag=7) if port.name.startswith("eth") else port)

    def _drift_fail_mode(self, event: Event) -> None:
        self.change_bridge(event.first, lambda bridge: replace(bridge, fail_mode=None, mcast_snooping=True))

    def _drift_key(self, event: Event) -> None:
        self.change_bridge(event.first, lambda bridge: replace(bridge, other_config={}, hwaddr=None))

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

    def _nic_vanishes(self, event: Event) -> None:
        """Its driver probes it anew: it is gone, with what rides on it; the next time it is back, bare and down."""
        name = f"eth{event.first % self._nics}"
        if name not in self.model.links:
            self.model.links[name] = self._away.pop(name)
            return
        self._away[name] = replace(self.model.links[name], up=False)
        for gone in [link.name for link in self.model.links.values() if link.parent == name]:
            self.model.remove_link(gone)
        self.model.remove_link(name)

    # --- parts -------------------------------------------------------------------------------------------

    def _change(self, ref: Ref, **fields: Any) -> None:
        pifs = {**self.snapshot.pifs, ref: replace(self.snapshot.pifs[ref], **fields)}
        self.snapshot = replace(self.snapshot, pifs=pifs)

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
            self.put_address(name, f"10.202.{name[3:]}.1/24")

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
        self.model.links[FOREIGN_BRIDGE] = internal_link(FOREIGN_BRIDGE)
        self.put_address(FOREIGN_BRIDGE, "10.203.0.1/24")
