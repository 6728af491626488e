"""Addresses and gateways of this host -> who answers for them on the wire. I/O: asks ARP and neighbour discovery.

Called by `read.py`. Asks all at once: the good answer to "has another host my address" is silence, which takes its
whole time.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from xsagent.apply.probe import find_other_holder, probe_gateway
from xsagent.doctor.facts import Probes
from xsagent.errors import XsagentError
from xsagent.topology.values import IpAddress, Origin, Topology

_GATEWAY_S = 2.0
_HOLDER_S = 1.2
_AT_ONCE = 64
_MOST = 256
"""Addresses asked about; a host that has more has them from a test."""


def probe_wire(topology: Topology) -> Probes:
    """Ask for each gateway that a route names, and whether others hold this host's addresses; some two seconds."""
    gateways, own = sorted(set(_gateways(topology)), key=str), sorted(set(_addresses(topology)), key=str)[:_MOST]
    macs = frozenset(link.mac for link in topology.links.values() if isinstance(link.mac, str))
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        answering = pool.map(lambda asked: _answers(asked[0], asked[1]), gateways)
        holding = pool.map(lambda asked: _holder(asked[0], asked[1], macs), own)
        answers, holders = list(answering), list(holding)
    return Probes(
        gateways={asked: answer for asked, answer in zip(gateways, answers, strict=True) if answer is not None},
        holders={asked: holder for asked, holder in zip(own, holders, strict=True) if holder},
    )


def _is_up(topology: Topology, device: str) -> bool:
    link = topology.links.get(device)
    return link is not None and link.up is True


def _gateways(topology: Topology) -> Iterator[tuple[str, IpAddress]]:
    for name, device in topology.ip_devices.items():
        if _is_up(topology, name):
            yield from ((name, route.gateway) for route in device.routes if route.gateway is not None)


def _addresses(topology: Topology) -> Iterator[tuple[str, IpAddress]]:
    for name, device in topology.ip_devices.items():
        if name == "lo" or not _is_up(topology, name):
            continue
        yield from (
            (name, address.interface.ip)
            for address in device.addresses
            if address.origin is not Origin.LINK_LOCAL and not address.interface.is_loopback
        )


def _answers(device: str, gateway: IpAddress) -> bool | None:
    try:
        return probe_gateway(device, gateway, deadline_s=_GATEWAY_S)
    except (XsagentError, OSError):  # the device went away or takes no packets: it cannot be asked
        return None


def _holder(device: str, address: IpAddress, ours: frozenset[str]) -> str:
    try:
        return find_other_holder(device, address, deadline_s=_HOLDER_S, ours=ours)
    except (XsagentError, OSError):  # as above
        return ""
