"""The topology while it is put together: parts from many builders, merged by name. No I/O.

`build.py` makes one, every builder adds to it, `as_topology` freezes it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from xsagent.desired.notes import Notes
from xsagent.errors import InputError
from xsagent.model.records import Ref
from xsagent.topology.values import (
    KEEP,
    Bridge,
    IpDevice,
    Keep,
    Link,
    ObjectKey,
    ObjectKind,
    Port,
    Resolver,
    Topology,
)


@dataclass(slots=True)
class Draft:
    """Parts so far.

    Attributes:
        built: PIFs whose datapath is in the draft already.
        claims: interface name -> the bridge and port that it is wanted in.
        moves: as Desired.moves.
        riders: as Desired.riders.
        virtual_functions, released_functions: as Desired's.
    """

    notes: Notes = field(default_factory=Notes)
    bridges: dict[str, Bridge] = field(default_factory=dict)
    ports: dict[str, dict[str, Port]] = field(default_factory=dict)
    links: dict[str, Link] = field(default_factory=dict)
    ip_devices: dict[str, IpDevice] = field(default_factory=dict)
    files: dict[str, str | None] = field(default_factory=dict)
    absent: set[ObjectKey] = field(default_factory=set)
    moves: dict[str, str] = field(default_factory=dict)
    resolver: Resolver | None = None
    riders: dict[str, int] = field(default_factory=dict)
    virtual_functions: set[str] = field(default_factory=set)
    released_functions: set[str] = field(default_factory=set)
    built: set[Ref] = field(default_factory=set)
    claims: dict[str, tuple[str, str]] = field(default_factory=dict)

    def put_bridge(self, bridge: Bridge) -> None:
        """Want a bridge; its ports join those already wanted there."""
        self.bridges[bridge.name] = bridge
        self.ports.setdefault(bridge.name, {})
        for port in bridge.ports.values():
            self.put_port(bridge.name, port)

    def put_port(self, bridge: str, port: Port) -> None:
        """Want a port on a bridge that is put too.

        Raises:
            InputError: one of its interfaces is wanted elsewhere: the records give two PIFs one device.
        """
        for name in port.interfaces:
            claim = self.claims.setdefault(name, (bridge, port.name))
            if claim != (bridge, port.name):
                raise InputError(
                    f"{name} is wanted on bridge {claim[0]} and on bridge {bridge}: two PIFs claim it; "
                    "nothing was changed"
                )
        self.ports.setdefault(bridge, {})[port.name] = port

    def put_link(self, link: Link) -> None:
        """Want attributes of a netdev, beside those wanted already."""
        known = self.links.get(link.name)
        self.links[link.name] = link if known is None else _merged(known, link)

    def put_ip_device(self, device: IpDevice) -> None:
        """Want an IP configuration."""
        self.ip_devices[device.device] = device

    def drop(self, kind: ObjectKind, name: str) -> None:
        """Want something gone; what is wanted elsewhere stays (`as_topology`)."""
        self.absent.add(ObjectKey(kind=kind, name=name))

    def as_topology(self) -> Topology:
        """The parts as one value."""
        bridges = {name: replace(self.bridges[name], ports=dict(self.ports[name])) for name in sorted(self.bridges)}
        wanted = {
            ObjectKind.BRIDGE: bridges.keys() | {name for ports in self.ports.values() for name in ports},
            ObjectKind.PORT: {name for ports in self.ports.values() for name in ports},
            ObjectKind.IP_DEVICE: self.ip_devices.keys(),
            ObjectKind.LINK: self.links.keys(),
        }
        return Topology(
            bridges=bridges,
            links=dict(sorted(self.links.items())),
            ip_devices=dict(sorted(self.ip_devices.items())),
            resolver=self.resolver,
            files=dict(sorted(self.files.items())),
            absent=frozenset(key for key in self.absent if key.name not in wanted[key.kind]),
        )


def _merged(first: Link, second: Link) -> Link:
    return replace(
        second,
        mac=first.mac if second.mac is KEEP else second.mac,
        expected_mac=second.expected_mac or first.expected_mac,
        mtu=_larger(first.mtu, second.mtu),
        mtu_is_least=all(link.mtu_is_least for link in (first, second) if link.mtu is not KEEP),
        up=first.up if second.up is KEEP else second.up,
        features={**first.features, **second.features},
        settings={**first.settings, **second.settings},
        sysctls={**first.sysctls, **second.sysctls},
        parent=second.parent or first.parent,
        vlan=first.vlan if second.vlan is None else second.vlan,
    )


def _larger(first: int | Keep, second: int | Keep) -> int | Keep:
    """A NIC is as wide as its widest use."""
    if isinstance(first, Keep):
        return second
    return first if isinstance(second, Keep) else max(first, second)
