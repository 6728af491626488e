"""A host in memory that has the effects of steps, for the property tests.

It knows the kernel's and the switch's manners and nothing of xsagent's plan/ or desired/: steps are told apart by the
name of their class, so that a mistake in the planner cannot hide in the model. An AssertionError is a step that no
plan may hold; a NetlinkError is the kernel's refusal.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from initscripts_model import SCRIPTS, InitscriptsModel
from kernel_model import new_link
from switch_model import after_transaction, bond_devices, carries, internal_devices, live_flows, shown_flows

from xsagent.errors import DeviceAbsentError, NetlinkError, XsagentError
from xsagent.topology.values import Bridge, Interface, Resolver, Topology

_INTERNAL = "openvswitch"


@dataclass
class HostModel(InitscriptsModel):
    """Kernel and initscripts with Open vSwitch and resolv.conf.

    Attributes:
        has_bond_devices: the switch makes a device for bond_fake_iface (the userspace datapath does not).
        refused: offloads that drivers refused, as xsagent remembers them.
        refused_settings: link settings likewise; devices of the switch refuse all.
        flows: safety flows by bridge.
    """

    bridges: dict[str, Bridge] = field(default_factory=dict)
    resolver: Resolver = field(default_factory=Resolver)
    has_bond_devices: bool = True
    refused: dict[str, dict[str, bool]] = field(default_factory=dict)
    refused_settings: dict[str, dict[str, str]] = field(default_factory=dict)
    flows: dict[str, tuple[str, ...]] = field(default_factory=dict)
    transactions: int = 0

    def copy(self) -> HostModel:
        """An independent copy; the values in it are frozen."""
        tables = {name: dict(value) for name, value in vars(self).items() if isinstance(value, dict)}
        return replace(self, **tables)

    def as_filed(self) -> HostModel:
        """A copy on which each device that is up has what its file says (`ip_backend` ifcfg)."""
        filed = self.copy()
        for path, text in self.files.items():
            device = path.removeprefix(f"{SCRIPTS}/ifcfg-")
            if text is not None and device != path and device in self.links and self.links[device].up is True:
                with contextlib.suppress(XsagentError):
                    filed.ifup(device)
        return filed

    def observe(self, files: frozenset[str] = frozenset()) -> Topology:
        """The host as an observed topology; these files are read too."""
        if any(path.startswith(SCRIPTS) for path in files):
            files = files | {path for path in self.files if path.startswith(SCRIPTS)}
        names = set(self.addresses) | set(self.routes) | {device for device, _ in self.clients}
        devices = {name: self.ip_device(name) for name in sorted(names)}
        return Topology(
            bridges={
                name: replace(
                    bridge,
                    safety_flows=shown_flows(bridge, self.flows.get(name, ()))
                    if bridge.fail_mode == "secure"
                    else None,
                )
                for name, bridge in self.bridges.items()
            },
            links=dict(self.links),
            ip_devices={
                name: device
                for name, device in devices.items()
                if device.addresses or device.routes or device.dhcp4 or device.dhcp6
            },
            resolver=self.resolver,
            files={path: self.files.get(path) for path in files},
        )

    def state(self) -> dict[str, Any]:
        """Everything that an undo must bring back, in a form that compares."""
        return {
            "bridges": {name: replace(bridge, safety_flows=None) for name, bridge in self.bridges.items()},
            "flows": {
                name: flows
                for name, bridge in self.bridges.items()
                if bridge.fail_mode == "secure" and (flows := live_flows(bridge, self.flows.get(name, ())))
            },
            "links": self.links,
            "addresses": {name: set(items) for name, items in self.addresses.items() if items},
            # a route that came back as onlink leads where it led
            "routes": {
                name: {replace(item, onlink=False) for item in items} for name, items in self.routes.items() if items
            },
            "clients": {key: client.configuration for key, client in self.clients.items() if client.running},
            # where the link is down there is nobody to ask
            "asking": {name: True for name in self.asking if self.links[name].up is True},
            "files": {path: text for path, text in self.files.items() if text is not None},
            "resolver": self.resolver,
        }

    def lets_through(self, device: str) -> bool:
        """Whether the switch carries what an IP device sends and gets; True for what is on no bridge with a NIC."""
        for name, bridge in self.bridges.items():
            interfaces = [item for port in bridge.ports.values() for item in port.interfaces]
            nics = [item for item in interfaces if item.startswith("eth") and item in self.links]
            if device in bridge.ports and nics:
                return carries(bridge, device, self.links[device].mac, self.flows.get(name, ()), nics)
        return True

    def run(self, step: Any) -> None:
        """Have the effect of one step."""
        getattr(self, f"_run_{type(step).__name__}")(step)

    def _run_OvsdbStep(self, step: Any) -> None:
        before, self.bridges = self.bridges, after_transaction(step, self.bridges)
        self.transactions += 1
        self._follow_switch(before)
        absent = [name for name in step.ports if name not in self.links and not self._is_virtual(name)]
        if absent:
            raise DeviceAbsentError(f"the switch has no device for port {absent[0]}")

    def _run_SafetyFlowsStep(self, step: Any) -> None:
        if step.bridge not in self.bridges:
            raise NetlinkError(f"no bridge {step.bridge} to put flows on")
        if live_flows(self.bridges[step.bridge], step.lines) != set(step.lines):
            raise NetlinkError(f"a flow names a port that {step.bridge} does not have")
        self.flows[step.bridge] = step.lines

    def _run_VirtualFunctionsStep(self, step: Any) -> None:
        self.links[step.device] = replace(self.require(step.device), virtual_functions=0 if step.remove else 8)

    def _run_FeaturesStep(self, step: Any) -> None:
        link = self.require(step.device)
        taken = {name: value for name, value in step.features.items() if name in link.features and name != "lro"}
        left = {
            name: value for name, value in step.features.items() if taken.get(name, link.features.get(name)) != value
        }
        self.links[step.device] = replace(link, features={**link.features, **taken})
        self.refused[step.device] = {**self.refused.get(step.device, {}), **left}

    def _run_LinkSettingsStep(self, step: Any) -> None:
        link = self.require(step.device)
        if link.kind == _INTERNAL:
            self.refused_settings[step.device] = {**self.refused_settings.get(step.device, {}), **step.settings}
            return
        self.links[step.device] = replace(link, settings={**link.settings, **step.settings})

    def _run_ResolverStep(self, step: Any) -> None:
        self.resolver = step.resolver

    def _run_IgmpQueryStep(self, step: Any) -> None:
        """Guests answer to the switch; nothing that is observed changes."""
        assert self.bridges[step.bridge].mcast_snooping is True

    def _run_UpdateIssueStep(self, step: Any) -> None:
        """Shows addresses to people; nothing that is observed changes."""

    def _is_virtual(self, name: str) -> bool:
        """Whether a port needs no netdev: patch and tunnel ports."""
        virtual = {item.name for item in self._interfaces() if item.type not in {"", "system", "internal"}}
        return name in virtual

    def _follow_switch(self, before: dict[str, Bridge]) -> None:
        """Internal ports come and go as devices, one that changes its bridge is made anew; MTUs asked for are set."""
        old, new = self._devices(before), self._devices(self.bridges)
        for name in old:
            if new.get(name) != old[name]:
                self.remove_link(name)
        for name in new:
            if new[name] != old.get(name):
                self.links[name] = new_link(name, kind=_INTERNAL)
        self.set_macs()
        for name in list(self.flows):
            old_row, new_row = before.get(name), self.bridges.get(name)
            if new_row is None or old_row is None or old_row.fail_mode != new_row.fail_mode:
                del self.flows[name]
            else:
                # a port that leaves and comes back has another number
                self.flows[name] = tuple(line for line in self.flows[name] if line in live_flows(new_row, [line]))
        for interface in self._interfaces():
            if isinstance(interface.mtu_request, int) and interface.name in self.links:
                self.set_mtu(interface.name, interface.mtu_request)

    def _interfaces(self) -> list[Interface]:
        ports = [port for bridge in self.bridges.values() for port in bridge.ports.values()]
        return [interface for port in ports for interface in port.interfaces.values()]

    def _devices(self, bridges: dict[str, Bridge]) -> dict[str, str]:
        found = {name: bridge for name, (bridge, _) in internal_devices(bridges).items()}
        return {**bond_devices(bridges), **found} if self.has_bond_devices else found

    def set_macs(self) -> None:
        for name, (bridge, interface) in internal_devices(self.bridges).items():
            own = interface.mac if isinstance(interface.mac, str) else None
            below = self.bridges[bridge].hwaddr if name == bridge else None
            mac = own or (below if isinstance(below, str) else None) or "02:00:00:00:00:02"
            self.links[name] = replace(self.links[name], mac=mac)
        for name in bond_devices(self.bridges) if self.has_bond_devices else ():
            self.links[name] = replace(self.links[name], mac="02:00:00:00:00:03")


def parts(step: Any) -> Iterator[Any]:
    """The step as the single requests that it is made of: a process may die after any of them."""
    kind = type(step).__name__
    if kind in {"AddressStep", "RouteStep"}:
        yield from (replace(step, add=(item,), remove=()) for item in step.add)
        yield from (replace(step, add=(), remove=(item,)) for item in step.remove)
    elif kind == "SysctlStep":
        yield from (replace(step, values={path: value}) for path, value in step.values.items())
    elif kind == "LinkStep":
        order = ("up", "mac", "mtu") if step.up is False else ("mac", "mtu", "up")
        nothing = {"up": None, "mac": None, "mtu": None}
        for name in order:
            if getattr(step, name) is not None:
                yield replace(step, **{**nothing, name: getattr(step, name)})
    else:
        yield step
