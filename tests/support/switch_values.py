"""Ports and bridges as values, for tests of what writes to the database."""

from __future__ import annotations

from xsagent.plan.steps import CreateBridge
from xsagent.topology.values import Bridge, Interface, Port


def nic(name: str, *, tag: int | None = None, trunks: tuple[int, ...] = ()) -> Port:
    """A port with the interface of its own name."""
    return Port(name=name, interfaces={name: Interface(name=name)}, tag=tag, trunks=trunks)


def bridge(name: str, *ports: Port) -> Bridge:
    """A bridge of the userspace datapath with its internal port and others."""
    own = Port(name=name, interfaces={name: Interface(name=name, type="internal")})
    return Bridge(name=name, datapath_type="netdev", ports={port.name: port for port in (own, *ports)})


XENBR0 = CreateBridge(bridge=bridge("xenbr0", nic("eth0")))
